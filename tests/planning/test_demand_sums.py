"""Distributions of sums: lengths that were calibrated, and those between them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.core.errors import PlanningError
from forecasting.models.intervals.calibration import GRID
from forecasting.models.intervals.levels import Calibrations
from forecasting.planning.demand_sums import distribution, excess, missing, quantile
from tests.support.panels import panel_of

HORIZON, SERIES = 8, 60
AT = (0.05, 0.5, 0.95)


def poisson(seed: int, periods: int = 120):
    """Independent Poisson demand, its true mean as the forecast: the distribution of every sum is known."""
    random = np.random.default_rng(seed)
    mean = np.linspace(4, 40, SERIES)[:, None] * np.ones(HORIZON)
    panel = panel_of(random.poisson(mean[:26, :1] * np.ones(periods)).tolist())
    mean = mean[:26].astype(np.float32)
    folds = [(panel, random.poisson(mean).astype(np.float32), mean) for _ in range(60)]
    return panel, folds, mean


@cache
def learned():
    panel, folds, mean = poisson(1)
    return panel, Calibrations.fit(folds), mean


@pytest.fixture(scope="module")
def fitted():
    return learned()


def test_a_length_that_was_calibrated_is_as_it_was(fitted):
    panel, calibrations, mean = fitted
    assert calibrations.windows == (2, 4, 6, 8)
    published = list(calibrations.by_sum(panel, mean, AT))[-1].quantiles
    for place, width in enumerate(calibrations.windows):
        found = distribution(calibrations, panel, mean, width, AT)
        np.testing.assert_allclose(found, published[:, place], rtol=1e-5)
    day = calibrations.days["series"].quantiles(panel, mean[:, :1], at=AT)[:, 0]
    np.testing.assert_allclose(distribution(calibrations, panel, mean, 1, AT), day, rtol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 7, 8])
def test_every_length_spreads_as_the_sum_of_independent_demand_does(fitted, width):
    panel, calibrations, mean = fitted
    total = mean[:, :width].sum(axis=1)
    low, middle, high = distribution(calibrations, panel, mean, width, AT).T
    expected = 2 * 1.645 * np.sqrt(total)
    assert np.mean((high - low) / expected) == pytest.approx(1, abs=0.1)
    assert np.mean(middle / total) == pytest.approx(1, abs=0.03)
    # Narrower than the sum of the periods' own quantiles: that is why these are no use for stock.
    days = calibrations.days["series"].quantiles(panel, mean, at=AT)[:, :width].sum(axis=1)
    if width > 1:
        assert np.mean((high - low) / (days[:, 2] - days[:, 0])) < 1.1 / np.sqrt(width)


def test_more_periods_than_were_forecast_are_refused(fitted):
    panel, calibrations, mean = fitted
    for periods in (0, 9):
        with pytest.raises(PlanningError, match="cannot be told from a forecast of 8; allowed is 1 to that"):
            distribution(calibrations, panel, mean, periods)


def test_no_demand_is_no_demand(fitted):
    panel, calibrations, mean = fitted
    assert (distribution(calibrations, panel, 0 * mean, 3, AT) == 0).all()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 0.9), st.integers(1, 7))
def test_a_longer_wait_or_a_higher_service_never_needs_less_stock(level, width):
    panel, calibrations, mean = learned()
    now, longer = (distribution(calibrations, panel, mean, length) for length in (width, width + 1))
    levels = np.full(len(mean), level)
    assert (quantile(longer, levels) >= quantile(now, levels) - 1e-6).all()
    assert (quantile(now, levels + 0.05) >= quantile(now, levels)).all()


def test_a_closed_first_day_spreads_as_any_other(fitted):
    panel, calibrations, mean = fitted
    closed = mean.copy()
    closed[:, 0] = 0
    for width in (2, 3, 5):
        now = distribution(calibrations, panel, closed, width, AT)
        same = np.repeat(closed[:, :width].mean(axis=1, keepdims=True), HORIZON, axis=1)
        np.testing.assert_allclose(now, distribution(calibrations, panel, same, width, AT), atol=1)
        assert (now[:, 2] > now[:, 0]).all()


def test_demand_after_an_arrival_is_that_of_its_own_periods(fitted):
    panel, calibrations, mean = fitted
    rising = mean * np.array([1, 1, 1, 3, 3, 3, 3, 3], dtype=np.float32)
    found = distribution(calibrations, panel, rising, 2, AT, after=3)
    np.testing.assert_allclose(found, distribution(calibrations, panel, 3 * mean, 2, AT), rtol=1e-4)
    with pytest.raises(PlanningError, match="over 2 periods after 7 cannot be told from a forecast of 8"):
        distribution(calibrations, panel, mean, 2, after=7)


# ---------------------------------------------------------------- demand that is lost


def sure(*units: float) -> np.ndarray:
    """(n, len(GRID)) distributions of demand that is known."""
    return np.repeat(np.array(units)[:, None], len(GRID), axis=1)


def test_what_will_be_lost_is_not_owed():
    # Ten are wanted after the arrival, four until then. Of six there two are left, of two nothing, and two are lost.
    later, ahead, position = sure(10, 10, 10), sure(4, 4, 4), np.array([6.0, 2.0, 20.0])
    assert missing(later, ahead, position, np.full(3, 0.9)).tolist() == [8.0, 10.0, -6.0]
    assert excess(ahead, position).tolist() == pytest.approx([0.0, 2.0, 0.0])


amounts = st.lists(st.floats(0, 1e4), min_size=len(GRID), max_size=len(GRID)).map(lambda v: np.sort(np.array(v))[None])


@settings(deadline=None)
@given(amounts, amounts, st.floats(0, 2e4), st.floats(0, 2e4), st.floats(0.05, 0.95))
def test_a_unit_more_on_the_shelf_saves_at_most_a_unit_of_the_order(later, ahead, one, other, level):
    less, more = sorted([one, other])
    found = [float(missing(later, ahead, np.array([p]), np.array([level]))[0]) for p in (less, more)]
    assert found[1] <= found[0] + 1e-6
    assert found[0] - found[1] <= more - less + 1e-6
    # With nothing there, later demand is all that counts; both quantiles are straight between levels that are kept.
    nothing = float(missing(later, ahead, np.array([0.0]), np.array([level]))[0])
    assert found[0] <= nothing + 1e-6
    assert later[0, 0] - 1e-6 <= nothing <= later[0, -1] + 1e-6


def test_units_beyond_a_limit_are_those_of_the_distribution():
    # Uniform from 0 to 100: beyond 60 lie 40 in the end, on average 40 x 40 / 2 / 100 = 8.
    uniform = 100 * np.array(GRID)[None]
    assert excess(uniform, np.array([60.0]))[0] == pytest.approx(8, abs=0.2)
    assert excess(uniform, np.array([0.0]))[0] == pytest.approx(50, abs=0.2)
    assert excess(uniform, np.array([100.0]))[0] == 0
