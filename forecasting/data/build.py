"""From the tables of a snapshot to the Panel. Nothing dated after the cutoff reaches `y` or `past`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from forecasting.data import covariates
from forecasting.data.frequency import Frequency
from forecasting.data.locate import Grid
from forecasting.data.panel import Matrix, Panel
from forecasting.errors import CutoffError, SettingsError, some
from forecasting.settings import Settings

CLOSED_SHARE = 0.9  # of the same weekdays before on which a store sold, from which on a day without a sale was closed
CLOSED_WEEKS = 4  # same weekdays before, at least
Tables = Mapping[str, pd.DataFrame]


def build_panel(tables: Tables, settings: Settings, cutoff: date, snapshot: str) -> Panel:
    """Dense panel that ends with the newest whole period at or before the cutoff.

    tables: sales, and where declared items, stores, prices, promotions, events, stock, signals (LAKE in tables.py).
    Raises CutoffError where nothing was sold up to the cutoff.
    """
    frequency = Frequency.parse(settings.panel.frequency)
    last = frequency.last_complete(cutoff)
    sales = tables["sales"]
    known = sales["ds"] <= pd.Timestamp(frequency.end(last))
    sales = sales if known.all() else sales[known]
    if sales.empty:
        raise CutoffError(f"Nothing was sold at or before {cutoff}: there is no panel to build. Choose a later cutoff.")
    series = _series(tables, sales, settings)
    periods = _periods(sales, frequency, last, settings.panel.history)
    grid = Grid.of(series, periods, frequency, settings.panel.horizon)
    y = _units(sales, grid)
    if settings.panel.closed == "auto" and frequency.code == "D":
        _mark_closed(y, series)
    if len(tables.get("stock", ())):
        _mark_out_of_stock(y, tables["stock"], grid, daily=settings.extract.sales.grain == "transactions")
    ahead, past = covariates.build(tables, settings, grid)
    return Panel(y, periods, series, frequency, snapshot, ahead, past, settings.panel.levels)


def _series(tables: Tables, sales: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """unique_id, item, store and all attributes, sorted by unique_id: pairs ever sold, or all items x stores."""
    pairs = _pairs(sales)
    items, stores = (tables.get(name, pd.DataFrame()) for name in ("items", "stores"))
    if settings.panel.universe == "cross":
        if items.empty:
            raise SettingsError('panel.universe = "cross" needs [extract.items]: the items that there are.')
        shops = stores["store"] if len(stores) else pd.Series(sorted(pairs["store"].unique()))
        cross = items[["item"]].astype("str").merge(shops.astype("str").rename("store"), how="cross")
        pairs = pd.concat([cross, pairs], ignore_index=True).drop_duplicates()  # what was sold is never lost
    for key, table in (("item", items), ("store", stores)):
        if len(table):
            attributes = table.astype("str").rename(columns=_apart(table, pairs, key))
            pairs = pairs.merge(attributes, on=key, how="left")
    pairs = covariates.static_signals(pairs, tables.get("signals", pd.DataFrame()), settings).fillna("")
    _check_attributes(pairs, settings)
    name = settings.panel.unique_id.format
    pairs.insert(0, "unique_id", [name(item=i, store=s) for i, s in zip(pairs["item"], pairs["store"], strict=True)])
    repeated = pairs["unique_id"].duplicated()
    if repeated.any():
        raise SettingsError(
            f"panel.unique_id = {settings.panel.unique_id!r} gives the same name to several series: "
            f"{some(pairs.loc[repeated, 'unique_id'].unique())}. Use both {{item}} and {{store}}."
        )
    return pairs.sort_values("unique_id", kind="stable").reset_index(drop=True)


def _check_attributes(series: pd.DataFrame, settings: Settings) -> None:
    """Attributes that the settings speak of are there."""
    asked = {"panel.levels": [part for name in settings.panel.levels for part in name.split("|")]}
    asked |= {f"extract.signals.by of {one.name}": [one.by] for one in settings.extract.signals if one.by}
    for key, names in asked.items():
        missing = [name for name in names if name not in series]
        if missing:
            raise SettingsError(
                f"{key}: the series have no attribute {some(missing)}; they have: {some(series.columns, 20)}. "
                "Attributes are columns of [extract.items] and [extract.stores], and static signals."
            )


def _pairs(sales: pd.DataFrame) -> pd.DataFrame:
    """The distinct items and stores of the rows, as text."""
    item, items = pd.factorize(sales["item"])
    store, stores = pd.factorize(sales["store"])
    found = pd.unique(item.astype(np.int64) * len(stores) + store)
    names = {"item": items[found // len(stores)], "store": stores[found % len(stores)]}
    return pd.DataFrame(names).astype("str")


def _apart(attributes: pd.DataFrame, pairs: pd.DataFrame, key: str) -> dict[str, str]:
    """An attribute that items and stores both have is told apart by its owner."""
    return {str(name): f"{key}_{name}" for name in attributes if name != key and name in pairs}


def _periods(sales: pd.DataFrame, frequency: Frequency, last: pd.Timestamp, history: int | None) -> pd.DatetimeIndex:
    first = frequency.starts(pd.DatetimeIndex([sales["ds"].min()]))[0]
    days = {"D": 1, "W": 7, "M": 28}[frequency.code[0]]
    longest = int((last - first).days // days) + 1
    periods = frequency.range(frequency.range(last, -longest)[0], longest + 1)
    start = int(periods.searchsorted(first))
    return periods[max(start, len(periods) - history) if history else start :]


def _units(sales: pd.DataFrame, grid: Grid) -> Matrix:
    """(n_series, n_periods) sums; NaN before each series' first sale, 0 where nothing was sold since."""
    rows, columns, taken = grid.cells(sales)
    units = sales["y"].to_numpy()[taken]
    shape = (len(grid.series), len(grid.periods))
    before = columns < 0
    earlier = np.unique(rows[before & (units > 0)])
    if before.any():
        rows, columns, units = rows[~before], columns[~before], units[~before]
    # One flat count: many times faster than adding at pairs of indices.
    sums = np.bincount(rows * shape[1] + columns, weights=units, minlength=shape[0] * shape[1])
    y = sums.astype(np.float32).reshape(shape)
    started = np.maximum.accumulate(y > 0, axis=1)
    started[earlier] = True
    y[~started] = np.nan
    return y


