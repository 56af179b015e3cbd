"""Periods of a panel: hours, days, weeks with their first day, months, quarters; and all that depends on their kind.

A period is named by its first day (`ds`), an hour by its first minute; a cutoff is the last day whose sales are known.
A period belongs to the known past when its last day is at or before the cutoff.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.period_constants import BY_KIND, Constants

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
ALLOWED = "D (days), W-MON..W-SUN (weeks, by the day that they begin on), M (months), Q (quarters) and H (hours)"


PANDAS = {"W": "W-MON", "MS": "M", "ME": "M", "BM": "M", "BME": "M", "BMS": "M", "QS": "Q", "QE": "Q", "BQ": "Q"} | {
    "Q": "Q", "B": "D", "C": "D", "D": "D", "H": "H", "M": "M", "BH": "H", "60MIN": "H", "1H": "H", "1D": "D",
    "7D": "W-MON",
}  # fmt: skip


@dataclass(frozen=True)
class Frequency:
    """One of D, W-MON..W-SUN, M, Q, H, with the seasons and windows that are usual for it."""

    code: str

    @classmethod
    def parse(cls, code: str) -> Frequency:
        """Check the code. Raises ValueError naming what is allowed, and what to write for a code of pandas."""
        if not re.fullmatch(rf"D|M|Q|H|W-({'|'.join(DAYS)})", code):
            hint = PANDAS.get(code.upper().split("-")[0])
            more = f" For {code} of pandas write {hint}." if hint else ""
            raise ValueError(
                f"frequency {code!r}: allowed are {ALLOWED}.{more} Weeks of pandas are named by their last day: those "
                "that end on Sunday, W-SUN there, are W-MON here."
            )
        return cls(code)

    @property
    def kind(self) -> str:
        """D, W, M, Q or H: the kind of period, whatever the day that weeks begin on."""
        return self.code[0]

    @property
    def _constants(self) -> Constants:
        return BY_KIND[self.code[0]]

    @property
    def season(self) -> int:
        """Periods in the season that naive forecasts and scales use: a week of days or hours, a year of others."""
        return self._constants.season

    @property
    def cycles(self) -> tuple[int, ...]:
        """All seasons, in periods, the shortest first: the day and the week of hours, otherwise `season` alone."""
        return (24, self.season) if self.code == "H" else (self.season,)

    @property
    def year(self) -> int:
        """Periods after which the time of year comes again; of days and hours with the same weekdays."""
        return self._constants.year

    @property
    def month(self) -> int:
        """Periods of four weeks; at least one period."""
        return self._constants.month

    @property
    def windows(self) -> tuple[int, int, int, int]:
        """Widths that recent demand is measured over: short, middle, long, year."""
        return self._constants.windows

    @property
    def seasons(self) -> tuple[int, int]:
        """Newest seasons that the mean of a place in the season is measured over: few, many."""
        return self._constants.seasons

    @property
    def recent(self) -> int:
        """Newest periods that the volume of a series is measured on."""
        return self._constants.recent

    @property
    def weighed(self) -> int:
        """Newest periods whose sales are the weights of series and groups."""
        return self._constants.weighed

    @property
    def rhythm(self) -> int:
        """Newest periods that the classes X, Y, Z are measured on."""
        return self._constants.rhythm

    @property
    def week(self) -> int:
        """Periods of a week: 7 days, 168 hours; 1 where a period is a week or longer."""
        return {"D": 7, "H": 168}.get(self.kind, 1)

    @property
    def steadiness(self) -> int:
        """Newest periods that the variation of demand is measured on, for quantiles."""
        return self._constants.steadiness

    @property
    def unseen(self) -> int:
        """Least number of periods that neither champion nor challenger has seen, for a judgement."""
        return self._constants.unseen

    @property
    def drift_window(self) -> int:
        """Newest periods that are judged for drift, where the settings do not say."""
        return self._constants.drift_window

    @property
    def drift_years(self) -> int:
        """Years of history that limits of drift are learnt from: enough windows for that."""
        return self._constants.drift_years

    @property
    def charted(self) -> int:
        """Periods of history that a chart of one series begins with."""
        return self._constants.charted

    @property
    def plotted(self) -> int:
        """Periods of history in the report's plot of the total."""
        return self._constants.plotted

    @property
    def gap_days(self) -> int:
        """Days without sales after which the sales of the source have ended."""
        return self._constants.gap_days

    @property
    def around(self) -> int:
        """Periods on each side of a target that its season is measured over: a week of days, a week of weeks."""
        return self._constants.around

    @property
    def before_event(self) -> int:
        """Periods that a season may begin before the yearly event that it belongs to: nine weeks."""
        return self._constants.before_event

    @property
    def near_event(self) -> int:
        """Periods around an event in which its distance is counted: two weeks."""
        return self._constants.near_event

    @property
    def slack(self) -> int:
        """Periods by which a day of the year may miss its place a year ago: dates move by one or two weekdays."""
        return self._constants.slack

    @property
    def longest_gap(self) -> int:
        """Periods without a row after which a series has ended, where a missing row does not mean zero."""
        return self._constants.longest_gap

    @property
    def half_days(self) -> int:
        """Days without stock from which a period counts as out of stock: half of it, at least one."""
        return max(1, (self._constants.days + 1) // 2)

    @property
    def difference(self) -> float:
        """Most variance of seasonal differences over that of demand, for ARIMA to take them; noise alone: 2."""
        return self._constants.difference

    @property
    def differenced_after(self) -> int:
        """Seasons that must be observed before ARIMA takes a seasonal difference."""
        return self._constants.differenced_after

    @property
    def cycle_days(self) -> float:
        """Days of the cycle that ARIMA's Fourier terms follow: the month of days, the week of hours, else the year."""
        return self._constants.cycle_days

    @property
    def a_day(self) -> int:
        """Periods of a day where they are shorter than one: 24 hours; else 1."""
        return 24 if self.code == "H" else 1

    def starts(self, days: pd.DatetimeIndex | NDArray[np.datetime64]) -> pd.DatetimeIndex:
        """First day of the period that each day lies in; the full hour for hours."""
        if self.code == "H":
            return pd.DatetimeIndex(np.asarray(days, dtype="datetime64[h]").astype("datetime64[s]"))
        values = np.asarray(days, dtype="datetime64[D]")
        if self.code in ("M", "Q"):
            months = values.astype("datetime64[M]")
            if self.code == "Q":
                months = months - (months.astype(np.int64) % 3).astype("timedelta64[M]")
            values = np.where(np.isnat(values), values, months.astype("datetime64[D]"))
        elif self.code != "D":
            # 1970-01-01 was a Thursday, day 3 of a week that starts on Monday.
            weekday = (values.astype(np.int64) + 3) % 7
            values = values - ((weekday - DAYS.index(self.code[2:])) % 7).astype("timedelta64[D]")
        return pd.DatetimeIndex(values.astype("datetime64[s]"))

    def range(self, start: pd.Timestamp, periods: int) -> pd.DatetimeIndex:
        """`periods` first days from the period of `start` on (a negative count goes backwards, ending before it)."""
        first = self.starts(pd.DatetimeIndex([start]))[0]
        steps = np.arange(periods) if periods >= 0 else np.arange(periods, 0)
        if self.code in ("M", "Q"):
            months = np.datetime64(first, "M") + steps * (3 if self.code == "Q" else 1)
            return pd.DatetimeIndex(months.astype("datetime64[s]"))
        if self.code == "H":
            return pd.DatetimeIndex((np.datetime64(first, "h") + steps).astype("datetime64[s]"))
        days = np.datetime64(first, "D") + steps * (7 if self.code[0] == "W" else 1)
        return pd.DatetimeIndex(days.astype("datetime64[s]"))

    def count(self, first: pd.Timestamp, last: pd.Timestamp) -> int:
        """Periods from that of `first` to that of `last`, both counted; 0 or less where `last` is earlier."""
        start, end = self.starts(pd.DatetimeIndex([first, last]))
        if self.code in ("M", "Q"):
            months = (end.year - start.year) * 12 + end.month - start.month
            return months // (3 if self.code == "Q" else 1) + 1
        if self.code == "H":
            return int((end - start) // pd.Timedelta(hours=1)) + 1
        return int((end - start).days) // (7 if self.code[0] == "W" else 1) + 1

    def next_start(self, day: date) -> pd.Timestamp:
        """First day of the first period that begins on the day or after it."""
        start = self.starts(pd.DatetimeIndex([pd.Timestamp(day)]))[0]
        return start if start.date() == day else self.range(start, 2)[1]

    def end(self, start: pd.Timestamp) -> date:
        """Last day of the period that begins at `start`; of an hour its own day."""
        return (self.range(start, 2)[1] - pd.Timedelta(seconds=1)).date()

    def last_complete(self, cutoff: date) -> pd.Timestamp:
        """First day of the newest period that ends at or before the cutoff; of hours, the last one of that day."""
        start = self.starts(pd.DatetimeIndex([self.newest_label(cutoff)]))[0]
        return start if self.end(start) <= cutoff else self.range(start, -1)[0]

    def newest_label(self, cutoff: date) -> pd.Timestamp:
        """The newest label of a row at or before the cutoff: the day itself, its last hour where periods are hours."""
        return pd.Timestamp(cutoff) + (pd.Timedelta(hours=23) if self.code == "H" else pd.Timedelta(0))
