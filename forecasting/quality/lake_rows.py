"""From the clean rows of a night to the tables of the lake: sales by day, promotions by day, stock-outs, signals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from forecasting.core.config.sections import SalesTable, SignalTable
from forecasting.quality.parse import days, numbers

KEY = ["item", "store", "ds"]
TEXTS = {"item": "str", "store": "str"}


def daily(lines: pd.DataFrame, table: SalesTable, unknown: pd.DataFrame | None = None) -> pd.DataFrame:
    """Clean lines to one row an item, store and day, `y` in units; ready periods stay as they are.

    Returns are negative lines: they lessen their own day, and a day never falls below zero. unknown: item, store, ds of
    quarantined rows: `y` is NaN there. One lost line makes its whole day unknown; of a ready period that is
    there twice, the row that can be read counts.
    """
    rows = lines[["item", "store", "ds", "y"]]
    if table.grain == "periods":
        found = rows.assign(y=rows["y"].astype("float32"))
    else:
        summed = rows.groupby(KEY, observed=True, sort=False)["y"].sum().reset_index()
        found = summed.assign(y=summed["y"].clip(lower=0).astype("float32"))
    if unknown is None or unknown.empty:
        return found
    near = np.flatnonzero(np.logical_and.reduce([found[name].isin(unknown[name]) for name in KEY]))  # few of millions
    lost, known = (pd.MultiIndex.from_frame(frame[KEY].astype(TEXTS)) for frame in (unknown, found.iloc[near]))
    if table.grain == "transactions":
        y = found["y"].to_numpy(copy=True)
        y[near[known.isin(lost)]] = np.nan
        found = found.assign(y=y)
    added = unknown.loc[~lost.isin(known), KEY].assign(y=np.float32(np.nan))
    return pd.DataFrame({name: _below(found[name], added[name]) for name in found})


def _below(one: pd.Series, other: pd.Series) -> pd.Series:
    """One column below the other; categories stay categories: text of millions of rows takes ten times the memory."""
    if isinstance(one.dtype, pd.CategoricalDtype) and isinstance(other.dtype, pd.CategoricalDtype):
        return pd.Series(union_categoricals([one, other]))
    return pd.concat([one, other], ignore_index=True)


def promotions(raw: pd.DataFrame, last: pd.Timestamp) -> pd.DataFrame:
    """Rows with `start` and `end` to one row a day; the value is 1 where none is given; days off (0) are left out.

    last: day after which nobody asks; an end such as 9999-12-31 is not followed any further.
    """
    frame = raw if "value" in raw else raw.assign(value=1.0)
    if "ds" in frame:
        return frame[numbers(frame["value"]) != 0]
    start, end = days(frame["start"]), days(frame["end"])
    length = (end.where(end.isna() | (end < last), last) - start).dt.days + 1
    length = length.clip(lower=0).fillna(0).astype(int)
    index = frame.index.repeat(length)
    after = np.arange(len(index)) - np.repeat((length.cumsum() - length).to_numpy(), length.to_numpy())
    dated = frame.drop(columns=["start", "end"]).loc[index]
    dated["ds"] = start.loc[index].to_numpy() + pd.to_timedelta(after, unit="D")
    dated = _largest(dated, start, end)
    unread = frame[start.isna() | end.isna()].drop(columns=["start", "end"])
    dates = frame.loc[unread.index, ["start", "end"]].astype(object).where(frame[["start", "end"]].notna(), None)
    unread = unread.assign(ds=[_unread(first, last) for first, last in dates.itertuples(index=False)])
    swapped = end < start
    if swapped.any():  # their two dates are what screening finds unreadable
        texts = [
            f"from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
            for first, last in zip(start[swapped], end[swapped], strict=True)
        ]
        unread = pd.concat([unread, frame[swapped].drop(columns=["start", "end"]).assign(ds=texts)])
    if not len(unread):
        return dated.reset_index(drop=True)
    return pd.concat([dated.astype({"ds": object}), unread], ignore_index=True)


def _unread(start: object, end: object) -> str:
    """The dates of a promotion without a day, as the reason in quarantine shows them."""
    first, last = ("nothing" if value is None else str(value).strip()[:10] for value in (start, end))
    return f"from {first} to {last}" + ("; an open end is 9999-12-31" if last == "nothing" else "")


def _largest(dated: pd.DataFrame, start: pd.Series, end: pd.Series) -> pd.DataFrame:
    """Of promotions that overlap, each day has the largest value; a line that is there twice stays twice.

    dated: rows by day, with the index of their line. start, end: of the lines.
    """
    keys = [name for name in KEY if name in dated]
    several = dated.duplicated(keys, keep=False).to_numpy()
    if not several.any():
        return dated
    part = dated.loc[several, keys].assign(value=numbers(dated.loc[several, "value"]), place=np.flatnonzero(several))
    part = part.assign(start=start.loc[part.index], end=end.loc[part.index]).sort_values("value", kind="stable")
    best = part.groupby(keys, dropna=False, observed=True, sort=False)[["value", "start", "end"]].transform("last")
    same = (part[["value", "start", "end"]] == best).all(axis=1)
    kept = np.ones(len(dated), dtype=bool)
    kept[part.loc[~same.to_numpy(), "place"]] = False
    return dated[kept]


def stock(raw: pd.DataFrame) -> pd.DataFrame:
    """`on_hand` to `in_stock`."""
    if "in_stock" in raw:
        return raw
    on_hand = numbers(raw["on_hand"])
    there = (on_hand > 0).astype("float64")
    if on_hand.isna().any():  # what cannot be read goes on to screening as it is
        there = there.astype(object).where(on_hand.notna(), raw["on_hand"])
    return raw.drop(columns="on_hand").assign(in_stock=there)


def out_of_stock(clean: pd.DataFrame) -> pd.DataFrame:
    """Only the days on which nothing could be bought: every other day was in stock."""
    return clean[~clean["in_stock"].astype(bool)].reset_index(drop=True)


def newest(clean: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """The newest row of every item and store up to the cutoff."""
    known = clean[clean["ds"] <= cutoff].sort_values("ds", kind="stable")
    return known.drop_duplicates(["item", "store"], keep="last").reset_index(drop=True)


def signal(raw: pd.DataFrame, table: SignalTable) -> pd.DataFrame:
    """One signal in the long form that all share."""
    return raw.assign(signal=table.name)
