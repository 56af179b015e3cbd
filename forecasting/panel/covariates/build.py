"""Price, promotion, events and signals as matrices beside the panel's demand, made a block of series at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.sections import SignalTable
from forecasting.core.config.settings import Settings
from forecasting.core.errors import some
from forecasting.panel.chunks import Pieces, Tables, pieces, whole
from forecasting.panel.covariates.events import Events
from forecasting.panel.grid import ALL, Grid, Positions
from forecasting.panel.memory import Scratch, blocks, release
from forecasting.panel.panel import Matrix

log = logging.getLogger(__name__)


def build(
    tables: Tables, settings: Settings, grid: Grid, scratch: Scratch, named: Events | None = None
) -> tuple[dict[str, Matrix], dict[str, Matrix]]:
    """Covariates known ahead, (n_series | 1, n_periods + horizon), and past signals, (n_series | 1, n_periods)."""
    known: dict[str, Matrix] = {}
    past: dict[str, Matrix] = {}
    if any(len(rows) for rows in pieces(tables.get("prices", pd.DataFrame()))):
        known["price"] = prices(tables["prices"], grid, scratch)
    if settings.extract.promotions is not None:
        known["promotion"] = promotions(whole(tables, "promotions"), grid, scratch)
    if named is not None:
        known["event"] = _eventful(named, grid, scratch)
    rows = whole(tables, "signals")
    for signal in settings.extract.signals:
        mine = rows[rows["signal"].astype("str") == signal.name] if len(rows) else rows
        if signal.known == "ahead":
            known[signal.name] = _signal(mine, signal, grid, scratch)
        elif signal.known == "afterwards":
            past[signal.name] = _signal(mine, signal, grid, scratch)[:, : len(grid.periods)]
    return known, past


def prices(table: pd.DataFrame | Pieces, grid: Grid, scratch: Scratch) -> Matrix:
    """The newest price at each period, NaN before the first one; it holds until the next row."""
    shape = (grid.width, len(grid.series))
    newest, since = scratch.array(shape, np.nan), scratch.array(shape, -np.inf)
    price, day = newest.reshape(-1), since.reshape(-1)
    for piece in pieces(table):
        rows = piece.sort_values("ds", kind="stable")
        amount, dates = rows["price"].to_numpy(dtype=np.float32), (rows["ds"] - grid.periods[0]).dt.days
        for series, columns, source in grid.chunks(rows):
            inside = columns < grid.width
            # What holds before the panel starts in its first period. Of several rows in one cell the newest stays, and
            # of those of one day the last one; days are counted from the panel's first one, so that float32 holds them.
            cell = np.maximum(columns[inside], 0) * shape[1] + series[inside]
            order = np.argsort(source[inside], kind="stable")
            cell, taken = cell[order], source[inside][order]
            value, dated = amount[taken], dates.to_numpy(dtype=np.float32)[taken]
            later = dated >= day[cell]
            price[cell[later]], day[cell[later]] = value[later], dated[later]
            release(newest, since)
    price = scratch.array(shape[::-1])
    for part in blocks(shape[1]):
        price[part] = forward(newest[:, part].T)
        release(newest, price)
    return price


def promotions(rows: pd.DataFrame, grid: Grid, scratch: Scratch) -> Matrix:
    """Value of the promotion at each period, 0 without one; the largest counts."""
    value = scratch.array((len(grid.series), grid.width))
    rows = grid.by_day(rows)
    flat = value.reshape(-1)
    given = rows["value"].to_numpy(dtype=np.float32) if len(rows) else value[0, :0]
    for series, columns, taken in grid.chunks(rows) if len(rows) else ():
        inside = (columns >= 0) & (columns < grid.width)
        np.maximum.at(flat, series[inside] * grid.width + columns[inside], given[taken[inside]])
        release(value)
    return value


def _eventful(named: Events, grid: Grid, scratch: Scratch) -> Matrix:
    """(n_series | 1, width) 1 where some event lies."""
    flags = named.any(grid.width)
    if len(flags) == 1:
        return flags
    found = scratch.array((len(grid.series), grid.width))
    for part in blocks(len(found)):
        found[part] = flags[named.calendars[part]]
        release(found)
    return found


def events(rows: pd.DataFrame, settings: Settings, grid: Grid, since: NDArray[np.int32]) -> Events:
    """Named days of each series, up to a season's reach after the horizon.

    rows: ds, event, and where they hold for some series only store, or group: the value of `extract.events.by`. Series
    for which the same rows hold share a calendar. since: (n_rows,) count of known periods from which on each is known.
    """
    ahead, rows = grid.horizon + grid.frequency.before_event, grid.by_day(rows.assign(since=since))
    keys = _keys(rows, settings, grid)
    names, name = np.unique(rows["event"].astype("str").to_numpy(dtype=object), return_inverse=True)
    period = Grid.columns(replace(grid, horizon=ahead), rows["ds"]) if len(rows) else np.empty(0, dtype=np.intp)
    inside = (period >= 0) & (period < len(grid.periods) + ahead)
    cells = np.column_stack([name, period, rows["since"]]).astype(np.int32)[inside]
    number, calendars = _calendars([(codes[inside], mine) for codes, mine in keys], cells, len(grid.series))
    listed = [np.insert(own, 0, row, axis=1) for row, own in enumerate(number)]
    found = np.concatenate(listed).astype(np.int32)
    late = found[:, 3] if (found[:, 3] > 0).any() else None
    return Events(tuple(str(one) for one in names), found[:, :3], calendars, ahead, late)


def spelled(rows: pd.DataFrame) -> pd.Series:
    """Name of each event, in the spelling of its first day: a calendar kept by hand has capitals and blanks at will."""
    found = rows["event"].astype("str")
    name = pd.Index(found.unique())
    same = name.str.split().str.join(" ").str.casefold()
    if same.is_unique:
        return found
    first = pd.DataFrame({"same": same.take(name.get_indexer(found)), "ds": rows["ds"].to_numpy(), "name": found})
    kept = first.sort_values(["ds", "name"]).drop_duplicates("same").set_index("same")["name"]
    return first["same"].map(kept)


def _earliest(cells: NDArray[np.int32]) -> NDArray[np.int32]:
    """Distinct names and periods, rising, each since its first row was known."""
    rising = np.unique(cells, axis=0)
    new = np.ones(len(rising), dtype=np.bool_)
    new[1:] = (rising[1:, :2] != rising[:-1, :2]).any(axis=1)
    return rising[new]


def _calendars(
    keys: list[tuple[Positions, Positions]], cells: NDArray[np.int32], series: int
) -> tuple[list[NDArray[np.int32]], NDArray[np.int32]]:
    """The distinct calendars, (n, 3) name, period and since when, and (n_series,) which one each series lives by."""
    if not keys:
        return [_earliest(cells)], np.zeros(series, dtype=np.int32)
    kinds, mine = np.unique(np.column_stack([own for _, own in keys]), axis=0, return_inverse=True)
    found: list[NDArray[np.int32]] = []
    number: dict[bytes, int] = {}
    places = np.empty(len(kinds), dtype=np.int32)
    for row, kind in enumerate(kinds):
        holds = [(codes == ALL) | (codes == kind[key]) for key, (codes, _) in enumerate(keys)]
        own = _earliest(cells[np.logical_and.reduce(holds)])
        places[row] = number.setdefault(own.tobytes(), len(found))
        if places[row] == len(found):
            found.append(own)
    return found, places[mine.ravel()]


def _keys(rows: pd.DataFrame, settings: Settings, grid: Grid) -> list[tuple[Positions, Positions]]:
    """By key that events may be restricted by: each row's value as a code (ALL for an empty one) and each series'."""
    table = settings.extract.events
    by = {"store": "store", "group": table.by if table is not None else None}
    found = []
    for column, attribute in by.items():
        if attribute is None or column not in rows or not (rows[column].astype("str") != "").any():
            continue
        values, own = rows[column].astype("str"), grid.series[attribute].astype("str")
        if own[own != ""].str.casefold().nunique() == own[own != ""].nunique():  # capitals are no other shop or region
            values, own = values.str.casefold(), own.str.casefold()
        labels = pd.Index(own.unique())
        strange = sorted(set(rows.loc[~values.isin(["", *labels]), column].astype("str")))
        if strange:
            log.warning("events: no series has %s %s: these rows hold for nobody", attribute, some(strange))
        codes = np.where(values == "", ALL, labels.get_indexer(values))
        found.append((codes.astype(np.intp), labels.get_indexer(own)))
    return found


def static_signals(series: pd.DataFrame, rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Add each static signal to the series as an attribute."""
    for signal in settings.extract.signals:
        if signal.known != "static":
            continue
        mine = rows[rows["signal"].astype("str") == signal.name] if len(rows) else rows
        keys = [key for key in ("item", "store") if len(mine) and (mine[key].astype("str") != "").any()]
        if keys:
            table = mine[[*keys, "value"]].rename(columns={"value": signal.name})
            table = table.assign(**{key: table[key].astype("str") for key in keys})
            series = series.merge(table.drop_duplicates(keys), on=keys, how="left")
            series[signal.name] = series[signal.name].map(lambda value: f"{value:g}", na_action="ignore")
        else:
            series[signal.name] = ""
    return series