def _mark_closed(y: Matrix, series: pd.DataFrame) -> None:
    """A store's day without any sale, where it sold on nearly every such weekday before, was closed: unobserved.

    What came later does not count, so that a panel of an earlier cutoff says the same of the same day.
    """
    weekday = np.arange(y.shape[1]) % 7
    store, names = pd.factorize(series["store"])
    for members in (np.flatnonzero(store == code) for code in range(len(names))):
        total = np.nansum(y[members], axis=0)
        live = np.isfinite(y[members]).any(axis=0)
        for day in range(7):
            those = np.flatnonzero((weekday == day) & live)
            sold = total[those] > 0
            count = np.arange(len(those))
            usual = (np.cumsum(sold) - sold >= CLOSED_SHARE * count) & (count >= CLOSED_WEEKS)
            y[np.ix_(members, those[usual & ~sold])] = np.nan


def _mark_out_of_stock(y: Matrix, stock: pd.DataFrame, grid: Grid, daily: bool) -> None:
    """Demand was not seen where nothing could be bought; a longer period needs half of its days without stock."""
    out = stock[~stock["in_stock"].astype(bool)]
    rows, columns, _ = grid.cells(out)
    inside = (columns >= 0) & (columns < y.shape[1])
    count = np.zeros(y.shape, dtype=np.int16)
    np.add.at(count, (rows[inside], columns[inside]), 1)
    needed = {"D": 1, "W": 4, "M": 15}[grid.frequency.code[0]] if daily else 1
    y[count >= needed] = np.nan
