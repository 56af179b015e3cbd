"""How improbable a day without a sale is, and how long a silence has lasted: of many series at once, day by day.

Everything is learned from the days before, so what came later never changes what is said of a day.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.panel.panel import Matrix

Vector = NDArray[np.float32]
Flags = NDArray[np.bool_]
Positions = NDArray[np.intp]

RATE = 0.15  # of the newest same weekday in the mean: some six weeks of them
LATELY = 0.9  # of the newest level from day to day: some ten days
KEEP = 0.988  # of the squared errors from day to day: half of them are from the newest eight weeks
SHARE_RATE = 1 / 26  # of the newest same weekday in the share of days without a sale: half a year of them
PRIOR_DAYS = 4.0  # days on which errors are as large as those of Poisson demand, before any was seen
TRADED = 4  # times as long as a silence must a series have traded before it, to have closed and not to be out of season
SEASON = (-3, 10)  # days around the same day of the year before: without any sale, the silence is that of a season
YEAR = 364
WEEK = 7


class Rates:
    """Mean, spread and share of silent days of each series by weekday, as of the days seen so far.

    The probability of a day without a sale is that of a negative binomial distribution whose mean is that of the newest
    same weekdays (exponential weights), lowered to the level of the newest days where demand falls, and whose spread is
    that of the errors of this mean over all weekdays; where the errors are smaller than those of Poisson demand, it is
    exp(-mean^2 / variance). Units count in halves of the smallest sale ever seen (1 for pieces), so that grams or cents
    claim no more than pieces do. That the mean is an estimate from few days widens the spread (the predictive
    distribution of the gamma-Poisson model, Gelman et al., BDA 2.6).

    poisson: (count,) series that are counts with an upper limit: their unit is 1, and their errors are never taken to
    be smaller than those of Poisson demand.
    """

    def __init__(self, poisson: Flags) -> None:
        count = len(poisson)
        self._poisson = poisson
        self.mean, self.days, self.silent_share = np.zeros((3, WEEK, count), dtype=np.float32)
        self._errors, self._means, self._squares, self._sold, self._expected = np.zeros((5, count), dtype=np.float32)
        self._least = np.full(count, np.inf, dtype=np.float32)

    def silence(self, weekday: int, which: Positions) -> Vector:
        """(len(which),) probability that these series sell nothing on such a day; 1 where no such day was seen."""
        mean, days = self.mean[weekday, which], np.maximum(self.days[weekday, which], 1e-9)
        least = np.where(np.isfinite(self._least[which]), self._least[which], 1.0)
        unit = np.where(self._poisson[which], 1.0, np.where(least <= 2, np.minimum(least, 1.0), least / 2))
        errors, means, squares = self._errors[which], self._means[which], np.maximum(self._squares[which], 1e-12)
        falling = np.minimum(self._sold[which] / np.maximum(self._expected[which], 1e-12), 1)
        counted = np.maximum(mean * falling / unit, 1e-12)
        over = np.maximum((errors - unit * means) / squares, 0)
        over += (1 / counted + over) / days
        negative_binomial = np.log1p(over * counted) / over
        narrow = (errors / unit + PRIOR_DAYS * mean) / np.maximum(means + PRIOR_DAYS * mean, 1e-12)
        narrow = np.where(self._poisson[which], np.maximum(narrow, 1), narrow)
        regular = counted / np.maximum(narrow * (1 + 1 / days), 1e-12)
        exponent = np.where(errors < unit * means, regular, negative_binomial)
        found: Vector = np.where((mean > 0) & (self.days[weekday, which] > 0), np.exp(-exponent), 1.0)
        return found

    def learn(self, weekday: int, units: Vector, seen: Flags) -> None:
        """Take in a day's units, (n,), of the series that were `seen`: neither closed nor hidden by anything else."""
        mean, days = self.mean[weekday], self.days[weekday]
        before = seen & (days > 0)
        weight = before.astype(np.float32)
        error, expected, kept = (units - mean) * weight, mean * weight, 1 - np.float32(1 - KEEP) * weight
        newest = 1 - np.float32(1 - LATELY) * weight
        squared, square = error * error, expected * expected
        sums = ((self._errors, squared), (self._means, expected), (self._squares, square))
        for scale, pairs in ((newest, ((self._sold, units * weight), (self._expected, expected))), (kept, sums)):
            for total, new in pairs:
                np.multiply(total, scale, out=total)
                np.add(total, new, out=total)
        mean += (units - mean) * np.maximum(1 / (days + 1), np.float32(RATE)) * seen
        np.minimum(self._least, units, out=self._least, where=seen & (units > 0))
        days += seen

    def count_silence(self, weekday: int, silent: Flags, seen: Flags) -> None:
        """Share of such days without a sale, (n,); `seen` may hold days that were closed too. Before `learn`."""
        share = self.silent_share[weekday]
        rate = np.maximum(1 / (self.days[weekday] + 1), np.float32(SHARE_RATE))
        share += (silent - share) * rate * seen


class Runs:
    """Since when each of (n,) series has sold nothing, and whether that is a closure. bound: (n,) days it may last."""

    def __init__(self, bound: NDArray[np.int64]) -> None:
        count = len(bound)
        self.bound = bound
        self.last_sale = np.full(count, -1)
        self.traded_since = np.full(count, -1)
        self.closed_once = np.zeros(count, dtype=bool)  # since the last sale
        self.seasonal = np.zeros(count, dtype=bool)
        self._compared = np.zeros(count, dtype=bool)
        self._same_weekday = np.full((WEEK, count), -1)

    def sold(self, day: int, which: Flags) -> None:
        """Series that sold something on this day: any silence is over."""
        those = np.flatnonzero(which)  # masks take several times as long
        before = self.last_sale[those]
        self.traded_since[those[(before < 0) | (day - before > self.bound[those])]] = day
        self.last_sale[those] = day
        self._same_weekday[day % WEEK, those] = day
        those = those[self.closed_once[those]]
        for flags in (self.closed_once, self.seasonal, self._compared):
            flags[those] = False

    def may_be_closed(self, day: int, which: Positions) -> Flags:
        """Whether a silence that lasts until this day is still short enough: (len(which),)."""
        silent = day - self.last_sale[which]
        weeks = (day - self._same_weekday[day % WEEK, which]) // WEEK
        traded = self.last_sale[which] - self.traded_since[which]
        bound = self.bound[which]
        short = (silent <= bound) & (weeks <= -(-bound // WEEK)) & (TRADED * silent <= traded)
        return np.asarray(short & ~self.seasonal[which])

    def over(self, day: int) -> Flags:
        """(n,) closed for longer than the bound, after a time of trading that no season explains; if silent today."""
        silent, traded = day - self.last_sale, self.last_sale - self.traded_since
        return np.asarray(self.closed_once & (silent > self.bound) & (traded >= TRADED * self.bound) & ~self.seasonal)

    def long(self, day: int) -> Flags:
        """(n,) a silence of more than a week."""
        return np.asarray((self.last_sale >= 0) & (day - self.last_sale > WEEK))

    def compare(self, day: int, sold: Matrix | Flags) -> None:
        """Mark the closures of a week that are those of a season: nothing was sold on the same days a year before.

        sold: (n_periods, n) units, or whether there were any.
        """
        first, last = day - YEAR + SEASON[0], day - YEAR + SEASON[1]
        which = np.flatnonzero(self.closed_once & self.long(day) & ~self._compared)
        self._compared[which] = True
        if first >= 0 and len(which):
            self.seasonal[which] = ~(sold[first:last][:, which] > 0).any(axis=0)
