"""What each series and period adds to an accuracy metric, so that two models can be compared pair by pair.

Every metric here grows in proportion when all errors do (it is homogeneous of degree one), so by Euler's theorem it is
the sum of its derivative by each error, times that error. For WRMSSE that shares the error of every total out over the
series that made it, and the shares add up to the metric exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation import metrics
from forecasting.panel.hierarchy import SERIES, Level, levels
from forecasting.panel.panel import Matrix, Panel

Shares = NDArray[np.float64]
FALLBACKS = ("wape", "mae")  # in place of a metric that a cutoff does not define, in this order


def contributions(known: Panel, actual: Matrix, mean: Matrix, metric: str) -> Shares:
    """(n_series, n_periods) parts of the metric of one cutoff; their sum is its value.

    known ends at the cutoff and gives scales and weights. actual: NaN where unobserved, which contributes nothing.
    metric: wrmsse (all levels), rmsse, mase or wape (the series), mae. All NaN where the metric is not defined: nothing
    sold (wape), no series with a scale (the scaled ones), nothing observed.
    """
    seen = np.isfinite(actual)
    error = np.where(seen, mean - actual, 0).astype(np.float64)
    undefined: Shares = np.full(error.shape, np.nan)
    if metric in ("wape", "mae"):
        below = float(np.abs(actual[seen]).sum(dtype=np.float64)) if metric == "wape" else float(seen.sum())
        return np.abs(error) / below if below > 0 else undefined
    if metric == "mase":
        season = min(known.frequency.season, max(1, len(known.periods) // 2))
        scale, count = metrics.scales(known.y, season), seen.sum(axis=1)
        good = np.isfinite(scale) & (count > 0)
        each = np.where(good, 1 / np.where(good, scale * count, 1), 0) / max(int(good.sum()), 1)
        return np.abs(error) * each[:, None] if good.any() else undefined
    wanted = levels(known.series, known.levels)
    if metric == "rmsse":
        wanted = [level for level in wanted if level.name == SERIES]
    recent = metrics.recent_sales(known)
    parts = [part for level in wanted if (part := _level(known, level, error, seen, recent)) is not None]
    return sum(parts, np.zeros(error.shape)) / len(parts) if parts else undefined


def _level(known: Panel, level: Level, error: Shares, seen: NDArray[np.bool_], recent: metrics.Recent) -> Shares | None:
    """Parts of one level's weighted RMSSE: the group's error times the series' own, scaled. None: not defined."""
    alone = level.name == SERIES
    scale = metrics.scales(known.y if alone else level.sum(known.y), squared=True)
    group, count = level.sum(error), (level.sum(seen.astype(np.float32)) > 0).sum(axis=1)
    good = np.isfinite(scale) & (count > 0)
    if not good.any():
        return None
    each = np.maximum(count, 1)
    size = np.sqrt((group**2).sum(axis=1) / each / np.where(good, scale, 1))
    used = good & (size > 0)
    share = np.where(used, metrics.weights(recent, level, good), 0)
    factor = share / np.where(used, size * scale * each, 1)
    return error * (group * factor[:, None])[level.codes]
