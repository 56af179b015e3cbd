"""Tables that come whole or in pieces, and what one reading of the pieces tells: which series there are, since when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DENSE = 10_000_000  # pairs that a piece may have to be marked one by one: 10 MB
Pieces = Callable[[], Iterator[pd.DataFrame]]  # can be read again and again, in the same order
Tables = Mapping[str, pd.DataFrame | Pieces]


def pieces(table: pd.DataFrame | Pieces) -> Iterator[pd.DataFrame]:
    """The pieces of a table; a frame is one."""
    if isinstance(table, pd.DataFrame):
        yield table
    else:
        yield from table()


def whole(tables: Tables, name: str) -> pd.DataFrame:
    """A table as one frame; empty where there is none."""
    table = tables.get(name, pd.DataFrame())
    return table if isinstance(table, pd.DataFrame) else pd.concat(list(table()), ignore_index=True)


class Pairs:
    """The distinct items and stores of the rows seen so far, and the first day on which a quantity is known.

    Each piece has its own categories.
    """

    def __init__(self) -> None:
        self.first: pd.Timestamp | None = None
        self._names: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self._found: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def add(self, rows: pd.DataFrame) -> None:
        """Look at one piece: columns item, store, ds and, where some may be unknown (NaN), y."""
        if rows.empty:
            return
        known = rows.loc[rows["y"].notna(), "ds"] if "y" in rows else rows["ds"]
        if len(known):  # a row whose quantity is not known does not make the panel longer
            first = known.min()
            self.first = first if self.first is None else min(self.first, first)
        items, stores = (pd.factorize(rows[name]) for name in ("item", "store"))
        item, store = (
            np.array([names.setdefault(str(name), len(names)) for name in found], dtype=np.int64)
            for (_, found), names in zip((items, stores), self._names, strict=True)
        )
        place = items[0] * len(store) + stores[0]
        if len(item) * len(store) <= DENSE:  # a mark a pair: many times faster than to look for distinct numbers
            seen = np.zeros(len(item) * len(store), dtype=bool)
            seen[place] = True
            place = np.flatnonzero(seen)
        else:
            place = pd.unique(place)
        here = item[place // len(store)] << 32 | store[place % len(store)]
        # Nearly all of them are known; they are looked up in what is sorted, as np.isin takes ten times as long.
        there = np.append(self._found, -1)[np.searchsorted(self._found, here)] == here
        if not there.all():
            self._found = np.sort(np.append(self._found, here[~there]))

    def frame(self) -> pd.DataFrame:
        """Item and store of every pair, as text."""
        items, stores = (np.array(list(names), dtype=object) for names in self._names)
        found = {"item": items[self._found >> 32], "store": stores[self._found & 0xFFFFFFFF]}
        return pd.DataFrame(found).astype("str")
