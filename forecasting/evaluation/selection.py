"""Which candidate, or which weighted blend of them, the backtest speaks for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.evaluation.backtest import Backtest, Plan
from forecasting.evaluation.folds import CLASSES, Fold, Weights
from forecasting.evaluation.relative import BASELINE, Measure, tiled
from forecasting.models.blend import NO_CLASSES, ByClass, shares
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.segments import demand_class

NEAR = 0.01  # share by which weights may miss the lowest value of the metric and still count as equally good
GOOD = 0.05  # the same for a single candidate, to count as one that may well be the best on what comes
GAIN = 0.03  # share by which weights of a class must better the metric, so that chance does not choose them
LEAST_SOLD = 0.02  # of recent sales, for a class to have weights of its own
BEATEN = 1.5  # times seasonal naive's value: with others that are all worse, it stays alone though one beat it once
LEAST_TRUST = 0.1  # of a blend, for any of it to be used
MAJORITY = 0.5  # of the folds' weight
DEFAULT = "seasonal_mean"  # where nothing can be measured
COLUMNS = ["model", "fold", "level", "metric", "value"]


@dataclass(frozen=True)
class Contest:
    """What the candidates are compared on: one panel, one plan, and each candidate's backtest.

    aside: names that are scored beside the others and not chosen, such as a baseline that is no candidate.
    """

    panel: Panel
    plan: Plan
    tests: Sequence[Backtest]
    aside: frozenset[str] = frozenset()

    def known(self, number: int) -> Panel:
        """What the forecasts of fold `number` were made from."""
        return self.panel.first(self.plan.folds[number])

    def actual(self, number: int) -> Matrix:
        """(n_series, horizon) of fold `number`; NaN where unobserved, and after the newest known period."""
        fold = self.plan.folds[number]
        found = self.panel.y[:, fold : fold + self.plan.horizon]
        rest = self.plan.horizon - found.shape[1]
        return np.pad(found, ((0, 0), (0, rest)), constant_values=np.nan) if rest else found

    def mix(self, weights: Mapping[str, float], number: int, by_class: ByClass = NO_CLASSES) -> Matrix:
        """Blended forecasts of fold `number`, (n_series, horizon)."""
        total = np.zeros_like(self.tests[0].means[number])
        classes = demand_class(self.known(number)) if by_class else None
        for test in self.tests:
            share = shares(test.model, weights, by_class, classes)
            if np.any(share > 0):
                total += test.means[number] * share
        return total


@dataclass(frozen=True)
class Choice:
    """weights by candidate, adding to 1; scores: model, fold, level, metric, value of candidates and of the blend.

    by_class: the weights of each demand class, where they proved better than the same for all; `weights` is then their
    mean by recent sales.
    """

    weights: Mapping[str, float]
    scores: pd.DataFrame
    value: float
    by_class: ByClass = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The one candidate's name, or `blend`."""
        used = [name for name, weight in self.weights.items() if weight > 0]
        return used[0] if len(used) == 1 else "blend"


def choose(contest: Contest, metric: str, blend: bool) -> Choice:
    """The weights with the lowest `metric` over the folds (relative.Measure), half way towards equal ones.

    Weights that are fitted to a few folds do worse on what comes than equal ones (Stock and Watson, 2004), so only the
    candidates whose plain mean does best are sought, and the others that do well alone keep a part (partially
    egalitarian weights: Diebold and Shin, 2019). M5, five cutoffs, the same candidates: quarters chosen freely and by
    class 0.607, so 0.588. Each demand class gets weights of its own where that gains enough.

    A blend counts as far as it beats the best single candidate by more than chance over the folds (Measure.trust): with
    six folds of weeks, some of them in December, a member that did well there only would be taken along.

    Seasonal naive, the baseline, has to do more than the others to be chosen (_allowed).
    """
    names = [test.model for test in contest.tests]
    folds = _folds(contest)
    taking = [place for place, name in enumerate(names) if name not in contest.aside]
    options = list(_weightings(len(names), taking, blend))
    measure = Measure.of(contest.plan, contest.panel, folds, names, taking)
    if not measure.defined:
        return _undefined(contest, folds, metric, [names[place] for place in taking])
    values = np.array([round(measure.value(metric, tiled(one)), 9) for one in options])
    values = _allowed(measure, metric, options, values)
    best, single = (tiled(options[int(found.argmin())]) for found in (values, values[: len(taking)]))
    same = tiled(_shrunk(options, values, len(taking))) if blend else best
    if not np.array_equal(best, single):
        same = _drawn(single, same, measure.trust(metric, best, single))
    weights, sold = same, folds[-1].sold()
    if blend:
        allowed = [option for option, value in zip(options, values, strict=True) if np.isfinite(value)]
        found, own = _by_class(measure, metric, allowed, best, sold)
        if found < values.min() * (1 - GAIN):
            weights = _drawn(single, own, measure.trust(metric, own, single))
    overall = _named(names, weights[0] if weights is same else sold @ weights)
    by_class = {} if weights is same else {CLASSES[k]: _named(names, weights[k]) for k in range(len(CLASSES))}
    scores = _scores(contest, folds, weights, blended=len(overall) > 1)
    return Choice(overall, scores, _figure(folds, metric, weights), by_class)


def default(contest: Contest, metric: str) -> Choice:
    """The choice where there is too little history to choose by: seasonal mean, with the scores of all candidates."""
    return _undefined(contest, _folds(contest), metric, [test.model for test in contest.tests])


def _undefined(contest: Contest, folds: Sequence[Fold], metric: str, names: Sequence[str]) -> Choice:
    chosen = DEFAULT if DEFAULT in names else names[0]
    weights = tiled(np.array([float(test.model == chosen) for test in contest.tests]))
    return Choice({chosen: 1.0}, _scores(contest, folds, weights, blended=False), _figure(folds, metric, weights))


