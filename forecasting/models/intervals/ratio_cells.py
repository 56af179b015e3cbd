"""Quantiles of the ratio of actual and forecast by cells: a second estimate for large panels of erratic demand.

Every row of the backtest falls in a cell (size of the forecast, variation of the series, periods ahead); a cell keeps
the quantiles of actual / forecast. This is split conformal prediction by groups (Mondrian; Vovk et al., 2005) with the
ratio as the score. Models that releases up to 0.2 saved have these cells alone; models/intervals/calibration.py
averages them with its own quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.features.history import window_mean, window_std
from forecasting.models.base import QUANTILES
from forecasting.models.intervals.pooling import GRID
from forecasting.panel.memory import blocks, release
from forecasting.panel.panel import Matrix, Panel

MIN_ROWS = 150  # a cell: the 5 % and 95 % quantiles then rest on 7 rows each
MOST_SIZES = 24
VARIATIONS = 3
BUCKETS = (7, 14)  # periods ahead: 1-7, 8-14, more
Vector = NDArray[np.float64]
SMALLEST = 1e-4  # units; a smaller forecast spreads like one of this size


@dataclass(frozen=True)
class RatioCells:
    """edges, variations, sizes: inner edges of the cells. ratios: (n_buckets, n_variations, n_sizes, len(GRID))."""

    edges: tuple[int, ...]
    variations: NDArray[np.float64]
    sizes: NDArray[np.float64]
    ratios: NDArray[np.float64]

    @classmethod
    def fit(cls, parts: Sequence[tuple[Vector, Vector, Vector]], edges: tuple[int, ...] = BUCKETS) -> Self:
        """Learn from (variations of the series, actuals, mean forecasts) of each fold, (n,) and (n, n_steps).

        edges: first column of each bucket of steps after the first one. Not observed (NaN) counts for nothing.
        """
        found = [_rows(part) for part in parts] or [(np.zeros(0),) * 4]
        variations, sizes, steps, actuals = (np.concatenate(column) for column in zip(*found, strict=True))
        bucket = np.searchsorted(edges, steps, side="right")
        n_sizes = int(np.clip(len(actuals) // (MIN_ROWS * VARIATIONS * (len(edges) + 1)), 1, MOST_SIZES))
        inner, some = np.linspace(0, 1, VARIATIONS + 1)[1:-1], np.linspace(0, 1, n_sizes + 1)[1:-1]
        limits = np.quantile(variations, inner) if len(actuals) else np.zeros(len(inner))
        by_size = np.quantile(sizes, some) if len(actuals) else np.zeros(len(some))
        shape = (len(edges) + 1, VARIATIONS, n_sizes)
        where = (bucket, np.searchsorted(limits, variations), np.searchsorted(by_size, sizes))
        return cls(edges, limits, by_size, _by_cell(where, shape, actuals / sizes))

    def quantiles(
        self, panel: Panel, mean: Matrix, rows: NDArray[np.intp] | None = None, at: Sequence[float] = QUANTILES
    ) -> Matrix:
        """(n_series, n_steps, len(at)) for mean forecasts of the panel's series (or of `rows` of them)."""
        kept = self.kept(at)
        result: Matrix = np.empty((*mean.shape, len(at)), dtype=np.float32)
        for part in blocks(len(mean)):
            result[part] = self.block(variation(panel, part if rows is None else rows[part]), mean[part], kept)
            release(panel.y)
        return result

    def kept(self, at: Sequence[float]) -> Vector:
        """(n_buckets, n_variations, n_sizes, len(at)) ratios at these levels."""
        found: Vector = np.apply_along_axis(lambda cell: np.interp(at, GRID, cell), -1, self.ratios)
        return found

    def block(self, variations: Vector, mean: Matrix | Vector, kept: Vector) -> Vector:
        """(n, n_steps, n_levels) quantiles for means (n, n_steps) of series with variations (n,)."""
        bucket = np.searchsorted(self.edges, np.arange(mean.shape[1]), side="right")
        spread, size = np.searchsorted(self.variations, variations), _floor(mean)
        ratios = kept[bucket[None, :], spread[:, None], np.searchsorted(self.sizes, size)]
        found: Vector = ratios * np.where(mean > 0, size, 0)[..., None]
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `from_arrays` makes the same cells of."""
        return {
            "edges": np.array(self.edges),
            "variations": self.variations,
            "sizes": self.sizes,
            "ratios": self.ratios.astype(np.float32),
        }

    @classmethod
    def from_arrays(cls, content: Mapping[str, NDArray[Any]]) -> Self:
        """What `arrays` gave."""
        numbers = (content[name].astype(np.float64) for name in ("variations", "sizes", "ratios"))
        return cls(tuple(content["edges"].tolist()), *numbers)

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
    width = 91 if panel.frequency.code == "D" else 26
    newest = panel.y[rows, -width:]
    mean, deviation = window_mean(newest, width), window_std(newest, width)
    return np.nan_to_num(deviation / np.sqrt(np.maximum(mean, 1e-6)), nan=1.0).astype(np.float64)


def _floor(mean: Matrix | Vector) -> NDArray[np.float64]:
    return np.maximum(mean, SMALLEST).astype(np.float64)


def _rows(part: tuple[Vector, Vector, Vector]) -> tuple[NDArray[Any], ...]:
    """Variation, size of the forecast, step and actual of every observed cell."""
    variations, actual, mean = part
    row, step = np.nonzero(np.isfinite(actual))
    return variations[row], _floor(mean)[row, step], step, actual[row, step].astype(np.float64)


def _by_cell(where: tuple[NDArray[np.intp], ...], shape: tuple[int, ...], ratio: Vector) -> Vector:
    """(*shape, len(GRID)) quantiles; a cell with few rows has those of all rows of its size, then of all rows."""
    everything = np.quantile(ratio, GRID) if len(ratio) else np.ones(len(GRID))
    by_cell = _quantiles(np.ravel_multi_index(where, shape), ratio, int(np.prod(shape)))
    by_size = _quantiles(where[2], ratio, shape[2])
    found = np.empty((*shape, len(GRID)))
    for number, index in enumerate(np.ndindex(*shape)):
        found[index] = by_cell.get(number, by_size.get(index[2], everything))
    return found


def _quantiles(cell: NDArray[np.intp], ratio: Vector, cells: int) -> dict[int, Vector]:
    order = np.argsort(cell, kind="stable")
    bounds = np.searchsorted(cell[order], np.arange(cells + 1))
    ordered = ratio[order]
    return {
        number: np.quantile(ordered[start:stop], GRID)
        for number, (start, stop) in enumerate(pairwise(bounds))
        if stop - start >= MIN_ROWS
    }
