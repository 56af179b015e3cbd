"""One fold of a backtest, ready to score any weights of the candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from forecasting.evaluation import metrics
from forecasting.panel.hierarchy import SERIES, Level, levels
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.segments import DEMAND_CLASSES, demand_class

CLASSES = DEMAND_CLASSES
Weights = NDArray[np.float64]  # (n_classes, n_candidates)


class FoldLevel:
    """One hierarchy level of one fold: errors add up because forecasts do.

    The mean squared error of a group is a quadratic form of the weights of all classes' candidates, so it is computed
    once, and scoring is one product of a matrix and a vector. A single series has one class, so that parts holds a
    matrix a class, (n_series of it, n_candidates ** 2); groups have all: (n_groups, (n_classes x n_candidates) ** 2).
    """

    def __init__(self, level: Level, known: Panel, errors: NDArray[np.float64], fold: Fold) -> None:
        kinds = 1 if level.name == SERIES else len(CLASSES)
        self.alone = level.name == SERIES
        scale = metrics.scales(known.y if self.alone else level.sum(known.y), squared=True)
        observed = (level.sum(np.isfinite(fold.actual).astype(np.float32)) > 0).sum(axis=1)
        good = np.isfinite(scale) & (observed > 0)
        count, candidates, horizon = errors.shape
        place = level.codes * kinds + (0 if self.alone else fold.classes)
        adds_up = sparse.csr_array((np.ones(count), (place, np.arange(count))), (len(level.labels) * kinds, count))
        # Class by class, the candidates in their order: as the weights are laid out.
        stack = (adds_up @ errors.reshape(count, -1)).reshape(len(level.labels), kinds * candidates, horizon)[good]
        squares = stack @ stack.transpose(0, 2, 1) / observed[good][:, None, None]
        gram = squares.reshape(len(stack), (kinds * candidates) ** 2).astype(np.float32)
        order = np.argsort(fold.classes[good], kind="stable") if self.alone else np.arange(len(gram))
        ends: Sequence[int] = (
            np.searchsorted(fold.classes[good][order], np.arange(1, len(CLASSES))).tolist() if self.alone else []
        )
        self.parts = np.split(gram[order], ends)
        self.scale, self.weight = scale[good][order], metrics.weights(fold.recent, level, good)[good][order]

    def score(self, weights: Weights) -> float:
        """Weighted RMSSE of the level; NaN where no group has a scale and an actual."""
        if not len(self.scale):
            return float("nan")
        each = weights if self.alone else weights.reshape(1, -1)
        products = [
            part @ np.outer(own, own).ravel().astype(np.float32) for part, own in zip(self.parts, each, strict=True)
        ]
        squared = np.maximum(np.concatenate(products), 0)
        return float((np.sqrt(squared / self.scale) * self.weight).sum())


class Fold:
    """What was known at one past cutoff, what came, each candidate's forecast, and the demand class of each series.

    known: ends at the cutoff. actual, means: (n_series, horizon) units; actual is NaN where unobserved.
    """

    def __init__(self, known: Panel, actual: Matrix, means: Sequence[Matrix]) -> None:
        self.known, self.actual, self.means = known, actual, means
        labels = demand_class(known)
        self.classes = np.array([CLASSES.index(label) for label in labels], dtype=np.intp)
        error = np.stack(means, axis=1).astype(np.float64) - actual[:, None, :]
        errors = np.where(np.isfinite(error), error, 0)  # (n_series, n_candidates, horizon), units
        season = min(known.frequency.season, max(1, len(known.periods) // 2))
        self.scales, self.recent = metrics.scales(known.y, season), metrics.recent_sales(known)
        self.levels = {one.name: FoldLevel(one, known, errors, self) for one in levels(known.series, known.levels)}

    def mix(self, weights: Weights) -> Matrix:
        """(n_series, horizon) forecasts of the blend with these weights."""
        rows = weights.astype(np.float32)[self.classes]
        total = np.zeros_like(self.means[0])
        for index, mean in enumerate(self.means):
            total += mean * rows[:, index : index + 1]
        return total

    def value(self, metric: str, weights: Weights) -> float:
        """The metric of these weights (wrmsse, rmsse, mase, wape, mae); NaN where this fold does not define it."""
        if metric == "wrmsse":
            return _mean([level.score(weights) for level in self.levels.values()])
        if metric == "rmsse":
            return self.levels[SERIES].score(weights)
        if metric == "wape":
            return metrics.wape(self.actual, self.mix(weights))
        if metric == "mae":
            return metrics.mae(self.actual, self.mix(weights))
        return metrics.mase(self.actual, self.mix(weights), self.scales)

    def scores(self, weights: Weights) -> list[tuple[str, str, float]]:
        """Level, metric, value."""
        by_level = {name: level.score(weights) for name, level in self.levels.items()}
        return [
            ("all", "wrmsse", _mean(list(by_level.values()))),
            *((name, "wrmsse", value) for name, value in by_level.items()),
            (SERIES, "rmsse", by_level[SERIES]),
            (SERIES, "mase", self.value("mase", weights)),
            (SERIES, "wape", self.value("wape", weights)),
            (SERIES, "bias", metrics.bias(self.actual, self.mix(weights))),
        ]

    def sold(self) -> NDArray[np.float64]:
        """(n_classes,) share of each class in recent sales; of the series, where nothing was sold."""
        sold = next((sales for sales in self.recent if sales.sum() > 0), None)
        total = np.bincount(self.classes, weights=sold, minlength=len(CLASSES))
        return total / max(float(total.sum()), 1e-12)


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are defined; NaN where none is."""
    found = [value for value in values if np.isfinite(value)]
    return float(np.mean(found)) if found else float("nan")
