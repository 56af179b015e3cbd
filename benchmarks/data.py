"""Walmart's M5 as it lies in the data folder, read the same way for the peers and for the scoring.

Used in both environments (the project's and the peers'), so nothing here but pandas and numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
ATTRIBUTES = ["item_id", "dept_id", "cat_id", "store_id", "state_id"]


@dataclass(frozen=True)
class M5:
    """y: (30,490, days) units, NaN before a series' first row. series: unique_id and attributes, one row a row of y.

    week: (days + days known ahead,) Walmart's week of each day; prices: (30,490, weeks) money, NaN where not on sale.
    """

    y: NDArray[np.float32]
    days: pd.DatetimeIndex
    series: pd.DataFrame
    calendar: pd.DataFrame
    weeks: NDArray[np.int64]
    prices: NDArray[np.float32]

    def position(self, cutoff: date) -> int:
        """Days known at the cutoff."""
        return int(self.days.searchsorted(pd.Timestamp(cutoff), side="right"))

    def actual(self, cutoff: date, horizon: int) -> Array:
        """(n_series, horizon) units sold after the cutoff, 0 where a series was not on sale."""
        start = self.position(cutoff)
        return np.nan_to_num(self.y[:, start : start + horizon]).astype(np.float64)

    def price(self, cutoff: date, days: int) -> Array:
        """(n_series, days) prices of the days up to the cutoff, 0 where not on sale."""
        end = self.position(cutoff)
        place = np.searchsorted(self.weeks, self.calendar["wm_yr_wk"].to_numpy()[end - days : end])
        return np.nan_to_num(self.prices[:, place]).astype(np.float64)


def read_m5(folder: Path) -> M5:
    """All of it; days from the first one in the sales to the last."""
    sales = pd.read_parquet(folder / "sales.parquet")
    calendar = pd.read_parquet(folder / "calendar.parquet").sort_values("date", ignore_index=True)
    calendar["date"] = pd.to_datetime(calendar["date"])
    stores = pd.read_parquet(folder / "stores.parquet")
    series = pd.read_parquet(folder / "items.parquet").merge(stores, how="cross")
    series.insert(0, "unique_id", series["item_id"].astype(str) + "_" + series["store_id"].astype(str))
    series = series.sort_values("unique_id", ignore_index=True)
    dates = pd.to_datetime(sales["date"])
    days = pd.date_range(dates.min(), dates.max(), freq="D")
    row = _rows(sales, series)
    y = np.full((len(series), len(days)), np.nan, dtype=np.float32)
    y[row, (dates - days[0]).dt.days.to_numpy()] = sales["units"].to_numpy()
    table = pd.read_parquet(folder / "prices.parquet")
    weeks = np.sort(table["wm_yr_wk"].unique()).astype(np.int64)
    prices = np.full((len(series), len(weeks)), np.nan, dtype=np.float32)
    prices[_rows(table, series), np.searchsorted(weeks, table["wm_yr_wk"])] = table["sell_price"].to_numpy()
    return M5(y, days, series, calendar, weeks, prices)


def _rows(table: pd.DataFrame, series: pd.DataFrame) -> NDArray[np.intp]:
    """Row of the series table that each row of `table` belongs to, by item and store."""
    items, stores = pd.Index(series["item_id"].unique()), pd.Index(series["store_id"].unique())
    place = np.full((len(items), len(stores)), -1, dtype=np.intp)
    place[items.get_indexer(series["item_id"]), stores.get_indexer(series["store_id"])] = np.arange(len(series))
    item = items.get_indexer(pd.Index(table["item_id"].cat.categories))[table["item_id"].cat.codes]
    store = stores.get_indexer(pd.Index(table["store_id"].cat.categories))[table["store_id"].cat.codes]
    return place[item, store]


def m5_long(m5: M5, cutoff: date, horizon: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a peer is given: (history, future). Both: unique_id, ds, attributes, price, price_change, event, snap.

    History has y and ends at the cutoff. price_change is the price over the series' mean price of all weeks so far.
    """
    end = m5.position(cutoff)
    rows, columns = np.nonzero(np.isfinite(m5.y[:, :end]))
    history = _covariates(m5, rows, columns)
    history.insert(2, "y", m5.y[rows, columns])
    started = np.unique(rows)
    future = _covariates(m5, np.repeat(started, horizon), np.tile(np.arange(end, end + horizon), len(started)))
    return history, future


def _covariates(m5: M5, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> pd.DataFrame:
    week = np.searchsorted(m5.weeks, m5.calendar["wm_yr_wk"].to_numpy())[columns]
    seen = np.isfinite(m5.prices)
    so_far = np.cumsum(np.where(seen, m5.prices, 0), axis=1) / np.maximum(np.cumsum(seen, axis=1), 1)
    price = m5.prices[rows, week]
    snap = m5.calendar[["snap_CA", "snap_TX", "snap_WI"]].to_numpy(dtype=np.int8)
    state = pd.Index(["CA", "TX", "WI"]).get_indexer(m5.series["state_id"])
    event = m5.calendar["event_name_1"].fillna("none").astype(str).astype("category")
    frame = {"unique_id": pd.Categorical.from_codes(rows, categories=list(m5.series["unique_id"]))}
    frame["ds"] = m5.calendar["date"].to_numpy()[columns]
    for name in ATTRIBUTES:
        codes, labels = pd.factorize(m5.series[name].astype(str), sort=True)
        frame[name] = pd.Categorical.from_codes(codes[rows], categories=list(labels))
    frame["price"] = price
    frame["price_change"] = (price / so_far[rows, week]).astype(np.float32)
    frame["event"] = pd.Categorical.from_codes(
        event.cat.codes.to_numpy()[columns], categories=list(event.cat.categories)
    )
    frame["snap"] = snap[columns, state[rows]]
    return pd.DataFrame(frame)
