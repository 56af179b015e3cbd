"""Histories too short to choose by: their status, and bands that are wide."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.models.base import Forecast
from forecasting.models.baselines import SeasonalMean
from forecasting.models.blend import Blend
from forecasting.models.short_history import insufficient, too_short, with_assumed
from tests.support.panels import panel_of


@pytest.mark.parametrize(
    ("periods", "frequency", "horizon", "short"),
    [
        (1, "D", 7, True), (7, "D", 7, True), (8, "D", 7, False), (20, "D", 28, True), (28, "D", 90, False),
        (12, "W-MON", 4, True), (13, "W-MON", 13, False), (11, "M", 3, True), (18, "M", 6, False),
    ],
)  # fmt: skip
def test_what_is_too_short(periods: int, frequency: str, horizon: int, short: bool) -> None:
    said = too_short(panel_of([[1.0] * periods], frequency=frequency), horizon)
    assert bool(said) == short
    if short:
        assert said == f"only {periods} period{'s' if periods > 1 else ''} of history: too few to compare models on"


def test_every_series_says_so_and_a_graver_status_stays() -> None:
    panel = panel_of([[1.0] * 3] * 3)
    forecast = Forecast.ok(np.ones((3, 7), dtype=np.float32)).fallen_back("theta failed")
    forecast.status[0], forecast.reason[0] = "discontinued", "no sale in the last 2 periods"
    told = insufficient(panel, 7, forecast)
    assert told.status.tolist() == ["discontinued", "insufficient", "insufficient"]
    assert told.reason[1] == "only 3 periods of history: too few to compare models on"


def test_a_blend_of_a_short_panel_is_insufficient() -> None:
    panel = panel_of([[4.0, 5.0, 6.0]])
    blend = Blend({"seasonal_mean": SeasonalMean()}, {"seasonal_mean": 1.0}).fit(panel, 7)
    assert blend.predict(panel, 7).status.tolist() == ["insufficient"]


def test_enough_actuals_assume_nothing() -> None:
    panel = panel_of([[1.0] * 60] * 4)
    fold = (panel.first(50), panel.y[:, 50:60], np.ones((4, 10), dtype=np.float32))
    assert len(with_assumed(panel, 10, [fold])) == 1


@pytest.mark.parametrize("rows", [[[10.0]], [[10.0, 14.0, 6.0, 10.0, 12.0]], [[10.0] * 4, [0.0] * 4]])
def test_assumed_actuals_lie_around_the_mean_and_spread_like_the_differences(rows: list[list[float]]) -> None:
    panel = panel_of(rows)
    folds = with_assumed(panel, 7, [])
    actual = np.concatenate([one for _, one, _ in folds], axis=1)
    mean = np.mean(rows[0])
    assert actual[0].mean() == pytest.approx(mean, rel=0.25)
    if len(rows[0]) == 1:  # nothing to measure on: half of the mean, and Poisson's own
        assert actual[0].std() == pytest.approx(np.sqrt(2 * (mean + (mean / 2) ** 2)), rel=0.35)
    if len(rows) == 2:
        assert (actual[1] == 0).all()
    assert all((forecast[0] == np.float32(mean)).all() for _, _, forecast in folds)


def test_a_series_without_any_observation_has_no_assumed_actual() -> None:
    folds = with_assumed(panel_of([[float("nan")], [3.0]]), 4, [])
    assert np.isnan(folds[0][1][0]).all()
    assert np.isfinite(folds[0][1][1]).all()


def test_dead_and_new_series_do_not_make_few_errors_enough() -> None:
    alive, dead, new = [5.0] * 20, [5.0] * 5 + [0.0] * 15, [float("nan")] * 13 + [5.0] * 7
    for rows in ([alive], [alive, dead, dead, new, new]):
        panel = panel_of(rows)
        mean = np.array([[5.0] * 7, *[[0.0] * 7] * 2, *[[1.5] * 7] * 2], dtype=np.float32)[: len(rows)]
        assert len(with_assumed(panel, 7, [(panel.first(13), panel.y[:, 13:20], mean)])) > 1
