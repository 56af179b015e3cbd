"""Which candidate, or which weighted blend of them, the backtest speaks for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from forecasting.data.hierarchy import SERIES, Level, levels
from forecasting.data.panel import Matrix, Panel
from forecasting.data.segments import DEMAND_CLASSES, demand_class
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import Backtest, Plan
from forecasting.models.blend import NO_CLASSES, ByClass, shares

NEAR = 0.01  # share by which weights may miss the lowest value of the metric and still count as equally good
GOOD = 0.05  # the same for a single candidate, to count as one that may well be the best on what comes
GAIN = 0.03  # share by which weights of a class must better the metric, so that chance does not choose them
LEAST_SOLD = 0.02  # of recent sales, for a class to have weights of its own
CLASSES = DEMAND_CLASSES
Weights = NDArray[np.float64]  # (n_classes, n_candidates)


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
        """(n_series, horizon) of fold `number`; NaN where unobserved."""
        fold = self.plan.folds[number]
        return self.panel.y[:, fold : fold + self.plan.horizon]

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


class _Level:
    """One hierarchy level of one fold, ready to score any weights: errors add up because forecasts do.

    The mean squared error of a group is a quadratic form of the weights of all classes' candidates, so it is computed
    once, and scoring is one product of a matrix and a vector. A single series has one class, so that parts holds a
    matrix a class, (n_series of it, n_candidates ** 2); groups have all: (n_groups, (n_classes x n_candidates) ** 2).
    """

    def __init__(self, level: Level, fold: _Fold) -> None:
        known, kinds = fold.known, 1 if level.name == SERIES else len(CLASSES)
        self.alone = level.name == SERIES
        scale = metrics.scales(known.y if self.alone else level.sum(known.y), squared=True)
        weight = level.sum(metrics.lately(known)[:, None])[:, 0]
        good = np.isfinite(scale) & (weight > 0)
        count, candidates, horizon = fold.errors.shape
        place = level.codes * kinds + (0 if self.alone else fold.classes)
        adds_up = sparse.csr_array((np.ones(count), (place, np.arange(count))), (len(level.labels) * kinds, count))
        # Class by class, the candidates in their order: as the weights are laid out.
        stack = (adds_up @ fold.errors.reshape(count, -1)).reshape(len(level.labels), kinds * candidates, horizon)[good]
        gram = (stack @ stack.transpose(0, 2, 1) / horizon).reshape(len(stack), -1).astype(np.float32)
        order = np.argsort(fold.classes[good], kind="stable") if self.alone else np.arange(len(gram))
        ends: Sequence[int] = (
            np.searchsorted(fold.classes[good][order], np.arange(1, len(CLASSES))).tolist() if self.alone else []
        )
        self.parts = np.split(gram[order], ends)
        self.scale, self.weight = scale[good][order], (weight[good] / max(float(weight[good].sum()), 1e-12))[order]

    def score(self, weights: Weights) -> float:
        each = weights if self.alone else weights.reshape(1, -1)
        products = [
            part @ np.outer(own, own).ravel().astype(np.float32) for part, own in zip(self.parts, each, strict=True)
        ]
        squared = np.maximum(np.concatenate(products), 0)
        return float((np.sqrt(squared / self.scale) * self.weight).sum())


class _Fold:
    """One past cutoff: what was known, what came, what each candidate said, and the demand class of each series."""

    def __init__(self, contest: Contest, number: int) -> None:
        self.known, self.actual = contest.known(number), contest.actual(number)
        self.means = [test.means[number] for test in contest.tests]
        labels = demand_class(self.known)
        self.classes = np.array([CLASSES.index(label) for label in labels], dtype=np.intp)
        error = np.stack(self.means, axis=1).astype(np.float64) - self.actual[:, None, :]
        self.errors = np.where(np.isfinite(error), error, 0)  # (n_series, n_candidates, horizon), units
        season = min(self.known.frequency.season, max(1, len(self.known.periods) // 2))
        self.scales = metrics.scales(self.known.y, season)
        self.levels = {one.name: _Level(one, self) for one in levels(self.known.series, self.known.levels)}
        del self.errors  # as large as all forecasts together, and not needed any more

    def mix(self, weights: Weights) -> Matrix:
        rows = weights.astype(np.float32)[self.classes]
        total = np.zeros_like(self.means[0])
        for index, mean in enumerate(self.means):
            total += mean * rows[:, index : index + 1]
        return total

    def value(self, metric: str, weights: Weights) -> float:
        if metric == "wrmsse":
            return float(np.mean([level.score(weights) for level in self.levels.values()]))
        if metric == "rmsse":
            return self.levels[SERIES].score(weights)
        if metric == "wape":
            return metrics.wape(self.actual, self.mix(weights))
        return metrics.mase(self.actual, self.mix(weights), self.scales)

    def scores(self, weights: Weights) -> list[tuple[str, str, float]]:
        """Level, metric, value."""
        by_level = {name: level.score(weights) for name, level in self.levels.items()}
        return [
            ("all", "wrmsse", float(np.mean(list(by_level.values())))),
            *((name, "wrmsse", value) for name, value in by_level.items()),
            (SERIES, "rmsse", by_level[SERIES]),
            (SERIES, "mase", self.value("mase", weights)),
            (SERIES, "wape", self.value("wape", weights)),
            (SERIES, "bias", metrics.bias(self.actual, self.mix(weights))),
        ]


def choose(contest: Contest, metric: str, blend: bool) -> Choice:
    """The weights with the lowest mean of `metric` over the folds, half way towards equal ones.

    Weights that are fitted to a few folds do worse on what comes than equal ones (Stock and Watson, 2004), so only the
    candidates whose plain mean does best are sought, and the others that do well alone keep a part (partially
    egalitarian weights: Diebold and Shin, 2019). M5, five cutoffs, the same candidates: quarters chosen freely and by
    class 0.607, so 0.588. Each demand class gets weights of its own where that gains enough.
    """
    names = [test.model for test in contest.tests]
    folds = [_Fold(contest, number) for number in range(len(contest.plan.folds))]
    taking = [place for place, name in enumerate(names) if name not in contest.aside]
    options = list(_weightings(len(names), taking, blend))
    values = np.array([round(_value(folds, metric, _tiled(one)), 9) for one in options])
    best = _tiled(options[int(values.argmin())])
    same = _tiled(_shrunk(options, values, len(taking))) if blend else best
    value, weights, sold = _value(folds, metric, same), same, _sold(folds[-1])
    if blend:
        found, own = _by_class(folds, metric, options, best, sold)
        if found < values.min() * (1 - GAIN):
            value, weights = found, own
    overall = _named(names, weights[0] if weights is same else sold @ weights)
    by_class = {} if weights is same else {CLASSES[k]: _named(names, weights[k]) for k in range(len(CLASSES))}
    return Choice(overall, _scores(contest, folds, weights, blended=len(overall) > 1), value, by_class)


def rated(contest: Contest, metric: str, weights: Mapping[str, float], by_class: ByClass = NO_CLASSES) -> Choice:
    """The choice that somebody else has made, with the scores that `choose` gives its own."""
    folds = [_Fold(contest, number) for number in range(len(contest.plan.folds))]
    each = np.array([[by_class.get(one, weights).get(test.model, 0.0) for test in contest.tests] for one in CLASSES])
    scores = _scores(contest, folds, each, blended=len(weights) > 1)
    return Choice(dict(weights), scores, _value(folds, metric, each), by_class)


def _scores(contest: Contest, folds: Sequence[_Fold], weights: Weights, blended: bool) -> pd.DataFrame:
    """Of each candidate alone, and of their blend."""
    rows = [
        _rows(contest, folds, test.model, _tiled(alone))
        for test, alone in zip(contest.tests, np.eye(len(contest.tests)), strict=True)
    ]
    if blended:
        rows.append(_rows(contest, folds, "blend", weights))
    return pd.DataFrame([row for part in rows for row in part])


def _tiled(weights: Weights) -> Weights:
    """The same weights for every class."""
    return np.tile(weights, (len(CLASSES), 1))


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


def _value(folds: Sequence[_Fold], metric: str, weights: Weights) -> float:
    return float(np.mean([fold.value(metric, weights) for fold in folds]))


def _by_class(
    folds: Sequence[_Fold], metric: str, options: Sequence[Weights], same: Weights, sold: Weights
) -> tuple[float, Weights]:
    """The metric and weights by class, changed one class after the other, the one that sells most first.

    Begins with the same weights for all, and with what is best for each class's series alone: where totals count, the
    first way can be stuck in errors that cancel out.
    """
    order = [int(index) for index in np.argsort(-sold) if sold[index] >= LEAST_SOLD]
    single = same.copy()
    for index in order:
        single[index] = min(options, key=lambda option: _value(folds, "rmsse", _with(same, index, option)))
    ends = []
    for start in (same, single):
        best, weights = _value(folds, metric, start), start
        for index in order:
            for option in options:
                candidate = _with(weights, index, option)
                found = _value(folds, metric, candidate)
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


def _sold(fold: _Fold) -> Weights:
    """(n_classes,) share of each class in recent sales."""
    total = np.bincount(fold.classes, weights=metrics.lately(fold.known), minlength=len(CLASSES))
    return total / max(float(total.sum()), 1e-12)


def _weightings(size: int, taking: Sequence[int], blend: bool) -> Iterator[Weights]:
    """(size,) each: every candidate that takes part alone, then the plain means of two, of three, and so on."""
    for count in range(1, len(taking) + 1 if blend else 2):
        for chosen in itertools.combinations(taking, count):
            yield np.bincount(chosen, minlength=size) / count


def _rows(contest: Contest, folds: Sequence[_Fold], name: str, weights: Weights) -> list[dict[str, object]]:
    return [
        {"model": name, "fold": contest.tests[0].cutoffs[number], "level": level, "metric": metric, "value": value}
        for number, fold in enumerate(folds)
        for level, metric, value in fold.scores(weights)
    ]
