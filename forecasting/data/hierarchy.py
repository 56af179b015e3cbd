"""Totals of interest: the whole, each declared level (an attribute, or several joined by `|`), and the series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import SettingsError, some

TOTAL = "total"
SERIES = "series"


@dataclass(frozen=True)
class Level:
    """One level. codes: (n_series,) group of each series, from 0; labels: (n_groups,) their names."""

    name: str
    codes: NDArray[np.int64]
    labels: NDArray[np.object_]

    def sum(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Add up (n_series, k) to (n_groups, k); NaN counts as 0."""
        filled: NDArray[np.float64] = np.nan_to_num(values).astype(np.float64)
        if self.name == SERIES:
            return filled
        order = np.argsort(self.codes, kind="stable")
        starts = np.searchsorted(self.codes[order], np.arange(len(self.labels)))
        totals: NDArray[np.float64] = np.add.reduceat(filled[order], starts, axis=0)
        return totals


def group(series: pd.DataFrame, name: str) -> Level:
    """One level of the series table. Raises SettingsError for an attribute that the series do not have."""
    if name == TOTAL:
        return Level(name, np.zeros(len(series), dtype=np.int64), np.array(["all"], dtype=object))
    if name == SERIES:
        return Level(name, np.arange(len(series)), series["unique_id"].to_numpy(dtype=object))
    columns = name.split("|")
    missing = [column for column in columns if column not in series]
    if missing:
        raise SettingsError(
            f"panel.levels: no attribute {some(missing)} (in level {name!r}); the series have: "
            f"{some(series.columns, 20)}."
        )
    keys = series[columns[0]].astype(str)
    for column in columns[1:]:
        keys = keys + "|" + series[column].astype(str)
    codes, labels = pd.factorize(keys, sort=True)
    return Level(name, codes.astype(np.int64), np.asarray(labels, dtype=object))


def levels(series: pd.DataFrame, names: Sequence[str]) -> list[Level]:
    """Total, the declared levels, and the series, in this order."""
    declared = [name for name in dict.fromkeys(names) if name not in (TOTAL, SERIES)]
    return [group(series, name) for name in (TOTAL, *declared, SERIES)]
