"""What stock-outs cost: units that were expected of an item while it could not be bought.

A period without stock is masked in training and scores, because what was sold then is not what was wanted. What was
wanted is what the newest vintage made before the period expected of it (Conrad, 1976: sales are censored demand); less
what was sold all the same, it is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.settings import Settings
from forecasting.panel.grid import Grid
from forecasting.panel.observed.absence_codes import OUT_OF_STOCK
from forecasting.panel.observed.demand import out_of_stock
from forecasting.panel.panel import Matrix, Panel
from forecasting.storage.lake.lake import Lake


@dataclass(frozen=True)
class Stockouts:
    """Cells of the panel without stock: rows and columns of it, and the units sold in each."""

    panel: Panel
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    sold: NDArray[np.float64]

    @classmethod
    def of(cls, lake: Lake, settings: Settings, panel: Panel, since: date) -> Self:
        """Those of the panel in the periods that end after `since`.

        A period that is closed, or whose sales are in quarantine, is none of them, whatever its stock: nothing was lost
        on the former, and of the latter nobody knows.
        """
        grid, start = Grid.of(panel.series, panel.periods, panel.frequency, 0), panel.position(since)
        if panel.absence is None:  # a panel of an older version: by the stock table of its snapshot
            stock, daily = lake.read(panel.snapshot, "stock"), settings.extract.sales.grain == "transactions"
            cells = out_of_stock(stock, grid, daily) if len(stock) else np.empty(0, dtype=np.intp)
            cells = cells[cells % len(panel.periods) >= start]
        else:
            found, columns = np.nonzero(panel.absence[:, start:] == OUT_OF_STOCK)
            cells = found * len(panel.periods) + columns + start
        rows, columns = np.divmod(cells, len(panel.periods))
        return cls(panel, rows, columns, _sold(lake, panel.snapshot, grid, cells))

    def lost(self, vintage: date, newer: date | None, mean: Matrix) -> pd.DataFrame:
        """Columns unique_id, ds, sold, expected, lost: the periods from the vintage to the next newer one.

        mean: (n_series, horizon) units, NaN where the vintage has no such series.
        """
        first = self.panel.position(vintage)
        last = len(self.panel.periods) if newer is None else self.panel.position(newer)
        mine = (self.columns >= first) & (self.columns < min(last, first + mean.shape[1]))
        rows, columns, sold = self.rows[mine], self.columns[mine], self.sold[mine]
        expected = mean[rows, columns - first].astype(np.float64)
        known = np.isfinite(expected)
        table = {
            "unique_id": self.panel.unique_ids[rows],
            "ds": self.panel.periods[columns],
            "sold": sold,
            "expected": expected,
            "lost": np.maximum(expected - sold, 0),
        }
        found: pd.DataFrame = pd.DataFrame(table).loc[known]
        return found


def _sold(lake: Lake, snapshot: str, grid: Grid, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Units sold in each of the cells: rising flat positions of the panel."""
    total, periods = np.zeros(len(cells)), len(grid.periods)
    if not len(cells):
        return total
    first = grid.periods[int((cells % periods).min())]
    for piece in lake.pieces(snapshot, "sales"):
        sales = piece[piece["ds"] >= first]
        rows, columns, taken = grid.cells(sales)
        inside = (columns >= 0) & (columns < periods)
        flat = rows[inside] * periods + columns[inside]
        place = np.minimum(np.searchsorted(cells, flat), len(cells) - 1)
        there = cells[place] == flat
        np.add.at(total, place[there], sales["y"].to_numpy(dtype=np.float64)[taken[inside]][there])
    return total
