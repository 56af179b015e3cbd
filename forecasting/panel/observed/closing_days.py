"""The calendar of days on which a store is expected to be closed, from the days on which it was.

A day is expected to be closed where the same named event, the same date or the same distance to Easter was closed on
every earlier occurrence that fell on a day of trading. The calendar of a day uses closures only that every cutoff from
which it is forecast knows (the horizon and a week before it), so that it is the same at each of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from dateutil.easter import EASTER_ORTHODOX, EASTER_WESTERN, easter  # type: ignore[import-untyped]
from numpy.typing import NDArray

from forecasting.panel.grid import Grid
from forecasting.panel.memory import blocks, release
from forecasting.panel.observed.closures import Closures
from forecasting.panel.panel import Matrix, Panel

NAME = "closed"
AROUND, SHORT = 6, 4  # days before and after a closed day; closed ones among them at most: a holiday, not a rebuilding
MANY = 20  # stores or series that sell on a day, at least, for it to be one of trading for those too that sold nothing
COMMON = 0.05  # share of the stores that trade which is closed together, at least, for a day that once is enough of
# Days from Easter Sunday that are holidays somewhere: Carnival, Maundy Thursday to Easter Monday, Ascension, Whit
# Sunday and Monday, Corpus Christi. A closed day at one of them is taken for it and not for a date.
FEASTS = (-48, -47, -3, -2, -1, 0, 1, 39, 49, 50, 60)
Calendar = NDArray[np.uint8]
Key = tuple[str, Hashable]
_Part = tuple[NDArray[np.bool_], NDArray[np.bool_]]


@dataclass(frozen=True)
class _Days:
    """Of each period: how many stores (or series, where there is one store) were closed and how many sold something."""

    closed: NDArray[np.int64]
    trading: NDArray[np.int64]

    @classmethod
    def of(cls, parts: Iterator[_Part], periods: int) -> Self:
        closed, trading = np.zeros((2, periods), dtype=np.int64)
        for shut, sold in parts:
            closed += shut.sum(axis=0)
            trading += (shut | sold).sum(axis=0)
        return cls(closed, trading)

    def enough(self, shut: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(n, n_periods) closed days of which one is enough: of a few days, and of nobody alone among many."""
        count = np.cumsum(np.pad(shut, ((0, 0), (AROUND + 1, AROUND))), axis=1, dtype=np.int16)
        few = count[:, 2 * AROUND + 1 :] - count[:, : -2 * AROUND - 1] <= SHORT
        common = self.closed >= np.maximum(np.minimum(self.trading, 2), COMMON * self.trading)
        return np.asarray(shut & few & common)

    def opened(self, shut: NDArray[np.bool_], sold: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(n, n_periods) days of trading: it sold something, or nearly all of many others did."""
        return np.asarray(sold | (~shut & (self.trading >= MANY) & (self.closed < COMMON * self.trading)))


def calendar(
    closures: Closures, y: Matrix, grid: Grid, events: pd.DataFrame, since: NDArray[np.int32] | None = None
) -> Calendar:
    """(n_series | 1, n_periods + horizon): 1 where a day is expected to be closed. One row where all have the same.

    y: (n_series, n_periods) demand. events: rows of ds and event, may be empty. since: count of known periods from
    which on each row is known; a day's event counts where every cutoff that forecasts the day knows it.
    """
    days = grid.periods.append(grid.frequency.range(grid.periods[-1], grid.horizon + 1)[1:])
    names, late = _names(events, grid), _late(events, grid, since)
    keys = [tuple(_keys(day, names.get(column, ()))) for column, day in enumerate(pd.DatetimeIndex(days).date)]
    counts = _Days.of(_parts(closures, y), len(grid.periods))
    found = np.concatenate([_expected(part, counts, keys, late, grid.horizon) for part in _parts(closures, y)])
    if (found == found[0]).all():
        return found[:1]
    return found if len(closures.stores) == 1 else found[closures.store]


def _parts(closures: Closures, y: Matrix) -> Iterator[_Part]:
    """Closed and sold, (n, n_periods) each: of all stores at once; of a block of series, where there is one store."""
    if len(closures.stores) > 1:
        shut = closures.stores.copy()
        alone = np.bincount(closures.store)[closures.store] == 1
        rows, columns = np.divmod(closures.cells, y.shape[1])
        mine = alone[rows]
        shut[closures.store[rows[mine]], columns[mine]] = True
        yield shut, closures.sold
        return
    for part in blocks(len(y)):
        yield closures.closed(part), y[part] > 0
        release(y)


def of(panel: Panel) -> Calendar | None:
    """The calendar of a panel; None where it has none, or a declared signal of that name."""
    found = panel.known.get(NAME)
    return cast("Calendar", found) if found is not None and is_calendar(NAME, found) else None


def is_calendar(name: str, values: NDArray[Any]) -> bool:
    """Whether a known covariate is this calendar: no feature of a model, for every target on its days is missing."""
    return name == NAME and values.dtype == np.uint8


def ahead(panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> NDArray[np.bool_]:
    """(n_series | len(rows), horizon) days after the cutoff that are expected to be closed."""
    count = len(panel.y) if rows is None else len(rows)
    found = np.zeros((count, horizon), dtype=bool)
    values = of(panel)
    if values is not None:
        periods = len(panel.periods)
        mine = values[:, periods : periods + horizon]
        mine = mine if rows is None or len(mine) == 1 else mine[rows]
        found[:, : mine.shape[1]] = mine > 0
    return found


def _expected(
    part: _Part, counts: _Days, keys: list[tuple[Key, ...]], late: frozenset[tuple[int, str]], horizon: int
) -> Calendar:
    """(n, n_periods + horizon) of the stores or series of a part. keys: of each of these days, the likeliest first."""
    shut, sold = part
    found = np.zeros((len(shut), len(keys)), dtype=np.uint8)
    any_shut: list[bool] = np.any(shut, axis=0).tolist()
    if not any(any_shut):
        return found
    enough, opened = counts.enough(shut), counts.opened(shut, sold)
    seen: dict[Key, list[int]] = {}
    for column, mine in enumerate(keys):
        last = column - horizon - AROUND - 1
        for key in mine:
            before = [one for one in seen.get(key, ()) if one <= last]
            if any(any_shut[one] for one in before) and (column, key[1]) not in late:
                first = np.array([keys[one][0] == key for one in before])
                found[:, column] |= _always(shut[:, before], opened[:, before], enough[:, before] & first)
            if column < len(any_shut):
                seen.setdefault(key, []).append(column)
    return found


def _always(shut: NDArray[np.bool_], opened: NDArray[np.bool_], enough: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) closed on all earlier days of a key: where one is not enough, two are."""
    return np.asarray(~opened.any(axis=1) & (enough.any(axis=1) | (shut.sum(axis=1) >= 2)))


def _keys(day: date, names: tuple[str, ...]) -> Iterator[Key]:
    """What a day is, the likeliest reason of a closure first: event, distance to Easter, date, Orthodox Easter.

    For that reason one closed day may be enough, for the others it takes two.
    """
    for name in names:
        yield "event", name
    western, orthodox = (day.toordinal() - _easter(day.year, kind) for kind in (EASTER_WESTERN, EASTER_ORTHODOX))
    if western in FEASTS:
        yield "easter", western
    yield "date", (day.month, day.day)
    if orthodox in FEASTS and western not in FEASTS:  # in some years they are the same days
        yield "orthodox", orthodox


@cache
def _easter(year: int, kind: int) -> int:
    return int(easter(year, kind).toordinal())


def _names(events: pd.DataFrame, grid: Grid) -> dict[int, tuple[str, ...]]:
    """Events by column."""
    if not len(events):
        return {}
    columns = grid.columns(events["ds"])
    found: dict[int, tuple[str, ...]] = {}
    for column, name in sorted(zip(columns.tolist(), events["event"].astype("str"), strict=True)):
        found[column] = (*found.get(column, ()), name)
    return found


def _late(events: pd.DataFrame, grid: Grid, since: NDArray[np.int32] | None) -> frozenset[tuple[int, str]]:
    """Columns and events that some cutoff which forecasts the day did not know: they say nothing about it ahead."""
    if since is None or not (since > 0).any():
        return frozenset()
    columns, periods = grid.columns(events["ds"]), len(grid.periods)
    late = since > np.where(columns < periods, np.maximum(columns - grid.horizon, 0), periods)
    return frozenset(zip(columns[late].tolist(), events["event"].astype("str")[late].tolist(), strict=True))
