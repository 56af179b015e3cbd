"""Whether a challenger takes over: judged pair by pair on periods that neither it nor the champion was trained on.

The interval of the improvement is a two-way block bootstrap: items and blocks of days are both drawn with replacement
(the pigeonhole bootstrap, Owen 2007), since the errors of one day go together, and those of one item in all stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.sections import JudgeSettings
from forecasting.core.errors import some
from forecasting.evaluation import metrics
from forecasting.evaluation.contributions import FALLBACKS, Shares, contributions
from forecasting.models.base import QUANTILES, Forecast
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.segments import demand_class, volume_class

DRAWS = 1000
NOMINAL = QUANTILES[-1] - QUANTILES[0]
EVERYTHING = "all"
BEYOND_DOUBT = 0.99  # there are up to eight classes, so one of them looks bad by chance often enough
TOTALS, OF_SERIES = "wrmsse", "rmsse"  # a metric of totals too, and the same of the series alone
ALIKE = 0.01  # two coverages that are this near to each other say the same of few periods
DASH = "\N{EN DASH}"
COLUMNS = ("rule", "segment", "challenger", "champion", "improvement", "low", "high", "passed")


@dataclass(frozen=True)
class Window:
    """What all three said at one cutoff, and what came. known ends at the cutoff; actual: (n_series, n_periods)."""

    known: Panel
    actual: Matrix
    challenger: Forecast
    champion: Forecast
    naive: Matrix


@dataclass(frozen=True)
class Verdict:
    """Promote or not, and why. Figures are of the metric, lower is better, NaN where there was none.

    narrow: not promoted, but it may be better: worth watching. rows: COLUMNS, a row a rule and segment. periods: that
    neither had seen.
    """

    promote: bool
    reason: str
    challenger: float = float("nan")
    champion: float = float("nan")
    naive: float = float("nan")
    narrow: bool = False
    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))
    periods: int = 0

    @property
    def improvement(self) -> float:
        """Share by which the challenger's figure is lower than the champion's."""
        return 1 - self.challenger / self.champion if self.champion > 0 else float("nan")


def cutoffs(first: int, periods: int, count: int) -> list[int]:
    """At most `count` numbers of known periods from `first` on, evenly spread, each with a period after it."""
    places = np.linspace(first, periods - 1, min(count, periods - first), endpoint=False)
    return sorted({int(place) for place in places})


def judge(windows: Sequence[Window], metric: str, rules: JudgeSettings, seed: int = 7, refit: bool = False) -> Verdict:
    """The verdict by the rules of `[train.judge]` on these windows, which end with the newest known period.

    Totals over a few days leave much to chance, the errors of many series little: either may show that the challenger
    is not better by chance alone. As that is two ways to be lucky, each must be surer.

    refit: the challenger is the champion's own recipe on newer data, which is expected to be better. It need not show
    that beyond chance: it must not be shown to be worse. All its rules compare it with the champion alone.
    """
    metric = _defined(windows, metric)
    two = metric == TOTALS
    sure = 1 - (1 - rules.confidence) / (2 if two else 1)
    whole = _Pairs.of(windows, metric, sure, seed)
    series = _Pairs.of(windows, OF_SERIES, sure, seed) if two else whole
    everything = np.ones(len(whole.mine), dtype=bool)
    better, beyond = (one.row(EVERYTHING, everything) for one in (whole, series))
    naive = float(np.mean([contributions(w.known, w.actual, w.naive, metric).sum() for w in windows]))
    own = [
        Row("better than the champion", *better, passed=better.improvement > rules.improvement),
        Row("beyond chance", *beyond, passed=_largest(better.low, beyond.low) > 0),
        Row("better than seasonal naive", EVERYTHING, better.challenger, naive, passed=better.challenger < naive),
    ]
    if refit:
        surest = min(better, beyond, key=lambda one: one.high if np.isfinite(one.high) else np.inf)
        own = [Row("not worse beyond chance", *surest, passed=surest.high >= 0)]
    rows = [
        *own,
        *_segments(windows[0].known, series, rules),
        _bias(windows, rules),
        *_coverage(windows, rules),
    ]
    failed = [row for row in rows if not row.passed]
    periods = max(window.actual.shape[1] for window in windows)
    gain, low, high = (figure(value, "+.1%") for value in (better.improvement, better.low, better.high))
    reason = (
        f"{metric} {figure(better.challenger)}, champion {figure(better.champion)}: {gain} ({low} to {high}) "
        f"on {periods} periods from {windows[0].known.cutoff} that neither had seen"
    )
    if failed:
        reason += "; failed: " + some(f"{row.rule} ({row.segment})" for row in failed)
    narrow = bool(failed) and _largest(better.high, beyond.high) > 0 and better.challenger < naive
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return Verdict(not failed, reason, better.challenger, better.champion, naive, narrow, table, periods)


def figure(value: float, form: str = ".4f") -> str:
    """The number, or a dash where it is not defined."""
    return format(value, form) if np.isfinite(value) else DASH


def _defined(windows: Sequence[Window], metric: str) -> str:
    """The metric, or WAPE, or the mean absolute error: the first that every window defines."""
    for one in (metric, *FALLBACKS):
        if all(np.isfinite(contributions(w.known, w.actual, w.naive, one)).all() for w in windows):
            return one
    return FALLBACKS[-1]


def _largest(*values: float) -> float:
    """The largest that is defined; NaN where none is."""
    return max((one for one in values if np.isfinite(one)), default=float("nan"))


class Compared(NamedTuple):
    """Both figures of a segment, lower is better, and the improvement (share) with its bounds."""

    segment: str
    challenger: float
    champion: float
    improvement: float
    low: float
    high: float


class Row(NamedTuple):
    """One rule and what it says of one segment."""

    rule: str
    segment: str
    challenger: float
    champion: float
    improvement: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    passed: bool = False


@dataclass(frozen=True)
class _Pairs:
    """Both models' contributions by series, and by block of days: (n_series, n_blocks) each."""

    mine: Shares
    theirs: Shares
    clusters: NDArray[np.intp]
    confidence: float
    seed: int

    @classmethod
    def of(cls, windows: Sequence[Window], metric: str, confidence: float, seed: int) -> _Pairs:
        """Windows overlap: what they say of one day goes into the same block."""
        first = min(len(window.known.periods) for window in windows)
        last = max(len(window.known.periods) + window.actual.shape[1] for window in windows)
        length = max(1, round((last - first) ** 0.5))
        totals = [np.zeros((len(windows[0].actual), -(-(last - first) // length))) for _ in range(2)]
        for window in windows:
            place = (len(window.known.periods) - first + np.arange(window.actual.shape[1])) // length
            for total, forecast in zip(totals, (window.challenger, window.champion), strict=True):
                part = contributions(window.known, window.actual, forecast.mean, metric)
                np.add.at(total.T, place, part.T / len(windows))
        series = windows[0].known.series
        clusters = pd.factorize(series["item" if "item" in series else "unique_id"])[0]
        return cls(totals[0], totals[1], clusters.astype(np.intp), confidence, seed)

    def row(self, segment: str, members: NDArray[np.bool_]) -> Compared:
        mine, theirs = float(self.mine[members].sum()), float(self.theirs[members].sum())
        improvement = 1 - mine / theirs if theirs > 0 else float("nan")
        return Compared(segment, mine, theirs, improvement, *self._interval(members))

    def _interval(self, members: NDArray[np.bool_]) -> tuple[float, float]:
        """Bounds of the improvement, each with the confidence wanted on its side."""
        codes, names = pd.factorize(self.clusters[members])
        shape, random = (len(names), self.mine.shape[1]), np.random.default_rng(self.seed)
        sums = []
        for values in (self.mine, self.theirs):
            total = np.zeros(shape)
            np.add.at(total, codes, values[members])
            sums.append(total)
        rows, columns = (random.multinomial(size, np.full(size, 1 / size), DRAWS) for size in shape)
        mine, theirs = (np.einsum("bc,cd,bd->b", rows, total, columns, optimize=True) for total in sums)
        good = theirs > 0
        if not good.any():
            return float("nan"), float("nan")
        drawn = 1 - mine[good] / theirs[good]
        low, high = np.quantile(drawn, [1 - self.confidence, self.confidence])
        return float(low), float(high)


def _segments(known: Panel, series: _Pairs, rules: JudgeSettings) -> Iterator[Row]:
    """No class of demand or volume may get worse by more than the limit; that must be beyond doubt to count."""
    series = replace(series, confidence=BEYOND_DOUBT)
    for labels in (demand_class(known), volume_class(known)):
        for label in pd.unique(labels):
            found = series.row(str(label), np.asarray(labels == label))
            worse = found.improvement < -rules.segment_worse and found.high < 0
            yield Row("no segment worse", *found, passed=not worse)


def _bias(windows: Sequence[Window], rules: JudgeSettings) -> Row:
    """Within the limit, or nearer to zero than the champion's."""
    mine, theirs = (
        float(np.mean([metrics.bias(w.actual, (w.challenger if k == 0 else w.champion).mean) for w in windows]))
        for k in range(2)
    )
    return Row("bias", EVERYTHING, mine, theirs, passed=not abs(mine) > max(rules.bias, abs(theirs)))


def _coverage(windows: Sequence[Window], rules: JudgeSettings) -> Iterator[Row]:
    """p05 to p95 hold within the limits, or are as near to what they promise as the champion's."""
    found = []
    for k in range(2):
        forecasts = [(w.actual, (w.challenger if k == 0 else w.champion).quantiles) for w in windows]
        if any(quantiles is None for _, quantiles in forecasts):
            return
        found.append(
            float(np.mean([metrics.coverage(y, q[..., 0], q[..., -1]) for y, q in forecasts if q is not None]))
        )
    mine, theirs = found
    low, high = rules.coverage
    passed = low <= mine <= high or abs(mine - NOMINAL) <= abs(theirs - NOMINAL) + ALIKE
    yield Row("coverage", EVERYTHING, mine, theirs, passed=passed)
