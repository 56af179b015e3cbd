"""The panel's demand from the rows of the sales, in whatever pieces they come: what is zero and what was not seen.

Rows come by day and the panel lies by series, so they are first added up into a matrix by period, where a piece touches
few pages, and that is then turned around a block of series at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.settings import Settings
from forecasting.core.daylight_saving import left_out
from forecasting.panel import missing_periods
from forecasting.panel.chunks import Tables, pieces, whole
from forecasting.panel.grid import Grid
from forecasting.panel.memory import Scratch, blocks, release
from forecasting.panel.observed.absence_codes import (
    CLOSED,
    ENDED,
    NOT_BEGUN,
    NOT_DELIVERED,
    OUT_OF_STOCK,
    QUARANTINED,
    Codes,
)
from forecasting.panel.observed.closures import Closures, Sold, find
from forecasting.panel.observed.deliveries import NO_ROW, Deliveries, Gaps, counter, no_row
from forecasting.panel.panel import Matrix

Flags = NDArray[np.bool_]
Positions = NDArray[np.intp]
IMPROBABLE = 1e-3  # probability of the zeros before a first sale, below which the item had not been launched


@dataclass(frozen=True)
class _Unseen:
    """What makes a cell unobserved.

    started: (n_series,) period in which each series begins, n_periods for none (see `_begin`). closures: see
    closures.py. out, quarantined, missing: sorted flat positions of the cells without stock, of those with a row of
    unknown quantity, and of weeks or longer that were not delivered (panel/missing_periods.py). gaps: where a missing
    row is
    unknown. skipped: (n_periods,) hours that the clock leaves out.
    """

    started: Positions
    closures: Closures
    out: Positions
    quarantined: Positions
    missing: Positions
    gaps: Gaps | None
    skipped: Flags

    def codes(self, part: slice, block: Matrix) -> Codes:
        """Codes of cells of a block of series, (n, n_periods): see absence_codes.py, also for which reason counts."""
        found, periods = np.zeros(block.shape, dtype=np.uint8), block.shape[1]
        ended = None
        if self.gaps is not None:
            missing, ended = self.gaps.find(no_row(block), part)
            found[missing] = NOT_DELIVERED
        _mark(found, self.missing, part.start * periods, NOT_DELIVERED)
        _mark(found, self.out, part.start * periods, OUT_OF_STOCK)
        shut = self.closures.stores[self.closures.store[part]]
        # A missing row of a complete source says nothing about a series by itself; a store without any was closed.
        found[(self.closures.closed(part) & ((found != NOT_DELIVERED) | shut)) | self.skipped] = CLOSED
        over = self.closures.over(part)
        found[over if ended is None else over | ended] = ENDED
        found[np.arange(periods) < self.started[part, None]] = NOT_BEGUN
        _mark(found, self.quarantined, part.start * periods, QUARANTINED)
        return found


def _mark(codes: Codes, cells: Positions, start: int, code: int) -> None:
    """Set the code at these sorted flat positions of the panel, of which the block of codes begins at `start`."""
    first, last = np.searchsorted(cells, [start, start + codes.size])
    codes.reshape(-1)[cells[first:last] - start] = code


def demand(tables: Tables, settings: Settings, grid: Grid, scratch: Scratch) -> tuple[Matrix, Codes, Closures]:
    """(n_series, n_periods) sums of units, 0 where nothing was sold, NaN where nothing could be seen; and why not.

    The second are codes of absence_codes.py, of the same shape, 0 exactly where the first is finite. The third:
    closures.
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
    return y, absence, unseen.closures


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
    store = np.asarray(pd.factorize(grid.series["store"])[0], dtype=np.intp)
    periods, skipped = len(by_period), np.zeros(len(by_period), dtype=bool)
    rows = _rows(by_period, earlier, counter(settings, store, periods, grid.frequency))
    out = np.empty(0, dtype=np.intp)
    if len(stock := whole(tables, "stock")):
        out = out_of_stock(stock, grid, daily=settings.extract.sales.grain == "transactions")
    closures = Closures.none(len(store), periods)
    if settings.panel.closed == "auto" and grid.frequency.code == "D":
        # A series with a row of unknown quantity was open, and what it sold cannot be compared.
        hidden = np.union1d(out, rows.quarantined)
        sold = Sold(by_period, rows.sold, grid.series["store"], hidden, rows.quarantined)
        closures = find(sold, settings.panel.closed_periods)
    missing = np.empty(0, dtype=np.intp)
    if settings.panel.missing_rows != "zero" and grid.frequency.kind in ("W", "M", "Q"):
        hidden = np.union1d(out, rows.quarantined)
        bound = max(1, settings.panel.closed_periods * grid.frequency.month // 28)
        missing = missing_periods.find(by_period, rows.sold, hidden, grid.frequency, bound)
    if grid.frequency.code == "H":
        skipped[left_out(grid.periods, settings.extract.timezone)] = True
    longest = settings.panel.missing_periods or grid.frequency.longest_gap
    gaps = rows.deliveries.gaps(settings.panel.missing_rows, longest) if rows.deliveries else None
    return _Unseen(_begin(rows, periods), closures, out, rows.quarantined, missing, gaps, skipped)


def _begin(rows: _Rows, periods: int) -> Positions:
    """(n_series,) period in which each series begins: that of its first row with a known quantity, which may be a zero.

    Zeros before the first sale are those of an item that had not been launched, where they are improbable at the rate
    at which it has sold since: it begins with its first sale then.
    """
    since = np.maximum(periods - rows.sold, 1)
    rate = np.maximum(rows.sales - 1, 0) / since  # without the first sale, which the period was chosen for
    waited = np.maximum(rows.sold - rows.recorded, 0)
    launched = (rows.sold < periods) & ((1 - rate) ** waited < IMPROBABLE)
    begin: Positions = np.where(launched, rows.sold, rows.recorded)
    return begin


@dataclass(frozen=True)
class _Rows:
    """Periods with rows, from one reading of the sums by period.

    sold, recorded: (n_series,) period of the first sale, and of the first row with a known quantity; n_periods for
    none. sales: (n_series,) periods with a sale. quarantined: sorted flat positions, series by periods, of the cells
    with a row of unknown quantity.
    """

    sold: Positions
    recorded: Positions
    sales: Positions
    quarantined: Positions
    deliveries: Deliveries | None


def _rows(by_period: Matrix, earlier: Flags, deliveries: Deliveries | None) -> _Rows:
    """Look through the sums by period; those of unknown quantity become 0 in them."""
    periods = len(by_period)
    sold, recorded = (np.where(one, 0, periods) for one in earlier)
    sales = np.zeros(len(sold), dtype=np.intp)
    found: list[Positions] = []
    for period, units in enumerate(by_period):
        unknown = np.isnan(units)
        if unknown.any():
            found.append(np.flatnonzero(unknown) * periods + period)
            units[unknown] = 0
        there = ~no_row(units)
        sold[(units > 0) & (sold > period)] = period
        sales += units > 0
        recorded[there & ~unknown & (recorded > period)] = period
        if deliveries is not None:
            deliveries.add(period, there, int(np.count_nonzero(there & ~unknown & (units == 0))))
        if period % 64 == 0:
            release(by_period)
    quarantined = np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.intp)
    return _Rows(sold, recorded, sales, quarantined, deliveries)


def out_of_stock(stock: pd.DataFrame, grid: Grid, daily: bool) -> Positions:
    """Sorted flat positions where nothing could be bought; a longer period needs half of its days without stock."""
    rows, columns, _ = grid.cells(grid.by_day(stock[~stock["in_stock"].astype(bool)]))
    periods = len(grid.periods)
    inside = (columns >= 0) & (columns < periods)
    cells, count = np.unique(rows[inside] * periods + columns[inside], return_counts=True)
    needed = grid.frequency.half_days if daily else 1
    found: Positions = cells[count >= needed]
    return found
