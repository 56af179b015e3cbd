"""Quantiles at every level of the hierarchy, for single periods and for sums over the first periods.

A sum's quantiles are not the sum of the periods' quantiles: errors of one series go together over time, and those of
different series only in part. So each level, and each length of a sum, is calibrated on its own out-of-sample errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from forecasting.data import totals
from forecasting.data.blocks import blocks
from forecasting.data.hierarchy import SERIES, TOTAL, Level, levels
from forecasting.data.panel import Matrix, Panel
from forecasting.data.totals import level_of
from forecasting.models.base import QUANTILES
from forecasting.models.calibration import Calibration, Fold

SPREAD = 20_000  # series whose sums are spread at once
PARTS = 4  # lengths of the sums: a quarter, half, three quarters of the horizon, and the whole


@dataclass(frozen=True)
class Spread:
    """Forecasts of one level. mean: (n_groups, n_steps) units; quantiles: (n_groups, n_steps, n_quantiles)."""

    level: Level
    mean: Matrix
    quantiles: Matrix


@dataclass(frozen=True)
class Calibrations:
    """days, sums: one by level name. windows: lengths of the sums in periods, rising."""

    days: Mapping[str, Calibration]
    sums: Mapping[str, Calibration]
    windows: tuple[int, ...]

    @classmethod
    def fit(cls, folds: Sequence[Fold]) -> Self:
        """Learn from (panel at the cutoff, actuals, mean forecasts) of the series, matrices (n_series, horizon)."""
        days, sums = {}, {}
        windows = lengths(folds[0][2].shape[1])
        for level in levels(folds[0][0].series, folds[0][0].levels):
            grouped = [_grouped(level, *fold) for fold in folds]
            days[level.name] = Calibration.fit(grouped)
            summed = [(panel, _sums(y, windows), _sums(mean, windows)) for panel, y, mean in map(_observed, grouped)]
            sums[level.name] = Calibration.fit(summed, tuple(range(1, len(windows))))
        return cls(days, sums, windows)

    def by_period(
        self, panel: Panel, mean: Matrix, at: Sequence[float] = QUANTILES, series: bool = True
    ) -> Iterator[Spread]:
        """Every level's forecasts, from those of the series, (n_series, horizon): the means add up.

        series: with those of the series too, which come last.
        """
        for level, part, total in self._levels(panel, mean):
            if level.name == SERIES and not series:
                continue
            yield Spread(level, total, self.days[level.name].quantiles(part, total, at=at))

    def by_sum(self, panel: Panel, mean: Matrix, at: Sequence[float] = QUANTILES) -> Iterator[Spread]:
        """Every level's demand over the first `windows` periods; those beyond the horizon of `mean` are left out.

        The series come last, a block of them at a time.
        """
        windows = tuple(width for width in self.windows if width <= mean.shape[1])
        for level, part, total in self._levels(panel, mean):
            if level.name != SERIES:
                summed = _sums(total, windows)
                yield Spread(level, summed, self.sums[level.name].quantiles(part, summed, at=at))
                continue
            for some in blocks(len(total), SPREAD):
                rows, summed = np.arange(some.start, some.stop), _sums(total[some], windows)
                own = Level(SERIES, rows, level.labels[some])
                yield Spread(own, summed, self.sums[SERIES].quantiles(part, summed, rows, at))

    def _levels(self, panel: Panel, mean: Matrix) -> Iterator[tuple[Level, Panel, Matrix]]:
        for name in dict.fromkeys((TOTAL, *panel.levels, SERIES)):
            if name in self.days:
                level = level_of(panel, name)
                part, _, total = _grouped(level, panel, mean, mean)
                yield level, part, total

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "windows": list(self.windows),
            "days": {name: one.to_json() for name, one in self.days.items()},
            "sums": {name: one.to_json() for name, one in self.sums.items()},
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """What `to_json` gave."""
        days, sums = (
            {str(name): Calibration.from_json(one) for name, one in content[kind].items()} for kind in ("days", "sums")
        )
        return cls(days, sums, tuple(int(width) for width in content["windows"]))


def lengths(horizon: int) -> tuple[int, ...]:
    """Lengths of the sums for a horizon: quarters of it, rounded up."""
    return tuple(sorted({-(-horizon * part // PARTS) for part in range(1, PARTS + 1)}))


def _grouped(level: Level, panel: Panel, y: Matrix, mean: Matrix) -> Fold:
    """A fold of the series as one of the groups; where a series was not observed, its forecast does not count."""
    if level.name == SERIES:
        return panel, y, mean
    seen = np.isfinite(y)
    series = pd.DataFrame({"unique_id": level.labels})
    newest = totals.units(panel, level)
    part = replace(panel, y=newest, series=series, known={}, past={}, levels=(), totals={})
    return part, totals.add_up(level, y), totals.add_up(level, np.where(seen, mean, np.float32(0)))


def _observed(fold: Fold) -> Fold:
    """Without the periods that were not observed, on both sides."""
    panel, y, mean = fold
    seen = np.isfinite(y)
    return panel, np.where(seen, y, 0), np.where(seen, mean, 0)


def _sums(values: Matrix, windows: Sequence[int]) -> Matrix:
    running = np.cumsum(values, axis=1, dtype=np.float64)
    total: Matrix = running[:, [width - 1 for width in windows]].astype(np.float32)
    return total
