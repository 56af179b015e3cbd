"""Rows that are there more than once: by their id, by their key, or as a day that was delivered twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.sections import SalesTable
from forecasting.core.daylight_saving import minutes, occurrence
from forecasting.quality.row_screen import Mask, Reasons, Rows, Sieve, say

LINES = 20  # different lines of a day from which on it is no chance that each is there twice


def drop_delivered_again(sieve: Sieve, typed: pd.DataFrame) -> None:
    """What a source has delivered twice counts once: a day whose every line is there a multiple of 2, 3, ... times.

    Two equal lines may be two sales, but not all lines of a day at once.
    """
    rows = np.flatnonzero(sieve.open)
    keys = typed.drop(columns="ds")
    for column in {"ds", "line"} & set(sieve.raw):
        values = sieve.raw[column]
        keys[column] = values.astype("str") if values.dtype == object else values  # an object may be anything
    line = pd.factorize(_combined(keys)[rows])[0]
    count = np.bincount(line)
    day, days = pd.factorize(typed["ds"].to_numpy()[rows])
    day_of_line = np.zeros(len(count), dtype=np.int64)
    day_of_line[line] = day
    order = np.argsort(day_of_line, kind="stable")
    starts = np.searchsorted(day_of_line[order], np.arange(len(days)))
    times = np.gcd.reduceat(count[order], starts) if len(rows) else count
    times = np.where(np.bincount(day_of_line, minlength=len(days)) >= LINES, times, 1)[day]
    number = pd.Series(line).groupby(line).cumcount().to_numpy()
    surplus, delivered = np.zeros(len(typed), dtype=bool), np.ones(len(typed), dtype=np.int64)
    surplus[rows], delivered[rows] = number >= count[line] // times, times
    sieve.drop("delivered_again", surplus, say("every line of its day was delivered {} times", pd.Series(delivered)))


def drop_duplicates(sieve: Sieve, typed: pd.DataFrame, table: SalesTable, twice: pd.DatetimeIndex | None) -> None:
    """Lines repeat by their id where they have one (two equal sales may be two sales); ready periods by their key."""
    if "line" in sieve.raw:
        line = sieve.raw["line"].astype("str").where(sieve.raw["line"].notna())
        repeated = _repeated(line.to_frame(), sieve.open, keep="first") & line.notna().to_numpy()
        sieve.drop("duplicate", repeated, say("line {!r} is there more than once", line))
    elif table.grain == "periods":
        keys = typed[["item", "store", "ds"]]
        if twice is not None:  # quarters of an hour are parts of it
            keys = keys.assign(minute=minutes(sieve.raw["ds"]))
        if twice is not None and len(twice):  # such an hour may be there once before and once after the change
            keys = keys.assign(time=np.where(typed["ds"].isin(twice), occurrence(_combined(keys)), 0) % 2)
        sieve.drop("duplicate", _repeated(keys, sieve.open, keep="first"), _key_of(keys.iloc[:, :3]))


def drop_repeated(sieve: Sieve, typed: pd.DataFrame, key: list[str], keep: str) -> None:
    """Rule `duplicate`: quarantine the rows that repeat the key of another; keep: which of them stays."""
    repeated = _repeated(typed[key], sieve.open, keep)
    sieve.drop("duplicate", repeated, _key_of(typed[key]))


def _key_of(keys: pd.DataFrame) -> Reasons:
    def reasons(rows: Rows) -> list[str]:
        found = keys.iloc[rows]
        texts = [found[column].astype("str").fillna("").tolist() for column in found]
        return [f"{', '.join(key)} is there more than once" for key in zip(*texts, strict=True)]

    return reasons


def _combined(keys: pd.DataFrame) -> NDArray[np.int64]:
    """A number for each row, the same for rows with the same values in all columns."""
    codes = [pd.factorize(keys[column])[0].astype(np.int64) for column in keys]
    combined: NDArray[np.int64] = codes[0]
    for more in codes[1:]:
        # Dense again before each step, so that the product of many keys does not overflow.
        combined = pd.factorize(combined)[0] * (int(more.max(initial=0)) + 2) + more + 1
    return combined


def _repeated(keys: pd.DataFrame, among: Mask, keep: Any) -> Mask:
    """Rows that repeat the key of another row, both still in play."""
    combined = _combined(keys)
    result = np.zeros(len(keys), dtype=bool)
    result[among] = pd.Series(combined[among]).duplicated(keep=keep).to_numpy()
    return result
