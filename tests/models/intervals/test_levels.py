"""Levels add up, their quantiles hold on data that they were not learnt from, and sums have quantiles of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecasting.models.intervals.levels import Calibrations, lengths
from forecasting.panel.panel import Panel
from tests.support.panels import panel_of

SERIES, HORIZON = 300, 8


def business(seed: int, shared: float = 0.0) -> tuple:
    """(panel, actuals, mean forecasts) of series in two stores; `shared`: how far all move together a period."""
    random = np.random.default_rng(seed)
    level = np.exp(random.uniform(0, 3, size=(SERIES, 1)))
    names = pd.DataFrame(
        {"unique_id": [f"s{k:03d}" for k in range(SERIES)], "store": np.where(np.arange(SERIES) < 100, "N", "S")}
    )
    panel = panel_of(random.poisson(np.repeat(level, 60, axis=1)).tolist(), series=names)
    panel = replace(panel, levels=("store",))
    mean = np.repeat(level, HORIZON, axis=1).astype(np.float32)
    together = np.exp(random.normal(0, shared, size=(1, HORIZON)))
    return panel, random.poisson(mean * together).astype(np.float32), mean


@pytest.mark.parametrize(
    ("horizon", "expected"), [(28, (7, 14, 21, 28)), (14, (4, 7, 11, 14)), (1, (1,)), (6, (2, 3, 5, 6))]
)
def test_sums_go_over_quarters_of_the_horizon(horizon: int, expected: tuple[int, ...]) -> None:
    assert lengths(horizon) == expected


def test_levels_and_sums_add_up_by_hand() -> None:
    panel = replace(panel_of([[1.0] * 30, [2.0] * 30, [4.0] * 30]), levels=("store",))
    panel = replace(panel, series=panel.series.assign(store=["N", "N", "S"]))
    mean = np.array([[1, 2, 3, 4], [10, 20, 30, 40], [5, 5, 5, 5]], dtype=np.float32)
    calibrations = Calibrations.fit([(panel, mean, mean)])
    found = {one.level.name: one for one in calibrations.by_period(panel, mean)}
    assert list(found) == ["total", "store", "series"]
    np.testing.assert_array_equal(found["total"].mean, [[16, 27, 38, 49]])
    np.testing.assert_array_equal(found["store"].mean, [[11, 22, 33, 44], [5, 5, 5, 5]])
    np.testing.assert_array_equal(found["series"].mean, mean)
    sums = {one.level.name: one.mean for one in calibrations.by_sum(panel, mean)}
    np.testing.assert_array_equal(sums["total"], [[16, 43, 81, 130]])
    np.testing.assert_array_equal(sums["store"][1], [5, 10, 15, 20])


def test_every_level_covers_what_it_promises_where_series_move_together() -> None:
    calibrations = Calibrations.fit([business(seed, shared=0.2) for seed in range(40)])
    inside: dict[str, list[float]] = {}
    for seed in range(100, 130):
        panel, actual, mean = business(seed, shared=0.2)
        for spread in calibrations.by_period(panel, mean, at=(0.05, 0.95)):
            y = spread.level.sum(actual)
            inside.setdefault(spread.level.name, []).append(_share(y, spread.quantiles))
        for spread in calibrations.by_sum(panel, mean, at=(0.05, 0.95)):
            y = np.cumsum(spread.level.sum(actual), axis=1)[:, [width - 1 for width in calibrations.windows]]
            inside.setdefault(f"{spread.level.name} sums", []).append(_share(y, spread.quantiles))
    shares = {name: float(np.mean(values)) for name, values in inside.items()}
    assert shares == {name: pytest.approx(0.90, abs=0.05) for name in shares}


def _share(y: np.ndarray, quantiles: np.ndarray) -> float:
    return float(((y >= quantiles[..., 0]) & (y <= quantiles[..., 1])).mean())


def test_a_sum_is_steadier_than_its_periods() -> None:
    calibrations = Calibrations.fit([business(seed) for seed in range(20)])
    panel, _, mean = business(100)
    wide = {one.level.name: one for one in calibrations.by_period(panel, mean, at=(0.05, 0.95))}["series"]
    summed = {one.level.name: one for one in calibrations.by_sum(panel, mean, at=(0.05, 0.95))}["series"]
    width = wide.quantiles[..., 1] - wide.quantiles[..., 0]
    whole = summed.quantiles[:, -1, 1] - summed.quantiles[:, -1, 0]
    assert whole.mean() < 0.6 * width.sum(axis=1).mean()  # independent periods: about the root of their number
    assert (np.diff(summed.quantiles, axis=-1) >= 0).all()


def test_what_was_not_observed_counts_on_neither_side() -> None:
    panel, actual, mean = business(1)
    actual[:, 3] = np.nan
    calibrations = Calibrations.fit([(panel, actual, mean)])
    (total,) = calibrations.days["total"].quantiles(*_total(panel, mean), at=(0.05, 0.5, 0.95))
    assert np.isfinite(total).all()
    assert total[3] == pytest.approx(mean.sum(axis=0)[3] * np.array([0.95, 1, 1.05]), rel=0.05)
    seven = next(iter(calibrations.by_sum(panel, mean, at=(0.5,))))
    assert seven.quantiles[0, 1, 0] == pytest.approx(mean[:, :4].sum(), rel=0.05)


def _total(panel: Panel, mean: np.ndarray) -> tuple:
    part = replace(panel, y=panel.y.sum(axis=0, keepdims=True), series=pd.DataFrame({"unique_id": ["all"]}), levels=())
    return part, mean.sum(axis=0, keepdims=True)


def test_it_survives_a_round_trip_and_a_level_that_is_new() -> None:
    panel, _, mean = business(2)
    calibrations = Calibrations.fit([business(seed) for seed in range(3)])
    again = Calibrations.from_json(calibrations.to_json())
    for one, other in zip(calibrations.by_period(panel, mean), again.by_period(panel, mean), strict=True):
        np.testing.assert_array_equal(one.quantiles, other.quantiles)
    wider: Panel = replace(panel, levels=("store", "unique_id"))
    assert [one.level.name for one in again.by_period(wider, mean)] == ["total", "store", "series"]
