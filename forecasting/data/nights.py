"""The nights that the schedule promises: which cutoffs they stand for, and when their forecasts are due."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import croniter

from forecasting.data.frequency import Frequency
from forecasting.sections import Extract


@lru_cache(maxsize=1024)  # the page asks for the same weeks at every view
def cutoff_of(frequency: Frequency, day: date) -> date:
    """Last day of the newest period that is over at the end of a day."""
    return frequency.end(frequency.last_complete(day))


def promised(extract: Extract, frequency: Frequency, by: time, first: date, last: date) -> dict[date, datetime]:
    """Cutoffs from `first` to `last` that a night starts for, with the instant (UTC) at which it should be published.

    A night works on the day before it; `by` is the first such local time at or after its start. All is reckoned in
    local days, so a night is due at the same hour by the clock on the wall whether summer time begins, ends or not.
    With weeks or months, the first night after a period's end is the one that counts.
    """
    zone, due = ZoneInfo(extract.timezone), dict[date, datetime]()
    # Local time without a zone: cron means the clock on the wall.
    ticks = croniter(extract.schedule, datetime.combine(first + timedelta(days=1), time.min) - timedelta(seconds=1))
    while (tick := ticks.get_next(datetime)).date() <= last + timedelta(days=1):
        cutoff = cutoff_of(frequency, tick.date() - timedelta(days=1))
        day = tick.date() if tick.time() <= by else tick.date() + timedelta(days=1)
        if cutoff >= first:
            due.setdefault(cutoff, datetime.combine(day, by, zone).astimezone(UTC))
    return due
