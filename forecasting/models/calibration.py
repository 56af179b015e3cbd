"""Quantiles from out-of-sample errors: how actuals spread around forecasts of the same size, steadiness and distance.

Every backtest row falls in a cell (size of the forecast, variation of the series, periods ahead); a cell keeps the
quantiles of actual / forecast. Ratios cannot cross or go below zero. This is split conformal prediction by groups
(Mondrian; Vovk et al., 2005) with the ratio as the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.data.blocks import blocks, release
from forecasting.data.panel import Matrix, Panel
from forecasting.features.history import window_mean, window_std
from forecasting.models.base import QUANTILES

MIN_ROWS = 150  # a cell: the 5 % and 95 % quantiles then rest on 7 rows each
SMALLEST = 1e-4  # units; a smaller forecast spreads like one of this size
VARIATIONS = 3
BUCKETS = (7, 14)  # periods ahead: 1-7, 8-14, more
# Levels that are kept, those between are interpolated; the M5 competition's and usual service levels are among them.
GRID = (0.005, 0.01, 0.025, 0.05, 0.1, 0.165, 0.25, 0.375, 0.5, 0.625, 0.75, 0.835, 0.9, 0.95, 0.975, 0.99, 0.995)

Fold = tuple[Panel, Matrix, Matrix]  # panel at the cutoff, actuals, mean forecasts


@dataclass(frozen=True)
class Calibration:
    """edges, variations, sizes: inner edges of the cells. ratios: (n_buckets, n_variations, n_sizes, len(GRID))."""

    edges: tuple[int, ...]
    variations: NDArray[np.float64]
    sizes: NDArray[np.float64]
    ratios: NDArray[np.float64]

    @classmethod
    def fit(cls, folds: Sequence[Fold], edges: tuple[int, ...] = BUCKETS) -> Self:
        """Learn from (panel at the cutoff, actuals, mean forecasts) of each fold, matrices (n_series, n_steps).

        edges: first column of each bucket of steps after the first one.
        """
        size = np.concatenate([_floor(mean).ravel() for _, _, mean in folds])
        actual = np.concatenate([y.ravel() for _, y, _ in folds])
        steadiness = np.concatenate([np.repeat(variation(p), mean.shape[1]) for p, _, mean in folds])
        step = np.concatenate([np.tile(np.arange(mean.shape[1]), len(mean)) for _, _, mean in folds])
        seen = np.isfinite(actual)
        size, actual, steadiness, step = size[seen], actual[seen], steadiness[seen], step[seen]
        bucket = np.searchsorted(edges, step, side="right")
        n_sizes = int(np.clip(len(actual) // (MIN_ROWS * VARIATIONS * (len(edges) + 1)), 1, 24))
        variations = np.quantile(steadiness, np.linspace(0, 1, VARIATIONS + 1)[1:-1]) if len(actual) else np.zeros(2)
        sizes = np.quantile(size, np.linspace(0, 1, n_sizes + 1)[1:-1]) if len(actual) else np.zeros(n_sizes - 1)
        fitted = cls(edges, variations, sizes, np.ones((len(edges) + 1, VARIATIONS, n_sizes, len(GRID))))
        where = (bucket, np.searchsorted(variations, steadiness), np.searchsorted(sizes, size))
        fitted._fill(where, actual / size)
        return fitted

    def _fill(self, where: tuple[NDArray[np.intp], ...], ratio: NDArray[np.floating]) -> None:
        """Quantiles of each cell; a cell with few rows borrows all rows of its size, then everything."""
        everything = np.quantile(ratio, GRID) if len(ratio) else np.ones(len(GRID))
        cell = np.ravel_multi_index(where, self.ratios.shape[:3])
        by_cell = _quantiles(cell, ratio, int(np.prod(self.ratios.shape[:3])))
        by_size = _quantiles(where[2], ratio, self.ratios.shape[2])
        for index in np.ndindex(*self.ratios.shape[:3]):
            found = by_cell.get(int(np.ravel_multi_index(index, self.ratios.shape[:3])), by_size.get(index[2]))
            self.ratios[index] = everything if found is None else found

    def quantiles(
        self, panel: Panel, mean: Matrix, rows: NDArray[np.intp] | None = None, at: Sequence[float] = QUANTILES
    ) -> Matrix:
        """(n_series, n_steps, len(at)) for mean forecasts of the panel's series (or of `rows` of them)."""
        bucket = np.searchsorted(self.edges, np.arange(mean.shape[1]), side="right")
        kept = np.apply_along_axis(lambda cell: np.interp(at, GRID, cell), -1, self.ratios)
        result: Matrix = np.empty((*mean.shape, len(at)), dtype=np.float32)
        for part in blocks(len(mean)):
            spread = np.searchsorted(self.variations, variation(panel, part if rows is None else rows[part]))
            size = _floor(mean[part])
            ratios = kept[bucket[None, :], spread[:, None], np.searchsorted(self.sizes, size)]
            result[part] = ratios * np.where(mean[part] > 0, size, 0)[..., None]
            release(panel.y)
        return result

    def to_json(self) -> dict[str, Any]:
        """Plain lists."""
        return {
            "edges": list(self.edges),
            "variations": self.variations.tolist(),
            "sizes": self.sizes.tolist(),
            "ratios": self.ratios.tolist(),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """What `to_json` gave."""
        arrays = (np.asarray(content[name], dtype=np.float64) for name in ("variations", "sizes", "ratios"))
        return cls(tuple(content["edges"]), *arrays)


def variation(panel: Panel, rows: NDArray[np.intp] | slice = slice(None)) -> NDArray[np.float64]:
    """Standard deviation over the root of the mean in the newest 13 weeks: 1 for Poisson-like demand.

    (n_series,), or of some rows.
    """
    width = panel.frequency.steadiness
    newest = panel.y[rows, -width:]
    mean, deviation = window_mean(newest, width), window_std(newest, width)
    return np.nan_to_num(deviation / np.sqrt(np.maximum(mean, 1e-6)), nan=1.0).astype(np.float64)


def _floor(mean: Matrix) -> NDArray[np.float64]:
    return np.maximum(mean, SMALLEST).astype(np.float64)


def _quantiles(cell: NDArray[np.intp], ratio: NDArray[np.floating], cells: int) -> dict[int, NDArray[np.float64]]:
    order = np.argsort(cell, kind="stable")
    bounds = np.searchsorted(cell[order], np.arange(cells + 1))
    sorted_ratio = ratio[order]
    return {
        index: np.quantile(sorted_ratio[start:stop], GRID)
        for index, (start, stop) in enumerate(pairwise(bounds))
        if stop - start >= MIN_ROWS
    }
