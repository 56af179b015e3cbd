"""ARIMA: what it is fitted on, what it learns, how totals are shared out, and when it is not believed."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecasting.core.config.sections import ArimaSettings
from forecasting.core.errors import ModelError
from forecasting.core.frequency import Frequency
from forecasting.models.arima.estimation import Order
from forecasting.models.arima.model import Arima
from forecasting.models.arima.search import Facts, Fitted, candidates, forecast, search
from forecasting.models.baselines import SeasonalMean
from tests.models.test_groups import shops
from tests.support.panels import panel_of, seasonal_panel

NAN = float("nan")
DAYS = 112


def noisy(level: float | np.ndarray, seed: int = 3, count: int = DAYS) -> np.ndarray:
    return np.random.default_rng(seed).poisson(level, count).astype(np.float64)


# ---------------------------------------------------------------- groups


def test_group_forecasts_are_shared_by_recent_demand_and_add_up() -> None:
    rows = [noisy(30, 1), noisy(10, 2), noisy(5, 3), np.zeros(DAYS)]
    panel = shops([list(row) for row in rows], levels=("state",))
    model = Arima(ArimaSettings(max_series=2)).fit(panel, 7)
    assert model.level == "state"
    assert set(model.groups) == {"X", "Y"}
    mean = model.predict(panel, 7).mean
    assert mean[:2].sum(axis=0) == pytest.approx(np.full(7, 40.0), rel=0.2)
    recent = SeasonalMean().predict(panel, 7).mean
    np.testing.assert_allclose(mean[0] / mean[1], recent[0] / recent[1], rtol=1e-4)
    assert mean[3].max() < 1e-4


def test_a_group_whose_members_sold_nothing_lately_shares_equally() -> None:
    row = [*noisy(20, count=DAYS - 60), *([0.0] * 60)]
    panel = shops([row, row, row], levels=())
    mean = Arima(ArimaSettings(max_series=1)).fit(panel, 7).predict(panel, 7).mean
    np.testing.assert_array_equal(mean[0], mean[1])
    np.testing.assert_array_equal(mean[0], mean[2])


# ---------------------------------------------------------------- what it learns


def test_it_sees_a_promotion_that_is_announced() -> None:
    promotion = (np.random.default_rng(5).random((1, DAYS + 7)) < 0.15).astype(np.float32)
    promotion[0, DAYS:] = [0, 0, 1, 0, 0, 0, 0]
    row = noisy(50 * (1 + promotion[0, :DAYS]))
    panel = panel_of([list(row)], known={"promotion": promotion})
    model = Arima().fit(panel.first(DAYS), 7)
    fitted = model.groups["A"]
    assert fitted is not None
    assert fitted.order.known == ("promotion",)
    mean = model.predict(panel, 7).mean[0]
    assert mean[2] == pytest.approx(100, rel=0.15)
    assert np.delete(mean, 2).max() < 70


def test_it_sees_paydays_that_a_weekly_season_does_not() -> None:
    frequency = Frequency("D")
    days = frequency.range(pd.Timestamp("2025-01-06"), 240)
    after_payday = 1 + 0.6 * np.cos(2 * np.pi * (days.day.to_numpy() - 3) / 30.4)
    row = noisy(80 * after_payday, count=240)
    panel = panel_of([list(row)], start="2025-01-06")
    known, actual = panel.first(212), row[212:]
    model = Arima().fit(known, 28)
    fitted = model.groups["A"]
    assert fitted is not None
    assert fitted.order.fourier == 2
    errors = {each.name: np.abs(each.predict(known, 28).mean[0] - actual).mean() for each in (model, SeasonalMean())}
    assert errors["arima"] < 0.6 * errors["seasonal_mean"]


def test_it_follows_the_year_of_weekly_sales() -> None:
    weeks = np.arange(160)
    row = noisy(100 + 60 * np.sin(2 * np.pi * weeks / 52.18), count=160)
    panel = panel_of([list(row)], "2022-01-03", "W-MON")
    known = panel.first(147)
    mean = Arima().fit(known, 13).predict(known, 13).mean[0]
    assert np.abs(mean - row[147:]).mean() / row[147:].mean() < 0.15


def test_a_peak_of_the_year_comes_again_where_weeks_are_alike_from_year_to_year() -> None:
    weeks = np.arange(160)
    row = noisy(100 * np.where(weeks % 52 >= 50, 3.0, 1.0), count=160)  # two weeks of the year sell three times as much
    known = panel_of([list(row)], "2022-01-03", "W-MON").first(152)
    model = Arima().fit(known, 8)
    fitted = model.groups["A"]
    assert fitted is not None
    assert fitted.order.seasonal == (0, 1, 0, 52)
    usual, peak = np.split(model.predict(known, 8).mean[0][[0, 1, 4, 5, 6, 7, 2, 3]], [6])
    assert usual.mean() == pytest.approx(100, rel=0.15)
    assert peak.mean() == pytest.approx(300, rel=0.15)


def test_a_series_that_never_changed_goes_on_as_it_was() -> None:
    panel = panel_of([[4.0] * 40, [0.0] * 40])
    forecast = Arima().fit(panel, 3).predict(panel, 3)
    np.testing.assert_allclose(forecast.mean, [[4, 4, 4], [0, 0, 0]], atol=1e-3)
    assert forecast.status.tolist() == ["ok", "ok"]


def test_a_later_cutoff_uses_the_parameters_as_fitted_on_the_new_data() -> None:
    row = [*noisy(20, count=84), *noisy(60, seed=4, count=28)]
    panel = panel_of([row])
    model = Arima().fit(panel.first(84), 7)
    learnt = model.groups["A"]
    later = model.predict(panel, 7).mean[0]
    assert model.groups["A"] is learnt
    assert model.predict(panel.first(84), 7).mean[0].mean() == pytest.approx(20, rel=0.2)
    assert later.mean() > 30


@pytest.mark.parametrize(
    ("code", "count", "expected"), [("D", 9, 0), ("D", 20, 3), ("D", 70, 6), ("W-MON", 60, 3), ("W-MON", 110, 6)]
)
def test_candidates_are_few_and_need_ten_observations(code: str, count: int, expected: int) -> None:
    assert len(candidates(Frequency(code), count)) == expected


def test_a_year_of_months_that_is_hardly_there_is_not_differenced() -> None:
    frequency = Frequency("M")
    now_and_then = [
        {order.seasonal[:3] for order in candidates(frequency, 40, strong, steady=False)} for strong in (True, False)
    ]
    assert now_and_then == [{(0, 1, 1)}, {(1, 0, 0), (0, 0, 0)}]
    months = pd.date_range("2020-01-01", periods=60, freq="MS").to_numpy().astype("datetime64[D]")
    year = 50 + 45 * np.sin(2 * np.pi * np.arange(60) / 12)
    for level, differences in ((np.where(year > 8, year, 0), 1), (0.5, 0)):
        found = search(Facts(noisy(level, count=60), months, frequency, {}))
        assert found is not None
        assert found.order.seasonal[1] == differences


def test_the_level_of_months_drifts_where_there_is_demand_at_all_times() -> None:
    frequency = Frequency("M")
    assert {order.order[1] for order in candidates(frequency, 40, steady=True)} == {1}
    assert 0 in {order.order[1] for order in candidates(frequency, 40, steady=False)}
    months = pd.date_range("2018-01-01", periods=84, freq="MS")
    row = noisy(np.linspace(50, 150, 84) * (1 + 0.3 * np.sin(2 * np.pi * np.arange(84) / 12)), count=84)
    known = panel_of([list(row)], "2018-01-01", "M").first(72)
    assert known.periods[-1] == months[71]
    mean = Arima().fit(known, 12).predict(known, 12).mean[0]
    assert np.abs(mean - row[72:]).mean() / row[72:].mean() < 0.12


def test_a_week_is_differenced_only_where_it_is_strong() -> None:
    daily, season = Frequency("D"), {(1, 0, 1), (0, 0, 0)}
    assert {order.seasonal[:3] for order in candidates(daily, DAYS, strong=False)} == season
    assert {order.seasonal[:3] for order in candidates(daily, DAYS)} == season | {(0, 1, 1)}
    week = np.tile([0.4, 0.7, 0.9, 1.0, 1.1, 1.6, 1.3], DAYS // 7)
    panel = panel_of([list(noisy(500 * week)), list(noisy(500)), list(noisy(5 * week))])
    model = Arima().fit(panel, 7)
    orders = {name: fitted and fitted.order.seasonal[:3] for name, fitted in model.groups.items()}
    assert orders == {"A": (0, 1, 1), "B": (0, 0, 0), "C": (1, 0, 1)}
    np.testing.assert_allclose(model.predict(panel, 7).mean[0], 500 * week[:7], rtol=0.05)


def test_orders_read_like_the_books() -> None:
    assert str(Order((0, 1, 1), (0, 1, 1, 7), 2, ("promotion",))) == "(0,1,1)(0,1,1)7 + 2 Fourier + promotion"
    assert str(Order((1, 0, 0))) == "(1,0,0)"


# ---------------------------------------------------------------- when it is not believed


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ((1.0,), "failed"),  # parameters of another order
        ((1.0, 1.3, 0.1), "less than nothing"),  # a process that explodes
        ((NAN, 0.1, 0.1), "not finite"),
        ((30.0, 0.1, 0.1), "more than 3 times the highest value"),
    ],
)
def test_a_forecast_out_of_range_falls_back_to_the_seasonal_mean_and_says_so(
    params: tuple[float, ...], reason: str
) -> None:
    panel = seasonal_panel(3, DAYS)
    model = Arima(ArimaSettings(seconds=0.3)).fit(panel, 7)
    model.groups["A"] = Fitted(Order((1, 0, 0)), params, 5.0, 0.0)
    found = model.predict(panel, 7)
    np.testing.assert_array_equal(found.mean[0], SeasonalMean().predict(panel, 7).mean[0])
    assert found.status.tolist() == ["fallback", "ok", "insufficient"]
    assert reason in found.reason[0]
    assert "seasonal mean instead" in found.reason[0]


def test_one_day_counts_with_two_standard_errors_at_most() -> None:
    smoothing = Fitted(Order((0, 1, 1)), (-0.9, 1.0), scale=1.0, aicc=0.0)  # a tenth of each error, of size 1
    days = np.arange("2026-01-01", "2026-02-12", dtype="datetime64[D]")
    usual = np.where(np.arange(41) % 2, 9.5, 10.5)
    level = forecast(smoothing, Facts(usual, days, Frequency("D"), {}))[0]
    thrown = Facts(np.append(usual[:-1], 1_000.0), days, Frequency("D"), {})
    calm = forecast(smoothing, replace(thrown, y=np.append(usual[:-1], NAN)))[0]
    assert level == pytest.approx(10, abs=0.1)
    assert forecast(smoothing, thrown)[0] == pytest.approx(calm + 0.1 * 2, abs=0.01)
    assert forecast(smoothing, thrown, most=np.inf)[0] == pytest.approx(calm + 0.1 * (1_000 - calm), rel=0.01)


def test_a_series_too_short_or_unknown_gets_the_seasonal_mean() -> None:
    panel = panel_of([[NAN] * (DAYS - 5) + [3.0, 4.0, 5.0, 4.0, 3.0], list(noisy(20))])
    model = Arima().fit(panel, 7)
    assert model.predict(panel, 7).reason[0] == "too short or degenerate for ARIMA; seasonal mean instead"
    del model.groups["B"]
    assert model.predict(panel, 7).reason[1] == "not known when ARIMA was fitted; seasonal mean instead"


def test_little_time_leaves_the_smaller_groups_to_the_first_order_and_none_without_a_forecast(monkeypatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)  # a busy machine must not decide how many groups are fitted
    panel = panel_of([list(noisy(level, seed)) for seed, level in enumerate((5, 50, 20))])
    model = Arima(ArimaSettings(seconds=0.035)).fit(panel, 7)
    assert model.notes == dict.fromkeys(("A", "C"), "the first order, for want of time")
    first = candidates(Frequency("D"), DAYS)[0]
    assert [model.groups[name].order for name in ("A", "C")] == [first, first]
    assert model.predict(panel, 7).status.tolist() == ["ok"] * 3
    monkeypatch.setattr(time, "time", itertools.count(1.0).__next__)
    late = Arima(ArimaSettings(seconds=1e-9)).fit(panel, 7)
    forecast = late.predict(panel, 7)
    assert set(forecast.reason) == {"ARIMA ran out of time; seasonal mean instead"}
    np.testing.assert_array_equal(forecast.mean, SeasonalMean().predict(panel, 7).mean)


def test_a_covariate_that_is_gone_is_named() -> None:
    promotion = (np.random.default_rng(5).random((1, DAYS + 7)) < 0.15).astype(np.float32)
    panel = panel_of([list(noisy(50 * (1 + promotion[0, :DAYS])))], known={"promotion": promotion})
    model = Arima().fit(panel, 7)
    with pytest.raises(ModelError, match=r"fitted with promotion, the panel has no covariates.*train again"):
        model.predict(replace(panel, known={}), 7)


def test_it_must_be_fitted_first() -> None:
    with pytest.raises(ModelError, match="before it was fitted"):
        Arima().predict(panel_of([[1.0] * 30]), 7)


def test_the_file_holds_orders_and_parameters_that_a_person_can_read(tmp_path) -> None:
    panel = seasonal_panel(3, DAYS)
    Arima().fit(panel, 7).save(tmp_path)
    content = json.loads((tmp_path / "arima.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["level"] == "series"
    assert set(content["groups"]) == {"A", "B", "C"}
    assert content["groups"]["B"]["order"]["seasonal"] == [0, 1, 1, 7]
    assert content["groups"]["C"] is None
    assert content["notes"]["C"] == "too short or degenerate for ARIMA"
