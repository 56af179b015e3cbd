"""Nights: the date that one is asked for and the cutoff that follows, and the nights that the schedule promises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

import pandas as pd
from croniter import croniter

from forecasting.core.config.sections import Extract
from forecasting.core.frequency import Frequency


@dataclass(frozen=True)
class Night:
    """One night, whatever step of it runs.

    asked: last day whose rows are read. cutoff: end of the last period that is over on that day, which every table
    and every reader knows the night by: with weeks or months several nights have the same cutoff, and what the newest
    of them finds replaces what those before it found.
    """

    asked: date
    cutoff: date

    @classmethod
    def of(cls, frequency: str | Frequency, asked: date) -> Self:
        """The night of a date. Raises ValueError for a code that is no frequency."""
        parsed = Frequency.parse(frequency) if isinstance(frequency, str) else frequency
        return cls(asked, cutoff_of(parsed, asked))

    @property
    def day(self) -> pd.Timestamp:
        """The cutoff as tables have it."""
        return pd.Timestamp(self.cutoff)

    @property
    def within(self) -> bool:
        """Whether a period has begun that is not over: then there is nothing new to forecast."""
        return self.asked > self.cutoff


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
