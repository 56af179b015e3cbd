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
from forecasting.data.delivery import NO_ROW, Deliveries, Gaps, counter, no_row
from forecasting.data.locate import Grid
from forecasting.data.observed import CLOSED, ENDED, NOT_BEGUN, NOT_DELIVERED, OUT_OF_STOCK, QUARANTINED, Codes
from forecasting.data.panel import Matrix
from forecasting.data.pieces import Tables, pieces, whole
from forecasting.settings import Settings

CLOSED_SHARE = 0.9  # of the same weekdays before on which a store sold, from which on a day without a sale was closed
CLOSED_WEEKS = 4  # same weekdays before, at least
Flags = NDArray[np.bool_]
Positions = NDArray[np.intp]


@dataclass(frozen=True)
class _Unseen:
    """What makes a cell unobserved.

    started: (n_series,) period of the first recorded quantity, n_periods for none. store: (n_series,) code of its
    store. closed: (n_stores, n_periods). out, quarantined: sorted flat positions of the cells without stock, and of
    those with a row of unknown quantity. gaps: where a missing row is unknown.
    """

    started: Positions
    store: Positions
    closed: Flags
    out: Positions
    quarantined: Positions
    gaps: Gaps | None

    def codes(self, part: slice, block: Matrix) -> Codes:
        """Codes of the cells of a block of series, (n, n_periods): see observed.py, also for which reason counts."""
        found, periods = np.zeros(block.shape, dtype=np.uint8), block.shape[1]
        ended = None
        if self.gaps is not None:
            missing, ended = self.gaps.find(no_row(block), part)
            found[missing] = NOT_DELIVERED
        _mark(found, self.out, part.start * periods, OUT_OF_STOCK)
        found[self.closed[self.store[part]]] = CLOSED
        if ended is not None:
            found[ended] = ENDED
        found[np.arange(periods) < self.started[part, None]] = NOT_BEGUN
        _mark(found, self.quarantined, part.start * periods, QUARANTINED)
        return found


def _mark(codes: Codes, cells: Positions, start: int, code: int) -> None:
    """Set the code at these sorted flat positions of the panel, of which the block of codes begins at `start`."""
    first, last = np.searchsorted(cells, [start, start + codes.size])
    codes.reshape(-1)[cells[first:last] - start] = code


def demand(tables: Tables, settings: Settings, grid: Grid, scratch: Scratch) -> tuple[Matrix, Codes]:
    """(n_series, n_periods) sums of units, 0 where nothing was sold, NaN where nothing could be seen; and why not.

    The second are codes of observed.py, of the same shape, 0 exactly where the first is finite.
    """
    by_period, earlier = _by_period(tables, grid, scratch)
    unseen = _unseen(tables, settings, grid, by_period, earlier)
    count, periods = len(grid.series), len(grid.periods)
    y, absence = scratch.array((count, periods)), scratch.codes((count, periods))
    for part in blocks(count):
        block = by_period[:, part].T.copy()
        codes = unseen.codes(part, block)
        block += np.float32(0)  # NO_ROW becomes an ordinary 0
        block[codes > 0] = np.nan
        y[part], absence[part] = block, codes
        release(by_period, y, absence)
    return y, absence


def _by_period(tables: Tables, grid: Grid, scratch: Scratch) -> tuple[Matrix, Flags]:
    """(n_periods, n_series) sums, and (2, n_series) whether a series has a sale, and a row, before the panel begins.

    A sum is NO_ROW where no row lies in the cell, and NaN where the quantity of one is not known.
    """
    shape = (len(grid.periods), len(grid.series))
    sums, earlier = scratch.array(shape, float(NO_ROW)), np.zeros((2, shape[1]), dtype=bool)
    flat = sums.reshape(-1)
    for piece in pieces(tables["sales"]):
        rows, columns, taken = grid.cells(piece)
        units = piece["y"].to_numpy(dtype=np.float32)[taken] + np.float32(0)  # a source's own -0 is a row
        before = columns < 0
        earlier[0, rows[before & (units > 0)]] = earlier[1, rows[before & np.isfinite(units)]] = True
        inside = (columns >= 0) & (columns < shape[0])
        if not inside.all():
            rows, columns, units = rows[inside], columns[inside], units[inside]
        np.add.at(flat, columns * shape[1] + rows, units)  # flat: many times faster than at pairs of indices
        release(sums)
    return sums, earlier


