"""Scores of one vintage: sums by series and part of the horizon, from which every group's metrics follow.

Every metric is a ratio of such sums, so a group costs an addition of rows and no second look at the forecasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.models.base import QUANTILES
from forecasting.panel.hierarchy import Level
from forecasting.panel.panel import Matrix
from forecasting.tables.score_buckets import BUCKETS

Sums = NDArray[np.float64]
ALL = "all"  # the bucket of the whole horizon
LOW, HIGH = "p05", "p95"  # what coverage is measured between


@dataclass(frozen=True)
class Tally:
    """Sums over the periods whose actual counts: (n, n_buckets) each, n series or groups of them.

    count: periods. sold: units. error: forecast - actual. absolute: its size. naive: that of seasonal naive. pinball:
    mean loss over the quantiles. inside: periods within the interval. scaled: absolute over the scale of the series;
    measured: periods of the series that have a scale.
    """

    count: Sums
    sold: Sums
    error: Sums
    absolute: Sums
    naive: Sums
    pinball: Sums
    inside: Sums
    scaled: Sums
    measured: Sums

    def of(self, level: Level) -> Tally:
        """The same of the level's groups: pooled over their series, so errors of two series never cancel out."""
        return Tally(**{name: level.sum(values) for name, values in vars(self).items()})

    def metrics(self) -> dict[str, Sums]:
        """(n, n_buckets) of each metric, NaN where it is not defined: nothing sold, no scale, naive without error."""
        return {
            "wape": _ratio(self.absolute, self.sold),
            "bias": _ratio(self.error, self.sold),
            "mase": _ratio(self.scaled, self.measured),
            "pinball": _ratio(self.pinball, self.count),
            "coverage": _ratio(self.inside, self.count),
            "naive_wape": _ratio(self.naive, self.sold),
            "value_added": 1 - _ratio(self.absolute, self.naive),
        }


def names(horizon: int) -> dict[str, tuple[int, int]]:
    """First and last period ahead of each bucket by name; `all`, the whole horizon, comes last."""
    found = {
        f"{first}-{min(last, horizon)}": (first, min(last, horizon)) for first, last in BUCKETS if first <= horizon
    }
    return found | {ALL: (1, horizon)}


def tally(
    actual: Matrix, forecast: Mapping[str, Matrix], naive: Matrix, scale: Sums, buckets: Sequence[tuple[int, int]]
) -> Tally:
    """Sums of every series and bucket.

    actual: (n, periods known) units, NaN where it does not count. forecast: mean and quantiles as p05..p95, and naive,
    of the same shape. scale: (n,) denominator of MASE. buckets: first and last period ahead.
    """
    seen = np.isfinite(actual)
    y = np.where(seen, actual, 0)

    def added(values: NDArray[np.generic]) -> Sums:
        cells = np.where(seen, values, 0)
        return np.column_stack([cells[:, first - 1 : last].sum(axis=1, dtype=np.float64) for first, last in buckets])

    error = forecast["mean"] - y
    loss = np.zeros(y.shape, dtype=np.float64)
    for level in QUANTILES:
        over = y - forecast[f"p{round(100 * level):02d}"]
        loss += np.maximum(level * over, (level - 1) * over) / len(QUANTILES)
    count, absolute = added(seen), added(np.abs(error))
    measured = np.isfinite(scale)[:, None]
    return Tally(
        count=count,
        sold=added(np.abs(y)),
        error=added(error),
        absolute=absolute,
        naive=added(np.abs(naive - y)),
        pinball=added(loss),
        inside=added((y >= forecast[LOW]) & (y <= forecast[HIGH])),
        scaled=np.where(measured, absolute / np.where(measured, scale[:, None], 1), 0),
        measured=np.where(measured, count, 0),
    )


def by_group(series: Tally, levels: Sequence[Level], buckets: Sequence[str]) -> pd.DataFrame:
    """Columns level, group, bucket, metric, value, periods; groups and buckets without a period are left out."""
    parts = []
    for level in levels:
        groups = series.of(level)
        shape = groups.count.shape
        where = {
            "level": level.name,
            "group": np.repeat(level.labels.astype(str).astype(object), shape[1]),
            "bucket": np.tile(np.array(buckets, dtype=object), shape[0]),
            "periods": groups.count.ravel().astype(np.int64),
        }
        for metric, values in groups.metrics().items():
            parts.append(pd.DataFrame(where | {"metric": metric, "value": values.ravel()}))
    found = pd.concat(parts, ignore_index=True)
    return found[found["periods"] > 0].reset_index(drop=True)


def _ratio(above: Sums, below: Sums) -> Sums:
    good = below > 0
    return np.where(good, above / np.where(good, below, 1), np.nan)
