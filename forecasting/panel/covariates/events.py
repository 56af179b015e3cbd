"""Named days of a panel: which events lie in which period, by the calendar that each series lives by.

Kept as a list of (calendar, name, period), for a calendar of 300 stores and 50 names is nearly empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Events:
    """Events up to `ahead` periods after the panel's cutoff.

    names: (n_names,) rising. cells: (n, 3) int32, rising and distinct: calendar, name, period of the panel from 0 (may
    lie after its end). calendars: (n_series,) calendar of each series. ahead: periods after the cutoff that are kept,
    the horizon and what a season looks ahead. since: (n,) count of known periods from which on each cell was known, 0
    for ever; None where all were.
    """

    names: tuple[str, ...]
    cells: NDArray[np.int32]
    calendars: NDArray[np.int32]
    ahead: int
    since: NDArray[np.int32] | None = None

    def first(self, periods: int) -> Events:
        """What a panel of the first `periods` periods knows: no day ahead that was not known by then."""
        period = self.cells[:, 2]
        known = period < periods + self.ahead
        if self.since is None:
            return replace(self, cells=self.cells[known])
        known &= (period < periods) | (self.since <= periods)
        return replace(self, cells=self.cells[known], since=self.since[known])

    def take(self, rows: Places) -> Events:
        """Of these series only."""
        return replace(self, calendars=self.calendars[rows])

    @property
    def count(self) -> int:
        """Calendars that there are."""
        return max(int(self.calendars.max(initial=-1)), int(self.cells[:, 0].max(initial=-1))) + 1

    def flags(self, names: tuple[str, ...], start: int, stop: int) -> NDArray[np.bool_]:
        """(n_calendars, len(names), stop - start): where each of these names lies; a name that is not here, nowhere."""
        place = {name: number for number, name in enumerate(names)}
        mine = np.array([place.get(name, -1) for name in self.names], dtype=np.intp)
        calendar, name, period = self.cells.T
        row = mine[name] if len(self.cells) else np.zeros(0, dtype=np.intp)
        inside = (row >= 0) & (period >= start) & (period < stop)
        found = np.zeros((self.count, len(names), stop - start), dtype=np.bool_)
        found[calendar[inside], row[inside], period[inside] - start] = True
        return found

    def any(self, width: int) -> NDArray[np.float32]:
        """(n_calendars, width) 1 where some event lies."""
        flag = np.zeros((self.count, width), dtype=np.float32)
        inside = (self.cells[:, 2] >= 0) & (self.cells[:, 2] < width)
        flag[self.cells[inside, 0], self.cells[inside, 2]] = 1
        return flag

    def known_by(self, periods: int) -> dict[str, int]:
        """Periods of each name, over all calendars, within the first `periods`."""
        inside = (self.cells[:, 2] >= 0) & (self.cells[:, 2] < periods)
        once = np.unique(self.cells[inside, 1:], axis=0)
        counts = np.bincount(once[:, 0], minlength=len(self.names))
        return {name: int(count) for name, count in zip(self.names, counts, strict=True)}


def unnamed(flag: NDArray[np.float32], series: int, ahead: int) -> Events:
    """Of a panel that an older version wrote, which kept whether a day has an event and no names: one called `event`.

    flag: (1, width).
    """
    periods = np.flatnonzero(flag[0] > 0).astype(np.int32)
    cells = np.zeros((len(periods), 3), dtype=np.int32)
    cells[:, 2] = periods
    return Events(("event",), cells, np.zeros(series, dtype=np.int32), ahead)
