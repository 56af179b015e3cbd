"""Sums over the first periods of a forecast: each length by its own errors, never with those of another length.

The score of a sum is (actual - mean) / root of the summed variances of its periods: 1 where errors are independent of
each other. How far they are not (one error of level for all periods, errors that go on) is what the folds show: the
mean squared score of a length, by class of demand, over all places in the horizon. The form of the distribution comes
from the first periods of each fold, and from a Pearson III distribution where these are few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.models.intervals import pooling
from forecasting.models.intervals.error_scores import WIDE, Scores, Seen, exponential, joined, nested
from forecasting.models.intervals.pooling import GRID, Numbers
from forecasting.models.intervals.series_traits import COLD, KINDS, LOW, NONE, YOUNG, Traits

ENOUGH = 0.75  # share of a window's periods that must have been observed
# Variance of a sum's score where no sum is known. Single series of made-up shops by week, 28 weeks, within p05..p95:
# 0.87 with the 1.3 of single periods, 0.90 with this.
UNKNOWN = 1.7
WINDOWS = 18.0  # k: windows of its own that weigh as much as those of like series, for the spread of a series' sums
EMPTY, FULL = 0, 1  # windows whose forecast is next to nothing, and the others


@dataclass(frozen=True)
class Rows:
    """Windows of one length, an entry each: place of the series, fold, kind, score and the same within a unit.

    full: whether the forecast is more than next to nothing; first: whether it starts at the cutoff; weight: share of
    its periods that no window before it has.
    """

    series: NDArray[np.int32]
    fold: NDArray[np.int16]
    kind: NDArray[np.int8]
    plain: Numbers
    jittered: Numbers
    full: NDArray[np.bool_]
    first: NDArray[np.bool_]
    weight: Numbers

    @classmethod
    def of(cls, scores: Scores, inner: Numbers, nothing: Numbers, length: int) -> Self:
        """Of all folds. inner: (n_series, n_folds) factors on the spread."""
        parts = [
            part
            for number, one in enumerate(scores.folds)
            for part in _windows(one, number, inner[one.series, number], nothing, length)
        ] or [_no_rows()]
        columns = joined(parts)
        del parts
        found = cls(*columns)
        return replace(found, plain=pooling.tamed(found.plain, found.kind > YOUNG))


@dataclass(frozen=True)
class Sums:
    """lengths: rising, from 1. nothing: (KINDS,) as in Tables. scores: (n_lengths, 2, KINDS, len(GRID)).

    factor: (n_series, n_lengths) on the spread of each series' sums, beside that of its periods.
    """

    lengths: NDArray[np.int64]
    nothing: NDArray[np.float32]
    scores: NDArray[np.float32]
    factor: NDArray[np.float32]

    @classmethod
    def of(cls, scores: Scores, inner: Numbers, windows: Sequence[int], together: float) -> Self:
        """Learn the lengths 1 and `windows`. inner: (n_series, n_folds) factors on the spread of each series.

        together: correlation of the errors of two periods of which nothing is known.
        """
        rare = (scores.bin == NONE) & (scores.kind != COLD)
        nothing = pooling.means(scores.plain[rare] ** 2, nested(scores.kind[rare], None, 1), 0.0)
        lengths = sorted({1, *windows})
        found = np.zeros((len(lengths), 2, KINDS, len(GRID)))
        factor = np.ones((len(scores.ids), len(lengths)))
        for place, length in enumerate(lengths):
            rows = Rows.of(scores, inner, nothing, length)
            full = rows.full & (rows.kind != COLD)
            squared = pooling.means(
                rows.plain[full] ** 2, nested(rows.kind[full], None, 1), UNKNOWN * (1 + together * (length - 1))
            )
            mine = np.ones(len(rows.kind))
            if length > 1:
                factor[:, place], beside = _own(rows, full, squared, inner.shape)
                mine = beside[rows.series, rows.fold]
            found[place, FULL] = _form(rows, full, np.sqrt(squared), mine)
            found[place, EMPTY] = _empty(rows)
            # Unlike the others, one that is not sold yet is wrong in all periods by the same share.
            cold = np.sort(rows.jittered[(rows.kind == COLD) & rows.first])
            found[place, :, COLD] = pooling.pooled(cold, [], exponential() * length**0.5)
        return cls(np.array(lengths), *(one.astype(np.float32) for one in (nothing, found, factor)))

    def quantiles(
        self, traits: Traits, mean: Numbers, factor: Numbers, place: NDArray[np.intp], weights: Numbers
    ) -> Numbers:
        """(n, n_steps, n_levels) of the demand of the first 1, 2, ... steps, from (n, n_steps) means.

        factor: (n,) on the spread of each series; place: (n,) of each series in `factor`, -1 for one that is new.
        weights: from GRID to the levels that are asked for.
        """
        steps = np.arange(1, mean.shape[1] + 1)
        variance, running = (
            np.cumsum(_variance(traits, mean, self.nothing.astype(np.float64)), axis=1),
            np.cumsum(mean, axis=1),
        )
        full = _full(traits, running, steps[None, :]).astype(np.intp)
        kept = self.scores.astype(np.float64) @ weights
        known = (place >= 0) & ~traits.cold
        own = np.where(known, self.factor.T[:, place], 1.0) if len(self.factor) else np.ones((len(kept), len(mean)))
        found = np.empty((*mean.shape, weights.shape[1]))
        for step, length in enumerate(steps):
            score = _between(kept, self.lengths, int(length))[full[:, step], traits.kind]
            spread = np.sqrt(variance[:, step]) * factor * _between(own, self.lengths, int(length))
            found[:, step] = running[:, step, None] + spread[:, None] * score
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name."""
        return {"lengths": self.lengths, "nothing": self.nothing, "scores": self.scores, "factor": self.factor}

    @classmethod
    def from_arrays(cls, content: Mapping[str, NDArray[Any]]) -> Self:
        """What `arrays` gave."""
        return cls(content["lengths"], content["nothing"], content["scores"], content["factor"])


