"""Since when each row of a table known ahead is known, and the same for each cell of the panel.

A night compares the rows that the night before could have seen in its horizon with its own: a row that was not there
is known since tonight's cutoff. Rows of the first snapshot count as known for ever, but no further ahead of the cutoff
than the table reaches tonight, where that is less than it usually does (`lead`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from math import lgamma

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.settings import Settings
from forecasting.panel.chunks import Pieces, Tables, pieces, whole
from forecasting.panel.covariates.known_ahead import Since
from forecasting.panel.grid import Grid
from forecasting.panel.memory import blocks, release
from forecasting.panel.panel import Matrix

KEY = ["table", "item", "store", "group", "ds", "value"]
KNOWN_SINCE = "known_since"
RECORD = "vintages"  # table of the lake that holds what nights saw
CHANCE = 0.005  # of an uncovered tail as long as that, up to which it is no accident
USEFUL = 0.75  # of the horizon; a table that reaches further counts as known throughout
LOOKED = {"H": 8736, "D": 728, "W": 156, "M": 60, "Q": 20}  # newest periods whose gaps say what is usual


def comparable(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one table in the columns KEY: an event's name and a signal's group in `group`, texts plain."""
    value = {"prices": "price", "promotions": "value", "signals": "value"}.get(name)
    texts = {"item": "item", "store": "store", "group": "event" if name == "events" else "group"}
    found = {ours: rows[theirs].astype("str") if theirs in rows else "" for ours, theirs in texts.items()}
    table = rows["signal"].astype("str") if name == "signals" else name
    return pd.DataFrame(
        {
            "table": table, **found, "ds": rows["ds"].astype("datetime64[s]"),
            "value": rows[value].astype("float64") if value else 1.0,
        },
        index=rows.index,
    )[KEY]  # fmt: skip


def compare(recorded: pd.DataFrame, before: pd.DataFrame, now: pd.DataFrame, cutoff: date) -> pd.DataFrame:
    """The record of the night before, with the rows that are new tonight and those that were withdrawn.

    before, now: columns KEY, of the days that both nights could see. Returns KEY, known_since and withdrawn (NaT: it
    is still planned). A row that returns is known since its return.
    """
    both = before[KEY].drop_duplicates().merge(now[KEY].drop_duplicates(), on=KEY, how="outer", indicator="where")
    night, never = np.datetime64(cutoff, "s"), np.datetime64("NaT", "s")
    new = both.loc[both["where"] == "right_only", KEY].assign(known_since=night, withdrawn=never)
    gone = both.loc[both["where"] == "left_only", KEY].assign(known_since=never, withdrawn=night)
    if len(recorded):
        gone = gone.drop(columns=KNOWN_SINCE).merge(recorded[[*KEY, KNOWN_SINCE]], on=KEY, how="left")
    parts = [part for part in (recorded, new, gone) if len(part)]
    if not parts:
        return pd.DataFrame()
    columns = [*KEY, KNOWN_SINCE, "withdrawn"]
    types = {"ds": "datetime64[s]", KNOWN_SINCE: "datetime64[s]", "withdrawn": "datetime64[s]"}
    found = pd.concat([part[columns].astype(types) for part in parts], ignore_index=True)
    return found.drop_duplicates(KEY, keep="last").sort_values(KEY, ignore_index=True)