def _allowed(
    measure: Measure, metric: str, options: Sequence[Weights], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The options' values, infinite for those with seasonal naive where it may not be chosen.

    Alone it is only chosen where no other candidate beats it in any fold, or all others have more than BEATEN times its
    value; in a blend where it is no worse than the median of the others in folds of half the weight. Weekly sales with
    a strong December, made up (benchmarks/choice.py, 10 seeds): the champion's WRMSSE over the best candidate's is
    1.37 without the rules and by plain means of three folds, so 1.03.
    """
    names, taking = measure.names, measure.taking
    own = names.index(BASELINE) if BASELINE in names else -1
    others = [place for place in taking if place != own]
    if own not in taking or not others:
        return values
    singles = measure.singles(metric)
    throughout = bool((singles[:, [own]] <= singles[:, others]).all())
    alone = {int(option.argmax()): value for option, value in zip(options, values, strict=True) if option.max() == 1}
    stays = throughout or min(alone[place] for place in others) > BEATEN * alone[own]
    blends = measure.wins(singles, own, others) >= MAJORITY
    refused = [(not stays if option[own] == 1 else not blends) if option[own] > 0 else False for option in options]
    return np.where(refused, np.inf, values)


def rated(contest: Contest, metric: str, weights: Mapping[str, float], by_class: ByClass = NO_CLASSES) -> Choice:
    """The choice that somebody else has made, with the scores that `choose` gives its own."""
    folds = _folds(contest)
    each = np.array([[by_class.get(one, weights).get(test.model, 0.0) for test in contest.tests] for one in CLASSES])
    scores = _scores(contest, folds, each, blended=len(weights) > 1)
    return Choice(dict(weights), scores, _figure(folds, metric, each), by_class)


def _folds(contest: Contest) -> list[Fold]:
    return [
        Fold(contest.known(number), contest.actual(number), [test.means[number] for test in contest.tests])
        for number in range(len(contest.plan.folds))
    ]


def _figure(folds: Sequence[Fold], metric: str, weights: Weights) -> float:
    """Plain mean of the metric over the folds that define it; NaN where none does."""
    found = [value for fold in folds if np.isfinite(value := fold.value(metric, weights))]
    return float(np.mean(found)) if found else float("nan")


def _scores(contest: Contest, folds: Sequence[Fold], weights: Weights, blended: bool) -> pd.DataFrame:
    """Of each candidate alone, and of their blend."""
    rows = [
        _rows(contest, folds, test.model, tiled(alone))
        for test, alone in zip(contest.tests, np.eye(len(contest.tests)), strict=True)
    ]
    if blended:
        rows.append(_rows(contest, folds, "blend", weights))
    return pd.DataFrame([row for part in rows for row in part], columns=COLUMNS)


def _shrunk(options: Sequence[Weights], values: Weights, count: int) -> Weights:
    """Half the best plain means (among those that do as well, chance decides which is best), half all good candidates.

    The first `count` options are the candidates alone.
    """
    near = values <= values.min() * (1 + NEAR)
    best = np.mean([option for option, fits in zip(options, near, strict=True) if fits], axis=0)
    fine = values[:count] <= values[:count].min() * (1 + GOOD)
    good = np.sum([best, *(option for option, fits in zip(options, fine, strict=False) if fits)], axis=0) > 0
    found: Weights = (best + good / good.sum()) / 2
    return found


def _drawn(single: Weights, weights: Weights, trust: float) -> Weights:
    """The weights, drawn to the best single candidate by what they are not trusted; a rest is not worth its models."""
    return trust * weights + (1 - trust) * single if trust >= LEAST_TRUST else single


def _by_class(
    measure: Measure, metric: str, options: Sequence[Weights], same: Weights, sold: Weights
) -> tuple[float, Weights]:
    """The metric and weights by class, changed one class after the other, the one that sells most first.

    Begins with the same weights for all, and with what is best for each class's series alone: where totals count, the
    first way can be stuck in errors that cancel out.
    """
    order = [int(index) for index in np.argsort(-sold) if sold[index] >= LEAST_SOLD]
    single = same.copy()
    for index in order:
        single[index] = min(options, key=lambda option: measure.value("rmsse", _with(same, index, option)))
    ends = []
    for start in (same, single):
        best, weights = measure.value(metric, start), start
        for index in order:
            for option in options:
                candidate = _with(weights, index, option)
                found = measure.value(metric, candidate)
                if found < best * (1 - GAIN):
                    best, weights = found, candidate
        ends.append((best, weights))
    return min(ends, key=lambda end: end[0])


def _with(weights: Weights, index: int, option: Weights) -> Weights:
    changed = weights.copy()
    changed[index] = option
    return changed


def _named(names: Sequence[str], shares: Weights) -> dict[str, float]:
    """Those that are used; a share that rounds to nothing is still used by some class."""
    return {name: max(round(float(share), 4), 1e-4) for name, share in zip(names, shares, strict=True) if share > 0}


def _weightings(size: int, taking: Sequence[int], blend: bool) -> Iterator[Weights]:
    """(size,) each: every candidate that takes part alone, then the plain means of two, of three, and so on."""
    for count in range(1, len(taking) + 1 if blend else 2):
        for chosen in itertools.combinations(taking, count):
            yield np.bincount(chosen, minlength=size) / count


def _rows(contest: Contest, folds: Sequence[Fold], name: str, weights: Weights) -> list[dict[str, object]]:
    return [
        {"model": name, "fold": contest.tests[0].cutoffs[number], "level": level, "metric": metric, "value": value}
        for number, fold in enumerate(folds)
        for level, metric, value in fold.scores(weights)
    ]
