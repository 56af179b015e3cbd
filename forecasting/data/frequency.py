"""Periods of a panel: days, weeks with their first day, months.

A period is named by its first day (`ds`); a cutoff is the last day whose sales are known. A period belongs to the
known past when its last day is at or before the cutoff.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


@dataclass(frozen=True)
class Frequency:
    """One of D, W-MON..W-SUN, M, with its usual season in periods (7, 52, 12)."""

    code: str

    @classmethod
    def parse(cls, code: str) -> Frequency:
        """Check the code. Raises ValueError naming what is allowed."""
        if not re.fullmatch(rf"D|M|W-({'|'.join(DAYS)})", code):
            raise ValueError(f"frequency {code!r}: allowed are D (days), W-MON..W-SUN (weeks by first day), M (months)")
        return cls(code)

    @property
    def season(self) -> int:
        """Periods in the season that naive forecasts and scales use."""
        return {"D": 7, "W": 52, "M": 12}[self.code[0]]

    @property
    def longest_gap(self) -> int:
        """Periods without a row after which a series has ended, where a missing row does not mean zero."""
        return {"D": 28, "W": 8, "M": 3}[self.code[0]]

    @property
    def _numpy(self) -> str:
        return "M" if self.code == "M" else "D"

    def starts(self, days: pd.DatetimeIndex | NDArray[np.datetime64]) -> pd.DatetimeIndex:
        """First day of the period that each day lies in."""
        values = np.asarray(days, dtype="datetime64[D]")
        if self.code == "M":
            values = values.astype("datetime64[M]").astype("datetime64[D]")
        elif self.code != "D":
            # 1970-01-01 was a Thursday, day 3 of a week that starts on Monday.
            weekday = (values.astype(np.int64) + 3) % 7
            values = values - ((weekday - DAYS.index(self.code[2:])) % 7).astype("timedelta64[D]")
        return pd.DatetimeIndex(values.astype("datetime64[s]"))

    def range(self, start: pd.Timestamp, periods: int) -> pd.DatetimeIndex:
        """`periods` first days from the period of `start` on (a negative count goes backwards, ending before it)."""
        first = self.starts(pd.DatetimeIndex([start]))[0]
        steps = np.arange(periods) if periods >= 0 else np.arange(periods, 0)
        if self.code == "M":
            months = np.datetime64(first, "M") + steps
            return pd.DatetimeIndex(months.astype("datetime64[s]"))
        days = np.datetime64(first, "D") + steps * (7 if self.code[0] == "W" else 1)
        return pd.DatetimeIndex(days.astype("datetime64[s]"))

    def next_start(self, day: date) -> pd.Timestamp:
        """First day of the first period that begins on the day or after it."""
        start = self.starts(pd.DatetimeIndex([pd.Timestamp(day)]))[0]
        return start if start.date() == day else self.range(start, 2)[1]

    def end(self, start: pd.Timestamp) -> date:
        """Last day of the period that begins at `start`."""
        return (self.range(start, 2)[1] - pd.Timedelta(days=1)).date()

    def last_complete(self, cutoff: date) -> pd.Timestamp:
        """First day of the newest period that ends at or before the cutoff."""
        start = self.starts(pd.DatetimeIndex([pd.Timestamp(cutoff)]))[0]
        return start if self.end(start) <= cutoff else self.range(start, -1)[0]
