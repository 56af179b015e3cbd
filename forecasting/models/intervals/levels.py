"""Quantiles at every level of the hierarchy, for single periods and for sums over the first periods.

A sum's quantiles are not the sum of the periods' quantiles: errors of one series go together over time, and those of
different series only in part. So each level, and each length of a sum, is calibrated on its own out-of-sample errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.models.base import QUANTILES
from forecasting.models.intervals.calibration import Calibration, Fold
from forecasting.models.intervals.ratio_cells import RatioCells
from forecasting.models.intervals.series_traits import window
from forecasting.panel import totals
from forecasting.panel.hierarchy import SERIES, TOTAL, Level, levels
from forecasting.panel.memory import blocks
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.totals import level_of

Quantiles = Callable[[NDArray[np.intp]], Matrix]  # of series by their places
SPREAD = 20_000  # series whose sums are spread at once
KEPT = 100_000  # series up to which the quantiles of sums are kept until they are given (M5: 4 MB), not made again
PARTS = 4  # lengths of the sums: a quarter, half, three quarters of the horizon, and the whole


@dataclass(frozen=True)
class Spread:
    """Forecasts of one level. mean: (n_groups, n_steps) units; quantiles: (n_groups, n_steps, n_quantiles)."""

    level: Level
    mean: Matrix
    quantiles: Matrix


@dataclass(frozen=True)
class Calibrations:
    """days: one by level name. windows: lengths of the published sums in periods, rising.

    sums: those of sums in models that releases up to 0.2 saved; newer ones know sums themselves.
    """

    days: Mapping[str, Calibration | RatioCells]
    windows: tuple[int, ...]
    sums: Mapping[str, RatioCells] = field(default_factory=dict)

    @classmethod
    def fit(cls, folds: Sequence[Fold]) -> Self:
        """Learn from (panel at the cutoff, actuals, mean forecasts) of the series, matrices (n_series, horizon)."""
        windows = lengths(folds[0][2].shape[1])
        days: dict[str, Calibration | RatioCells] = {}
        for level in levels(folds[0][0].series, folds[0][0].levels):
            parts = [_grouped(level, *fold) for fold in folds]
            days[level.name] = Calibration.fit(parts, windows, groups=level.name != SERIES)
        return cls(days, windows)

    def by_period(
        self, panel: Panel, mean: Matrix, at: Sequence[float] = QUANTILES, series: bool = True
    ) -> Iterator[Spread]:
        """Every level's forecasts, from those of the series, (n_series, horizon): the means add up.

        series: with those of the series too, which come last. A group of one series has that series' quantiles, and
        quantiles of a group are at least those of each of its series: demand is never below 0.
        """

        def quantiles(rows: NDArray[np.intp]) -> Matrix:
            return self.days[SERIES].quantiles(panel, mean[rows], rows, at)

        found = list(self._levels(panel, mean))
        bounds = self._bounds([level for level, _, _ in found], len(mean), quantiles)
        for level, part, total in found:
            if level.name != SERIES:
                own = self.days[level.name].quantiles(part, total, at=at)
                yield Spread(level, total, _within(level, own, bounds.get(level.name), quantiles))
        if series:
            level, part, total = found[-1]
            yield Spread(level, total, self.days[SERIES].quantiles(part, total, at=at))

    def by_sum(self, panel: Panel, mean: Matrix, at: Sequence[float] = QUANTILES) -> Iterator[Spread]:
        """Every level's demand over the first `windows` periods; those beyond the horizon of `mean` are left out.

        The series come last, a block of them at a time.
        """

        def quantiles(rows: NDArray[np.intp]) -> Matrix:
            if kept is not None and bounds:
                return kept[rows]
            return self._summed(SERIES, panel, mean[rows], rows, at)

        found, bounds = list(self._levels(panel, mean)), dict[str, Matrix]()
        shape = (len(mean), len(self._fitting(mean)), len(at))
        kept = np.empty(shape, dtype=np.float32) if len(mean) <= KEPT else None
        bounds = self._bounds([level for level, _, _ in found], len(mean), quantiles, kept)
        for level, part, total in found:
            if level.name != SERIES:
                own = self._summed(level.name, part, total, np.arange(len(total)), at)
                summed = _sums(total, self._fitting(mean))
                yield Spread(level, summed, _within(level, own, bounds.get(level.name), quantiles))
        level, _, total = found[-1]
        for some in blocks(len(total), SPREAD):
            rows = np.arange(some.start, some.stop)
            own_level = Level(SERIES, rows, level.labels[some])
            yield Spread(own_level, _sums(total[some], self._fitting(mean)), quantiles(rows))

    def _bounds(
        self, found: Sequence[Level], count: int, quantiles: Quantiles, kept: Matrix | None = None
    ) -> dict[str, Matrix]:
        """Of each level, by name, the largest quantiles of the series of each group; none for models of releases.

        kept: what the quantiles of all series are written to.
        """
        if any(isinstance(one, RatioCells) for one in self.days.values()):
            return {}
        bounds: dict[str, Matrix] = {}
        for some in blocks(count):
            rows = np.arange(some.start, some.stop)
            values = quantiles(rows)
            if kept is not None:
                kept[some] = values
            for level in found:
                if level.name != SERIES:
                    shape = (len(level.labels), *values.shape[1:])
                    least = bounds.setdefault(level.name, np.zeros(shape, dtype=np.float32))
                    np.maximum.at(least, level.codes[rows], values)
        return bounds

    def _summed(
        self, name: str, panel: Panel, mean: Matrix, rows: NDArray[np.intp], at: Sequence[float]
    ) -> NDArray[np.float32]:
        """(len(rows), n_windows, len(at)) quantiles of sums over the first periods of (len(rows), horizon) means."""
        one, windows = self.days[name], self._fitting(mean)
        if isinstance(one, RatioCells):
            return self.sums[name].quantiles(panel, _sums(mean, windows), rows, at)
        found: Matrix = np.empty((len(rows), len(windows), len(at)), dtype=np.float32)
        for part in blocks(len(rows)):
            found[part] = one.total(panel, mean[part], rows[part], at, (0, *windows))
        return found

    def _fitting(self, mean: Matrix) -> tuple[int, ...]:
        return tuple(width for width in self.windows if width <= mean.shape[1])

    def _levels(self, panel: Panel, mean: Matrix) -> Iterator[tuple[Level, Panel, Matrix]]:
        for name in dict.fromkeys((TOTAL, *panel.levels, SERIES)):
            if name in self.days:
                level = level_of(panel, name)
                part, _, total = _grouped(level, panel, mean, mean)
                yield level, part, total

    def save(self, place: Path) -> None:
        """Write an npz file of plain arrays: some 200 bytes a series."""
        arrays: dict[str, Any] = {"windows": np.array(self.windows), "levels": np.array([*self.days], dtype=str)}
        for number, one in enumerate(self.days.values()):
            arrays |= {f"{number}.{name}": value for name, value in _learned(one).arrays().items()}
        np.savez_compressed(place, **arrays)

    @classmethod
    def load(cls, place: Path) -> Self:
        """Read what `save` wrote. Raises KeyError, OSError or ValueError where it is not whole."""
        with np.load(place, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        return cls(_by_level(arrays), tuple(arrays["windows"].tolist()))

    def to_json(self) -> dict[str, Any]:
        """Plain values, as of one series or of thousands; `save` is smaller by far."""
        days = {name: _learned(one).to_json() for name, one in self.days.items()}
        return {"windows": list(self.windows), "levels": days}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """What `to_json` gave, of this release or an earlier one."""
        windows = tuple(int(width) for width in content["windows"])
        if "levels" in content:
            return cls({str(name): Calibration.from_json(one) for name, one in content["levels"].items()}, windows)
        days, sums = (
            {str(name): RatioCells.from_json(one) for name, one in content[kind].items()} for kind in ("days", "sums")
        )
        return cls(days, windows, sums)


def _learned(one: Calibration | RatioCells) -> Calibration:
    """Raises TypeError for one of an earlier release: such a model is not written again."""
    if isinstance(one, RatioCells):
        raise TypeError("calibrations of releases up to 0.2 can be read, not written")
    return one


def _by_level(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Calibration]:
    found = {}
    for number, name in enumerate(arrays["levels"].tolist()):
        start = f"{number}."
        mine = {key.removeprefix(start): value for key, value in arrays.items() if key.startswith(start)}
        found[str(name)] = Calibration.from_arrays(mine)
    return found


def _within(level: Level, own: Matrix, least: Matrix | None, quantiles: Quantiles) -> Matrix:
    """Quantiles of a level's groups: at least `least`, and those of the series itself in a group of one."""
    if least is None:
        return own
    found: Matrix = np.maximum(own, least)
    alone, member = _alone(level)
    if len(alone):
        found[alone] = quantiles(member)
    return found


