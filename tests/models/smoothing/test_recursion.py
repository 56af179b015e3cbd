"""The recursion of exponential smoothing: by hand, against statsmodels, and what its search finds."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.models.smoothing.recursion import Form, Weights, extend, first_states, search, smooth

NAN = float("nan")
NONE = np.array([0])


def weights(alpha: float, beta: float = 0.0, gamma: float = 0.0, phi: float = 1.0) -> Weights:
    return Weights(*(np.array([[value]]) for value in (alpha, beta, gamma, phi)))


def test_the_level_by_hand() -> None:
    # Starts at (4 + 8) / 2 = 6; 4: 6 - 1 = 5; 8: 5 + 1.5 = 6.5; 6: 6.375 or so by halves.
    state = smooth(np.array([[4.0, 8.0, 6.5]]), Form(), weights(0.5), NONE, 2)
    assert state.level[0, 0] == pytest.approx(6.5)
    assert state.errors[0, 0] == pytest.approx(2**2 + 3**2 + 0)
    assert state.count[0, 0] == 3
    np.testing.assert_allclose(extend(Form(), weights(0.5), state, 2), [[6.5, 6.5]])


def test_the_damped_trend_by_hand() -> None:
    form, given = Form(trend=True), weights(0.5, 0.5, phi=0.5)
    # Level 2, trend 0; 6: error 4, level 4, trend 1; 6.5: expected 4.5, error 2, level 5.5, trend 0.5 + 0.5 = 1.
    state = smooth(np.array([[2.0, 6.0, 6.5]]), form, given, NONE, 1)
    assert state.level[0, 0] == pytest.approx(5.5)
    assert state.trend[0, 0] == pytest.approx(1.0)
    np.testing.assert_allclose(extend(form, given, state, 3), [[6, 6.25, 6.375]])


def test_the_season_by_hand() -> None:
    form, given = Form(season=2), weights(0.5, gamma=0.5)
    # Level 3, season -1, +1; 2: no error; 6: expected 4, error 2, level 4, season of this place 2.
    state = smooth(np.array([[2.0, 4.0, 2.0, 6.0]]), form, given, NONE, 2)
    np.testing.assert_allclose(extend(form, given, state, 3), [[3, 6, 3]])
    times = Form(season=2, multiplicative=True)
    # Level 3, season 2/3, 4/3; 6: error 2, level 3 + 0.5 * 2 / (4/3) = 3.75, season 4/3 + 0.5 * 2 / 3 = 5/3.
    state = smooth(np.array([[2.0, 4.0, 2.0, 6.0]]), times, given, NONE, 2)
    np.testing.assert_allclose(extend(times, given, state, 3), [[2.5, 6.25, 2.5]])


@pytest.mark.parametrize(
    "form", [Form(), Form(trend=True), Form(season=3), Form(True, 3, multiplicative=True)], ids=str
)
def test_periods_that_were_not_observed_leave_the_state_as_it_is(form: Form) -> None:
    random = np.random.default_rng(2)
    y = 2 + random.random((1, 30))
    given = weights(0.3, 0.2, 0.1, 0.9)
    whole = smooth(y, form, given, NONE, 6)
    gap = np.concatenate([np.full((1, 6), NAN), y, np.full((1, 9), NAN)], axis=1)
    found = smooth(gap, form, given, NONE, 6)
    for name in ("level", "trend", "season", "errors", "count"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name))


def test_errors_of_the_warm_periods_do_not_count() -> None:
    y = np.array([[NAN, 4.0, 8.0, 6.0, 7.0]])
    state = smooth(y, Form(), weights(0.5), np.array([2]), 2)
    assert state.count[0, 0] == 2
    assert state.errors[0, 0] == pytest.approx(0.5**2 + 0.75**2)


def test_series_do_not_touch_each_other() -> None:
    y = np.random.default_rng(4).gamma(4, 0.25, (150, 60))
    together, error = search(y, Form(season=7), np.full(150, 7), 7)
    alone, own = search(y[100:101], Form(season=7), np.full(1, 7), 7)
    assert own[0] == error[100]
    assert alone.alpha[0, 0] == together.alpha[100, 0]


def test_a_level_that_wanders_is_followed_and_one_that_stays_is_not() -> None:
    random = np.random.default_rng(7)
    walk = 20 + np.cumsum(random.normal(size=400))
    still = 20 + random.normal(size=400)
    found, error = search(np.stack([walk, still]), Form(), np.full(2, 20), 20)
    assert found.alpha[0, 0] > 0.85
    assert found.alpha[1, 0] < 0.08
    assert error == pytest.approx([1, 1], rel=0.15)


@pytest.mark.parametrize("trend", [False, True])
@pytest.mark.parametrize("season", [None, "add", "mul"])
def test_the_recursion_is_that_of_statsmodels(trend: bool, season: str | None) -> None:
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    random = np.random.default_rng(1)
    y = 5 * (1 + 0.3 * np.sin(np.arange(64) * np.pi / 2)) + random.normal(size=64)
    form = Form(trend, 4 if season else 0, season == "mul")
    given = weights(0.4, 0.3 * trend, 0.2 * bool(season), 0.9 if trend else 1.0)
    _, level, places = first_states(y[None], form, 8)
    book = ExponentialSmoothing(
        y,
        trend="add" if trend else None,
        damped_trend=trend,
        seasonal=season,
        seasonal_periods=4 if season else None,
        initialization_method="known",
        initial_level=level[0],
        initial_trend=0.0 if trend else None,
        initial_seasonal=places[0] if season else None,
    ).fit(
        smoothing_level=0.4,
        smoothing_trend=0.3 if trend else None,
        smoothing_seasonal=0.2 if season else None,
        damping_trend=0.9 if trend else None,
        optimized=False,
    )
    state = smooth(y[None], form, given, NONE, 8)
    assert state.errors[0, 0] == pytest.approx(book.sse, rel=1e-6)
    # statsmodels forecasts the newest period's place in the season by what it was one season before.
    kept = np.arange(9) % 4 != 3 if season else np.arange(9) >= 0
    np.testing.assert_allclose(extend(form, given, state, 9)[0, kept], book.forecast(9)[kept], rtol=1e-6)
