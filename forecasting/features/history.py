"""Features of what was known at a cutoff: each is measured on a matrix that ends there, so it cannot see further.

Every function takes `y`, (n, n_periods) units with NaN where unobserved, and gives (n,) or (n, horizon) float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.panel.panel import Matrix

Vector = NDArray[np.float32]
TINY = np.float32(1e-6)


def window_mean(y: Matrix, width: int, end: int = 0) -> Vector:
    """Mean of the observed among the newest `width` periods (`end` periods before the cutoff); NaN where none is."""
    stop = y.shape[1] - end
    part = y[:, max(0, stop - width) : max(0, stop)]
    if not part.shape[1]:
        return np.full(len(y), np.nan, dtype=np.float32)
    total: Vector = part.sum(axis=1, dtype=np.float32)
    mean = total / np.float32(part.shape[1])
    gaps = np.flatnonzero(np.isnan(total))
    if len(gaps):  # in most windows few series have any, and to look for them in each period takes most of the time
        some = part[gaps] if len(gaps) < len(part) else part
        seen = np.isfinite(some)
        count = np.count_nonzero(seen, axis=1)
        total = some.sum(axis=1, dtype=np.float32, where=seen)
        mean[gaps] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def window_std(y: Matrix, width: int) -> Vector:
    """Standard deviation of the observed among the newest `width` periods."""
    part = y[:, -width:]
    mean = window_mean(part, width)
    return np.sqrt(window_mean((part - mean[:, None]) ** 2, width))


def zero_share(y: Matrix, width: int) -> Vector:
    """Share of the newest `width` observed periods without a sale."""
    part = y[:, -width:]
    count = np.count_nonzero(np.isfinite(part), axis=1)
    zeros = np.count_nonzero(part <= 0, axis=1)
    return np.where(count > 0, zeros / np.maximum(count, 1), np.nan).astype(np.float32)


def since_sale(y: Matrix) -> Vector:
    """Periods since the last sale (0 = the newest period); NaN where nothing was ever sold."""
    sold = y > 0  # not where unknown
    gap = np.argmax(sold[:, ::-1], axis=1).astype(np.float32)
    return np.where(sold.any(axis=1), gap, np.nan).astype(np.float32)


def age(y: Matrix) -> Vector:
    """Periods since the first observation; NaN before it."""
    seen = np.isfinite(y)
    first = np.argmax(seen, axis=1)
    return np.where(seen.any(axis=1), y.shape[1] - first, np.nan).astype(np.float32)


def observed_share(y: Matrix, width: int) -> Vector:
    """Share of the newest `width` periods that were observed: low after stock-outs."""
    share: Vector = np.isfinite(y[:, -width:]).mean(axis=1, dtype=np.float32)
    return share


def same_season(y: Matrix, horizon: int, season: int, seasons: int, decay: float = 1.0) -> Matrix:
    """Weighted mean of the newest `seasons` observed seasons at each target's position: (n, horizon).

    The m-th season back weighs decay**m. NaN where none of them was observed.
    """
    periods = y.shape[1]
    width = min(horizon, season)
    total = np.zeros((len(y), width), dtype=np.float32)
    weight = np.zeros((len(y), width), dtype=np.float32)
    for back in range(1, seasons + 1):
        start = periods - season * back
        columns = np.arange(start, start + width)
        valid = columns >= 0
        if not valid.any():
            break
        part = y[:, columns[valid]]
        seen = np.isfinite(part)
        factor = np.float32(decay ** (back - 1))
        total[:, valid] += np.where(seen, part, 0) * factor
        weight[:, valid] += seen * factor
    mean = np.where(weight > 0, total / np.maximum(weight, TINY), np.nan).astype(np.float32)
    return mean[:, np.arange(horizon) % season] if horizon > width else mean


def last_year(y: Matrix, horizon: int, year: int, around: int) -> Matrix:
    """Mean demand of the `2 * around + 1` periods around each target one year before: (n, horizon)."""
    periods = y.shape[1]
    result = np.full((len(y), horizon), np.nan, dtype=np.float32)
    for step in range(horizon):
        centre = periods + step - year
        if around <= centre < periods - around:
            part = y[:, centre - around : centre + around + 1]
            result[:, step] = window_mean(part, part.shape[1])
    return result


def ratio(above: Vector, below: Vector) -> Vector:
    """Above / below, NaN where below is 0 or either is unknown."""
    return np.where(below > TINY, above / np.maximum(below, TINY), np.nan).astype(np.float32)
