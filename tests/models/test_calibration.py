"""Quantiles cover what they promise on data that they were not learnt from, never cross, and survive a round trip."""

from __future__ import annotations

import numpy as np

from forecasting.models.base import QUANTILES
from forecasting.models.calibration import Calibration
from tests.panels import panel_of


def poisson(seed: int, series: int = 400, horizon: int = 28) -> tuple:
    random = np.random.default_rng(seed)
    level = np.exp(random.uniform(-2, 4, size=(series, 1)))
    history = random.poisson(np.repeat(level, 60, axis=1)).astype(np.float32)
    names = panel_of([[0.0]] * 2)
    panel = panel_of(history.tolist(), series=names.series.iloc[np.zeros(series, dtype=int)].reset_index(drop=True))
    mean = np.repeat(level, horizon, axis=1).astype(np.float32)
    return panel, random.poisson(mean).astype(np.float32), mean


def test_coverage_on_new_data_is_what_the_quantiles_promise() -> None:
    calibration = Calibration.fit([poisson(1)])
    panel, actual, mean = poisson(2)
    quantiles = calibration.quantiles(panel, mean)
    # For counts the share at or below a quantile lies between the level and the level plus the mass of one count.
    for index, level in enumerate(QUANTILES):
        at_or_below = (actual <= quantiles[..., index] + 1e-6).mean()
        below = (actual < quantiles[..., index] - 1e-6).mean()
        assert below - 0.02 <= level <= at_or_below + 0.02


def test_quantiles_never_cross_and_are_never_negative() -> None:
    calibration = Calibration.fit([poisson(3, series=40)])
    panel, _, mean = poisson(4, series=40)
    mean[0] = 0
    quantiles = calibration.quantiles(panel, mean)
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert (quantiles >= 0).all()
    assert (quantiles[0] == 0).all()


def test_a_part_of_the_series_gets_the_same_quantiles() -> None:
    calibration = Calibration.from_json(Calibration.fit([poisson(5)]).to_json())
    panel, _, mean = poisson(6)
    rows = np.array([3, 77, 5])
    part = calibration.quantiles(panel, mean[rows], rows)
    np.testing.assert_array_equal(part, calibration.quantiles(panel, mean)[rows])
