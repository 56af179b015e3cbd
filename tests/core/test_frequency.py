"""Periods: by hand first, then against pandas' own calendars."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.core.frequency import DAYS, Frequency

CODES = ("D", "M", "Q", *(f"W-{day}" for day in DAYS))
DATES = st.dates(date(1960, 1, 1), date(2100, 12, 31))


def first_day(code: str, day: str) -> str:
    return str(Frequency.parse(code).starts(pd.DatetimeIndex([day]))[0].date())


@pytest.mark.parametrize(
    ("code", "day", "first"),
    [
        ("D", "2026-07-01", "2026-07-01"),
        ("M", "2026-07-31", "2026-07-01"),
        ("M", "2026-07-01", "2026-07-01"),
        ("W-MON", "2026-07-01", "2026-06-29"),  # 2026-07-01 is a Wednesday
        ("W-WED", "2026-07-01", "2026-07-01"),
        ("W-THU", "2026-07-01", "2026-06-25"),
        ("W-SUN", "1969-12-31", "1969-12-28"),  # before the epoch too
        ("Q", "2026-06-30", "2026-04-01"),
        ("Q", "1969-12-31", "1969-10-01"),
        ("H", "2026-07-01 14:59", "2026-07-01"),
    ],
)
def test_the_first_day_of_a_period(code, day, first):
    assert first_day(code, day) == first


@pytest.mark.parametrize(
    ("code", "start", "end"),
    [
        ("D", "2026-07-01", date(2026, 7, 1)),
        ("W-MON", "2026-06-29", date(2026, 7, 5)),
        ("M", "2024-02-01", date(2024, 2, 29)),
        ("M", "2026-12-01", date(2026, 12, 31)),
        ("Q", "2026-10-01", date(2026, 12, 31)),
        ("H", "2026-07-01 23:00", date(2026, 7, 1)),
    ],
)
def test_the_last_day_of_a_period(code, start, end):
    assert Frequency.parse(code).end(pd.Timestamp(start)) == end


@pytest.mark.parametrize(
    ("code", "cutoff", "newest"),
    [
        ("D", date(2026, 7, 1), "2026-07-01"),
        ("W-MON", date(2026, 7, 5), "2026-06-29"),  # Sunday: the week is whole
        ("W-MON", date(2026, 7, 4), "2026-06-22"),  # Saturday: it is not
        ("M", date(2026, 7, 31), "2026-07-01"),
        ("M", date(2026, 7, 30), "2026-06-01"),
        ("Q", date(2026, 9, 30), "2026-07-01"),
        ("Q", date(2026, 9, 29), "2026-04-01"),
        ("H", date(2026, 7, 1), "2026-07-01 23:00"),
    ],
)
def test_only_whole_periods_are_known(code, cutoff, newest):
    assert Frequency.parse(code).last_complete(cutoff) == pd.Timestamp(newest)


def test_ranges_go_forward_from_a_period_and_backward_before_it():
    weeks = Frequency.parse("W-MON")
    start = pd.Timestamp("2026-07-01")  # any day names its week
    assert [str(day.date()) for day in weeks.range(start, 3)] == ["2026-06-29", "2026-07-06", "2026-07-13"]
    assert [str(day.date()) for day in weeks.range(start, -2)] == ["2026-06-15", "2026-06-22"]
    assert len(weeks.range(start, 0)) == 0


@pytest.mark.parametrize(("code", "season"), [("D", 7), ("W-SUN", 52), ("M", 12), ("Q", 4), ("H", 168)])
def test_the_season(code, season):
    assert Frequency.parse(code).season == season


@pytest.mark.parametrize("code", ["", "d", "W", "W-XYZ", "MS", "7D", "D ", "W-MON\n"])
def test_other_codes_are_refused_by_name(code):
    with pytest.raises(ValueError, match="allowed are D") as error:
        Frequency.parse(code)
    assert repr(code) in str(error.value)


@given(code=st.sampled_from(CODES), day=DATES)
def test_a_day_lies_in_its_period(code, day):
    frequency = Frequency.parse(code)
    start = frequency.starts(pd.DatetimeIndex([pd.Timestamp(day)]))[0]
    assert start.date() <= day <= frequency.end(start)
    assert frequency.starts(pd.DatetimeIndex([start]))[0] == start


@given(code=st.sampled_from(CODES), day=DATES, periods=st.integers(1, 40))
def test_periods_follow_each_other_without_gap_or_overlap(code, day, periods):
    frequency = Frequency.parse(code)
    ahead = frequency.range(pd.Timestamp(day), periods + 1)
    assert len(ahead) == periods + 1
    for this, following in pairwise(ahead):
        assert frequency.end(this) + pd.Timedelta(days=1) == following.date()
    back = frequency.range(ahead[-1], -periods)
    assert list(back) == list(ahead[:-1])


@given(code=st.sampled_from(CODES), day=DATES)
def test_the_newest_whole_period_ends_by_the_cutoff_and_the_next_one_after_it(code, day):
    frequency = Frequency.parse(code)
    newest, following = frequency.range(frequency.last_complete(day), 2)
    assert frequency.end(newest) <= day < frequency.end(following)


@given(code=st.sampled_from(CODES), day=DATES, periods=st.integers(1, 30))
def test_periods_are_those_of_pandas(code, day, periods):
    # pandas names a weekly period by its last day: the week that starts on Monday is its W-SUN.
    theirs = f"W-{DAYS[DAYS.index(code[2:]) - 1]}" if code.startswith("W") else code
    expected = pd.period_range(pd.Period(pd.Timestamp(day), theirs), periods=periods).start_time
    assert list(Frequency.parse(code).range(pd.Timestamp(day), periods)) == list(expected)
