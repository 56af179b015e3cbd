"""Totals of interest: the whole, each declared level (an attribute, or several joined by `|`), and the series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.errors import SettingsError, some

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


@dataclass(frozen=True)
class Totals:
    """What the groups of one level sold by period, and what is known ahead of them.

    units: (n_groups, n_periods) sums of what was observed. filled: the same, where a member that was not observed
    counts with its newest value at that place in the season; NaN where no member was observed. means: by covariate
    known ahead, (n_groups, n_periods + horizon), over the members that have a value.
    """

    level: Level
    units: NDArray[np.float32]
    filled: NDArray[np.float32]
    means: Mapping[str, NDArray[np.float32]]

    def first(self, periods: int) -> Totals:
        """The first `periods` periods, with what was known ahead from there."""
        cut = self.units.shape[1] - periods
        means = {name: values[:, : values.shape[1] - cut] for name, values in self.means.items()}
        return replace(self, units=self.units[:, :periods], filled=self.filled[:, :periods], means=means)


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
