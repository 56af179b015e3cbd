"""Methods for demand with many zeros: Croston, SBA, TSB, ADIDA and IMAPA, over all series at once.

They take `y`, (n_series, n_periods) units, and give the (n_series,) expected demand of a period, the same for every
period ahead. An unobserved period (NaN) is passed over, as if it had not been: it is no period without demand.

A series that begins with a demand has seen no interval before it. That is the rule in our panels, which begin where a
series was first sold; counted as an interval of one period, as textbooks do, it makes a rare part look common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from forecasting.panel.panel import Matrix

Vector = NDArray[np.float64]
Method = Callable[[Matrix], Vector]
ALPHA = 0.1  # Croston's smoothing; 0.1 to 0.3 is what the literature finds good, and a few demands can tell apart
LOWEST, HIGHEST = 0.1, 0.3
GOLDEN = (np.sqrt(5) - 1) / 2
STEPS = 20  # of golden section: the smoothing to 1e-5
TSB_SIZE, TSB_CHANCE = (0.05, 0.1, 0.2), (0.02, 0.05, 0.1, 0.2, 0.3)


def croston(y: Matrix, alpha: float | None = ALPHA) -> Vector:
    """Smoothed size of demand over smoothed interval between demands; alpha None: each optimised by series.

    Source: Croston (1972), Forecasting and stock control for intermittent demands.
    """
    size, interval = _smooth_both(y, alpha)
    return np.where(interval > 0, size / np.maximum(interval, 1e-12), 0.0)


def sba(y: Matrix, alpha: float = ALPHA) -> Vector:
    """Croston without its bias upwards.

    Source: Syntetos and Boylan (2005), The accuracy of intermittent demand estimates.
    """
    return (1 - alpha / 2) * croston(y, alpha)


def tsb(y: Matrix, alpha: float | None = None, beta: float | None = None) -> Vector:
    """Smoothed size of demand (alpha) times smoothed chance of demand (beta), which falls while nothing is sold.

    Where either is None both are the pair with the smallest squared error a step ahead, by series. Source: Teunter,
    Syntetos and Babai (2011), Intermittent demand: linking forecasting to inventory obsolescence.
    """
    x = observed(y)
    start = _first_chance(x)
    if alpha is not None and beta is not None:
        return _tsb(x, start, alpha, beta)[0]
    best, error = np.zeros(len(y)), np.full(len(y), np.inf)
    for size in TSB_SIZE:
        for chance in TSB_CHANCE:
            found, squared = _tsb(x, start, size, chance)
            best, error = np.where(squared < error, found, best), np.minimum(squared, error)
    return best


def adida(y: Matrix) -> Vector:
    """Simple smoothing of demand summed over blocks as long as the mean interval, shared out evenly.

    Source: Nikolopoulos et al. (2011), An aggregate-disaggregate intermittent demand approach (ADIDA).
    """
    x = observed(y)
    return _by_width(x, _mean_interval(x), _smooth_blocks)


def imapa(y: Matrix) -> Vector:
    """Mean of what ADIDA gives for every block length up to the mean interval.

    Source: Petropoulos and Kourentzes (2015), Forecast combinations for intermittent demand.
    """
    x = observed(y)
    longest = _mean_interval(x)
    total = np.zeros(len(x))
    for width in range(1, int(longest.max(initial=1)) + 1):
        rows = np.flatnonzero(longest >= width)
        total[rows] += _smooth_blocks(x[rows], width)
    return total / np.maximum(longest, 1)


METHODS: Mapping[str, Method] = {"croston": croston, "sba": sba, "tsb": tsb, "adida": adida, "imapa": imapa}


def observed(y: NDArray[np.floating]) -> Vector:
    """(n_series, most observed) the observed periods of each series, the newest in the last column, NaN in front."""
    seen = np.isfinite(y)
    count = seen.sum(axis=1)
    width = int(count.max(initial=1)) or 1
    rows, columns = np.nonzero(seen)
    place = np.cumsum(seen, axis=1)[rows, columns] - 1 + (width - count)[rows]
    x = np.full((len(y), width), np.nan)
    x[rows, place] = y[rows, columns]
    return x


def smooth(x: Vector, alpha: float | Vector) -> tuple[Vector, Vector]:
    """Simple exponential smoothing of `observed` rows, from their first value on.

    Gives the (n,) next value, NaN where nothing was observed, and the (n,) sum of squared errors a step ahead.
    """
    level, squared = x[:, 0].copy(), np.zeros(len(x))
    for value in x.T[1:]:
        error = value - level
        fresh = np.isnan(level)
        squared += np.where(np.isnan(error), 0, error**2)
        level = np.where(fresh, value, level + alpha * error)
    return level, squared


def smooth_best(x: Vector) -> Vector:
    """(n,) next value, with the smoothing in 0.1 to 0.3 that has the smallest squared error, by golden section."""
    low, high = np.full(len(x), LOWEST), np.full(len(x), HIGHEST)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = smooth(x, left)[1], smooth(x, right)[1]
    for _ in range(STEPS):
        lower = at_left <= at_right
        high, low = np.where(lower, right, high), np.where(lower, low, left)
        probe = np.where(lower, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        left, right = np.where(lower, probe, right), np.where(lower, left, probe)
        found = smooth(x, probe)[1]
        at_left, at_right = np.where(lower, found, at_right), np.where(lower, at_left, found)
    return smooth(x, (low + high) / 2)[0]


def _smooth_both(y: Matrix, alpha: float | None) -> tuple[Vector, Vector]:
    """(n,) smoothed size and interval; 0 and NaN where nothing was sold."""
    x = observed(y)
    sold = np.nan_to_num(x) > 0
    sizes = observed(np.where(sold, x, np.nan))
    intervals = observed(_intervals(x, sold))
    size, interval = ((smooth_best(part) if alpha is None else smooth(part, alpha)[0]) for part in (sizes, intervals))
    # Sold once, in its first period: the time since then is all that is known of the interval.
    return np.nan_to_num(size), np.where(np.isnan(interval), np.isfinite(x).sum(axis=1), interval)


def _intervals(x: Vector, sold: NDArray[np.bool_]) -> Vector:
    """Periods since the demand before, in the columns with a demand; the first counts from the first period seen."""
    columns = np.arange(x.shape[1])
    first = (~np.isnan(x)).argmax(axis=1)[:, None]
    newest = np.maximum.accumulate(np.where(sold, columns, first - 1), axis=1)
    before = np.concatenate([first - 1, newest[:, :-1]], axis=1)
    begins = columns == first
    return np.where(sold & ~begins, columns - before, np.nan)


def _first_chance(x: Vector) -> Vector:
    """(n,) chance of demand to start from: 0 where the first period had none, else one over the first interval."""
    sold = np.nan_to_num(x) > 0
    intervals = _intervals(x, sold)
    place = (~np.isnan(intervals)).argmax(axis=1)[:, None]
    first = np.take_along_axis(intervals, place, axis=1)[:, 0]
    seen = np.maximum((~np.isnan(x)).sum(axis=1), 1)
    begins = np.take_along_axis(sold, (~np.isnan(x)).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(begins, 1 / np.where(np.isnan(first), seen, first), 0.0)


def _tsb(x: Vector, start: Vector, alpha: float, beta: float) -> tuple[Vector, Vector]:
    """(n,) next value and sum of squared errors; `start` is the chance after the first period."""
    count = len(x)
    size, chance, squared = np.zeros(count), start.copy(), np.zeros(count)
    begun = np.zeros(count, dtype=bool)
    for value in x.T:
        seen, units = ~np.isnan(value), np.nan_to_num(value)
        sold = units > 0
        squared += np.where(begun, (units - size * chance) ** 2, 0)
        chance = np.where(begun, chance + beta * (sold - chance), chance)
        size = np.where(sold, np.where(size > 0, size + alpha * (units - size), units), size)
        begun |= seen
    return size * chance, squared


def _mean_interval(x: Vector) -> NDArray[np.intp]:
    """(n,) mean periods from demand to demand, to the nearest whole number; at least 1."""
    sold = np.nan_to_num(x) > 0
    first = (~np.isnan(x)).argmax(axis=1)
    newest = x.shape[1] - 1 - sold[:, ::-1].argmax(axis=1)
    mean = (newest - first + 1) / np.maximum(sold.sum(axis=1), 1)
    return np.maximum(np.where(sold.any(axis=1), np.rint(mean), 1), 1).astype(np.intp)


def _smooth_blocks(x: Vector, width: int) -> Vector:
    """(n,) expected demand of a period by smoothing of sums over `width` periods, counted back from the newest."""
    blocks = x.shape[1] // width
    sums = x[:, x.shape[1] - blocks * width :].reshape(len(x), blocks, width).sum(axis=2)
    level = smooth_best(sums) / width
    # Not one whole block was seen: the plain mean of what was.
    short = np.nan_to_num(x).sum(axis=1) / np.maximum((~np.isnan(x)).sum(axis=1), 1)
    return np.where(np.isnan(level), short, level)


def _by_width(x: Vector, widths: NDArray[np.intp], method: Callable[[Vector, int], Vector]) -> Vector:
    result = np.zeros(len(x))
    for width in np.unique(widths):
        rows = np.flatnonzero(widths == width)
        result[rows] = method(x[rows], int(width))
    return result
