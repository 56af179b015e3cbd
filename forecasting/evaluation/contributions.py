"""What each series and period adds to an accuracy metric, so that two models can be compared pair by pair.

Every metric here grows in proportion when all errors do (it is homogeneous of degree one), so by Euler's theorem it is
the sum of its derivative by each error, times that error. For WRMSSE that shares the error of every total out over the
series that made it, and the shares add up to the metric exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.data.hierarchy import SERIES, Level, levels
from forecasting.data.panel import Matrix, Panel
from forecasting.evaluation import metrics

Shares = NDArray[np.float64]


def contributions(known: Panel, actual: Matrix, mean: Matrix, metric: str) -> Shares:
    """(n_series, n_periods) parts of the metric of one cutoff; their sum is its value.

    known ends at the cutoff and gives scales and weights. actual: NaN where unobserved, which contributes nothing.
    metric: wrmsse (all levels), rmsse, mase or wape (the series).
    """
    seen = np.isfinite(actual)
    error = np.where(seen, mean - actual, 0).astype(np.float64)
    if metric == "wape":
        return np.abs(error) / max(float(np.abs(actual[seen]).sum(dtype=np.float64)), 1e-12)
    if metric == "mase":
        season = min(known.frequency.season, max(1, len(known.periods) // 2))
        scale, count = metrics.scales(known.y, season), seen.sum(axis=1)
        good = np.isfinite(scale) & (count > 0)
        each = np.where(good, 1 / np.where(good, scale * count, 1), 0) / max(int(good.sum()), 1)
        return np.abs(error) * each[:, None]
    wanted = levels(known.series, known.levels)
    if metric == "rmsse":
        wanted = [level for level in wanted if level.name == SERIES]
    sales = metrics.lately(known)
    total: Shares = sum((_level(known, level, error, sales) for level in wanted), np.zeros(error.shape))
    return total / len(wanted)


def _level(known: Panel, level: Level, error: Shares, sales: Shares) -> Shares:
    """Parts of one level's weighted RMSSE: the group's error times the series' own, scaled."""
    alone = level.name == SERIES
    scale = metrics.scales(known.y if alone else level.sum(known.y), squared=True)
    weight, group = level.sum(sales[:, None])[:, 0], level.sum(error)
    good = np.isfinite(scale) & (weight > 0)
    size = np.sqrt((group**2).mean(axis=1) / np.where(good, scale, 1))
    used = good & (size > 0)
    share = np.where(used, weight, 0) / max(float(weight[good].sum()), 1e-12)
    factor = share / np.where(used, size * scale * error.shape[1], 1)
    return error * (group * factor[:, None])[level.codes]
