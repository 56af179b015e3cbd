"""Which candidate, or which weighted blend of them, the backtest speaks for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.data.hierarchy import SERIES, Level, levels
from forecasting.data.panel import Matrix, Panel
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import Backtest, Plan

SHARES = 4  # weights are multiples of 1/4: few enough that the best is not found by chance


@dataclass(frozen=True)
class Contest:
    """What the candidates are compared on: one panel, one plan, and each candidate's backtest."""

    panel: Panel
    plan: Plan
    tests: Sequence[Backtest]

    def known(self, number: int) -> Panel:
        """What the forecasts of fold `number` were made from."""
        return self.panel.first(self.plan.folds[number])

    def actual(self, number: int) -> Matrix:
        """(n_series, horizon) of fold `number`; NaN where unobserved."""
        fold = self.plan.folds[number]
        return self.panel.y[:, fold : fold + self.plan.horizon]

    def mix(self, weights: Mapping[str, float], number: int) -> Matrix:
        """Blended forecasts of fold `number`, (n_series, horizon)."""
        total = np.zeros_like(self.tests[0].means[number])
        for test in self.tests:
            if weights.get(test.model, 0) > 0:
                total += test.means[number] * np.float32(weights[test.model])
        return total


@dataclass(frozen=True)
class Choice:
    """weights by candidate, adding to 1; scores: model, fold, level, metric, value of candidates and of the blend."""

    weights: Mapping[str, float]
    scores: pd.DataFrame
    value: float

    @property
    def label(self) -> str:
        """The one candidate's name, or `blend`."""
        used = [name for name, weight in self.weights.items() if weight > 0]
        return used[0] if len(used) == 1 else "blend"


class _Level:
    """One hierarchy level of one fold, ready to score any blend: errors add up because forecasts do."""

    def __init__(self, level: Level, known: Panel, actual: Matrix, means: Mapping[str, Matrix]) -> None:
        seen = np.isfinite(actual)
        scale = metrics.scales(known.y if level.name == SERIES else level.sum(known.y), squared=True)
        weight = level.sum(metrics.lately(known)[:, None])[:, 0]
        good = np.isfinite(scale) & (weight > 0)
        total = level.sum(actual)
        self.errors = {name: (level.sum(np.where(seen, mean, 0)) - total)[good] for name, mean in means.items()}
        self.scale, self.weight = scale[good], weight[good] / max(float(weight[good].sum()), 1e-12)

    def score(self, weights: Mapping[str, float]) -> float:
        error = sum(self.errors[name] * weight for name, weight in weights.items() if weight > 0)
        return float((np.sqrt((np.asarray(error) ** 2).mean(axis=1) / self.scale) * self.weight).sum())


Fold = Mapping[str, _Level]


def choose(contest: Contest, metric: str, blend: bool) -> Choice:
    """The weights with the lowest mean of `metric` over the folds; a single candidate wins a tie."""
    names = [test.model for test in contest.tests]
    folds = [_prepare(contest, number) for number in range(len(contest.plan.folds))]
    value, weights = np.inf, {names[0]: 1.0}
    for candidate in _weightings(names, blend):
        found = _value(contest, folds, metric, candidate)
        if found < value - 1e-9:
            value, weights = found, candidate
    scores = [_scores(contest, folds, {name: 1.0}, name) for name in names]
    if len(weights) > 1:
        scores.append(_scores(contest, folds, weights, "blend"))
    return Choice(weights, pd.concat(scores, ignore_index=True), value)


def _weightings(names: Sequence[str], blend: bool) -> Iterator[dict[str, float]]:
    for name in names:
        yield {name: 1.0}
    if blend:
        for shares in itertools.product(range(SHARES + 1), repeat=len(names)):
            if sum(shares) == SHARES and SHARES not in shares:
                yield {name: share / SHARES for name, share in zip(names, shares, strict=True) if share}


def _prepare(contest: Contest, number: int) -> Fold:
    known, actual = contest.known(number), contest.actual(number)
    means = {test.model: test.means[number] for test in contest.tests}
    return {level.name: _Level(level, known, actual, means) for level in levels(known.series, known.levels)}


def _value(contest: Contest, folds: Sequence[Fold], metric: str, weights: Mapping[str, float]) -> float:
    if metric == "wrmsse":
        return float(np.mean([[level.score(weights) for level in fold.values()] for fold in folds]))
    if metric == "rmsse":
        return float(np.mean([fold[SERIES].score(weights) for fold in folds]))
    count = range(len(folds))
    if metric == "wape":
        return float(np.mean([metrics.wape(contest.actual(k), contest.mix(weights, k)) for k in count]))
    return float(np.mean([_mase(contest, weights, k) for k in count]))


def _mase(contest: Contest, weights: Mapping[str, float], number: int) -> float:
    known = contest.known(number)
    season = min(known.frequency.season, max(1, len(known.periods) // 2))
    return metrics.mase(contest.actual(number), contest.mix(weights, number), metrics.scales(known.y, season))


def _scores(contest: Contest, folds: Sequence[Fold], weights: Mapping[str, float], name: str) -> pd.DataFrame:
    rows = []
    for number, fold in enumerate(folds):
        actual, forecast = contest.actual(number), contest.mix(weights, number)
        by_level = {level: scorer.score(weights) for level, scorer in fold.items()}
        found = [
            ("all", "wrmsse", float(np.mean(list(by_level.values())))),
            *((level, "wrmsse", value) for level, value in by_level.items()),
            (SERIES, "rmsse", by_level[SERIES]),
            (SERIES, "mase", _mase(contest, weights, number)),
            (SERIES, "wape", metrics.wape(actual, forecast)),
            (SERIES, "bias", metrics.bias(actual, forecast)),
        ]
        cutoff = contest.tests[0].cutoffs[number]
        rows += [
            {"model": name, "fold": cutoff, "level": level, "metric": metric, "value": value}
            for level, metric, value in found
        ]
    return pd.DataFrame(rows)
