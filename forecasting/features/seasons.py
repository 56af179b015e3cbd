"""The same season of the year before: what each series sold around each target's place in it, moving events aligned.

A season that comes once a year shows in no recent window. Its place is the same day of last year, 52 weeks back, so
that weekdays fall on weekdays; or, for what is sold before Easter or another moving event, the same distance to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.core.frequency import Frequency
from forecasting.features import moving_holidays
from forecasting.features.history import Vector, window_mean, zero_share
from forecasting.panel.panel import Matrix, Panel

Places = NDArray[np.intp]
# Log of the ratio between the season to come and the recent level within which the recent level alone is the scale.
USUAL = np.float32(np.log(1.5))
MOST_GROWTH = 2.5
CLEAR = 0.8  # of the error of the plain place, below which the distance to a moving event explains a series better
BOUND = 3.0  # times as much sold before an event as after it, where no second year says what a season is bound to
QUIET = 0.2  # share of a year without a sale, below which a series cannot rest for a quarter of it
LEAST_SOLD = 10  # periods with sales in a year, of a season


@dataclass(frozen=True)
class Season:
    """Of n series and the `horizon` periods ahead.

    level: (n,) recent level, units. before: (n,) the same a year ago; NaN where unknown. around, near: (n, horizon)
    mean a year ago over Frequency.around periods on each side, and over half of that; NaN where unknown. growth: (n,)
    recent over a year ago, drawn to 1. noise: (n,) units that a mean of `around` is uncertain by. size: (n,) units of
    a period with sales. floor: (n,) least scale. rests: (n,) sells in a season only; no other has a tilt.
    """

    level: Vector
    before: Vector
    around: Matrix
    near: Matrix
    growth: Vector
    noise: Vector
    size: Vector
    floor: Vector
    rests: NDArray[np.bool_]

    @property
    def expected(self) -> Matrix:
        """(n, horizon) the season of last year, grown; NaN where unknown."""
        found: Matrix = self.around * self.growth[:, None]
        return found

    @property
    def tilt(self) -> Matrix:
        """(n, horizon) log of the season to come over the recent level: 0 up to what is usual, whole from its square.

        Where the level of a year ago is unknown nothing says how demand grew: then only a season that is about to
        begin counts, with next to nothing sold now.
        """
        noise = self.noise[:, None]
        ratio = np.log((self.expected + noise) / (self.level[:, None] + noise))
        begins = (self.level[:, None] < 0.25 * self.around) & (ratio > 0)
        known = self.rests[:, None] & np.isfinite(ratio) & (np.isfinite(self.before)[:, None] | begins)
        believed = np.clip(np.abs(ratio) / USUAL - 1, 0, 1)
        return np.where(known, ratio * believed, 0).astype(np.float32)

    @property
    def scale(self) -> Matrix:
        """(n, horizon) units, above 0: the recent level, where last year's season says otherwise drawn to that."""
        noise = self.noise[:, None]
        found = (self.level[:, None] + noise) * np.exp(self.tilt) - noise
        scale: Matrix = np.maximum(found, self.floor[:, None]).astype(np.float32)
        return scale


def measure(panel: Panel, horizon: int, means: Mapping[int, Vector]) -> Season:
    """The season of each series of the panel; means: by width, of the newest periods."""
    y, frequency = panel.y, panel.frequency
    year, half = frequency.year, frequency.around
    _, middle, long, _ = frequency.windows
    whole = means[year] if year in means else window_mean(y, year)
    level = _level(means[middle], means[long])
    usual = np.nan_to_num(whole)
    zeros = np.nan_to_num(zero_share(y, year))
    size = np.nan_to_num(usual / np.maximum(1 - zeros, 1e-6))  # of a period with sales
    floor = np.where(size > 0, np.minimum(size, 1), 1) / frequency.windows[3]
    noise = 0.05 * usual + size * min(2 / (2 * half + 1), 0.5) + floor / 10
    ago = years_ago(panel, horizon, 1)
    pull = (0.25 * usual + noise).astype(np.float32)
    trend = _trend(y, usual, noise.astype(np.float32), year)
    growth = np.where(np.isfinite(ago.level), _growth(level, ago, pull, trend), trend)
    quiet = np.zeros(len(y), dtype=bool)
    if y.shape[1] >= year + long:
        few = np.flatnonzero((zeros >= QUIET) & np.isfinite(ago.around).any(axis=1))
        quiet[few] = rests(y[few], year)
    at = (_single(level), ago.level, ago.around, ago.near)
    return Season(*at, _single(growth), _single(noise), _single(size), _single(floor), quiet)


