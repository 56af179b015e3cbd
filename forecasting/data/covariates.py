"""Price, promotion, events and signals as matrices beside the panel's demand, made a block of series at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from forecasting.data.blocks import Scratch, blocks, release
from forecasting.data.locate import Grid, Positions
from forecasting.data.panel import Matrix
from forecasting.data.pieces import Pieces, Tables, pieces, whole
from forecasting.sections import SignalTable
from forecasting.settings import Settings

EVENT_CODES = 2003  # prime; a name's code must not change when other events are added


def build(
    tables: Tables, settings: Settings, grid: Grid, scratch: Scratch
) -> tuple[dict[str, Matrix], dict[str, Matrix]]:
    """Covariates known ahead, (n_series | 1, n_periods + horizon), and past signals, (n_series | 1, n_periods)."""
    known: dict[str, Matrix] = {}
    past: dict[str, Matrix] = {}
    if any(len(rows) for rows in pieces(tables.get("prices", pd.DataFrame()))):
        known["price"] = prices(tables["prices"], grid, scratch)
    if settings.extract.promotions is not None:
        known["promotion"] = promotions(whole(tables, "promotions"), grid, scratch)
    if settings.extract.events is not None:
        known["event"], known["event_id"] = events(whole(tables, "events"), grid)
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


def events(rows: pd.DataFrame, grid: Grid) -> tuple[Matrix, Matrix]:
    """Whether a named day lies in each period, and the code of its name (of the first by name): (1, width) each."""
    flag, code = np.zeros((1, grid.width), dtype=np.float32), np.zeros((1, grid.width), dtype=np.float32)
    if len(rows):
        rows = grid.by_day(rows.sort_values(["ds", "event"], ascending=False, kind="stable"))
        columns = grid.columns(rows["ds"])
        inside = (columns >= 0) & (columns < grid.width)
        names = rows["event"].astype("str").to_numpy()[inside]
        flag[0, columns[inside]] = 1
        code[0, columns[inside]] = [zlib.crc32(name.encode()) % EVENT_CODES + 1 for name in names]
    return flag, code


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
