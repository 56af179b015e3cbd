"""Forecasts by hand: each expected number can be read off the history above it."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from forecasting.core.errors import ArtifactError
from forecasting.models.baselines import SeasonalMean, SeasonalNaive
from forecasting.models.cold_start import SHARE
from tests.support.panels import panel_of

NAN = float("nan")
WEEK = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def test_naive_repeats_the_last_week() -> None:
    panel = panel_of([[*[9.0] * 7, *WEEK]])
    forecast = SeasonalNaive().predict(panel, 9)
    assert forecast.mean.tolist() == [[*WEEK, 1.0, 2.0]]
    assert forecast.status.tolist() == ["ok"]
    assert forecast.reason.tolist() == [""]


def test_naive_looks_further_back_for_a_day_that_was_not_observed() -> None:
    panel = panel_of([[8.0] * 7 + [9.0, NAN, 9.0, 9.0, 9.0, 9.0, 9.0] + [1.0, NAN, NAN, 4.0, 5.0, 6.0, 7.0]])
    assert SeasonalNaive().predict(panel, 7).mean.tolist() == [[1, 8, 9, 4, 5, 6, 7]]


def test_naive_looks_back_over_months_and_what_sold_long_ago_is_no_cold_start() -> None:
    gone = [NAN] * 70
    panel = panel_of([WEEK * 20, [*WEEK[:6], NAN] * 9 + [8.0] * 7 + gone, WEEK * 10 + gone])
    forecast = SeasonalNaive().predict(panel, 7)
    assert forecast.mean.tolist() == [WEEK, [8] * 7, WEEK]
    assert forecast.status.tolist() == ["ok"] * 3


def test_a_few_zeros_of_all_that_is_known_are_no_certainty_and_many_are() -> None:
    for zeros, mean in ((1, 0.3), (5, 0.06), (20, 0.0)):
        forecast = SeasonalMean().predict(panel_of([[0.0] * zeros]), 3)
        np.testing.assert_allclose(forecast.mean, mean, rtol=1e-6)
        assert forecast.status.tolist() == ["insufficient" if mean else "ok"]  # a blend names the others


def test_naive_takes_the_newest_value_where_a_weekday_was_never_observed() -> None:
    panel = panel_of([[3.0, 5.0, NAN]])
    assert SeasonalNaive().predict(panel, 7).mean.tolist() == [[5, 5, 5, 5, 3, 5, 5]]


def test_naive_repeats_the_last_year_of_weeks_and_months() -> None:
    months = [float(value) for value in range(15)]
    assert SeasonalNaive().predict(panel_of([months], "2025-01-01", "M"), 3).mean.tolist() == [[3, 4, 5]]
    weeks = [float(value) for value in range(60)]
    assert SeasonalNaive().predict(panel_of([weeks], "2025-01-06", "W-MON"), 2).mean.tolist() == [[8, 9]]


def test_mean_weighs_each_week_four_fifths_of_the_next() -> None:
    panel = panel_of([[*[10.0] * 7, *[1.0] * 7]])
    expected = (1.0 + 0.8 * 10.0) / 1.8
    np.testing.assert_allclose(SeasonalMean().predict(panel, 10).mean, [[expected] * 10], rtol=1e-6)


def test_mean_uses_eight_weeks_and_no_more() -> None:
    panel = panel_of([[*[1000.0] * 7, *(WEEK * 8)]])
    np.testing.assert_allclose(SeasonalMean().predict(panel, 7).mean, [WEEK], rtol=1e-6)


def test_mean_fills_an_unobserved_weekday_with_the_recent_level() -> None:
    panel = panel_of([[2.0, 2.0, 2.0, 6.0, 6.0, 6.0, NAN] * 3])
    assert SeasonalMean().predict(panel, 7).mean[0, 6] == pytest.approx(4.0)


def test_mean_reaches_back_beyond_the_window_when_nothing_was_observed_in_it() -> None:
    panel = panel_of([[4.0] * 10 + [NAN] * 60])
    forecast = SeasonalMean().predict(panel, 3)
    assert forecast.mean.tolist() == [[4, 4, 4]]
    assert forecast.status.tolist() == ["ok"]


@pytest.mark.parametrize(("frequency", "season"), [("W-MON", 52), ("M", 12)])
def test_yearly_profile_needs_two_years(frequency: str, season: int) -> None:
    wave = (100 + 80 * np.sin(np.arange(4 * season) * 2 * np.pi / season)).tolist()
    short = SeasonalMean().predict(panel_of([wave[: 2 * season - 1]], "2022-01-03", frequency), season).mean[0]
    assert np.ptp(short) < 1e-3
    long = SeasonalMean().predict(panel_of([wave], "2022-01-03", frequency), season).mean[0]
    assert np.corrcoef(long, wave[:season])[0, 1] > 0.99
    # Years that are all alike are followed in full, as far as rounding goes; noise is not.
    assert np.ptp(long) == pytest.approx(160, rel=0.01)
    noise = np.random.default_rng(1).permuted(np.array(wave).reshape(4, season), axis=1).ravel().tolist()
    assert (
        np.ptp(SeasonalMean().predict(panel_of([noise], "2022-01-03", frequency), season).mean[0]) < 100
    )  # of the 160 of noise


def test_yearly_level_follows_the_newest_weeks() -> None:
    panel = panel_of([[10.0] * 40 + [20.0] * 40], "2025-01-06", "W-MON")
    assert 19.9 < SeasonalMean().predict(panel, 4).mean[0, 0] < 20


def test_a_series_borrows_the_yearly_profile_that_the_others_show() -> None:
    year = (100 + 80 * np.sin(np.arange(104) * 2 * np.pi / 52)).tolist()
    newcomer = [NAN] * 90 + [50.0] * 14
    forecast = SeasonalMean().predict(panel_of([year, year, newcomer], "2024-01-01", "W-MON"), 26).mean
    assert forecast[2].max() > 1.5 * forecast[2].min()


def test_series_of_different_seasons_keep_their_own() -> None:
    # One sells in summer, one in winter and one all year: no profile is common to them.
    random = np.random.default_rng(2)
    wave = np.sin(np.arange(208) * 2 * np.pi / 52)
    rows = random.poisson(np.stack([100 + 80 * wave, 100 - 80 * wave, 20 + 0 * wave])).astype(float)
    found = SeasonalMean().predict(panel_of(rows.tolist(), "2022-01-03", "W-MON"), 52).mean
    for row, truth in zip(found, (100 + 80 * wave[:52], 100 - 80 * wave[:52], np.full(52, 20.0)), strict=True):
        assert np.abs(row - truth).sum() / truth.sum() < 0.12


@pytest.mark.parametrize("model", [SeasonalNaive(), SeasonalMean()])
def test_a_series_never_observed_gets_a_share_of_its_like_and_says_so(model: SeasonalNaive | SeasonalMean) -> None:
    series = pd.DataFrame({"unique_id": list("ABCD"), "item": ["x", "y", "x", "z"], "store": ["S1", "S2", "S2", "S1"]})
    panel = panel_of([[10.0] * 21, [20.0] * 21, [NAN] * 21, [NAN] * 21], series=series)
    forecast = model.predict(panel, 3)
    # C is of item x, which A sells; nobody else sells D's item z, so its store counts, where A is.
    np.testing.assert_allclose(forecast.mean[2], [SHARE * 10] * 3)
    np.testing.assert_allclose(forecast.mean[3], [SHARE * 10] * 3)
    assert forecast.status.tolist() == ["ok", "ok", "insufficient", "insufficient"]
    assert forecast.reason[2] == "no sales before the cutoff; mean of similar series"


@pytest.mark.parametrize("model", [SeasonalNaive(), SeasonalMean()])
def test_a_panel_without_a_single_sale_gets_zeros(model: SeasonalNaive | SeasonalMean) -> None:
    forecast = model.predict(panel_of([[NAN] * 10, [NAN] * 10]), 2)
    assert forecast.mean.tolist() == [[0, 0], [0, 0]]
    assert set(forecast.status) == {"insufficient"}


@pytest.mark.parametrize("model", [SeasonalNaive(), SeasonalMean()])
def test_returns_never_make_a_forecast_negative(model: SeasonalNaive | SeasonalMean) -> None:
    assert (model.predict(panel_of([[-3.0] * 21]), 7).mean == 0).all()


@pytest.mark.parametrize("model", [SeasonalNaive(), SeasonalMean()])
def test_thirty_thousand_series_take_seconds_at_most(model: SeasonalNaive | SeasonalMean) -> None:
    y = np.random.default_rng(1).poisson(1.0, (30_000, 200)).astype(np.float32)
    small = panel_of([[1.0] * 200])
    ids = np.arange(len(y)).astype(str)
    panel = panel_of([[1.0] * 200], y=y, series=pd.DataFrame({"unique_id": ids}), levels=(), periods=small.periods)
    began = time.perf_counter()
    assert model.predict(panel, 28).mean.shape == (30_000, 28)
    assert time.perf_counter() - began < 5


def test_a_folder_that_is_not_whole_is_refused(tmp_path) -> None:
    with pytest.raises(ArtifactError, match="does not hold a seasonal mean"):
        SeasonalMean.load(tmp_path)
