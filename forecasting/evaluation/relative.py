"""The value by which candidates are compared over the folds: relative to a baseline, seasons like the coming one first.

A fold in a month that nobody forecasts well would decide alone if errors were added up, so each fold counts relative to
seasonal naive, by the geometric mean of the ratios (Fildes, 1992; Davydenko and Fildes, 2013). Folds are weighted by
how near in the year their periods are to those that are forecast next: what does well in December says little of May.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation.backtest import Plan
from forecasting.evaluation.contributions import FALLBACKS
from forecasting.evaluation.folds import CLASSES, Fold, Weights
from forecasting.panel.panel import Panel

BASELINE = "seasonal_naive"
# Of the median candidate's value, which the baseline's counts as at least: one that was right by chance in a quiet fold
# would otherwise make that fold the only one that counts.
LEAST_BASELINE = 0.5
LEAST_RATIO = 0.05  # to the baseline: a perfect fold is no better
NEAR_YEAR = 1 / 8  # of a year: distance of two seasons at which the weight has fallen to 0.6
OTHER_SEASON = 0.15  # weight of a fold in the opposite season
OLDER_YEAR = 0.75  # weight of a year ago against now
SURE = 2.0  # standard errors
LEAST_FOLDS = (
    4  # 19 parts of M5, pasta, vn2, raf: WRMSSE over the best candidate's 1.041, so 1.046; of four 1.047, 1.022
)


@dataclass(frozen=True)
class Measure:
    """Folds with their weights, and the candidates that may be chosen, as positions."""

    folds: Sequence[Fold]
    shares: NDArray[np.float64]
    names: Sequence[str]
    taking: Sequence[int]

    @classmethod
    def of(
        cls, plan: Plan, panel: Panel, folds: Sequence[Fold], names: Sequence[str], taking: Sequence[int]
    ) -> Measure:
        """Folds in which nothing was observed are left out."""
        seen = np.array([bool(np.isfinite(fold.actual).any()) for fold in folds], dtype=bool)
        kept = [fold for fold, some in zip(folds, seen, strict=True) if some]
        return cls(kept, weights_of(plan, panel)[seen], names, taking)

    @property
    def defined(self) -> bool:
        """Whether there is anything to compare by."""
        return len(self.folds) > 0

    def value(self, metric: str, weights: Weights) -> float:
        """Weighted geometric mean over the folds of the metric relative to the baseline's: below 1 is better than it.

        A fold that does not define the metric counts by WAPE, or by the mean absolute error.
        """
        return float(np.exp(self.shares @ self._logs(metric, weights) / self.shares.sum()))

    def trust(self, metric: str, weights: Weights, than: Weights) -> float:
        """0 to 1: how far these weights are to be trusted beside others that are simpler.

        1 where they are better by SURE standard errors of the mean difference over the folds, 0 where they are no
        better; 1 also with fewer folds than LEAST_FOLDS, whose spread says nothing.
        """
        if len(self.folds) < LEAST_FOLDS:
            return 1.0
        share = self.shares / self.shares.sum()
        gains = self._logs(metric, than) - self._logs(metric, weights)
        gain = float(share @ gains)
        many = 1 / float(share @ share)  # folds of the same weight that would say as much
        error = np.sqrt(float(share @ (gains - gain) ** 2) / max(many - 1, 0.5))
        return float(np.clip(gain / max(SURE * error, 1e-12), 0, 1))

    def _logs(self, metric: str, weights: Weights) -> NDArray[np.float64]:
        """(n_folds,) logs of the metric over the baseline's."""
        units = self._units[metric]
        found = [fold.value(name, weights) / unit for fold, (name, unit) in zip(self.folds, units, strict=True)]
        logs: NDArray[np.float64] = np.log(np.maximum(found, LEAST_RATIO))
        return logs

    def wins(self, singles: Weights, candidate: int, others: Sequence[int]) -> float:
        """Share of the folds, by weight, in which a candidate is at least as good as the median of others."""
        won = singles[:, candidate] <= np.median(singles[:, list(others)], axis=1)
        return float(self.shares[won].sum() / self.shares.sum())

    def singles(self, metric: str) -> Weights:
        """(n_folds, n_candidates) of each candidate alone."""
        each = [tiled(one) for one in np.eye(len(self.names))]
        return np.array(
            [
                [fold.value(name, one) for one in each]
                for fold, (name, _) in zip(self.folds, self._units[metric], strict=True)
            ]
        )

    @cached_property
    def _units(self) -> dict[str, list[tuple[str, float]]]:
        """By metric, for each fold the one that it defines, and the value that counts as 1."""
        return {
            metric: [self._unit(fold, metric) for fold in self.folds] for metric in ("wrmsse", "rmsse", "mase", "wape")
        }

    def _unit(self, fold: Fold, metric: str) -> tuple[str, float]:
        each = [tiled(one) for one in np.eye(len(self.names))]
        for name in dict.fromkeys((metric, *FALLBACKS)):
            values = np.array([fold.value(name, one) for one in each])
            if np.isfinite(values).all():
                break
        middle = float(np.median(values[list(self.taking)]))
        base = float(values[self.names.index(BASELINE)]) if BASELINE in self.names else middle
        unit = max(base, LEAST_BASELINE * middle) or float(values.max())
        return name, unit if unit > 0 else 1.0


def tiled(weights: Weights) -> Weights:
    """(n_classes, n_candidates): the same weights for every class."""
    return np.tile(weights, (len(CLASSES), 1))


def weights_of(plan: Plan, panel: Panel) -> NDArray[np.float64]:
    """(n_folds,) weights, adding to 1: folds of a season like the coming one, and newer ones, count more.

    Alike for days, whose folds lie within a few weeks of the cutoff, and whose season is the week.
    """
    year = panel.frequency.season
    if panel.frequency.code[0] not in "WMQ" or not plan.folds:
        return np.full(len(plan.folds), 1 / max(len(plan.folds), 1))
    age = (len(panel.periods) - np.array(plan.folds)) / year  # years
    apart = np.abs(age - np.round(age))
    alike = OTHER_SEASON + (1 - OTHER_SEASON) * np.exp(-0.5 * (apart / NEAR_YEAR) ** 2)
    weight = alike * OLDER_YEAR**age
    found: NDArray[np.float64] = weight / weight.sum()
    return found
