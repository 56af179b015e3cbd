"""ETS and Theta on panels: forms, covariates, sharing out, falling back, speed."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecasting.core.config.sections import ArimaSettings
from forecasting.core.errors import ModelError
from forecasting.core.frequency import Frequency
from forecasting.models.baselines import SeasonalMean
from forecasting.models.smoothing import base, covariate_effects, recursion
from forecasting.models.smoothing.base import Smoothed
from forecasting.models.smoothing.ets import Ets, forms
from forecasting.models.smoothing.theta import Theta, divide, indices, left_out, slope, steps
from tests.models.test_groups import shops
from tests.support.panels import panel_of, seasonal_panel

NAN = float("nan")
DAYS = 112
WEEK = np.array([0.6, 0.8, 0.9, 1.0, 1.1, 1.4, 1.2])
both = pytest.mark.parametrize("model", [Ets, Theta])


def noisy(level: float | np.ndarray, seed: int = 3, count: int = DAYS) -> np.ndarray:
    return np.random.default_rng(seed).poisson(level, count).astype(np.float64)


# ---------------------------------------------------------------- Theta's parts by hand


def test_the_slope_passes_over_what_is_missing() -> None:
    np.testing.assert_allclose(slope(np.array([[1.0, 3.0, NAN, 7.0], [NAN] * 4, [5.0, NAN, NAN, NAN]])), [2, 0, 0])


def test_steps_of_drift() -> None:
    # Weight 1/2, two observations: the lag is (1 - 1/4) / (1/2) = 1.5; then 1, 1/2, 1/4 more.
    found = steps(np.array([[0.5]]), np.array([[2]]), 4, damping=0.5)
    np.testing.assert_allclose(found, [[1.5, 2.0, 2.25, 2.375]])


def test_indices_are_ratios_to_a_season_s_mean_and_closed_days_are_none() -> None:
    week = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0])
    y = np.tile(week * 10, 5)[None]
    np.testing.assert_allclose(indices(y, 7), [week])
    np.testing.assert_allclose(divide(y, np.tile(indices(y, 7), 5))[0, :8], [NAN, *[10.0] * 6, NAN])


def test_a_period_s_own_season_is_that_of_the_others() -> None:
    y = np.array([[1.0, 3.0, 1.0, 3.0, 1.0, 9.0, 1.0, 3.0]])
    # Ratios to the centred means from the second on: 3/2, 1/2, 3/2, 1/3.5, 9/5, 1/3.5; the 9 sees 3/2 and 3/2.
    assert left_out(y, 2)[0, 5] == pytest.approx(1.5)
    assert left_out(y, 2)[0, 1] == pytest.approx((3 / 2 + 9 / 5) / 2)


def test_a_season_is_taken_where_it_is_there() -> None:
    y = np.stack([noisy(50 * np.tile(WEEK, 16)), noisy(50), np.full(DAYS, 4.0)])
    assert [fit.form.season for fit in Theta().learn(y / y.mean(axis=1, keepdims=True), 7)] == [7, 0, 0]


def test_the_forms_of_ets() -> None:
    assert [str(form) for form in forms(7)] == ["(A,N,N)", "(A,Ad,N)", "(A,N,A)", "(A,Ad,A)", "(A,N,M)", "(A,Ad,M)"]


# ---------------------------------------------------------------- covariates


def test_effects_by_hand() -> None:
    # Promotion on day 10 and 20 of 30 adds 6: six changes of 6 over a week, two of them; four changes, doubt 3 twice.
    promotion = np.zeros((1, 30, 1))
    promotion[0, [10, 20]] = 1
    y = np.tile(WEEK, 5)[None, :30] + 6 * promotion[:, :, 0]
    assert covariate_effects.measure(y, promotion, 7)[0, 0] == pytest.approx(6 * 4 / (4 + 6), rel=0.02)
    y[0, 10] = NAN
    assert covariate_effects.measure(y, promotion, 7)[0, 0] == pytest.approx(6 * 2 / (2 + 6), rel=0.05)
    np.testing.assert_array_equal(covariate_effects.added(promotion, np.array([[2.0]])), 2 * promotion[:, :, 0])


@both
def test_a_promotion_that_is_announced_is_seen(model: type[Smoothed]) -> None:
    promotion = (np.random.default_rng(5).random((1, DAYS + 7)) < 0.15).astype(np.float32)
    promotion[0, DAYS:] = [0, 0, 1, 0, 0, 0, 0]
    row = noisy(50 * (1 + promotion[0, :DAYS]))
    panel = panel_of([list(row)], known={"promotion": promotion})
    fitted = model().fit(panel, 7)
    fit = fitted.groups["A"]
    assert fit is not None
    assert set(fit.effects) == {"promotion"}
    mean = fitted.predict(panel, 7).mean[0]
    assert mean[2] == pytest.approx(100, rel=0.15)
    assert np.delete(mean, 2).max() < 70
    with pytest.raises(ModelError, match=r"fitted with promotion, the panel has no covariates.*train again"):
        fitted.predict(replace(panel, known={}), 7)


@both
def test_a_covariate_without_an_effect_is_left_out(model: type[Smoothed]) -> None:
    event = (np.random.default_rng(6).random((1, DAYS + 7)) < 0.15).astype(np.float32)
    fit = model().fit(panel_of([list(noisy(50))], known={"event": event}), 7).groups["A"]
    assert fit is not None
    assert fit.effects == {}


# ---------------------------------------------------------------- forecasts


@both
def test_the_week_goes_on(model: type[Smoothed]) -> None:
    panel = panel_of([list(noisy(80 * np.tile(WEEK, 16)))])
    mean = model().fit(panel, 14).predict(panel, 14).mean[0]
    np.testing.assert_allclose(mean, 80 * np.tile(WEEK, 2), rtol=0.15)


@both
def test_one_large_order_lifts_the_days_after_it_less_than_it_would(
    model: type[Smoothed], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = noisy(np.full(DAYS, 20.0))
    order = usual.copy()
    order[-2] = 400.0
    panel = panel_of([list(usual), list(order)])
    fitted = model().fit(panel, 7)

    def lift() -> float:
        without, after = fitted.predict(panel, 7).mean.mean(axis=1)
        assert without == pytest.approx(20, rel=0.15)
        return float(after - without)

    tamed = lift()
    monkeypatch.setattr(recursion, "TAMED", 1e9)
    assert 0 < tamed < 0.75 * lift()


@both
def test_the_year_of_weekly_sales_goes_on(model: type[Smoothed]) -> None:
    weeks = np.arange(170)
    row = noisy(100 + 60 * np.sin(2 * np.pi * weeks / 52), count=170)
    known = panel_of([list(row)], "2022-01-03", "W-MON").first(157)
    mean = model().fit(known, 13).predict(known, 13).mean[0]
    assert np.abs(mean - row[157:]).mean() / row[157:].mean() < 0.2


@both
def test_groups_are_shared_by_recent_demand_and_add_up(model: type[Smoothed], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "CHEAPER", 1)
    panel = shops([list(noisy(30, 1)), list(noisy(10, 2)), list(noisy(5, 3)), [0.0] * DAYS], levels=("state",))
    fitted = model(ArimaSettings(max_series=2)).fit(panel, 7)
    assert (fitted.level, set(fitted.groups)) == ("state", {"X", "Y"})
    mean, recent = fitted.predict(panel, 7).mean, SeasonalMean().predict(panel, 7).mean
    assert mean[:2].sum(axis=0) == pytest.approx(np.full(7, 40.0), rel=0.2)
    np.testing.assert_allclose(mean[0] / mean[1], recent[0] / recent[1], rtol=1e-4)


@both
def test_what_is_too_short_unknown_or_insane_falls_back_and_says_so(model: type[Smoothed]) -> None:
    panel = panel_of([list(noisy(20)), [NAN] * (DAYS - 5) + [3.0, 4.0, 5.0, 4.0, 3.0], list(noisy(9)), list(noisy(7))])
    fitted = model().fit(panel, 7)
    first = fitted.groups["A"]
    assert first is not None
    fitted.groups["A"] = replace(first, effects={"event": 500.0})
    del fitted.groups["C"]
    seen = replace(panel, known={"event": np.ones((1, DAYS + 7), dtype=np.float32)})
    seen.known["event"][0, :DAYS] = 0
    found, label = fitted.predict(seen, 7), model.label
    assert found.status.tolist() == ["fallback", "fallback", "fallback", "ok"]
    assert found.reason[0].startswith(f"{label} forecast ")
    assert "more than 3 times the highest value" in found.reason[0]
    assert found.reason[1:3].tolist() == [
        f"too short for {label}; seasonal mean instead",
        f"not known to {label}; seasonal mean instead",
    ]
    np.testing.assert_array_equal(found.mean[:3], SeasonalMean().predict(seen, 7).mean[:3])


@both
def test_it_must_be_fitted_first(model: type[Smoothed]) -> None:
    with pytest.raises(ModelError, match="before it was fitted"):
        model().predict(panel_of([[1.0] * 30]), 7)


@both
def test_the_file_can_be_read_by_a_person(model: type[Smoothed], tmp_path) -> None:
    model().fit(seasonal_panel(3, DAYS), 7).save(tmp_path)
    content = json.loads((tmp_path / f"{model.name}.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["level"] == "series"
    assert set(content["groups"]) == {"A", "B", "C"}
    assert content["groups"]["C"] is None


@both
@pytest.mark.parametrize(("code", "count", "periods"), [("D", 154, 400), ("W-MON", 600, 130)])
def test_hundreds_of_series_take_seconds(model: type[Smoothed], code: str, count: int, periods: int) -> None:
    frequency = Frequency(code)
    panel = replace(
        panel_of([[0.0]]),
        y=np.random.default_rng(1).poisson(5, (count, periods)).astype(np.float32),
        periods=frequency.range(pd.Timestamp("2022-01-03"), periods),
        series=pd.DataFrame({"unique_id": [f"s{number}" for number in range(count)]}),
        frequency=frequency,
        levels=(),
    )
    began = time.process_time()
    model(ArimaSettings(max_series=count)).fit(panel, 13).predict(panel, 13)
    assert time.process_time() - began < 15  # 1 to 2 s on a free machine
