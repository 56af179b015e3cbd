"""Price, promotion, events and signals as matrices beside the panel's demand."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from forecasting.data.locate import Grid
from forecasting.data.panel import Matrix
from forecasting.settings import Settings, SignalTable

EVENT_CODES = 2003  # prime; a name's code must not change when other events are added


def build(
    tables: Mapping[str, pd.DataFrame], settings: Settings, grid: Grid
) -> tuple[dict[str, Matrix], dict[str, Matrix]]:
    """Covariates known ahead, (n_series | 1, n_periods + horizon), and past signals, (n_series | 1, n_periods)."""
    known: dict[str, Matrix] = {}
    past: dict[str, Matrix] = {}
    if len(tables.get("prices", ())):
        known["price"] = prices(tables["prices"], grid)
    if settings.extract.promotions is not None:
        known["promotion"] = promotions(tables.get("promotions", pd.DataFrame()), grid)
    if settings.extract.events is not None:
        known["event"], known["event_id"] = events(tables.get("events", pd.DataFrame()), grid)
    rows = tables.get("signals", pd.DataFrame())
    for signal in settings.extract.signals:
        mine = rows[rows["signal"].astype("str") == signal.name] if len(rows) else rows
        if signal.known == "ahead":
            known[signal.name] = _signal(mine, signal, grid)
        elif signal.known == "afterwards":
            past[signal.name] = _signal(mine, signal, grid)[:, : len(grid.periods)]
    return known, past


def prices(rows: pd.DataFrame, grid: Grid) -> Matrix:
    """The newest price at each period, NaN before the first one; it holds until the next row."""
    rows = rows.sort_values("ds", kind="stable")
    price = np.full((len(grid.series), grid.width), np.nan, dtype=np.float32)
    series, columns, taken = grid.cells(rows)
    inside = columns < grid.width
    # Of several rows in one cell the last one, the newest, stays; what holds before the panel starts in its first one.
    cells = (series[inside], np.maximum(columns[inside], 0))
    order = np.argsort(taken[inside], kind="stable")
    price[cells[0][order], cells[1][order]] = rows["price"].to_numpy(dtype=np.float32)[taken[inside]][order]
    return forward(price)


def promotions(rows: pd.DataFrame, grid: Grid) -> Matrix:
    """Value of the promotion at each period, 0 without one; the largest counts."""
    value = np.zeros((len(grid.series), grid.width), dtype=np.float32)
    if len(rows):
        series, columns, taken = grid.cells(rows)
        inside = (columns >= 0) & (columns < grid.width)
        np.maximum.at(value, (series[inside], columns[inside]), rows["value"].to_numpy(dtype=np.float32)[taken[inside]])
    return value


def events(rows: pd.DataFrame, grid: Grid) -> tuple[Matrix, Matrix]:
    """Whether a named day lies in each period, and the code of its name (of the first by name): (1, width) each."""
    flag, code = np.zeros((1, grid.width), dtype=np.float32), np.zeros((1, grid.width), dtype=np.float32)
    if len(rows):
        rows = rows.sort_values(["ds", "event"], ascending=False, kind="stable")
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


def _signal(rows: pd.DataFrame, signal: SignalTable, grid: Grid) -> Matrix:
    """Mean of the signal's rows in each period, filled by its declared rule."""
    by_series = bool(len(rows)) and any((rows[key].astype("str") != "").any() for key in ("item", "store"))
    groups = signal.by if len(rows) and signal.by and signal.by in grid.series else None
    shape = (len(grid.series) if by_series or groups else 1, grid.width)
    total, count = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    if len(rows):
        value = rows["value"].to_numpy(dtype=np.float32)
        if groups:
            total, count = _by_group(rows, value, groups, grid)
        else:
            if by_series:
                series, columns, taken = grid.cells(rows)
            else:
                columns = grid.columns(rows["ds"])
                series, taken = np.zeros(len(rows), dtype=np.intp), np.arange(len(rows))
            inside = (columns >= 0) & (columns < grid.width)
            np.add.at(total, (series[inside], columns[inside]), value[taken[inside]])
            np.add.at(count, (series[inside], columns[inside]), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return np.nan_to_num(mean) if signal.fill == "zero" else forward(mean)


def _by_group(rows: pd.DataFrame, value: Matrix, by: str, grid: Grid) -> tuple[Matrix, Matrix]:
    """Sums and counts of a signal keyed by an attribute, spread to the series that have the value."""
    labels = pd.Index(grid.series[by].unique())
    group, columns = labels.get_indexer(rows["group"].astype("str")), grid.columns(rows["ds"])
    inside = (columns >= 0) & (columns < grid.width) & (group >= 0)
    total = np.zeros((len(labels), grid.width), dtype=np.float32)
    count = np.zeros_like(total)
    np.add.at(total, (group[inside], columns[inside]), value[inside])
    np.add.at(count, (group[inside], columns[inside]), 1)
    mine = labels.get_indexer(grid.series[by])
    return total[mine], count[mine]
