"""Days of series whose sales are not all there, because a row of them was set aside: they are no measure of a forecast.

A night reads the days that may still be corrected again, so of each day the newest night that read it has the say.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.data.convert import days, filled, hours
from forecasting.data.locate import Grid
from forecasting.data.panel import Panel
from forecasting.data.tables import QUALITY, QUARANTINE
from forecasting.settings import Settings
from forecasting.steps import sales_rows
from forecasting.stores.lake import Lake
from forecasting.stores.warehouse import Warehouse

Positions = NDArray[np.intp]


def quarantined(settings: Settings, panel: Panel, since: date) -> tuple[Positions, Positions]:
    """Rows and columns of the panel, in periods that end after `since`, that miss a quarantined row of the sales."""
    warehouse, nothing = Warehouse(settings.warehouse), np.empty(0, dtype=np.intp)
    last = Lake(settings.lake).find(panel.snapshot).cutoff
    nights = warehouse.distinct(QUALITY, ["cutoff", "snapshot"])
    # A stopped night has no snapshot: nothing of it was taken in.
    nights = nights[(nights["snapshot"] != "") & (nights["cutoff"] <= pd.Timestamp(last))]
    newest = nights["cutoff"].max()
    wanted = [night.date() for night in nights["cutoff"] if night > pd.Timestamp(since)]
    if not wanted:
        return nothing, nothing
    columns = ["cutoff", "rule", "content"]
    found = warehouse.read(QUARANTINE, columns, table="sales", cutoff=wanted)
    found = found[~found["rule"].isin(_harmless(settings))].reset_index(drop=True)
    if found.empty:
        return nothing, nothing
    rows = _parsed(found["content"], hours if panel.frequency.code == "H" else days)
    again = found["cutoff"] - pd.Timedelta(days=settings.extract.correction_days) + pd.Timedelta(days=1)
    read_again = rows["ds"] >= sales_rows.read_from(settings, pd.DatetimeIndex(again))
    rows = rows[(~read_again | (found["cutoff"] == newest)) & rows["ds"].notna()]
    grid = Grid.of(panel.series, panel.periods, panel.frequency, 0)
    known = rows["item"].isin(grid.items) & (rows["store"].isin(grid.stores) if "store" in rows else True)
    series, periods, _ = grid.cells(rows[known])
    inside = (periods >= panel.position(since)) & (periods < len(panel.periods))
    return series[inside], periods[inside]


def _harmless(settings: Settings) -> set[str]:
    """Rules whose rows are no loss: a return that is set aside by choice, and a line that was sent twice.

    Of two ready periods with the same key nobody knows which is right.
    """
    return {"return", "duplicate"} if settings.extract.sales.grain == "transactions" else {"return"}


def _parsed(contents: pd.Series, dated: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    """Columns item, ds and, where there are any, store; keys "" and days NaT where they cannot be read."""
    raw = pd.DataFrame([json.loads(content) for content in contents])
    found = {name: filled(raw[name]).astype("str") for name in ("item", "store") if name in raw}
    return pd.DataFrame(found | {"ds": dated(raw["ds"])})
