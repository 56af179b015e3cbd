"""Ratios of actual and forecast by cells: small cases by hand, and what they add for erratic demand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecasting.models.intervals.calibration import Calibration
from forecasting.models.intervals.ratio_cells import RatioCells
from tests.support.panels import panel_of

HALF = (0.5,)


def test_few_errors_make_one_cell_of_all_ratios() -> None:
    # Ratios 1, 2 and 3: the middle one is 2, whatever the forecast; a forecast of nothing stays nothing.
    cells = RatioCells.fit([(np.ones(1), np.array([[2.0, 4.0, 6.0]]), np.full((1, 3), 2.0))])
    panel = panel_of([[1.0, 2.0, 3.0]])
    found = cells.quantiles(panel, np.array([[5.0, 0.0]], dtype=np.float32), at=HALF)
    np.testing.assert_allclose(found[0, :, 0], [10.0, 0.0])


def test_forecasts_of_different_size_have_ratios_of_their_own() -> None:
    # 2,000 small forecasts are right, 2,000 large ones half of what is sold; cells have at least 150 rows.
    mean = np.concatenate([np.full((200, 10), 1.0), np.full((200, 10), 100.0)])
    actual = mean * np.where(mean > 1, 2.0, 1.0)
    cells = RatioCells.fit([(np.ones(400), actual, mean)])
    panel = panel_of([[1.0] * 10] * 2, series=pd.DataFrame({"unique_id": ["small", "large"]}), levels=())
    found = cells.quantiles(panel, np.array([[1.0], [100.0]], dtype=np.float32), at=HALF)
    np.testing.assert_allclose(found[:, 0, 0], [1.0, 200.0])


def test_unobserved_actuals_and_no_errors_at_all_leave_ratios_of_one() -> None:
    panel = panel_of([[1.0, 2.0, 3.0]])
    for parts in ([], [(np.ones(1), np.full((1, 3), np.nan), np.ones((1, 3)))]):
        cells = RatioCells.from_arrays(RatioCells.fit(parts).arrays())
        found = cells.quantiles(panel, np.array([[5.0]], dtype=np.float32), at=HALF)
        np.testing.assert_allclose(found, 5.0)


def errors(series: int, zeros: float) -> list[tuple]:
    """A fold of monthly parts that are forecast by the mean of what they sold."""
    random = np.random.default_rng(1)
    y = np.where(random.random((series, 42)) < zeros, 0.0, 1 + random.poisson(3, (series, 42)))
    names = pd.DataFrame({"unique_id": [f"part{k}" for k in range(series)]})
    panel = panel_of(y.tolist(), "2021-01-01", "M", series=names, levels=())
    mean = np.repeat(y[:, :36].mean(axis=1, keepdims=True), 6, axis=1).astype(np.float32)
    return [(panel.first(36), panel.y[:, 36:], mean)]


def test_cells_count_where_errors_of_erratic_demand_are_many() -> None:
    assert Calibration.fit(errors(40, zeros=0.7)).weight < 0.02
    assert 0.5 < Calibration.fit(errors(1500, zeros=0.7)).weight < 0.65
    assert Calibration.fit(errors(1500, zeros=0.0)).weight < 0.2  # frequent sales, most of them of like sizes
