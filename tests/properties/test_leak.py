"""No future leaks: what happens after the cutoff changes no forecast, of no model, bit for bit.

The panel is changed in memory that the cut panel's views share, so that a model which reached around the door would
be found out too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecasting import models
from forecasting.core.config.settings import Settings
from forecasting.models.base import Forecast, Forecaster
from forecasting.models.blend import Blend
from forecasting.panel.covariates.events import Events
from forecasting.panel.panel import Panel
from tests.support.panels import seasonal_panel
from tests.support.seasonal import seasonal

HORIZON = 5
PERIODS = 75
SETTINGS = Settings.model_validate(
    {
        "sources": {"shop": {"kind": "files", "path": "."}},
        "extract": {"sales": {"source": "shop", "path": "sales.csv"}},
        "train": {"lightgbm": {"rows": 2000, "trees": 5, "leaves": 7, "origins": 4, "min_rows_leaf": 5}},
        "runtime": {"threads": 1},
    }
)
EXAMPLES = {"arima": 4, "partitioned": 4, "recursive": 4}  # each fits several times what the others do
QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large)
cases = pytest.mark.parametrize("name", models.CANDIDATES)
cutoffs = st.integers(45, PERIODS - 1)
seeds = st.integers(0, 2**32 - 1)


def examples(name: str) -> settings:
    return settings(max_examples=EXAMPLES.get(name, 12), deadline=None, suppress_health_check=QUIET, derandomize=True)


def whole() -> Panel:
    """Writable copies of everything, five series."""
    panel = seasonal_panel(5, PERIODS, HORIZON)
    days = [(0, 0, day) for day in (3, 20, 37, 54, 71)] + [(0, 1, day) for day in (10, 37, 68)]
    days += [(1, 0, day) for day in (5, 30, 55, 78)]
    calendars = np.array([0, 0, 1, 1, 0], dtype=np.int32)
    events = Events(("Feast", "Market"), np.array(days, dtype=np.int32), calendars, HORIZON)
    return replace(panel, known={name: values.copy() for name, values in panel.known.items()}, events=events)


def later(panel: Panel, last: int, position: int) -> Panel:
    """The same with other events from period `last` on, and with some before it that nobody knew at `position`."""
    cells = panel.events.cells[panel.events.cells[:, 2] < last]
    more = [(1, 1, last), (1, 1, last + 3), (0, 0, position), (0, 1, position + 1), (1, 1, last - 1)]
    since = [0, 0, position + 1, len(panel.periods), position + 1]
    events = replace(
        panel.events,
        cells=np.vstack([cells, np.array(more, dtype=np.int32)]),
        since=np.array([0] * len(cells) + since, dtype=np.int32),
    )
    return replace(panel, events=events)


def disturb(values: np.ndarray, start: int, random: np.random.Generator) -> None:
    """Other numbers from column `start` on: large, zero or missing."""
    shape = values[:, start:].shape
    values[:, start:] = np.where(random.random(shape) < 0.2, np.nan, random.gamma(0.5, 1000, shape).round())


def create(name: str) -> Forecaster:
    """The candidate; the partitioned one with a model for each of two stores."""
    by_store = {"partition_by": "store", "partition_series": 1} if name == "partitioned" else {}
    return models.create(name, SETTINGS.model_copy(update={"train": SETTINGS.train.model_copy(update=by_store)}))


def fit_and_predict(name: str, panel: Panel, position: int) -> Forecast:
    known = panel.first(position)
    return create(name).fit(known, HORIZON).predict(known, HORIZON)


def same(one: Forecast, other: Forecast) -> None:
    np.testing.assert_array_equal(one.mean, other.mean)
    assert one.status.tolist() == other.status.tolist()
    assert one.reason.tolist() == other.reason.tolist()


@cases
def test_nothing_after_the_cutoff_changes_fit_or_forecast(name: str) -> None:
    @examples(name)
    @given(position=cutoffs, seed=seeds)
    def check(position: int, seed: int) -> None:
        panel, random = whole(), np.random.default_rng(seed)
        before = fit_and_predict(name, panel, position)
        disturb(panel.y, position, random)
        for values in panel.past.values():
            disturb(values, position, random)
        for values in panel.known.values():
            values[:, position + HORIZON :] = random.integers(0, 9, values[:, position + HORIZON :].shape)
        same(fit_and_predict(name, later(panel, position + HORIZON, position), position), before)

    check()


@cases
def test_a_model_fitted_earlier_sees_nothing_after_the_later_cutoff_either(name: str) -> None:
    early = whole().first(45)
    fitted = create(name).fit(early, HORIZON)

    @examples(name)
    @given(position=cutoffs, seed=seeds)
    def check(position: int, seed: int) -> None:
        panel, random = whole(), np.random.default_rng(seed)
        before = fitted.predict(panel.until(panel.frequency.end(panel.periods[position - 1])), HORIZON)
        disturb(panel.y, position, random)
        for values in panel.past.values():
            disturb(values, position, random)
        same(fitted.predict(panel.until(panel.frequency.end(panel.periods[position - 1])), HORIZON), before)

    check()


@cases
def test_forecasting_changes_neither_the_panel_nor_the_model(name: str) -> None:
    panel = whole().first(60)
    y, known = panel.y.copy(), {key: values.copy() for key, values in panel.known.items()}
    fitted = create(name).fit(panel, HORIZON)
    first = fitted.predict(panel, HORIZON)
    same(fitted.predict(panel, HORIZON), first)
    np.testing.assert_array_equal(panel.y, y)
    for key, values in known.items():
        np.testing.assert_array_equal(panel.known[key], values)


@cases
def test_the_present_does_change_forecasts(name: str) -> None:
    """The property above would hold for a model that looks at nothing: this one shows that they look."""
    panel = whole()
    before = fit_and_predict(name, panel, 60)
    panel.y[:, 46:60] *= 3
    assert not np.array_equal(fit_and_predict(name, panel, 60).mean, before.mean)


def years() -> Panel:
    """A season that has come twice and is about to come again: what is measured on last year is there to be used."""
    panel, _ = seasonal("2025-12-20", HORIZON, counts=(2, 1, 2), years=3.2, events=True)
    return replace(panel, y=panel.y.copy())


@pytest.mark.parametrize("name", ["last_year", "lightgbm"])
def test_nothing_after_the_cutoff_changes_what_is_made_of_last_year(name: str) -> None:
    panel, position, random = years(), len(years().periods) - 36, np.random.default_rng(3)
    before = fit_and_predict(name, panel, position)
    blended = Blend({name: create(name)}, {name: 1.0}).fit(panel.first(position), HORIZON)
    turned = blended.predict(panel.first(position), HORIZON)
    disturb(panel.y, position, random)
    spoiled = later(panel, position + panel.events.ahead, position)
    same(fit_and_predict(name, spoiled, position), before)
    same(blended.predict(spoiled.first(position), HORIZON), turned)
