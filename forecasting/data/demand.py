"""The panel's demand from the rows of the sales, in whatever pieces they come: what is zero and what was not seen.

Rows come by day and the panel lies by series, so they are first added up into a matrix by period, where a piece touches
few pages, and that is then turned around a block of series at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.data.blocks import Scratch, blocks, release
from forecasting.data.closures import Closures, Sold, find
from forecasting.data.hours import left_out
from forecasting.data.locate import Grid
from forecasting.data.panel import Matrix
from forecasting.data.pieces import Tables, pieces, whole
from forecasting.settings import Settings

Flags = NDArray[np.bool_]
Positions = NDArray[np.intp]


@dataclass(frozen=True)
class _Unseen:
    """What makes a cell unobserved.

    started: (n_series,) first period on sale, n_periods for never. closures: see closures.py. out: sorted flat
    positions of the cells without stock.
    """

    started: Positions
    closures: Closures
    out: Positions


def demand(tables: Tables, settings: Settings, grid: Grid, scratch: Scratch) -> tuple[Matrix, Closures]:
    """(n_series, n_periods) sums of units; 0 where nothing was sold, NaN where nothing could be seen. And the closures.

    NaN: before a series' first sale, on days on which it was closed, and in periods without stock.
    """
    by_period, earlier = _by_period(tables, grid, scratch)
    unseen = _unseen(tables, settings, grid, by_period, earlier)
    count, periods = len(grid.series), len(grid.periods)
    gaps = left_out(grid.periods, settings.extract.timezone) if grid.frequency.code == "H" else None
    y = scratch.array((count, periods))
    for part in blocks(count):
        block = by_period[:, part].T.copy()
        block[np.arange(periods) < unseen.started[part, None]] = np.nan
        block[unseen.closures.closed(part) | unseen.closures.over(part)] = np.nan
        first, last = np.searchsorted(unseen.out, [part.start * periods, part.stop * periods])
        if gaps is not None:
            block[:, gaps] = np.nan
        block.reshape(-1)[unseen.out[first:last] - part.start * periods] = np.nan
        y[part] = block
        release(by_period, y)
    return y, unseen.closures


def _by_period(tables: Tables, grid: Grid, scratch: Scratch) -> tuple[Matrix, Flags]:
    """(n_periods, n_series) sums, and (n_series,) whether a series sold before the panel begins."""
    shape = (len(grid.periods), len(grid.series))
    sums, earlier = scratch.array(shape), np.zeros(shape[1], dtype=bool)
    flat = sums.reshape(-1)
    for piece in pieces(tables["sales"]):
        rows, columns, taken = grid.cells(piece)
        units = piece["y"].to_numpy(dtype=np.float32)[taken]
        earlier[rows[(columns < 0) & (units > 0)]] = True
        inside = (columns >= 0) & (columns < shape[0])
        if not inside.all():
            rows, columns, units = rows[inside], columns[inside], units[inside]
        np.add.at(flat, columns * shape[1] + rows, units)  # flat: many times faster than at pairs of indices
        release(sums)
    return sums, earlier


def _unseen(tables: Tables, settings: Settings, grid: Grid, by_period: Matrix, earlier: Flags) -> _Unseen:
    periods = len(by_period)
    started = np.where(earlier, 0, periods)
    for period, units in enumerate(by_period):
        started[(units > 0) & (started > period)] = period
        if period % 64 == 0:
            release(by_period)
    out = np.empty(0, dtype=np.intp)
    if len(stock := whole(tables, "stock")):
        out = out_of_stock(stock, grid, daily=settings.extract.sales.grain == "transactions")
    closures = Closures.none(len(started), periods)
    if settings.panel.closed == "auto" and grid.frequency.code == "D":
        sold = Sold(by_period, started, grid.series["store"], hidden=out)
        closures = find(sold, settings.panel.closed_periods)
    return _Unseen(started, closures, out)


def out_of_stock(stock: pd.DataFrame, grid: Grid, daily: bool) -> Positions:
    """Sorted flat positions where nothing could be bought; a longer period needs half of its days without stock."""
    rows, columns, _ = grid.cells(grid.by_day(stock[~stock["in_stock"].astype(bool)]))
    periods = len(grid.periods)
    inside = (columns >= 0) & (columns < periods)
    cells, count = np.unique(rows[inside] * periods + columns[inside], return_counts=True)
    needed = grid.frequency.half_days if daily else 1
    found: Positions = cells[count >= needed]
    return found