def _unseen(tables: Tables, settings: Settings, grid: Grid, by_period: Matrix, earlier: Flags) -> _Unseen:
    store, names = pd.factorize(grid.series["store"])
    store, periods = np.asarray(store, dtype=np.intp), len(by_period)
    rows = _rows(by_period, earlier, counter(settings, store, periods, grid.frequency))
    sold = np.zeros((len(names), periods))
    for period, units in enumerate(by_period):
        sold[:, period] = np.bincount(store, weights=units, minlength=len(names))
        if period % 64 == 0:
            release(by_period)
    # A store that has a row of unknown quantity was open.
    np.add.at(sold, (store[rows.quarantined // periods], rows.quarantined % periods), 1)
    closed = np.zeros(sold.shape, dtype=bool)
    if settings.panel.closed == "auto" and grid.frequency.code == "D":
        opened = np.full(len(names), periods)
        np.minimum.at(opened, store, rows.sold)
        closed = _closed(sold, opened)
    out = np.empty(0, dtype=np.intp)
    if len(stock := whole(tables, "stock")):
        out = out_of_stock(stock, grid, daily=settings.extract.sales.grain == "transactions")
    longest = settings.panel.missing_periods or grid.frequency.longest_gap
    gaps = rows.deliveries.gaps(settings.panel.missing_rows, longest) if rows.deliveries else None
    return _Unseen(rows.recorded, store, closed, out, rows.quarantined, gaps)


@dataclass(frozen=True)
class _Rows:
    """What one reading of the sums by period shows.

    sold, recorded: (n_series,) period of the first sale, and of the first row with a known quantity; n_periods for
    none. quarantined: sorted flat positions, series by periods, of the cells with a row of unknown quantity.
    """

    sold: Positions
    recorded: Positions
    quarantined: Positions
    deliveries: Deliveries | None


def _rows(by_period: Matrix, earlier: Flags, deliveries: Deliveries | None) -> _Rows:
    """Look through the sums by period; those of unknown quantity become 0 in them."""
    periods = len(by_period)
    sold, recorded = (np.where(one, 0, periods) for one in earlier)
    found: list[Positions] = []
    for period, units in enumerate(by_period):
        unknown = np.isnan(units)
        if unknown.any():
            found.append(np.flatnonzero(unknown) * periods + period)
            units[unknown] = 0
        there = ~no_row(units)
        sold[(units > 0) & (sold > period)] = period
        recorded[there & ~unknown & (recorded > period)] = period
        if deliveries is not None:
            deliveries.add(period, there, int(np.count_nonzero(there & ~unknown & (units == 0))))
        if period % 64 == 0:
            release(by_period)
    quarantined = np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.intp)
    return _Rows(sold, recorded, quarantined, deliveries)


def _closed(sold: NDArray[np.float64], opened: Positions) -> Flags:
    """A store's day without any sale, where it sold on nearly every such weekday before, was closed.

    sold: (n_stores, n_periods) units. opened: (n_stores,) first period. What came later does not count, so that a panel
    of an earlier cutoff says the same of the same day.
    """
    closed = np.zeros(sold.shape, dtype=bool)
    days = np.arange(sold.shape[1])
    for store, total in enumerate(sold):
        for day in range(7):
            those = days[(days % 7 == day) & (days >= opened[store])]
            some = total[those] > 0
            count = np.arange(len(those))
            usual = (np.cumsum(some) - some >= CLOSED_SHARE * count) & (count >= CLOSED_WEEKS)
            closed[store, those[usual & ~some]] = True
    return closed


def out_of_stock(stock: pd.DataFrame, grid: Grid, daily: bool) -> Positions:
    """Sorted flat positions where nothing could be bought; a longer period needs half of its days without stock."""
    rows, columns, _ = grid.cells(stock[~stock["in_stock"].astype(bool)])
    periods = len(grid.periods)
    inside = (columns >= 0) & (columns < periods)
    cells, count = np.unique(rows[inside] * periods + columns[inside], return_counts=True)
    needed = {"D": 1, "W": 4, "M": 15}[grid.frequency.code[0]] if daily else 1
    found: Positions = cells[count >= needed]
    return found