@dataclass(frozen=True)
class Vintages:
    """What is recorded of all tables, and where it lies in the panel."""

    recorded: pd.DataFrame
    grid: Grid

    def rows(self, name: str, own: pd.DataFrame | Pieces) -> Iterator[pd.DataFrame]:
        """item, store, ds and known_since of the rows of a table that were not known for ever, in parts.

        own: the table's rows; `known_since` of the source goes before what the nights saw.
        """
        for piece in pieces(own):
            if KNOWN_SINCE in piece:
                mine = piece[piece[KNOWN_SINCE].notna()]
                if len(mine):
                    yield mine
        if len(self.recorded):
            planned = self.recorded["withdrawn"].isna() & self.recorded[KNOWN_SINCE].notna()
            planned &= self.recorded["table"].astype("str") == name
            if planned.any():
                yield self.recorded[planned]

    def cells(self, parts: Iterable[pd.DataFrame]) -> Since | None:
        """(n_series, width) count of known periods from which on a cell's row is known, -1 without such a row."""
        found: Since | None = None
        for rows in parts:
            if found is None:
                found = np.full((len(self.grid.series), self.grid.width), self._kind.max, dtype=self._kind.dtype)
            series, columns, taken = self.grid.cells(rows)
            inside = np.maximum(columns, 0) < self.grid.width  # what holds before the panel starts in its first period
            since = self.position(rows[KNOWN_SINCE])[taken]
            np.minimum.at(found, (series[inside], np.maximum(columns[inside], 0)), since[inside])
        if found is None:
            return None
        found[found == self._kind.max] = -1
        return found if (found > 0).any() else None

    def columns(self, parts: Iterable[pd.DataFrame]) -> Since | None:
        """(1, width): the same for a table that holds for all series, or is keyed otherwise; its latest row counts."""
        found = np.full((1, self.grid.width), -1, dtype=self._kind.dtype)
        for rows in parts:
            columns = self.grid.columns(rows["ds"])
            inside = (columns >= 0) & (columns < self.grid.width)
            np.maximum.at(found[0], columns[inside], self.position(rows[KNOWN_SINCE])[inside])
        return found if (found > 0).any() else None

    @property
    def _kind(self) -> np.iinfo:
        return np.iinfo(np.int16 if self.grid.width < np.iinfo(np.int16).max else np.int32)

    def position(self, since: pd.Series) -> NDArray[np.integer]:
        """Count of known periods at the first cutoff at or after each day."""
        starts = self.grid.periods.append(self.grid.frequency.range(self.grid.periods[-1], self.grid.horizon + 1)[1:])
        following = self.grid.frequency.range(starts[-1], 2)[1:]
        ends = starts[1:].append(following) - pd.Timedelta(days=1)
        return (np.asarray(ends.searchsorted(since.astype("datetime64[ns]"), side="left")) + 1).astype(self._kind.dtype)


def held(since: Since | None, price: Matrix) -> Since | None:
    """A price is known as long as its row is: what holds on without a row of its own has the moment of the row."""
    if since is None:
        return None
    for column in range(1, since.shape[1]):
        same = (since[:, column] < 0) & (price[:, column] == price[:, column - 1])
        since[same, column] = since[same, column - 1]
    return since


def active(values: Matrix, *, changes: bool) -> NDArray[np.int64]:
    """(width,) number of series with a value of their own in each period: not 0, or another one than before."""
    counts = np.zeros(values.shape[1], dtype=np.int64)
    for part in blocks(len(values)):  # a mapped file is not to count as memory of this process
        block = values[part]
        if changes:
            before, after = block[:, :-1], block[:, 1:]
            counts[1:] += ((before != after) & np.isfinite(before) & np.isfinite(after)).sum(axis=0)
        else:
            counts += (np.nan_to_num(block) != 0).sum(axis=0)
        release(values)
    return counts


def lead(counts: NDArray[np.int64], periods: int, code: str) -> int | None:
    """Periods ahead that a table reaches, where it ends before the horizon does and that is no accident; else None.

    counts: (periods + horizon,) from `active`. Where gaps between active periods come from one distribution with a
    light tail, one of k times the longest of n has a probability of n! k! / (n + k)! at most (exponential gaps).
    """
    width = len(counts)
    horizon = width - periods
    there = np.flatnonzero(counts > 0)
    past = there[(there < periods) & (there >= periods - LOOKED[code])]
    if len(past) < 2:
        return None
    reach = max(0, int(there[-1]) - periods + 1)
    gaps, tail = np.diff(past), width - max(int(there[-1]), periods - 1)
    if reach > USEFUL * horizon:
        return None
    many, times = len(gaps), tail / int(gaps.max())
    chance = np.exp(lgamma(many + 1) + lgamma(times + 1) - lgamma(many + times + 1))
    return reach if chance <= CHANCE else None


