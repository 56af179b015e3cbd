"""Where a row of a table lies in the panel: which series it holds for, and in which period.

Memory grows with the pairs of item and store that exist, not with all that are possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.frequency import Frequency

Positions = NDArray[np.intp]
NONE, ALL = -1, -2  # a key that no series has; a row that holds for every key
FAR = np.iinfo(np.int32).max  # a period after all others
CHUNK = 1_000_000  # cells of a chunk, where a row holds for many series
DENSE = 4_000_000  # items x stores up to which a pair is looked up in a matrix (32 MB)


@dataclass(frozen=True)
class Members:
    """The series of each key, one key after another: those of key k are order[start[k] : start[k + 1]]."""

    order: Positions
    start: Positions

    @classmethod
    def of(cls, codes: Positions, count: int) -> Self:
        """From the key of each series."""
        start = np.append(0, np.cumsum(np.bincount(codes, minlength=count)))
        return cls(np.argsort(codes, kind="stable"), start)

    def expand(self, keys: Positions) -> tuple[Positions, Positions]:
        """Every series of each of the keys (n,), and its place among them."""
        first, count = self.start[keys], self.start[keys + 1] - self.start[keys]
        place = np.repeat(np.arange(len(keys)), count)
        within = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
        return self.order[first[place] + within], place


@dataclass(frozen=True)
class Grid:
    """Series by periods, and the `horizon` periods after them."""

    series: pd.DataFrame
    periods: pd.DatetimeIndex
    frequency: Frequency
    horizon: int
    items: pd.Index
    stores: pd.Index
    item: Positions  # (n_series,) place in `items`
    store: Positions  # (n_series,) place in `stores`

    @classmethod
    def of(cls, series: pd.DataFrame, periods: pd.DatetimeIndex, frequency: Frequency, horizon: int) -> Self:
        """Look-up for a series table with columns item and store."""
        item, items = pd.factorize(series["item"])
        store, stores = pd.factorize(series["store"])
        item, store = np.asarray(item, dtype=np.intp), np.asarray(store, dtype=np.intp)
        return cls(series, periods, frequency, horizon, pd.Index(items), pd.Index(stores), item, store)

    @property
    def width(self) -> int:
        """Periods known and ahead."""
        return len(self.periods) + self.horizon

    def columns(self, days: pd.Series) -> Positions:
        """(n_rows,) period of each day from 0; -1 before the panel; FAR after it or without a date."""
        unit = "datetime64[h]" if self.frequency.code == "H" else "datetime64[D]"
        values = days.to_numpy().astype(unit)
        first = self.periods[0].to_datetime64().astype(unit)
        place = (values - first).astype(np.int64)
        # Looked up by day, as millions of rows have a few thousand days. NaT is a very low number.
        lookup = self._by_day
        found: Positions = lookup[np.clip(place, -1, len(lookup) - 2)]
        found[np.isnat(values)] = FAR
        return found

    @cached_property
    def _by_day(self) -> Positions:
        """Period of each day (hour) of the panel and its horizon; then FAR for later ones and -1 for earlier ones."""
        whole = self.periods.append(self.frequency.range(self.periods[-1], self.horizon + 1)[1:])
        if self.frequency.code == "H":
            return np.append(np.arange(len(whole), dtype=np.intp), [FAR, -1])
        days = pd.date_range(whole[0], self.frequency.end(whole[-1]))
        inside = np.asarray(whole.searchsorted(self.frequency.starts(days)), dtype=np.intp)
        return np.append(inside, [FAR, -1])

    def by_day(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows that hold for a whole day: where periods are hours, one for each hour of theirs."""
        if self.frequency.code != "H" or rows.empty:
            return rows
        repeated = rows.loc[rows.index.repeat(24)]
        hours = pd.to_timedelta(np.tile(np.arange(24), len(rows)), unit="h")
        return repeated.assign(ds=pd.DatetimeIndex(repeated["ds"]) + hours).reset_index(drop=True)

    def cells(self, rows: pd.DataFrame) -> tuple[Positions, Positions, Positions]:
        """Series, period and source row of every cell that the rows hold for; an empty item or store means all.

        Rows of series that the panel does not have are left out.
        """
        found = list(self.chunks(rows))
        if len(found) == 1:
            return found[0]
        series, columns, taken = (np.concatenate([one[part] for one in found]) for part in range(3))
        return series, columns, taken

    def chunks(self, rows: pd.DataFrame, most: int = CHUNK) -> Iterator[tuple[Positions, Positions, Positions]]:
        """As `cells`, some rows after others, where a row holds for many series: about `most` cells at a time."""
        columns = self.columns(rows["ds"])
        item, store = self._codes(rows, "item", self.items), self._codes(rows, "store", self.stores)
        if min(item.min(initial=0), store.min(initial=0)) > ALL:
            found = self._pairs(item, store)
            taken = np.arange(len(found)) if found.min(initial=0) >= 0 else np.flatnonzero(found >= 0)
            yield found if len(taken) == len(found) else found[taken], columns[taken], taken
            return
        ends = np.cumsum(self._count(item, store))
        start = 0
        while start < max(len(rows), 1):
            done = ends[start - 1] if start else 0
            stop = max(int(np.searchsorted(ends, done + most, side="right")), start + 1)
            series, taken = self._expand(item[start:stop], store[start:stop])
            yield series, columns[start:stop][taken], taken + start
            start = stop

    def _count(self, item: Positions, store: Positions) -> Positions:
        """(n_rows,) series that each row holds for, at most."""
        by_item, by_store = (np.append(np.diff(one.start), [0, 0]) for one in (self._by_item, self._by_store))
        count: Positions = np.where(store == ALL, by_item[item], np.where(item == ALL, by_store[store], 1))
        count[(item == ALL) & (store == ALL)] = len(self.series)
        return count

    def _expand(self, item: Positions, store: Positions) -> tuple[Positions, Positions]:
        """Every series that each row holds for, and its row; those of rows for all items or stores come last."""
        both = np.flatnonzero((item >= 0) & (store >= 0))
        found = self._pairs(item[both], store[both])
        series, taken = [found[found >= 0]], [both[found >= 0]]
        for members, rows, keys in (
            (self._by_item, np.flatnonzero((item >= 0) & (store == ALL)), item),
            (self._by_store, np.flatnonzero((item == ALL) & (store >= 0)), store),
        ):
            there, place = members.expand(keys[rows])
            series.append(there)
            taken.append(rows[place])
        every = np.flatnonzero((item == ALL) & (store == ALL))
        series.append(np.tile(np.arange(len(self.series)), len(every)))
        taken.append(np.repeat(every, len(self.series)))
        return np.concatenate(series), np.concatenate(taken)

    @cached_property
    def _by_item(self) -> Members:
        return Members.of(self.item, len(self.items))

    @cached_property
    def _by_store(self) -> Members:
        return Members.of(self.store, len(self.stores))

    @cached_property
    def _table(self) -> Positions | None:
        """(n_items + 1, n_stores + 1) row of each pair, -1 where there is none; None where it would be large."""
        shape = (len(self.items) + 1, len(self.stores) + 1)
        if shape[0] * shape[1] > DENSE:
            return None
        table = np.full(shape, NONE, dtype=np.intp)  # NONE is the last row and column, where there is no series
        table[self.item, self.store] = np.arange(len(self.series))
        return table

    @cached_property
    def _keys(self) -> tuple[Positions, Positions]:
        """Numbers of the pairs that there are, sorted, and their rows."""
        numbers = self.item * len(self.stores) + self.store
        order = np.argsort(numbers, kind="stable")
        return numbers[order], order

    def _pairs(self, item: Positions, store: Positions) -> Positions:
        """(n_rows,) row of each pair, NONE where there is none; item and store may be NONE."""
        if (table := self._table) is not None:
            return np.asarray(table[item, store])
        numbers, rows = self._keys
        wanted = item * len(self.stores) + store
        place = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
        return np.where((item >= 0) & (store >= 0) & (numbers[place] == wanted), rows[place], NONE)

    def _codes(self, rows: pd.DataFrame, name: str, known: pd.Index) -> Positions:
        """Position of each row's key; ALL for an empty one or where the table has no such column, NONE if unknown."""
        if name not in rows:
            return np.full(len(rows), ALL if len(known) > 1 else 0, dtype=np.intp)
        values = rows[name]
        if not isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype("category")
        categories = values.cat.categories.astype("str")
        codes = known.get_indexer(categories)
        codes = np.where((categories == "") & (codes == NONE), ALL, codes)
        found: Positions = np.append(codes, ALL)[values.cat.codes.to_numpy()].astype(np.intp)
        return found
