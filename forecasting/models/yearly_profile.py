"""Yearly profiles of weekly and monthly series: as much of the common one, and of the series' own, as its years show.

A few years of one series are mostly noise, so that its profile is drawn to the common profile of the panel; and a
panel of unlike series has no common profile, so that each series takes as much of it as it has followed so far.
Made-up shops of unlike series by week (`benchmarks/coverage.py`), WAPE of the seasonal mean for 5 and 150 series: 0.279
and 0.335 with the common profile for all, 0.205 and 0.187 like this. VN2, six cutoffs: 0.532 and 0.531.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.features.history import Vector
from forecasting.panel.panel import Matrix

CYCLES = 4  # newest seasons that a profile is measured on
DOUBT = 1.0  # seasons of "no profile" that the common profile is averaged with
DOUBT_SERIES = 8.0  # seasons of the common profile that a series' own is, where nothing shows that it has one
FOLLOWING = 0.25  # prior variance of the part of the common profile that a series follows, about 1
CHANCE = 2.0  # standard errors below its estimate at which a series' own profile counts
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class _Years:
    """Demand of whole seasons, (n, cycles, season), beside a straight trend. level: (n, 1) mean of the trend."""

    y: Matrix
    seen: NDArray[np.bool_]
    trend: Matrix
    level: Numbers

    @property
    def beside(self) -> Numbers:
        """Demand less trend, in levels; 0 where not observed."""
        found: Numbers = np.where(self.seen, (self.y - self.trend) / self._safe, 0.0)
        return found

    def expected(self, index: Numbers) -> Numbers:
        """The same of demand that follows a profile (season,) or (n, season)."""
        above = np.broadcast_to(index - 1, (len(self.y), index.shape[-1]))[:, None, :]
        found: Numbers = np.where(self.seen, self.trend / self._safe * above, 0.0)
        return found

    @property
    def _safe(self) -> Numbers:
        found: Numbers = np.maximum(self.level, 1e-9)[:, :, None]
        return found


def profile(y: Matrix, season: int, common_only: bool = False) -> Matrix:
    """(n, season) demand relative to the trend at each place of the season from the cutoff on, drawn towards 1.

    y: (n, n_periods), NaN where not observed. 1 everywhere where fewer than two whole seasons are known. common_only:
    for models of releases up to 0.2, which drew every series to the common profile alike.
    """
    cycles = min(CYCLES, y.shape[1] // season)
    flat = np.ones((len(y), season), dtype=np.float32)
    if cycles < 2:
        return flat
    blocks = y[:, y.shape[1] - cycles * season :].reshape(len(y), cycles, season)
    seen = np.isfinite(blocks)
    trend = _trend(np.where(seen, blocks, 0).sum(axis=2) / np.maximum(seen.sum(axis=2), 1), season)
    years = _Years(blocks, seen, trend, trend.mean(axis=(1, 2), dtype=np.float64)[:, None])
    above = np.where(seen, blocks, 0).sum(axis=1, dtype=np.float64)
    below = np.where(seen, trend, 0).sum(axis=1, dtype=np.float64)
    whole = ((seen.mean(axis=2) > 0.5).sum(axis=1) >= 2)[:, None]
    if common_only:
        weight = DOUBT * years.level[whole[:, 0]].sum()
        common = (above.sum(axis=0, where=whole) + weight) / np.maximum(below.sum(axis=0, where=whole) + weight, 1e-9)
        mine, drawn = common, DOUBT_SERIES * years.level
    else:
        common = _common(years, above, below, whole)
        mine = 1 + _part(years, common) * (common - 1)
        drawn = _doubt(years, mine) * years.level
    own = (above + drawn * mine) / np.maximum(below + drawn, 1e-9)
    index = np.where(whole, own, common)
    return np.where(years.level > 0, index, flat).astype(np.float32)


def _common(years: _Years, above: Numbers, below: Numbers, whole: NDArray[np.bool_]) -> Numbers:
    """(season,) profile of the panel's sums, drawn towards 1: far where its years do not agree with each other."""
    rows = whole[:, 0]
    y, trend = (
        np.where(years.seen[rows], one[rows], 0).sum(axis=0, dtype=np.float64)[None] for one in (years.y, years.trend)
    )
    level = years.level[rows].sum()
    # Of the mean season, so that what fewer series were observed in weighs less.
    total = _Years(y, trend > 0, trend, np.full((1, 1), level))
    weight = max(DOUBT, float(_doubt(total, np.ones((1, years.y.shape[2])))[0, 0])) * level
    found: Numbers = (above[rows].sum(axis=0) + weight) / np.maximum(below[rows].sum(axis=0) + weight, 1e-9)
    return found


def _part(years: _Years, common: Numbers) -> Numbers:
    """(n, 1) part of the common profile that each series follows: the slope of its demand on it, drawn towards 1."""
    x, d = years.expected(common), years.beside
    count = years.seen.sum(axis=(1, 2))
    xx, xy, dd = ((one * other).sum(axis=(1, 2)) for one, other in ((x, x), (x, d), (d, d)))
    slope = np.maximum(xy / np.maximum(xx, 1e-12), 0.0)
    noise = (dd - 2 * slope * xy + slope**2 * xx) / np.maximum(count - 1, 1)
    prior = noise / FOLLOWING
    found: Numbers = np.maximum(xy + prior, 0.0) / np.maximum(xx + prior, 1e-12)
    return found[:, None]


def _doubt(years: _Years, mine: Numbers) -> Numbers:
    """(n, 1) seasons that the profile so far counts as: fewer where a series' years agree with each other beyond it.

    The variance of a profile of its own is the covariance of the same places in different years, less its standard
    error: what does not repeat is noise.
    """
    rest = years.beside - years.expected(mine)
    count = years.seen.sum(axis=1)
    pairs = (count * (count - 1)).sum(axis=1)
    shared = (rest.sum(axis=1) ** 2 - (rest**2).sum(axis=1)).sum(axis=1) / np.maximum(pairs, 1)
    noise = (rest**2).sum(axis=(1, 2)) / np.maximum(count.sum(axis=1), 1)
    sure = shared - CHANCE * noise / np.sqrt(np.maximum(pairs / 2, 1))
    own = np.maximum(noise - shared, 0.0) / np.maximum(sure, 1e-12)
    found: Numbers = np.where(sure > 0, np.minimum(own, DOUBT_SERIES), DOUBT_SERIES)
    return found[:, None]


def _trend(means: Matrix, season: int) -> Matrix:
    """(n, cycles, season) straight line through the first and last season's mean, above a quarter of their mean."""
    cycles = means.shape[1]
    slope: Vector = (means[:, -1] - means[:, 0]) / ((cycles - 1) * season)
    place = np.arange(cycles * season) - (cycles * season - 1) / 2
    middle = means.mean(axis=1)[:, None]
    line: Matrix = np.maximum(middle + slope[:, None] * place, middle / 4)
    return line.reshape(len(means), cycles, season)
