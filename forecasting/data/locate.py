"""Where a row of a table lies in the panel: which series it holds for, and in which period."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.data.frequency import Frequency

Positions = NDArray[np.intp]
NONE, ALL = -1, -2  # a key that no series has; a row that holds for every key
FAR = np.iinfo(np.int32).max  # a period after all others


@dataclass(frozen=True)
class Grid:
    """Series by periods, and the `horizon` periods after them."""

    series: pd.DataFrame
    periods: pd.DatetimeIndex
    frequency: Frequency
    horizon: int
    items: pd.Index
    stores: pd.Index
    table: Positions  # (n_items, n_stores) row of the pair, -1 where there is none

    @classmethod
    def of(cls, series: pd.DataFrame, periods: pd.DatetimeIndex, frequency: Frequency, horizon: int) -> Self:
        """Look-up for a series table with columns item and store."""
        item, items = pd.factorize(series["item"])
        store, stores = pd.factorize(series["store"])
        table = np.full((len(items) + 1, len(stores) + 1), -1, dtype=np.intp)
        table[item, store] = np.arange(len(series))
        return cls(series, periods, frequency, horizon, pd.Index(items), pd.Index(stores), table)

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
        columns = self.columns(rows["ds"])
        item, store = self._codes(rows, "item", self.items), self._codes(rows, "store", self.stores)
        if min(item.min(initial=0), store.min(initial=0)) > ALL:
            found = self.table[item, store]  # NONE is the last row and column, where there is no series
            if found.min(initial=0) >= 0:
                return found, columns, np.arange(len(found))
            taken = np.flatnonzero(found >= 0)
            return found[taken], columns[taken], taken
        series, source = [], []
        for all_items, all_stores in ((False, False), (False, True), (True, False), (True, True)):
            right_items = item == ALL if all_items else item >= 0
            right_stores = store == ALL if all_stores else store >= 0
            mine = np.flatnonzero(right_items & right_stores)
            part = self._members(item[mine], store[mine], all_items, all_stores)
            there = part >= 0
            series.append(part[there])
            source.append(np.repeat(mine, there.sum(axis=1)))
        taken = np.concatenate(source)
        return np.concatenate(series), columns[taken], taken

    def _members(self, item: Positions, store: Positions, all_items: bool, all_stores: bool) -> Positions:
        """(n_rows, most) series that each row holds for, -1 for none."""
        if all_items and all_stores:
            return np.broadcast_to(np.arange(len(self.series)), (len(item), len(self.series)))
        if all_stores:
            return self.table[item, :-1]
        if all_items:
            return self.table[:-1, store].T
        return self.table[item, store][:, None]

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
