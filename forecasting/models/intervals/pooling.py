"""Empirical quantiles of groups, each drawn towards those of a wider group, the widest towards a named distribution.

Partial pooling: a group of n rows counts n / (n + k) beside the group that contains it, so that a large group keeps its
own quantiles and a small one borrows (Gelman and Hill, 2007, chapter 12). Quantile functions are averaged, not
distribution functions (Vincent, 1912; Ratcliff, 1979): the average of two normal distributions is then normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from forecasting.panel.memory import blocks

Numbers = NDArray[np.float64]
Codes = NDArray[np.integer]
# Levels that are kept, those between are interpolated; the M5 competition's and usual service levels are among them.
GRID = (0.005, 0.01, 0.025, 0.05, 0.1, 0.165, 0.25, 0.375, 0.5, 0.625, 0.75, 0.835, 0.9, 0.95, 0.975, 0.99, 0.995)
ROWS = 60.0  # k: rows of a group that weigh as much as the group that contains it
PRIOR = 20.0  # k of the root: rows that weigh as much as the named distribution
LIMIT = 4.0  # usual scores that an error counts as at most, in means, moments and all but the narrowest group
MOMENTS = 40.0  # rows that the prior spread of 1 counts as
SPREAD = 1.3  # variance of a score where no row is known: the forecast's own error comes on top of the series'
SEVERAL = 3  # series (or errors of one) that go beyond LIMIT, for a tail to be more than an accident
SKEWED = 100.0  # rows from which on a skewness of theirs counts more than none


def quantiles(scores: Numbers, codes: Codes, count: int) -> tuple[Numbers, NDArray[np.int64]]:
    """((count, len(GRID)) quantiles, (count,) rows) of each group of scores; 0 for a group without rows.

    scores must rise; those with the code -1 are in no group. Positions are p (n + 1), as in split conformal prediction:
    a new score exceeds the quantile at p with a probability of 1 - p, whatever n is (Vovk et al., 2005), as far as n
    rows reach.
    """
    inside = codes >= 0
    scores, codes = scores[inside], codes[inside]
    sizes = np.bincount(codes, minlength=count)
    if not len(scores):
        return np.zeros((count, len(GRID))), sizes
    order = np.argsort(codes.astype(np.int16 if count < 2**15 else np.int32), kind="stable")
    ordered, ends = scores[order], np.cumsum(sizes)
    del order
    found, last = np.zeros((count, len(GRID))), len(ordered) - 1
    for part in blocks(count):
        size = sizes[part, None]
        place = np.clip(np.asarray(GRID) * (size + 1) - 1, 0, np.maximum(size - 1, 0))
        low, first = np.floor(place).astype(np.int64), (ends[part] - sizes[part])[:, None]
        below = ordered[np.minimum(first + low, last)]
        above = ordered[np.minimum(first + np.minimum(low + 1, np.maximum(size - 1, 0)), last)]
        found[part] = np.where(size > 0, below + (place - low) * (above - below), 0.0)
    return found, sizes


def pooled(
    scores: Numbers, nested: Sequence[tuple[Codes, NDArray[np.intp]]], prior: Numbers, series: Codes | None = None
) -> Numbers:
    """(groups of the last code, len(GRID)) quantiles, drawn from group to wider group to the prior, (len(GRID),).

    scores must rise. nested: from wide to narrow, codes of the rows and, of each group, the place of its parent among
    those before; that of the first ones is not read. Rows with the code -1 are in no group of that width, those of the
    widest not in the whole either. series: whose score each one is; the narrowest groups have whole tails as far as
    SEVERAL series show them.
    """
    # One wild series among few must not be what the others are like.
    counted = _counted(scores, nested)
    tame = tamed(scores, counted == 0)
    whole, size = quantiles(tame if nested else scores, counted, 1)
    share = size[:, None] / (size[:, None] + PRIOR)
    found: Numbers = share * whole + (1 - share) * prior
    for depth, (codes, parents) in enumerate(nested):
        narrowest = depth == len(nested) - 1
        tails = tame
        if narrowest:
            tails = scores if series is None else shared(scores, tame, codes, series)
        own, sizes = quantiles(tails, codes, len(parents))
        share = (sizes / (sizes + ROWS))[:, None]
        found = share * own + (1 - share) * found[parents]
    return found


def _counted(scores: Numbers, nested: Sequence[tuple[Codes, NDArray[np.intp]]]) -> NDArray[np.int16]:
    """(n_rows,) 0 for rows of the whole, -1 for those that the widest groups leave out."""
    outside = nested[0][0] < 0 if nested else np.zeros(len(scores), dtype=bool)
    return np.where(outside, -1, 0).astype(np.int16)


def tamed(scores: Numbers, counted: NDArray[np.bool_]) -> Numbers:
    """Scores that are at most LIMIT times their usual size, which is 1 or, where the spread was too small, the median.

    The median of the absolute scores that are counted, as that of a normal distribution, is not moved by a few wild
    ones.
    """
    usual = max(1.0, float(np.median(np.abs(scores[counted]))) / 0.6745) if counted.any() else 1.0
    return np.clip(scores, -LIMIT * usual, LIMIT * usual)


def shared(scores: Numbers, tame: Numbers, codes: Codes, owner: Codes) -> Numbers:
    """Scores with tails as long as SEVERAL owners of each group have them, at least those that are tame.

    An order of 1,000 beside 20 a day, or a series whose level has moved, is its own, not what like series do. Rising
    scores rise within each group still.
    """
    found = scores.copy()
    for sign in (1.0, -1.0):
        beyond = np.flatnonzero((sign * scores > sign * tame) & (codes >= 0))
        if not len(beyond):
            continue
        size = sign * scores[beyond]
        order = np.lexsort((-size, owner[beyond], codes[beyond]))
        group, mine = codes[beyond][order], owner[beyond][order]
        first = np.concatenate([[True], (group[1:] != group[:-1]) | (mine[1:] != mine[:-1])])
        group, largest = group[first], size[order][first]
        order = np.lexsort((-largest, group))
        group, largest = group[order], largest[order]
        start = np.concatenate([[0], np.flatnonzero(np.diff(group)) + 1])
        several = start + SEVERAL - 1
        enough = several < np.append(start[1:], len(group))
        most = np.full(int(group[-1]) + 1, -np.inf)
        most[group[start[enough]]] = largest[several[enough]]
        found[beyond] = sign * np.minimum(size, np.maximum(most[codes[beyond]], sign * tame[beyond]))
    return found


def means(values: Numbers, nested: Sequence[tuple[Codes, NDArray[np.intp]]], prior: float) -> Numbers:
    """(groups of the last code,) means, drawn as quantiles are."""
    whole = values[_counted(values, nested) == 0]
    found: Numbers = np.array([(whole.sum() + MOMENTS * prior) / (len(whole) + MOMENTS)])
    for codes, parents in nested:
        # Rows without a group are counted at the place 0, which is left out.
        sizes = np.bincount(codes + 1, minlength=len(parents) + 1)[1:]
        total = np.bincount(codes + 1, weights=values, minlength=len(parents) + 1)[1:]
        found = (total + ROWS * found[parents]) / (sizes + ROWS)
    return found


def fitted(scores: Numbers, skewness: float | None = None) -> Numbers:
    """(len(GRID),) quantiles of a Pearson III (shifted gamma) distribution by the moments of the scores.

    Moments are drawn towards mean 0, variance SPREAD and no skewness where there are few. Source of the distribution:
    Pearson (1895), with quantiles by the cube root of Wilson and Hilferty (1931): normal without skewness, else a
    gamma distribution that is moved.
    """
    count = len(scores)
    centre = float(scores.sum()) / (count + MOMENTS)
    variance = (float(((scores - centre) ** 2).sum()) + MOMENTS * SPREAD) / (count + MOMENTS)
    if skewness is None:
        third = float(((scores - centre) ** 3).sum()) / (count + SKEWED)
        skewness = float(np.clip(third / variance**1.5, -1.0, 3.0))
    normal = np.array([NormalDist().inv_cdf(level) for level in GRID])
    if abs(skewness) > 1e-6:
        cubed = (1 + skewness * normal / 6 - skewness**2 / 36) ** 3
        normal = 2 / skewness * (np.maximum(cubed, 0.0) - 1)
    found: Numbers = centre + np.sqrt(variance) * normal
    return found


def levels(at: Sequence[float]) -> Numbers:
    """(len(GRID), len(at)) that takes quantiles at GRID to others, straight between them; outside: the nearest one."""
    return np.array([np.interp(at, GRID, one) for one in np.eye(len(GRID))])
