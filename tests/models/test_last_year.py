"""Like last year, scaled; what a season that turns makes of other models; and series that rest are not over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecasting import models
from forecasting.models.baselines import SeasonalMean
from forecasting.models.blend import Blend
from forecasting.models.last_year import LastYear, coming, waiting
from tests.support.panels import panel_of, seasonal_panel
from tests.support.seasonal import ALWAYS, CHRISTMAS, EASTER, seasonal

SEASON = [0.0] * 300 + [10.0] * 64  # a year of 364 days


def sold_of(kind: str, panel, values) -> np.ndarray:
    mine = np.array([name.startswith(kind) for name in panel.unique_ids])
    return values[mine].sum(axis=1)


def test_demand_that_has_doubled_since_goes_on_at_its_recent_level() -> None:
    panel = panel_of([[10.0] * 600 + [20.0] * 264])
    mean = LastYear().predict(panel, 14).mean
    assert 16 < mean.mean() < 21


def test_the_week_has_its_rhythm() -> None:
    week = [5.0, 5, 5, 5, 5, 20, 0]
    mean = LastYear().predict(panel_of([week * 120]), 7).mean[0]
    assert mean[5] > 3 * mean[0]
    assert mean[6] < 0.5


def test_without_a_year_of_history_it_is_the_seasonal_mean() -> None:
    panel = seasonal_panel()
    np.testing.assert_array_equal(LastYear().predict(panel, 7).mean, SeasonalMean().predict(panel, 7).mean)


def test_what_was_not_observed_last_year_is_the_seasonal_mean() -> None:
    y = np.array([[10.0] * 900], dtype=np.float32)
    y[:, 900 - 364 - 30 : 900 - 364 + 30] = np.nan
    mean = LastYear().predict(panel_of(y.tolist()), 14).mean
    np.testing.assert_allclose(mean, 10, rtol=1e-4)


def test_it_is_saved_and_read_back(tmp_path: Path) -> None:
    models.save(LastYear(), tmp_path)
    assert isinstance(models.load(tmp_path), LastYear)


@pytest.mark.parametrize(("cutoff", "kind"), [("2025-11-14", CHRISTMAS), ("2026-02-20", EASTER)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_at_the_start_of_a_season_every_model_forecasts_it(cutoff: str, kind: str, seed: int) -> None:
    panel, actual = seasonal(cutoff, 28, seed)
    mean = Blend({"seasonal_mean": SeasonalMean()}, {"seasonal_mean": 1.0}).predict(panel, 28).mean
    found = sold_of(kind, panel, mean) / sold_of(kind, panel, actual)
    assert 0.8 <= sold_of(kind, panel, mean).sum() / sold_of(kind, panel, actual).sum() <= 1.25
    assert np.mean((found >= 0.8) & (found <= 1.25)) > 0.5
    others = sold_of(ALWAYS, panel, SeasonalMean().predict(panel, 28).mean)
    np.testing.assert_array_equal(sold_of(ALWAYS, panel, mean), others)


def test_at_the_end_of_a_season_nothing_is_forecast_any_more() -> None:
    panel, _ = seasonal("2025-12-24", 28)
    plain = sold_of(CHRISTMAS, panel, SeasonalMean().predict(panel, 28).mean).sum()
    mean = Blend({"seasonal_mean": SeasonalMean()}, {"seasonal_mean": 1.0}).predict(panel, 28).mean
    assert sold_of(CHRISTMAS, panel, mean).sum() < 0.15 * plain


def test_a_shard_is_forecast_like_the_whole() -> None:
    panel, _ = seasonal("2026-02-20", 28)
    whole, rows = LastYear().predict(panel, 28).mean, np.array([2, 5, 9])
    np.testing.assert_array_equal(LastYear().predict(panel, 28, rows).mean, whole[rows])
    turn, like = coming(panel, 28, np.arange(len(panel.y)))
    for found, expected in zip(coming(panel, 28, rows), (turn, like), strict=True):
        np.testing.assert_array_equal(found, expected[rows])


def test_ordinary_series_are_left_alone() -> None:
    panel, _ = seasonal("2025-11-14", 28, counts=(0, 0, 30))
    assert not coming(panel, 28, np.arange(30))[0].any()


def test_a_series_whose_season_has_not_come_waits() -> None:
    quiet = [*SEASON, *SEASON, *[0.0] * 200]
    came_not = [*SEASON, *SEASON, *[0.0] * 364]  # the season is over, and it sold nothing
    began = [*[np.nan] * 600, *[5.0] * 28, *[0.0] * 300]  # a year ago nobody saw it
    width = max(map(len, (quiet, came_not, began)))
    rows = [[np.nan] * (width - len(one)) + one for one in (quiet, came_not, began)]
    assert waiting(panel_of(rows), 56, np.arange(3)).tolist() == [True, False, False]


def test_out_of_season_is_not_the_end() -> None:
    quiet, ended = [*SEASON, *SEASON, *[0.0] * 200], [*[0.0] * 300, *[10.0] * 400, *[0.0] * 228]
    panel = panel_of([quiet, ended])
    blend = Blend({"seasonal_mean": SeasonalMean()}, {"seasonal_mean": 1.0}, discontinued_after=56)
    assert blend.predict(panel, 14).status.tolist() == ["ok", "discontinued"]
    part = blend.predict(panel, 14, np.array([0]))
    assert part.status.tolist() == ["ok"]


def test_weeks_and_months_begin_their_season_too() -> None:
    for code, cutoff, horizon in (("W-MON", "2025-11-16", 6), ("M", "2025-10-31", 2)):
        panel, actual = seasonal(cutoff, horizon, frequency=code)
        mean = LastYear().predict(panel, horizon).mean
        assert 0.8 < sold_of(CHRISTMAS, panel, mean).sum() / sold_of(CHRISTMAS, panel, actual).sum() < 1.25


def test_events_of_the_panel_come_with_the_series() -> None:
    panel, _ = seasonal("2026-02-20", 28, events=True)
    with_names = LastYear().predict(panel, 28).mean
    np.testing.assert_allclose(with_names, LastYear().predict(replace(panel, events=None), 28).mean, rtol=1e-5)