def _alone(level: Level) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Groups of one series, and that series."""
    alone = np.flatnonzero(np.bincount(level.codes, minlength=len(level.labels)) == 1)
    member = np.zeros(len(level.labels), dtype=np.intp)
    member[level.codes] = np.arange(len(level.codes))
    return alone, member[alone]


def lengths(horizon: int) -> tuple[int, ...]:
    """Lengths of the sums for a horizon: quarters of it, rounded up."""
    return tuple(sorted({-(-horizon * part // PARTS) for part in range(1, PARTS + 1)}))


def _grouped(level: Level, panel: Panel, y: Matrix, mean: Matrix) -> Fold:
    """A fold of the series as one of the groups; where a series was not observed, its forecast does not count."""
    if level.name == SERIES:
        return panel, y, mean
    seen = np.isfinite(y)
    series = pd.DataFrame({"unique_id": level.labels})
    newest = totals.filled(panel, level, window(panel.frequency) + panel.frequency.season)
    part = replace(panel, y=newest, series=series, known={}, past={}, levels=(), totals={})
    watched = totals.add_up(level, seen.astype(np.float32)) > 0
    actual = np.where(watched, totals.add_up(level, y), np.float32(np.nan))
    return part, actual, totals.add_up(level, np.where(seen, mean, np.float32(0)))


def _sums(values: Matrix, windows: Sequence[int]) -> Matrix:
    running = np.cumsum(values, axis=1, dtype=np.float64)
    total: Matrix = running[:, [width - 1 for width in windows]].astype(np.float32)
    return total