def _single(values: NDArray[np.floating[Any]]) -> Vector:
    return values.astype(np.float32)


def _growth(level: Vector, ago: Ago, pull: Vector, trend: Vector) -> Vector:
    """Recent over a year ago, (n,), drawn to `trend`, more so where both are small beside the season to come.

    trend: (n,) what demand of the whole year says. pull: (n,) units that both are drawn by.
    """
    before = np.nan_to_num(ago.level)
    most = np.max(np.nan_to_num(ago.around), axis=1)
    pull = pull + 0.5 * np.maximum(most - np.maximum(level, before), 0)
    found: Vector = np.clip((level + pull * trend) / (before + pull), 1 / MOST_GROWTH, MOST_GROWTH)
    return found


def _trend(y: Matrix, newest: Vector, noise: Vector, year: int) -> Vector:
    """(n,) half of the growth from the year before last to the last one, as a log; 1 where two years are not known."""
    before = window_mean(y[:, -2 * year :], year, end=year) if y.shape[1] >= 2 * year else np.full(len(y), np.nan)
    ratio = np.clip((newest + noise) / (np.nan_to_num(before) + noise), 0.5, 2)
    found: Vector = np.where(np.isfinite(before), np.sqrt(ratio), 1).astype(np.float32)
    return found


def rests(y: Matrix, year: int) -> NDArray[np.bool_]:
    """(n,) series that sell in a season only: each year they are silent for a quarter of it, and do sell.

    Over the newest two years, one where the second is not known; sales on ten periods of days, a tenth of the year of
    weeks and months, as a mean of both years: within a moving season each of them ends in another part of it. For
    others the recent level is the better measure: pasta's promotions came at about the same dates in two years by
    chance, and a seasonal mean drawn to them had a WAPE of 1.008 where its own was 0.953.
    """
    found, count = np.ones(len(y), dtype=bool), np.zeros(len(y), dtype=np.int64)
    years = 2 if y.shape[1] >= 2 * year else 1
    for back in range(years):
        mine = np.flatnonzero(found)
        stop = y.shape[1] - back * year
        sold = y[mine, max(0, stop - year) : stop] > 0
        places = np.arange(sold.shape[1])
        last = np.maximum.accumulate(np.where(sold, places, -1), axis=1)
        silent = (places - last).max(axis=1, initial=0)
        found[mine] = (silent >= year // 4) & sold.any(axis=1)
        count[mine] += sold.sum(axis=1)
    return found & (count >= years * min(LEAST_SOLD, max(1, year // 10)))


@dataclass(frozen=True)
class Ago:
    """Whole years before: around, near (n, horizon) means at the targets' places; level (n,). NaN where unknown."""

    around: Matrix
    near: Matrix
    level: Vector


def years_ago(panel: Panel, horizon: int, years: int) -> Ago:
    """The places of the targets and the recent level one or two years ago, by series as their season is bound."""
    y, frequency = panel.y, panel.frequency
    year, half, periods = frequency.year, frequency.around, panel.y.shape[1]
    if periods < years * year + frequency.windows[2]:  # too little to tell a season from a start
        nothing = np.full((len(y), horizon), np.nan, dtype=np.float32)
        return Ago(nothing, nothing, np.full(len(y), np.nan, dtype=np.float32))
    targets = np.arange(periods, periods + horizon)
    plain = _back(targets, periods, year) - (years - 1) * year
    wide, near = mean_around(y, plain, half), mean_around(y, plain, half // 2)
    level = _level_at(y, periods - years * year, frequency)
    open_ = np.ones(len(y), dtype=bool)
    for days in moving_holidays.near(panel, horizon):
        number, moved = _moved(targets, days, frequency)
        mine = np.flatnonzero(open_ & _bound(y, days, int(number[moved][0]), frequency)) if moved.any() else ()
        if not len(mine):
            continue
        columns, before = np.flatnonzero(moved), np.maximum(number - years, 0)
        places = (targets - days[number] + days[before])[moved]
        for into, width in ((wide, half), (near, half // 2)):
            into[np.ix_(mine, columns)] = mean_around(y[mine], places, width)
        first = number[moved][0]
        level[mine] = _level_at(y[mine], periods - int(days[first] - days[max(first - years, 0)]), frequency)
        open_[mine] = False
    return Ago(wide, near, level)


def _level_at(y: Matrix, end: int, frequency: Frequency) -> Vector:
    """(n,) level of the windows that end at a period; NaN where the middle one was not observed."""
    _, middle, long, _ = frequency.windows
    cut = y.shape[1] - end
    earlier = window_mean(y, middle, end=cut)
    found: Vector = np.where(np.isfinite(earlier), _level(earlier, window_mean(y, long, end=cut)), np.nan)
    return found.astype(np.float32)


def _level(middle: Vector, long: Vector) -> Vector:
    """Recent level: four fifths the middle window, one the long one."""
    wide = np.nan_to_num(long)
    found: Vector = 0.8 * np.where(np.isfinite(middle), middle, wide) + 0.2 * wide
    return found


def mean_around(y: Matrix, centres: Places, half: int) -> Matrix:
    """(n, len(centres)) mean of the observed within `half` periods of each centre, up to the cutoff.

    NaN where the centre lies outside of the history, or less than half of the window was observed.
    """
    periods = y.shape[1]
    low, high = np.clip(centres - half, 0, periods), np.clip(centres + half + 1, 0, periods)
    valid = (centres >= 0) & (centres < periods)
    found = np.full((len(y), len(centres)), np.nan, dtype=np.float32)
    if not valid.any():
        return found
    low, high = low[valid], high[valid]
    first, last = int(low.min()), int(high.max())
    part = y[:, first:last]
    seen = np.isfinite(part)
    total = np.cumsum(np.pad(np.where(seen, part, 0).astype(np.float64), ((0, 0), (1, 0))), axis=1)
    count = np.cumsum(np.pad(seen, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    above = total[:, high - first] - total[:, low - first]
    below = count[:, high - first] - count[:, low - first]
    found[:, valid] = np.where(2 * below > high - low, above / np.maximum(below, 1), np.nan)
    return found


# ---------------------------------------------------------------- which place of last year


def _back(targets: Places, periods: int, year: int) -> Places:
    """The newest known period that lies whole years before each target."""
    years = np.maximum(1, -(-(targets - periods + 1) // year))
    found: Places = targets - years * year
    return found


def _moved(targets: Places, days: Places, frequency: Frequency) -> tuple[Places, NDArray[np.bool_]]:
    """Number of the occurrence that each target is nearest to, and where that has moved since the year before."""
    number = np.abs(targets[:, None] - days[None, 1:]).argmin(axis=1) + 1
    gap, apart = targets - days[number], days[number] - days[number - 1]
    within = (gap >= -frequency.before_event) & (gap <= frequency.near_event)
    return number, within & (np.abs(apart - frequency.year) > frequency.slack)


def _bound(y: Matrix, days: Places, number: int, frequency: Frequency) -> NDArray[np.bool_]:
    """(n,) series whose season keeps its distance to the event `number` of `days` rather than its date.

    By the newest two occurrences before it where the event moved between them and both years are known; else by
    whether a season ended with the newest one.
    """
    periods, last, near = y.shape[1], int(days[number - 1]), max(1, frequency.near_event)
    step = max(1, frequency.near_event // 2)
    zone = np.arange(last - frequency.before_event, last + frequency.near_event + 1, step)
    zone = zone[zone < periods]
    known, better = np.zeros(len(y), dtype=bool), np.zeros(len(y), dtype=bool)
    apart = int(days[number - 1] - days[number - 2]) if number >= 2 else frequency.year
    if abs(apart - frequency.year) > frequency.slack:
        here = mean_around(y, zone, step // 2)
        error = [np.abs(here - mean_around(y, zone - back, step // 2)) for back in (apart, frequency.year)]
        both = np.isfinite(error[0]) & np.isfinite(error[1])
        known = both.sum(axis=1) > len(zone) // 2
        one, other = (np.where(both, each, 0).sum(axis=1) for each in error)
        better = (one < CLEAR * other) & known
    ahead = mean_around(y, np.array([last - near]), near - 1)[:, 0]
    after = mean_around(y, np.array([last + near + 1]), near - 1)[:, 0]
    ended = (ahead > BOUND * np.maximum(after, window_mean(y, frequency.year))) & np.isfinite(ahead + after)
    bound: NDArray[np.bool_] = np.where(known, better, ended)
    return bound
