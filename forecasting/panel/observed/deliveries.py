"""Whether a missing row of the sales means that nothing was sold, or that the row was not delivered.

A till writes a row for what was sold, so that a missing row is a zero. A source that writes its zeros as rows has a row
for every period; where one is missing, nobody knows what was sold. Which of the two a source is, its rows up to the
cutoff show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.core.config.settings import Settings
from forecasting.core.frequency import Frequency
from forecasting.panel.panel import Matrix

NO_ROW = np.float32(-0.0)  # added to any number it gives that number, and to 0 it gives 0: it marks a cell without rows
COMPLETE = 0.95  # of the cells from the first to the last row of each series have a row, at least
ZEROS = 0.005  # of the rows are zeros, at least: a till writes a few, as sales and returns of one day cancel out
DELIVERS = 0.5  # of its days of a weekday on which a store has any row, from which on a missing row is news
Flags = NDArray[np.bool_]
Positions = NDArray[np.intp]


def no_row(values: Matrix) -> Flags:
    """Cells to which no row was added; see NO_ROW."""
    return np.asarray(np.signbit(values) & (values == 0))


@dataclass(frozen=True)
class Gaps:
    """Missing rows that are unknown. delivers: (n_stores, cycle) whether the store has rows on that day of the cycle.

    store: (n_series,) code of its store. longest: periods that a gap lasts before the series has ended.
    """

    delivers: Flags
    store: Positions
    longest: int

    def find(self, missing: Flags, part: slice) -> tuple[Flags, Flags]:
        """Cells of a block, (n, n_periods), that were not delivered, and those that come after the series has ended.

        missing: cells without a row. Each cell is compared with earlier ones only.
        """
        places = np.arange(missing.shape[1], dtype=np.int32)
        newest = np.maximum.accumulate(np.where(missing, np.int32(-1), places), axis=1)
        expected = self.delivers[self.store[part]][:, places % self.delivers.shape[1]]
        return missing & expected & (newest >= 0), (newest >= 0) & (places - newest > self.longest)


class Deliveries:
    """Counts the rows, period by period, and then says what a missing one means."""

    def __init__(self, store: Positions, periods: int, frequency: Frequency) -> None:
        count, self._store, self._shops = len(store), store, int(store.max(initial=-1)) + 1
        self._cycle = 7 if frequency.code == "D" else 1
        self._rows = np.zeros((self._cycle, count), dtype=np.int64)
        self._zeros = 0
        self._first, self._last = np.full(count, periods), np.full(count, -1)
        self._trading = np.zeros((self._shops, periods), dtype=bool)

    def add(self, period: int, there: Flags, zeros: int) -> None:
        """Take in one period. there: (n_series,) cells with a row; zeros: how many of them are 0."""
        self._rows[period % self._cycle] += there
        self._zeros += zeros
        self._first[there & (self._last < 0)] = period
        self._last[there] = period
        self._trading[self._store[there], period] = True

    def gaps(self, mode: str, longest: int) -> Gaps | None:
        """Where missing rows are unknown; None where they are zeros. mode: of `panel.missing_rows`."""
        delivers = self._delivers()
        if mode == "unknown":
            return Gaps(delivers, self._store, longest)
        expected, rows = 0, 0
        for day in range(self._cycle):
            mine = delivers[self._store, day] & (self._last >= 0)
            until = (self._last[mine] - day) // self._cycle - (self._first[mine] - 1 - day) // self._cycle
            expected += int(until.sum())
            rows += int(self._rows[day, mine].sum())
        # A source that writes zeros has more of them than rows that it failed to deliver.
        enough = max(expected - rows, ZEROS * rows, 1)
        return Gaps(delivers, self._store, longest) if rows >= COMPLETE * expected and self._zeros >= enough else None

    def _delivers(self) -> Flags:
        """(n_stores, cycle): any row on so many of such days between the first and the last day with one."""
        found = np.zeros((self._shops, self._cycle), dtype=bool)
        for store, trading in enumerate(self._trading):
            days = np.flatnonzero(trading)
            if len(days):
                whole = np.bincount(np.arange(days[0], days[-1] + 1) % self._cycle, minlength=self._cycle)
                found[store] = np.bincount(days % self._cycle, minlength=self._cycle) >= DELIVERS * np.maximum(whole, 1)
        return found


def counter(settings: Settings, store: Positions, periods: int, frequency: Frequency) -> Deliveries | None:
    """What counts the rows; None where a missing row is a zero: by the settings, or as rows are lines of a till."""
    mode, lines = settings.panel.missing_rows, settings.extract.sales.grain == "transactions"
    if mode == "zero" or (mode == "auto" and lines):
        return None
    return Deliveries(store, periods, frequency)
