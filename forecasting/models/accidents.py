"""Single periods whose demand is far above all others, and says nothing of how these vary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
ACCIDENT, ODDS = 15.0, 50  # robust standard deviations above the median, and periods among which it is one at most


def without_accidents(y: Numbers) -> Numbers:
    """Demand in which a period in ODDS at most, far above the others, counts as ACCIDENT deviations above the median.

    One order of 1,000 beside 20 a day says nothing of how the other days differ. Of series that sell in most periods:
    by median and median absolute deviation (Rousseeuw and Croux, 1993), of a tenth of the median at least.
    """
    sold = y > 0
    number, seen = sold.sum(axis=1), np.isfinite(y).sum(axis=1)
    most = np.where(sold, y, 0.0).max(axis=1, initial=0.0)
    rows = np.flatnonzero((2 * number > seen) & (most * number > 3 * np.where(sold, y, 0.0).sum(axis=1)))
    if not len(rows):
        return y
    mine, count = np.where(sold[rows], y[rows], np.inf), number[rows]
    middle = _median(mine, count)
    scale = _median(np.where(sold[rows], np.abs(y[rows] - middle[:, None]), np.inf), count) / 0.6745
    limit = middle + ACCIDENT * np.maximum(scale, 0.1 * middle)
    beyond = sold[rows] & (y[rows] > limit[:, None])
    few = beyond.sum(axis=1) <= np.maximum(count // ODDS, 1)
    found = y.copy()
    found[rows] = np.where(beyond & few[:, None], limit[:, None], y[rows])
    return found


def _median(values: Numbers, count: NDArray[np.intp]) -> Numbers:
    """(n,) of the smallest `count` of each row."""
    ordered, rows = np.sort(values, axis=1), np.arange(len(values))
    found: Numbers = (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
    return found
