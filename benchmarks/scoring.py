"""Accuracy measures of the benchmarks, apart from the project's own so that neither can hide a fault of the other.

y, f: (n, horizon) units. q: (n, horizon, n_quantiles). NaN actuals (unobserved) never count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.data import Array
from benchmarks.hierarchy import Level

M5_QUANTILES = (0.005, 0.025, 0.165, 0.25, 0.5, 0.75, 0.835, 0.975, 0.995)


def wrmsse(levels: Sequence[Level], y: Array, f: Array) -> dict[str, float]:
    """Each level's weighted root mean squared scaled error, and `all`: their mean, which is the M5's WRMSSE."""
    found = {}
    for level in levels:
        error = ((level.sum(y) - level.sum(f)) ** 2).mean(axis=1)
        found[level.name] = float(np.nansum(level.weight * np.sqrt(error / level.squared)))
    found["all"] = float(np.mean(list(found.values())))
    return found


def scaled_pinball(level: Level, y: Array, q: Array, quantiles: Sequence[float]) -> float:
    """One level's weighted scaled pinball loss. y: (n_groups, horizon); q: (n_groups, horizon, n_quantiles)."""
    loss = pinball_losses(y, q, quantiles).mean(axis=(1, 2)) / level.absolute
    return float(np.nansum(level.weight * loss))


def pinball_losses(y: Array, q: Array, quantiles: Sequence[float]) -> Array:
    """(n, horizon, n_quantiles) pinball loss, units; NaN where y is."""
    error, share = y[..., None] - q, np.asarray(quantiles)
    return np.maximum(share * error, (share - 1) * error)


def coverage(y: Array, low: Array, high: Array) -> float:
    """Share of actuals from `low` to `high`, both included."""
    seen = np.isfinite(y)
    return float(((y >= low) & (y <= high))[seen].mean()) if seen.any() else float("nan")


def wape(y: Array, f: Array) -> float:
    """Sum of absolute errors over the sum of actuals."""
    seen = np.isfinite(y)
    return float(np.abs(y - f)[seen].sum() / np.abs(y[seen]).sum())


def bias(y: Array, f: Array) -> float:
    """Sum of (forecast - actual) over the sum of actuals; positive = over-forecast."""
    seen = np.isfinite(y)
    return float((f - y)[seen].sum() / np.abs(y[seen]).sum())


def naive_scale(history: Array, season: int, squared: bool = False) -> Array:
    """(n,) mean absolute (or squared) seasonal difference from the first sale on; NaN where unknown or 0.

    The denominator of MASE (Hyndman and Koehler, 2006) and, squared with season 1, of RMSSE (M5, 2020).
    """
    sold = np.nan_to_num(history) > 0
    first = np.where(sold.any(axis=1), sold.argmax(axis=1), history.shape[1])
    live = np.where(np.arange(history.shape[1]) >= first[:, None], history, np.nan)
    difference = live[:, season:] - live[:, :-season]
    seen = np.isfinite(difference)
    error = np.where(seen, difference**2 if squared else np.abs(difference), 0).sum(axis=1)
    count = seen.sum(axis=1)
    scale = error / np.maximum(count, 1)
    return np.where((count > 0) & (scale > 0), scale, np.nan)


def mase(y: Array, f: Array, scale: Array) -> Array:
    """(n,) mean absolute error over the scale; NaN where there is none."""
    return _row_means(np.abs(y - f)) / scale


def rmsse(y: Array, f: Array, scale: Array) -> Array:
    """(n,) root of the mean squared error over the squared scale; NaN where there is none."""
    return np.sqrt(_row_means((y - f) ** 2) / scale)


def _row_means(values: Array) -> Array:
    seen = np.isfinite(values)
    total = np.where(seen, values, 0).sum(axis=1)
    return np.where(seen.any(axis=1), total / np.maximum(seen.sum(axis=1), 1), np.nan)