def within(since: Since | None, reach: int | None, width: int) -> Since | None:
    """No cell is known further ahead than the table reaches: (n_series | 1, width), or None where all were known."""
    if reach is None:
        return None if since is None else np.maximum(since, 0)
    earliest = np.maximum(np.arange(width) - reach + 1, 0)
    kind = np.dtype(np.int16 if width < np.iinfo(np.int16).max else np.int32) if since is None else since.dtype
    limit = earliest[None, :].astype(kind)
    return limit if since is None else np.maximum(since, limit)


def as_known(tables: Tables, cutoff: date) -> Tables:
    """The tables without the rows that, by the source's own `known_since`, nobody knew at the cutoff."""

    def seen(rows: pd.DataFrame) -> pd.DataFrame:
        return rows if KNOWN_SINCE not in rows else rows[~(rows[KNOWN_SINCE] > pd.Timestamp(cutoff))]

    def cut(table: pd.DataFrame | Pieces) -> pd.DataFrame | Pieces:
        return seen(table) if isinstance(table, pd.DataFrame) else lambda: (seen(rows) for rows in table())

    return {name: table if name == RECORD else cut(table) for name, table in tables.items()}


def of_events(tables: Tables, grid: Grid) -> NDArray[np.int32]:
    """(n_rows,) count of known periods from which on each row of the table of events is known; 0: for ever."""
    rows, record = whole(tables, "events"), Vintages(whole(tables, RECORD), grid)
    moment = pd.Series(np.datetime64("NaT", "s"), index=range(len(rows)))
    keys = ["store", "group", "ds"]
    kinds = {"store": "str", "group": "str", "ds": "datetime64[s]", KNOWN_SINCE: "datetime64[s]"}
    for seen in record.rows("events", pd.DataFrame()):
        once = seen[list(kinds)].astype(kinds).drop_duplicates(keys)
        moment = comparable("events", rows)[keys].merge(once, on=keys, how="left")[KNOWN_SINCE]
    if KNOWN_SINCE in rows:
        moment = rows[KNOWN_SINCE].astype("datetime64[s]").reset_index(drop=True).fillna(moment)
    dated = moment.notna().to_numpy()
    since = np.zeros(len(rows), dtype=np.int32)
    since[dated] = record.position(moment[dated])
    return since


def of_panel(
    tables: Tables, settings: Settings, grid: Grid, known: Mapping[str, Matrix]
) -> tuple[dict[str, Since], frozenset[str]]:
    """`Panel.since` and `Panel.zero` of the covariates known ahead."""
    record = Vintages(whole(tables, RECORD), grid)
    empty: pd.DataFrame | Pieces = pd.DataFrame()
    filled = {one.name: one.fill == "zero" for one in settings.extract.signals}
    zero = frozenset(name for name in known if name == "promotion" or name.startswith("event") or filled.get(name))
    found: dict[str, Since] = {}
    for name, values in known.items():
        if name == "price":
            since = held(record.cells(record.rows("prices", tables.get("prices", empty))), values)
        elif name == "promotion":
            since = record.cells(record.rows("promotions", tables.get("promotions", empty)))
        elif name.startswith("event"):
            since = record.columns(record.rows("events", tables.get("events", empty)))
        elif name in filled:
            signals = whole(tables, "signals")
            mine = signals[signals["signal"].astype("str") == name] if len(signals) else signals
            since = record.columns(record.rows(name, mine))
        else:
            continue
        counts = active(values, changes=name not in zero)
        reach = None if name.startswith("event") else lead(counts, len(grid.periods), grid.frequency.code[0])
        cells = within(since, reach, grid.width)
        if cells is not None and (cells > 0).any():
            found[name] = cells
    return found, zero
