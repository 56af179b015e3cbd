"""Nights that the schedule promises, worked out by hand, also where the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from forecasting.core.config.sections import Extract
from forecasting.core.frequency import Frequency
from forecasting.core.night import promised


def extract(schedule: str, timezone: str) -> Extract:
    sales = {"source": "shop", "table": "sales"}
    return Extract.model_validate({"schedule": schedule, "timezone": timezone, "sales": sales})


def utc(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)


DAYS = Frequency.parse("D")


def test_due_at_the_same_local_hour_when_summer_time_begins_and_ends() -> None:
    berlin = extract("0 3 * * *", "Europe/Berlin")
    spring = promised(berlin, DAYS, time(6), date(2026, 3, 27), date(2026, 3, 29))
    assert spring == {
        date(2026, 3, 27): utc(2026, 3, 28, 5),  # 06:00 in winter
        date(2026, 3, 28): utc(2026, 3, 29, 4),  # the night whose clock jumps from 2 to 3: 06:00 in summer
        date(2026, 3, 29): utc(2026, 3, 30, 4),
    }
    autumn = promised(berlin, DAYS, time(6), date(2026, 10, 23), date(2026, 10, 24))
    assert autumn == {date(2026, 10, 23): utc(2026, 10, 24, 4), date(2026, 10, 24): utc(2026, 10, 25, 5)}


def test_a_night_that_starts_in_the_hour_that_is_skipped_or_comes_twice_is_one_night() -> None:
    berlin = extract("30 2 * * *", "Europe/Berlin")
    for first, last in ((date(2026, 3, 27), date(2026, 3, 30)), (date(2026, 10, 23), date(2026, 10, 26))):
        assert len(promised(berlin, DAYS, time(6), first, last)) == 4


def test_the_hour_after_a_late_start_is_that_of_the_next_morning() -> None:
    found = promised(extract("0 22 * * *", "UTC"), DAYS, time(6), date(2026, 7, 1), date(2026, 7, 1))
    assert found == {date(2026, 7, 1): utc(2026, 7, 3, 6)}  # starts on the 2nd at 22:00


def test_only_nights_of_the_schedule_are_promised() -> None:
    # Tuesday to Saturday work on Monday to Friday; 4 July 2026 is a Saturday.
    found = promised(extract("0 3 * * 2-6", "UTC"), DAYS, time(6), date(2026, 7, 2), date(2026, 7, 7))
    assert sorted(day.day for day in found) == [2, 3, 6, 7]


def test_with_weeks_the_first_night_after_their_end_counts() -> None:
    weeks = promised(
        extract("0 3 * * *", "UTC"), Frequency.parse("W-MON"), time(6), date(2026, 7, 5), date(2026, 7, 19)
    )
    assert weeks == {
        date(2026, 7, 5): utc(2026, 7, 6, 6),
        date(2026, 7, 12): utc(2026, 7, 13, 6),
        date(2026, 7, 19): utc(2026, 7, 20, 6),
    }
