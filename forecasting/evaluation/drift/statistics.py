"""Has the world moved? Every statistic of the newest window is compared with the same statistic at earlier times.

A statistic (a population stability index, a distance of distributions, a change of level) says how far the newest
window lies from the ones before it. How far is too far is learnt from the series itself: from the values that the same
statistic took at every earlier window of the last years. So weekdays never count (a window is whole weeks), nor does a
season that came a year ago too, nor what promotions usually do.

The limits are set so that over all statistics together `false_alarms` nights in NIGHTS would be marked by chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

REFERENCE = 4  # windows before the newest one that it is compared with
LEAST = 8  # earlier windows that do not overlap, to learn a limit from
NIGHTS = 60  # that `false_alarms` speaks of
SEASONAL = 1.25  # times what was seen a year ago is still the season
BINS = 10
EMPTY = 0.02  # added to the share of every bin: the index of one that was empty before would have no bounds
WEIGHT = 4
ERRORS = 28  # forecasts that must have been missed before, to know how far they usually miss
TOGETHER = 0.5  # correlation of neighbouring errors that is always reckoned with: campaigns, heat, school holidays
SMALL = 0.08  # spread of the log of sold over expected: what lies within it is no drift, however regular
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """One statistic of one subject. past: (n,) what it was before, NaN where unknown; independent: windows in it.

    season: what it was around this time a year ago, may be empty. floor: what is too small to matter, however rare.
    squared: the statistic is the square of `value`, which is nearer to a normal distribution. fitted: coefficients that
    were fitted to this past, which is therefore narrower than what comes after it.
    """

    kind: str
    subject: str
    statistic: str
    value: float
    past: Values
    independent: float
    season: Values
    floor: float
    message: str
    squared: bool = False
    fitted: int = 0


@dataclass(frozen=True)
class Finding:
    """A statistic and its limit; message: what it says, in plain words."""

    kind: str
    subject: str
    statistic: str
    value: float
    threshold: float
    message: str

    @property
    def drifted(self) -> bool:
        """Whether it lies beyond the limit, on either side."""
        return abs(self.value) > self.threshold


def chance(tests: int, false_alarms: float) -> float:
    """Probability, both sides together, with which one of so many statistics may be marked on one night."""
    return min(0.05, false_alarms / (NIGHTS * max(tests, 1)))


def judge(measures: Iterable[Measure], probability: float) -> Iterator[Finding]:
    """Set a limit for each measure that has enough of a past; the others are left out.

    The limit is that of the prediction interval of a normal variable whose spread is estimated from so many windows
    (Student's t), not below the floor, nor below what came a year ago.
    """
    for one in measures:
        past = one.past[np.isfinite(one.past)]
        windows = one.independent * len(past) / max(len(one.past), 1)
        free = windows - 1 - one.fitted
        if free < LEAST - 1 or not np.isfinite(one.value):
            continue
        spread = float(past.std()) * float(np.sqrt((1 + 1 / windows) * windows / free))
        limit = abs(float(past.mean())) + float(stats.t.isf(probability / 2, free)) * spread
        season = np.abs(one.season[np.isfinite(one.season)]).max(initial=0.0)
        threshold = max(one.floor, limit, SEASONAL * float(season))
        value = float(one.value)
        if one.squared:
            value, threshold = value**2, threshold**2
        yield Finding(one.kind, one.subject, one.statistic, value, threshold, one.message)


# ---------------------------------------------------------------- windows


def windows(values: Values, window: int) -> tuple[Values, Values]:
    """Means of every window and of the REFERENCE windows before it: two of (n_groups, n_ends), oldest end first.

    values: (n_groups, n_periods). NaN where less than half was observed, or there are not so many periods.
    """
    seen = np.isfinite(values)
    sums = _cumulated(np.where(seen, values, 0))
    counts = _cumulated(seen.astype(np.float64))
    ends = np.arange((1 + REFERENCE) * window, values.shape[1] + 1)
    start, before = ends - window, ends - (1 + REFERENCE) * window

    def mean(last: NDArray[np.intp], first: NDArray[np.intp]) -> Values:
        count = counts[:, last] - counts[:, first]
        enough = count >= (last - first) / 2
        found: Values = np.where(enough, (sums[:, last] - sums[:, first]) / np.maximum(count, 1), np.nan)
        return found

    return mean(ends, start), mean(start, before)


def _cumulated(values: Values) -> Values:
    return np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)


@dataclass(frozen=True)
class Ends:
    """Which columns of a table of statistics, one a window's end, are now, the past, and a year ago.

    step: periods between two ends.
    """

    window: int
    year: int
    step: int = 1

    def measure(self, kind: str, subject: str, statistic: str, values: Values, rest: tuple[float, str]) -> Measure:
        """The measure of one row, (n_ends,), the newest end last. rest: floor and message."""
        back = max(1, self.window // self.step)  # ends before it whose window has no period of the newest one
        around, ago = 2 * back, self.year // self.step
        past = values[:-back] if len(values) > back else values[:0]
        last = len(values) - 1 - ago
        season = values[max(0, last - around) : last + around + 1] if last + around >= 0 else values[:0]
        independent = len(past) * self.step / self.window
        floor, message = rest
        value = float(values[-1]) if len(values) else float("nan")
        return Measure(kind, subject, statistic, value, past, independent, season, floor, message)


# ---------------------------------------------------------------- statistics


def psi(reference: Values, newest: Values, bins: int = BINS) -> float:
    """Population stability index of two samples over the deciles of the first: sum of (q - p) ln(q / p).

    Usual reading: below 0.1 the same, above 0.25 another population. NaN where a sample is empty.
    """
    if not len(reference) or not len(newest):
        return float("nan")
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    count = [np.bincount(np.searchsorted(edges, one), minlength=len(edges) + 1) for one in (reference, newest)]
    before, after = (EMPTY + one / one.sum() for one in count)
    return shift(before / before.sum(), after / after.sum())


def shift(before: Values, after: Values) -> float:
    """Population stability index of two sets of shares, all above 0, that each add up to 1."""
    return float(((after - before) * np.log(after / before)).sum())


def distance(reference: Values, newest: Values) -> float:
    """Kolmogorov-Smirnov statistic: largest distance of the two distribution functions; NaN where one is empty."""
    if not len(reference) or not len(newest):
        return float("nan")
    both = np.concatenate([reference, newest])
    first, second = np.sort(reference), np.sort(newest)
    at = [np.searchsorted(one, both, side="right") / len(one) for one in (first, second)]
    return float(np.abs(at[0] - at[1]).max())


def cusum(deviations: Values, slack: float, most: float, cap: float) -> Values:
    """(n_groups, n) two-sided cumulative sums of standardised deviations, after each of them (Page 1954).

    slack: deviation that is let pass. most: what one deviation counts at most, so that one wild day is no drift. cap:
    where the sum ends, so that it comes down again once the drift is over. NaN leaves the sum as it is.
    """
    up, down = np.zeros(len(deviations)), np.zeros(len(deviations))
    sums = np.zeros(deviations.shape)
    for step, column in enumerate(np.clip(deviations, -most, most).T):
        seen = np.isfinite(column)
        value = np.where(seen, column, 0)
        up = np.where(seen, np.clip(up + value - slack, 0, cap), up)
        down = np.where(seen, np.clip(down - value - slack, 0, cap), down)
        sums[:, step] = np.where(up >= down, up, -down)
    return sums


def height(slack: float, probability: float) -> float:
    """The sum at which a CUSUM of independent standard normal deviations alarms with this probability a step.

    Siegmund's approximation of the average run length (1985), with both sides: what is left out of it is small.
    """
    return float(np.log(2 * slack**2 / (probability / 2)) / (2 * slack) - 1.166)


def standardised(errors: Values, usual: Values, recent: int) -> Values:
    """(n_groups, n) forecast errors over their own usual spread and centre, those of the `recent` newest left out.

    Errors that go together from day to day (a promotion that the model does not know) add up faster than independent
    ones: their spread is widened by the square root of (1 + r) / (1 - r), r the correlation of neighbours, at least
    TOGETHER. It is not below SMALL. usual: what is known to act on demand, such as a promotion; an error between none
    and that is none. NaN where fewer than ERRORS errors are known.
    """
    past = errors[:, : max(errors.shape[1] - recent, 0)]
    result = np.full(errors.shape, np.nan)
    for row in np.flatnonzero(np.isfinite(past).sum(axis=1) >= ERRORS):
        mine = past[row][np.isfinite(past[row])]
        centre = float(np.median(mine))
        spread = max(float(np.sqrt(np.mean((mine - centre) ** 2))), 1e-9)
        left = np.clip(mine - centre, -3 * spread, 3 * spread)
        together = float(np.clip((left[1:] * left[:-1]).sum() / max((left**2).sum(), 1e-12), TOGETHER, 0.8))
        small = float(stats.t.isf(1e-3, len(mine) - 1) / stats.norm.isf(1e-3))  # few errors, an uncertain spread
        unit = max(spread * small * np.sqrt((1 + together) / (1 - together)), SMALL)
        off = errors[row] - centre
        result[row] = (off - np.clip(off, np.minimum(usual[row], 0), np.maximum(usual[row], 0))) / unit
    return result


def coefficients(change: Values, drivers: Values, recent: int) -> Values:
    """(n_groups, n_drivers) of drivers of the changes, by least squares over all but the `recent` newest columns.

    drivers: (n_drivers, n_groups, n). Each group has coefficients of its own, drawn towards those of all groups
    together as if it had WEIGHT more windows that behave like them. One that never moved has none.
    """
    scale = drivers.std(axis=(1, 2)) + np.abs(drivers.mean(axis=(1, 2)))
    x = drivers / np.where(scale > 1e-9, scale, 1)[:, None, None]
    known = np.isfinite(change)
    known[:, max(change.shape[1] - recent, 0) :] = False
    y, used = np.where(known, change, 0), x * known
    gram, moment = np.einsum("agn,bgn->gab", used, used), np.einsum("agn,gn->ga", used, y)
    some = 1e-6 * np.eye(len(x)) * max(1, known.sum())
    common = np.linalg.solve(gram.sum(axis=0) + some, moment.sum(axis=0))
    prior = WEIGHT * recent * np.eye(len(x))
    own: Values = np.linalg.solve(gram + prior, (moment + prior @ common)[..., None])[..., 0]
    return own / np.where(scale > 1e-9, scale, 1)


def shares(values: Values, least: float) -> Values:
    """(n_groups, n) shares in the sum of each column; none below `least`. NaN counts as 0."""
    filled = np.nan_to_num(values)
    found: Values = np.maximum(filled / np.maximum(filled.sum(axis=0), 1e-12), least)
    divided: Values = found / found.sum(axis=0)
    return divided


def named(level: str, group: object) -> str:
    """A group of a level as one text: total, or level=group."""
    return level if level == "total" else f"{level}={group}"


def first(findings: Sequence[Finding], most: int = 5) -> str:
    """The findings that drifted, those farthest beyond their limits first, as one sentence each."""
    marked = sorted(
        (one for one in findings if one.drifted), key=lambda one: -abs(one.value) / max(one.threshold, 1e-9)
    )
    return "; ".join(f"{one.kind} of {one.subject}: {one.message}" for one in marked[:most])