def _own(rows: Rows, used: NDArray[np.bool_], squared: Numbers, shape: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """Factors on the spread of each series' sums, (n_series,), and without each fold's own, (n_series, n_folds)."""
    weight = rows.weight[used]
    beside = np.minimum(rows.plain[used] ** 2 / squared[rows.kind[used]], WIDE) * weight
    place, size = np.ravel_multi_index((rows.series[used], rows.fold[used]), shape), int(np.prod(shape))
    total = np.bincount(place, weights=beside, minlength=size).reshape(shape)
    count = np.bincount(place, weights=weight, minlength=size).reshape(shape)
    all_, sizes = total.sum(axis=1, keepdims=True), count.sum(axis=1, keepdims=True)
    inner = np.sqrt((WINDOWS + all_ - total) / (WINDOWS + sizes - count))
    return np.sqrt((WINDOWS + all_) / (WINDOWS + sizes))[:, 0], inner


def _form(rows: Rows, used: NDArray[np.bool_], spread: Numbers, factor: Numbers) -> Numbers:
    """(KINDS, len(GRID)) scores: the spread of all windows, in the form that those from the cutoff on have."""
    beside = spread[rows.kind] * factor
    prior = pooling.fitted((rows.plain / beside)[used & (rows.kind != YOUNG)])
    taken = np.flatnonzero(used & rows.first)
    scores = (rows.jittered / beside)[taken]
    order = np.argsort(scores)
    groups = nested(rows.kind[taken[order]], None, 1)
    found: Numbers = spread[:, None] * pooling.pooled(scores[order], groups, prior, rows.series[taken[order]])
    return found


def _empty(rows: Rows) -> Numbers:
    """(KINDS, len(GRID)) scores of windows whose forecast is next to nothing."""
    taken = np.flatnonzero(~rows.full & rows.first & (rows.kind != COLD))
    order = taken[np.argsort(rows.jittered[taken])]
    return pooling.pooled(rows.jittered[order], nested(rows.kind[order], None, 1), np.zeros(len(GRID)))


def _no_rows() -> tuple[NDArray[Any], ...]:
    whole, real, flag = np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0, dtype=bool)
    return whole, whole, whole, real, real, flag, flag, real


def _windows(
    fold: Seen, number: int, factor: Numbers, nothing: Numbers, length: int
) -> Iterator[tuple[NDArray[Any], ...]]:
    """Columns of Rows, a place in the horizon at a time."""
    width = fold.y.shape[1]
    steps = np.arange(width)
    counts = ~fold.traits.shut[:, steps % 7]
    seen = np.isfinite(fold.y)
    variance = _variance(fold.traits, fold.mean, nothing) * factor[:, None] ** 2
    matrices = (np.where(seen, fold.y, 0), np.where(seen, fold.mean, 0), np.where(seen, variance, 0), seen, counts)
    running = [np.concatenate([np.zeros((len(seen), 1)), np.cumsum(one, axis=1)], axis=1) for one in matrices]
    stride = max(1, length // 2)
    for start in range(0, width - length + 1, stride):
        actual, mean, squared, known, wanted = (one[:, start + length] - one[:, start] for one in running)
        rows = np.flatnonzero((known >= np.maximum(ENOUGH * wanted, 1)) & (squared > 0))
        error, spread = (actual - mean)[rows], np.sqrt(squared[rows])
        jitter = fold.offset[rows, start] * fold.traits.unit[rows]
        full = _full(fold.traits, mean[:, None], known[:, None])[rows, 0]
        yield (
            fold.series[rows].astype(np.int32), np.full(len(rows), number, dtype=np.int16),
            fold.traits.kind[rows].astype(np.int8),
            error / spread, (error + jitter) / spread, full, np.full(len(rows), start == 0),
            np.full(len(rows), stride / length if start else 1.0),
        )  # fmt: skip


def _variance(traits: Traits, mean: Numbers, nothing: Numbers) -> Numbers:
    """(n, n_steps) variance of each period; of forecasts of next to nothing as far as these were wrong."""
    found = traits.variance(mean)
    found = np.where(traits.relative(mean) == NONE, found * nothing[traits.kind][:, None], found)
    return np.where(traits.shut[:, np.arange(mean.shape[1]) % 7], 0.0, found)


def _full(traits: Traits, total: Numbers, periods: Numbers | NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a sum's mean is more than next to nothing beside the series' level."""
    found: NDArray[np.bool_] = traits.cold[:, None] | (total >= LOW * traits.level[:, None] * periods)
    return found


def _between(kept: Numbers, lengths: NDArray[np.int64], length: int) -> Numbers:
    """Scores of a length, straight between those of the two around it."""
    place = int(np.clip(np.searchsorted(lengths, length, side="right") - 1, 0, len(lengths) - 1))
    after = min(place + 1, len(lengths) - 1)
    if after == place:
        found: Numbers = kept[place]
        return found
    share = (length - lengths[place]) / (lengths[after] - lengths[place])
    mixed: Numbers = (1 - share) * kept[place] + share * kept[after]
    return mixed
