"""Weekdays on which a series never sells are measured in a scale of their own."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting import features
from forecasting.features import rest_days
from tests.support.panels import panel_of


def test_a_weekday_without_a_sale_in_twelve_weeks_rests() -> None:
    open_all_week, closed_on_sundays, market = [5.0] * 7, [5.0] * 6 + [0.0], [0.0] * 5 + [9.0, 0.0]
    panel = panel_of([week * 13 for week in (open_all_week, closed_on_sundays, market)])  # from a Monday on
    found = rest_days.ahead(panel, 9)
    assert not found[0].any()
    assert np.flatnonzero(found[1]).tolist() == [6]
    assert np.flatnonzero(~found[2]).tolist() == [5]


def test_steps_are_counted_from_the_cutoff() -> None:
    panel = panel_of([([5.0] * 6 + [0.0]) * 13]).first(13 * 7 - 3)  # up to a Thursday: Sunday is the third day ahead
    assert np.flatnonzero(rest_days.ahead(panel, 12)[0]).tolist() == [2, 9]


@pytest.mark.parametrize("weeks", [1, 2])
def test_a_week_or_two_prove_nothing(weeks: int) -> None:
    assert not rest_days.ahead(panel_of([([5.0] * 6 + [0.0]) * weeks]), 7).any()


def test_a_slow_seller_that_missed_a_weekday_does_not_rest() -> None:
    sales = np.zeros((12, 7))
    sales[np.arange(12), np.arange(12) % 6] = 1  # one sale a week, never on a Sunday
    assert not rest_days.ahead(panel_of([sales.ravel().tolist()]), 7).any()


def test_what_sold_nothing_for_twelve_weeks_does_not_rest() -> None:
    assert not rest_days.ahead(panel_of([[5.0] * 91 + [0.0] * 91, [0.0] * 182]), 7).any()


def test_one_sunday_of_sales_ends_it() -> None:
    row = ([5.0] * 6 + [0.0]) * 13
    row[-1] = 1.0
    assert not rest_days.ahead(panel_of([row]), 7).any()


def test_days_that_were_not_observed_are_no_rest() -> None:
    assert not rest_days.ahead(panel_of([([5.0] * 6 + [float("nan")]) * 13]), 7).any()


@pytest.mark.parametrize("frequency", ["W-MON", "M", "Q"])
def test_seasons_of_a_year_have_no_rest(frequency: str) -> None:
    assert not rest_days.ahead(panel_of([[5.0, 5.0, 5.0, 0.0] * 40], frequency=frequency), 8).any()


def test_hours_of_the_night_rest() -> None:
    day = [0.0] * 8 + [4.0] * 12 + [0.0] * 4
    found = rest_days.ahead(panel_of([day * 30], frequency="H"), 24)[0]
    assert found.tolist() == [units == 0 for units in day]


def test_the_scale_of_a_day_of_rest_is_next_to_nothing_and_of_older_models_that_of_any_day() -> None:
    panel = panel_of([([5.0] * 6 + [0.0]) * 60, [5.0] * 420])
    rows, steps = np.zeros(7, dtype=np.intp), np.arange(1, 8)
    words = features.vocabulary(panel)
    new = features.build(panel, rows, steps, features.Kinds.of(panel, words))
    old = features.build(panel, rows, steps, features.Kinds.of(panel, words | {features.VERSION: ["2"]}))
    np.testing.assert_array_equal(new.values, old.values)
    np.testing.assert_allclose(new.scale / old.scale, [1] * 6 + [rest_days.SHARE])
