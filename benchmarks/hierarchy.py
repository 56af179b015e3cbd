"""The twelve levels of Walmart's M5, and the official weights and scales of every group at any cutoff.

M5 Competitors' Guide (Makridakis, Spiliotis and Assimakopoulos, 2020): a level weighs 1/12; within a level a group
weighs by its revenue in the last 28 days; its scale is the mean squared (WRMSSE) or absolute (WSPL) day-to-day
difference from its first sale on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.data import M5, Array

NAMES = (
    "total", "state", "store", "category", "department", "state|category", "state|department", "store|category",
    "store|department", "item", "item|state", "item|store",
)  # fmt: skip
KEYS = (
    (), ("state_id",), ("store_id",), ("cat_id",), ("dept_id",), ("state_id", "cat_id"), ("state_id", "dept_id"),
    ("store_id", "cat_id"), ("store_id", "dept_id"), ("item_id",), ("item_id", "state_id"), ("item_id", "store_id"),
)  # fmt: skip
OFFICIAL = date(2016, 4, 24)  # the cutoff that wrmsse_validation.parquet holds for
WEIGHT_DAYS = 28


@dataclass(frozen=True)
class Level:
    """One of the twelve. codes: (n_series,) group of each series; labels: (n_groups,) names in the official spelling.

    weight: (n_groups,) adds up to 1 over the level; squared, absolute: (n_groups,) scales, NaN where unknown.
    """

    name: str
    codes: NDArray[np.intp]
    labels: NDArray[np.object_]
    weight: Array
    squared: Array
    absolute: Array

    def sum(self, values: Array) -> Array:
        """(n_series, k) to (n_groups, k); NaN counts as 0."""
        return add(values, self.codes, len(self.labels))


def add(values: Array, codes: NDArray[np.intp], groups: int) -> Array:
    """Add up rows of (n, k) by code to (groups, k); NaN counts as 0."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(groups))
    return np.add.reduceat(np.nan_to_num(values).astype(np.float64)[order], starts, axis=0)


def levels(m5: M5, cutoff: date, folder: Path) -> list[Level]:
    """The twelve levels with weights and scales known at the cutoff; the published ones where there are such."""
    known = m5.y[:, : m5.position(cutoff)].astype(np.float64)
    revenue = np.nansum(known[:, -WEIGHT_DAYS:] * m5.price(cutoff, WEIGHT_DAYS), axis=1, keepdims=True)
    official = pd.read_parquet(folder / "wrmsse_validation.parquet") if cutoff == OFFICIAL else None
    made = []
    for number, (name, keys) in enumerate(zip(NAMES, KEYS, strict=True), start=1):
        codes, labels = _groups(m5.series, keys)
        history = known if number == len(NAMES) else add(known, codes, len(labels))
        squared, absolute = scales(history)
        weight = add(revenue, codes, len(labels))[:, 0]
        weight = weight / weight.sum()
        if official is not None:
            table = official[official["level"] == number].set_index("key").loc[list(labels)]
            weight, squared = 12 * table["weight"].to_numpy(), table["scale"].to_numpy()
        made.append(Level(name, codes, labels, weight, squared, absolute))
    return made


def scales(history: Array) -> tuple[Array, Array]:
    """Mean squared and mean absolute day-to-day difference of each row from its first sale on; NaN where unknown."""
    sold = np.nan_to_num(history) > 0
    days = np.arange(history.shape[1])
    first = np.where(sold.any(axis=1), sold.argmax(axis=1), history.shape[1])
    live = days[None, 1:] > first[:, None]
    difference = np.where(live, np.diff(np.nan_to_num(history), axis=1), 0)
    count = live.sum(axis=1)
    found = []
    for total in ((difference**2).sum(axis=1), np.abs(difference).sum(axis=1)):
        scale = total / np.maximum(count, 1)
        found.append(np.where((count > 0) & (scale > 0), scale, np.nan))
    return found[0], found[1]


def group_of(series: pd.DataFrame, level: int) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """Code of each series' group at a level from 1 to 12, and the groups' official names."""
    return _groups(series, KEYS[level - 1])


def _groups(series: pd.DataFrame, keys: tuple[str, ...]) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    if not keys:
        return np.zeros(len(series), dtype=np.intp), np.array(["Total"], dtype=object)
    joined = series[keys[0]].astype(str)
    for key in keys[1:]:
        joined = joined + ("_" if keys == KEYS[-1] else "|") + series[key].astype(str)
    codes, labels = pd.factorize(joined, sort=True)
    return codes.astype(np.intp), np.asarray(labels, dtype=object)


def days_after(cutoff: date, horizon: int) -> pd.DatetimeIndex:
    """The `horizon` days after the cutoff."""
    return pd.date_range(cutoff + timedelta(days=1), periods=horizon, freq="D")
