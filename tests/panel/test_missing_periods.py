"""Weeks and months without a row: when they are unknown, and when they are zero."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.core.frequency import Frequency
from forecasting.panel import missing_periods
from forecasting.panel.observed.deliveries import NO_ROW

STARTED = np.zeros(1, dtype=np.intp)
NOTHING = np.empty(0, dtype=np.intp)


def missing(units: list[float], code: str = "W-MON", bound: int = 4, hidden: np.ndarray = NOTHING) -> list[int]:
    """Periods of one series that were not delivered; -1 stands for no row."""
    values = np.array([[NO_ROW if value < 0 else value] for value in units], dtype=np.float32)
    return missing_periods.find(values, STARTED, hidden, Frequency.parse(code), bound).tolist()


STEADY = [20.0, 22.0, 19.0, 21.0] * 5


def test_a_week_without_a_row_of_a_series_that_always_sells_is_unknown() -> None:
    assert missing([*STEADY, -1, *STEADY]) == [20]


def test_a_zero_that_was_written_down_is_a_zero() -> None:
    assert missing([*STEADY, 0, *STEADY]) == []


@pytest.mark.parametrize("units", [[1.0, -1, 2.0, -1] * 10, [1.0, 1.0, 2.0, 1.0] * 5 + [-1.0], [*STEADY[:7], -1.0]])
def test_series_that_pause_or_sell_few_or_are_young_have_zeros(units: list[float]) -> None:
    assert missing(units) == []


def test_after_the_bound_zeros_count_until_it_sells_again() -> None:
    assert missing([*STEADY, *[-1.0] * 6, *STEADY, -1.0]) == [20, 21, 22, 23, 46]


def test_a_silence_that_comes_every_year_is_a_season() -> None:
    # In the third year July and August are without a row; a year later, and the next, they are expected.
    years = [20.0] * 30 + [-1.0, -1.0] + ([20.0] * 10 + [-1.0, -1.0]) * 2
    assert missing(years, "M", bound=1) == [30]


def test_what_came_later_changes_nothing() -> None:
    random = np.random.default_rng(1)
    units = np.where(random.random(80) < 0.1, -1, random.poisson(30, 80)).astype(float).tolist()
    whole = missing(units)
    assert whole
    for stop in range(20, 80, 7):
        assert missing(units[:stop]) == [period for period in whole if period < stop]


def test_cells_that_were_not_observed_neither_count_nor_break_a_streak() -> None:
    assert missing([*STEADY, -1.0, *STEADY[:3], -1.0], hidden=np.array([20])) == [24]