def forward(values: Matrix) -> Matrix:
    """Each gap takes the value before it."""
    filled = pd.DataFrame(values.T).ffill().to_numpy()
    return np.ascontiguousarray(filled.T, dtype=np.float32)


def _signal(rows: pd.DataFrame, signal: SignalTable, grid: Grid, scratch: Scratch) -> Matrix:
    """Mean of the signal's rows in each period, filled by its declared rule."""
    rows = grid.by_day(rows)
    by_series = bool(len(rows)) and any((rows[key].astype("str") != "").any() for key in ("item", "store"))
    columns = grid.columns(rows["ds"]) if len(rows) else np.empty(0, dtype=np.intp)
    value = rows["value"].to_numpy(dtype=np.float32) if len(rows) else np.empty(0, dtype=np.float32)
    if len(rows) and signal.by and signal.by in grid.series:
        labels = pd.Index(grid.series[signal.by].unique())
        group = labels.get_indexer(rows["group"].astype("str"))
        by_group = _means([(group, columns, value)], (len(labels), grid.width), signal)
        mine = labels.get_indexer(grid.series[signal.by])
        spread = scratch.array((len(mine), grid.width))
        for part in blocks(len(mine)):
            spread[part] = by_group[mine[part]]
            release(spread)
        return spread
    if by_series:
        chunks = ((series, columns, value[taken]) for series, columns, taken in grid.chunks(rows))
        return _means(chunks, (len(grid.series), grid.width), signal)
    return _means([(np.zeros(len(rows), dtype=np.intp), columns, value)], (1, grid.width), signal)


def _means(
    chunks: Iterable[tuple[Positions, Positions, Matrix]], shape: tuple[int, int], signal: SignalTable
) -> Matrix:
    """Mean of the values in each cell; those of no group (-1) and outside the panel are left out.

    chunks: group, column and value of each row.
    """
    total, count = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for group, columns, value in chunks:
        inside = (columns >= 0) & (columns < shape[1]) & (group >= 0)
        cell = group[inside] * shape[1] + columns[inside]
        np.add.at(total.reshape(-1), cell, value[inside])
        np.add.at(count.reshape(-1), cell, 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return np.nan_to_num(mean) if signal.fill == "zero" else forward(mean)
