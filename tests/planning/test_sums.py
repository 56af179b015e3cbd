"""Distributions of sums: lengths that were calibrated, and those between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import PlanningError
from forecasting.models.calibrations import Calibrations
from forecasting.planning.sums import distribution, quantile
from tests.panels import panel_of

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


@pytest.fixture(scope="module")
def fitted():
    panel, folds, mean = poisson(1)
    return panel, Calibrations.fit(folds), mean


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
def test_a_longer_wait_or_a_higher_service_never_needs_less_stock(fitted, level, width):
    panel, calibrations, mean = fitted
    now, longer = (distribution(calibrations, panel, mean, length) for length in (width, width + 1))
    levels = np.full(len(mean), level)
    assert (quantile(longer, levels) >= quantile(now, levels) - 1e-6).all()
    assert (quantile(now, levels + 0.05) >= quantile(now, levels)).all()
