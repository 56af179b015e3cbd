"""Calibrations of models that releases up to 0.2 saved: ratios of actual and forecast by cells, read and not learnt.

Every backtest row fell in a cell (size of the forecast, variation of the series, periods ahead); a cell kept the
quantiles of actual / forecast. New ones are those of models/calibration.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.data.blocks import blocks, release
from forecasting.data.panel import Matrix, Panel
from forecasting.features.history import window_mean, window_std
from forecasting.models.base import QUANTILES
from forecasting.models.pooling import GRID

SMALLEST = 1e-4  # units; a smaller forecast spreads like one of this size


@dataclass(frozen=True)
class RatioCells:
    """edges, variations, sizes: inner edges of the cells. ratios: (n_buckets, n_variations, n_sizes, len(GRID))."""

    edges: tuple[int, ...]
    variations: NDArray[np.float64]
    sizes: NDArray[np.float64]
    ratios: NDArray[np.float64]

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
    width = 91 if panel.frequency.code == "D" else 26
    newest = panel.y[rows, -width:]
    mean, deviation = window_mean(newest, width), window_std(newest, width)
    return np.nan_to_num(deviation / np.sqrt(np.maximum(mean, 1e-6)), nan=1.0).astype(np.float64)


def _floor(mean: Matrix) -> NDArray[np.float64]:
    return np.maximum(mean, SMALLEST).astype(np.float64)
