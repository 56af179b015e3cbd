"""The smaller data sets (pasta, vn2, spare_raf, online_retail) and M5's 70 departments as plain matrices.

Used in both environments, so nothing here but pandas and numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.data import Array, read_m5

NO_PRODUCT = "POST|DOT|C2|BANK CHARGES|AMAZONFEE|CRUK|D|S|M|m|B|PADS|gift_.*"


@dataclass(frozen=True)
class Small:
    """y: (n, periods) demand, NaN where it was not observed (closed, out of stock, not yet on sale).

    known: covariates of all periods, the coming ones too, each (n, periods). series: unique_id and attributes.
    code: D, W-MON or M; season in periods. cutoffs: counts of known periods, oldest first.
    """

    y: Array
    periods: pd.DatetimeIndex
    series: pd.DataFrame
    code: str
    season: int
    horizon: int
    cutoffs: tuple[int, ...]
    known: dict[str, Array] = field(default_factory=dict)

    @property
    def alias(self) -> str:
        """pandas' name of the frequency, by first days."""
        return "MS" if self.code == "M" else self.code

    def day(self, cutoff: int) -> date:
        """Last day whose sales are known."""
        if cutoff < len(self.periods):
            return (self.periods[cutoff] - timedelta(days=1)).date()
        return (self.periods[-1] + (self.periods[-1] - self.periods[-2])).date() - timedelta(days=1)

    def actual(self, cutoff: int) -> Array:
        """(n, horizon) after the cutoff, NaN where unobserved."""
        return self.y[:, cutoff : cutoff + self.horizon]

    def long(self, cutoff: int, masked: bool) -> pd.DataFrame:
        """History for a peer: unique_id, ds, y, attributes, covariates; regular, from each series' first sale on.

        The peers take no NaN. An unobserved period is 0, as it stands in the raw data; `masked`: the newest observed
        value at the same place in the season, else the newest one, as careful users fill stock-outs.
        """
        y = self.y[:, :cutoff]
        filled = fill(y, min(self.season, 13)) if masked else np.nan_to_num(y)
        sold = np.nan_to_num(y) > 0
        first = np.where(sold.any(axis=1), sold.argmax(axis=1), cutoff)
        live = np.arange(cutoff)[None, :] >= first[:, None]
        rows, columns = np.nonzero(live)
        frame = self._frame(rows, columns)
        frame.insert(2, "y", filled[rows, columns])
        return frame

    def future(self, cutoff: int) -> pd.DataFrame:
        """The covariates of the horizon: unique_id, ds, one column each."""
        count = len(self.series)
        rows, columns = np.divmod(np.arange(count * self.horizon), self.horizon)
        return self._frame(rows, columns + cutoff).drop(columns=list(self.series.columns[1:]))

    def _frame(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> pd.DataFrame:
        frame = {"unique_id": self.series["unique_id"].to_numpy(dtype=object)[rows], "ds": self.periods[columns]}
        for name in self.series.columns[1:]:
            frame[name] = pd.Categorical(self.series[name].astype(str)).take(rows)
        for name, values in self.known.items():
            frame[name] = values[rows, columns]
        return pd.DataFrame(frame)

    def wide(self, forecast: pd.DataFrame, cutoff: int, column: str) -> Array:
        """(n, horizon) of one column of a long forecast; 0 where there is no row."""
        row = pd.Index(self.series["unique_id"]).get_indexer(forecast["unique_id"])
        place = self.periods[cutoff : cutoff + self.horizon].get_indexer(pd.to_datetime(forecast["ds"]))
        inside = (row >= 0) & (place >= 0)
        values = np.zeros((len(self.series), self.horizon))
        values[row[inside], place[inside]] = forecast[column].to_numpy()[inside]
        return values


def fill(y: Array, season: int) -> Array:
    """Each NaN by the value one season before, else by the one before it, else 0."""
    filled = y.copy()
    for place in range(y.shape[1]):
        gap = ~np.isfinite(filled[:, place])
        if gap.any() and place:
            back = filled[:, place - season] if place >= season else filled[:, place - 1]
            back = np.where(np.isfinite(back), back, filled[:, place - 1])
            filled[gap, place] = back[gap]
    return np.nan_to_num(filled)


def short_histories(forecast: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """NaN, which seasonal naive and window average give for a series shorter than they need, by its newest value."""
    newest = history.groupby("unique_id", observed=True)["y"].last()
    numbers = [name for name in forecast if name not in ("unique_id", "ds")]
    filled = {name: forecast[name].fillna(forecast["unique_id"].map(newest)) for name in numbers}
    return forecast.assign(**filled)


def _matrix(table: pd.DataFrame, value: str, periods: pd.DatetimeIndex) -> tuple[Array, list[str]]:
    wide = table.pivot(index="unique_id", columns="ds", values=value).reindex(columns=periods)
    return wide.to_numpy(dtype=np.float64), [str(name) for name in wide.index]


def pasta(folder: Path) -> Small:
    """118 products, daily; closed days are unobserved; promotions known ahead; the last 6 x 28 days."""
    table = pd.read_parquet(folder / "pasta" / "sales.parquet")
    table = table.rename(columns={"item_id": "unique_id", "units": "y"}).assign(ds=pd.to_datetime(table["date"]))
    periods = pd.date_range(table["ds"].min(), table["ds"].max(), freq="D")
    y, names = _matrix(table, "y", periods)
    promotion, _ = _matrix(table, "promo", periods)
    brand = table.groupby("unique_id")["brand_id"].first().loc[names].to_numpy()
    series = pd.DataFrame({"unique_id": names, "brand_id": brand})
    cutoffs = tuple(len(periods) - 28 * back for back in range(6, 0, -1))
    return Small(y, periods, series, "D", 7, 28, cutoffs, {"promotion": np.nan_to_num(promotion)})


def vn2(folder: Path) -> Small:
    """599 store x product series, weekly; weeks out of stock are unobserved; the last 4 x 8 weeks."""
    table = pd.read_parquet(folder / "vn2" / "sales.parquet")
    table["unique_id"] = table["store_id"].astype(str) + "_" + table["item_id"].astype(str)
    table["ds"] = pd.to_datetime(table["date"])
    table["y"] = table["units"].where(table["in_stock"]).astype(float)
    periods = pd.date_range(table["ds"].min(), table["ds"].max(), freq="W-MON")
    y, names = _matrix(table, "y", periods)
    master = pd.read_parquet(folder / "vn2" / "master.parquet")
    master.insert(0, "unique_id", master["store"].astype(str) + "_" + master["product"].astype(str))
    columns = ["unique_id", "store", "product", "productgroup", "department", "storeformat"]
    series = master.set_index("unique_id").loc[names].reset_index()[columns]
    return Small(y, periods, series, "W-MON", 52, 8, tuple(len(periods) - 8 * back for back in range(4, 0, -1)))


def spare_raf(folder: Path) -> Small:
    """5,000 aircraft parts, monthly; the last 12 months as 4 x 3."""
    table = pd.read_parquet(folder / "spare_raf" / "sales.parquet")
    table = table.assign(unique_id=table["item_id"].astype(str), ds=pd.to_datetime(table["date"]), y=table["units"])
    periods = pd.date_range(table["ds"].min(), table["ds"].max(), freq="MS")
    y, names = _matrix(table, "y", periods)
    series = pd.DataFrame({"unique_id": names})
    return Small(y, periods, series, "M", 12, 3, tuple(len(periods) - 3 * back for back in range(4, 0, -1)))


def retail_days(folder: Path) -> Small:
    """Online Retail by day, returns taken off, up to the last whole week; a day without any sale is unobserved."""
    return _retail(folder, "D", 7, 14, 4)


def retail_weeks(folder: Path) -> Small:
    """The same by week."""
    return _retail(folder, "W-MON", 1, 4, 4)  # a year is not yet over: no season to see


def _retail(folder: Path, code: str, season: int, horizon: int, folds: int) -> Small:
    table = pd.read_parquet(folder / "online_retail" / "transactions.parquet")
    good = (
        ~table["item_id"].str.fullmatch(NO_PRODUCT)
        & (table["quantity"].abs() <= 10_000)
        & table["unit_price"].between(0, 1000, inclusive="right")
    )
    table = table[good].assign(ds=lambda frame: frame["ts"].dt.normalize())
    table = table[table["ds"] < "2011-12-05"]  # the last week is cut on a Friday
    daily = table.groupby(["item_id", "ds"], as_index=False)["quantity"].sum()
    days = pd.date_range("2010-12-06", "2011-12-04", freq="D")
    daily = daily[daily["ds"] >= days[0]].rename(columns={"item_id": "unique_id"})
    y, names = _matrix(daily, "quantity", days)
    closed = ~np.isfinite(y).any(axis=0)
    y = np.maximum(np.nan_to_num(y), 0)
    if code != "D":
        y, days = y.reshape(len(y), -1, 7).sum(axis=2), days[::7]
    else:
        y[:, closed] = np.nan
    series = pd.DataFrame({"unique_id": names})
    cutoffs = tuple(len(days) - horizon * back for back in range(folds, 0, -1))
    return Small(y, days, series, code, season, horizon, cutoffs)


def m5_departments(folder: Path) -> Small:
    """M5's 70 store x department totals, daily; the newest two of the monthly cutoffs."""
    m5 = read_m5(folder / "m5")
    key = m5.series["store_id"] + "_" + m5.series["dept_id"]
    totals = pd.DataFrame(np.nan_to_num(m5.y).astype(np.float64)).groupby(key.to_numpy()).sum()
    series = pd.DataFrame({"unique_id": [str(name) for name in totals.index]})
    cutoffs = (len(m5.days) - 56, len(m5.days) - 28)
    return Small(totals.to_numpy(), m5.days, series, "D", 7, 28, cutoffs)


def made_up_chain(seed: int) -> Callable[[Path], Small]:
    """300 stores by day whose demand is known; see chain_data.py."""

    def make(_: Path) -> Small:
        from benchmarks.chain_data import chain  # it makes a Small itself

        return chain(seed)

    return make


SETS: dict[str, Callable[[Path], Small]] = {
    "pasta": pasta, "vn2": vn2, "spare_raf": spare_raf, "retail_days": retail_days, "retail_weeks": retail_weeks,
    "m5_departments": m5_departments,
    **{f"chain_{seed}": made_up_chain(seed) for seed in (1, 2, 3)},
}  # fmt: skip
