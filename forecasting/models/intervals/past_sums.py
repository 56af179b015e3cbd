"""Sums of as many periods as are asked for, as a series' own past shows them: for sales that are rare.

Where most periods have no sale, a spread says little of the form of a sum of few periods. The sums over all stretches
of that length in the past are an empirical distribution of it, as in the bootstrap of Willemain, Smart and Schwarz
(2004) without its draws. It counts n / (n + STRETCHES) beside the calibrated one, of n stretches that do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.models.intervals.pooling import Numbers
from forecasting.models.intervals.series_traits import YOUNG, Traits, window
from forecasting.panel.panel import Panel

STRETCHES = 10.0
PERIODS = 20.0  # the same for single periods, of which the folds show many
FEWEST = 14  # observed periods, for the largest of them to be a limit of frequent sales
LARGEST = 2.0  # no quantile lies beyond so many times the largest sum that was seen, or the mean
ENOUGH = 0.75  # share of a stretch's periods that must have been observed
Past = tuple[NDArray[np.intp], Numbers, Numbers, Numbers]


def drawn(
    panel: Panel, rows: NDArray[np.intp], traits: Traits, total: Numbers, length: int, at: Sequence[float]
) -> Past:
    """For rare sales: places among `rows`, quantiles (k, len(at)) of past sums, their weight and the limit, (k, 1).

    total: (len(rows),) mean that the sum is forecast with: past sums are scaled to it.
    """
    rare = np.flatnonzero(traits.rare & (total > 0))
    y = panel.y[rows[rare], -2 * window(panel.frequency) :].astype(np.float64)
    if not len(rare) or y.shape[1] < length:
        return rare[:0], np.empty((0, len(at))), np.empty((0, 1)), np.empty((0, 1))
    seen = np.isfinite(y)
    sums, counts = (_running(one, length) for one in (np.where(seen, y, 0.0), seen.astype(np.float64)))
    valid = counts >= max(1.0, ENOUGH * length)
    sums = np.where(valid, sums * length / np.maximum(counts, 1), np.inf)
    number = valid.sum(axis=1)[:, None]
    ordered = np.sort(sums, axis=1)
    place = np.clip(np.asarray(at) * (number + 1) - 1, 0, np.maximum(number - 1, 0))
    low = np.floor(place).astype(np.intp)
    below = np.take_along_axis(ordered, low, axis=1)
    above = np.take_along_axis(ordered, np.minimum(low + 1, np.maximum(number - 1, 0)), axis=1)
    with np.errstate(invalid="ignore"):
        found = np.where(number > 0, below + (place - low) * (above - below), 0.0)
        most = np.where(number > 0, np.take_along_axis(ordered, np.maximum(number - 1, 0), axis=1), 0.0)
    beside = (total[rare] / np.maximum(traits.level[rare] * length, 1e-300))[:, None]
    apart = seen.sum(axis=1)[:, None] / length
    weight = np.where(number > 0, apart / (apart + (STRETCHES if length > 1 else PERIODS)), 0.0)
    limit = np.where((most > 0) & (apart >= 2), LARGEST * np.maximum(most, total[rare, None]), np.inf)
    return rare, found * beside, weight, limit


def limits(panel: Panel, rows: NDArray[np.intp], traits: Traits, total: Numbers, length: int) -> Numbers:
    """(n, k) that quantiles of frequent sales lie below: LARGEST times the largest sum of so many periods, or its mean.

    total: (n, k) means of such sums. Infinite where few periods were observed.
    """
    y = panel.y[rows, -2 * window(panel.frequency) :]
    seen = np.isfinite(y)
    sums = _running(np.where(seen, y, 0.0).astype(np.float64), min(length, y.shape[1]))
    most = LARGEST * np.maximum(sums.max(axis=1, initial=0.0)[:, None], total)
    known = (seen.sum(axis=1) >= max(FEWEST, 2 * length)) & (traits.kind > YOUNG) & ~traits.rare
    found: Numbers = np.where(known[:, None], most, np.inf)
    return found


def _running(values: Numbers, length: int) -> Numbers:
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    found: Numbers = total[:, length:] - total[:, :-length]
    return found
