"""Out-of-sample errors beside the spread of their series, and what they are like in groups of like series."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.frequency import Frequency
from forecasting.models.intervals import pooling
from forecasting.models.intervals.pooling import GRID, SPREAD, Codes, Numbers
from forecasting.models.intervals.series_traits import BINS, COLD, FEW, KINDS, NONE, PARENT, RARE, YOUNG, Traits, matrix
from forecasting.panel.panel import Matrix, Panel

Fold = tuple[Panel, Matrix, Matrix]  # panel at the cutoff, actuals, mean forecasts
BUCKETS = {"D": (7, 14)}  # periods ahead: 1-7, 8-14, more
OTHERS = (2, 6)  # the same of weeks, months and longer periods
DISTANCES = 3
WIDE = 9.0  # squared score beside the mean of its group that counts at most: one error does not make a series wild
FACTOR = 60.0  # k: errors of its own that weigh as much as "like the others" for the factor on a series' spread
SLOPE, OWN_SLOPE = 2.0, 5.0  # k of a kind's and of a series' trust, in squared scores of forecast less level
ALIKE = 10.0  # k: series that weigh as much as "all errors of a fold are the same"
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Seen:
    """One fold: traits at its cutoff, series (n,) by their place in `ids`, and matrices (n, n_steps).

    y: NaN where not observed, where demand has ended or never begun (a forecast of zero throughout), and on weekdays
    that never sell. mean: forecasts; spread: their standard deviation by the series' history; offset: within a unit.
    """

    traits: Traits
    series: NDArray[np.intp]
    y: Numbers
    mean: Numbers
    spread: Numbers
    offset: Numbers

    def about(self, trust: Numbers) -> Seen:
        """With the means that quantiles are taken about. trust: by place in `ids`."""
        mean = self.traits.centre(self.mean, trust[self.series])
        return replace(self, mean=mean, spread=np.sqrt(self.traits.variance(mean)))


@dataclass(frozen=True)
class Scores:
    """A row an error: series, fold, bucket of steps, bin of the forecast, kind of series, and the score.

    plain: (actual - mean) / spread, tamed; jittered: the same at a point of the unit's interval around the
    actual, whatever it is. trust: of each series in its forecasts, and of each kind.
    """

    ids: NDArray[np.str_]
    folds: tuple[Seen, ...]
    trust: Numbers
    trust_of_kind: Numbers
    series: NDArray[np.int32]
    fold: NDArray[np.int16]
    bucket: NDArray[np.int8]
    bin: NDArray[np.int8]
    kind: NDArray[np.int8]
    plain: Numbers
    jittered: Numbers

    @classmethod
    def of(cls, folds: Sequence[Fold]) -> Scores:
        """Of all errors of all folds that were observed."""
        names = [panel.unique_ids.astype(str) for panel, _, _ in folds]
        codes, ids = pd.factorize(np.concatenate(names) if names else np.array([], dtype=str))
        starts = np.cumsum([0, *(len(one) for one in names)])
        series = [codes[starts[k] : starts[k + 1]] for k in range(len(folds))]
        begun = [_begun(fold, series[k], number=k) for k, fold in enumerate(folds)]
        trust, kinds = trusted(begun, len(ids))
        begun.reverse()
        seen = [begun.pop().about(trust) for _ in folds]
        columns = joined(_rows(one, k, folds[k][0].frequency) for k, one in enumerate(seen))
        found = cls(np.asarray(ids, dtype=str), tuple(seen), trust, kinds, *columns)
        return replace(found, plain=pooling.tamed(found.plain, found.kind > YOUNG))

    def over(self, factors: Numbers) -> Scores:
        """With the spread of each row, (n_rows,), or of each series and fold, multiplied by factors."""
        mine: Numbers = factors[self.series, self.fold] if factors.ndim == 2 else factors
        return replace(self, plain=self.plain / mine, jittered=self.jittered / mine)

    def shared(self) -> float:
        """Part of the mean squared score that all scores of a fold share, 0 to 1: of few series, nearly all."""
        used = self.kind != COLD
        fold, values = self.fold[used], self.plain[used]
        count = np.maximum(np.bincount(fold, minlength=len(self.folds)), 1)
        mean = np.bincount(fold, weights=values, minlength=len(self.folds)) / count
        squared = float((values**2).mean()) if len(values) else 0.0
        # The mean of independent scores is not 0 either.
        own = (mean**2 - squared / count).mean() if len(mean) else 0.0
        seen = float(np.clip(own / squared, 0.0, 1.0)) if squared > 0 else 1.0
        return (len(self.ids) * seen + ALIKE) / (len(self.ids) + ALIKE)


def _begun(fold: Fold, series: NDArray[np.intp], number: int) -> Seen:
    panel, actual, forecast = fold
    traits, mean = Traits.of(panel), matrix(forecast)
    steps = np.arange(mean.shape[1])
    idle = traits.over(mean) | (traits.cold[:, None] & (mean <= 0))
    y = np.where(idle | traits.shut[:, steps % 7] | ~np.isfinite(mean), np.nan, actual.astype(np.float64))
    mean = np.nan_to_num(mean)
    own = np.array([zlib.crc32(str(name).encode()) for name in panel.unique_ids]) / 2**32
    # Spread evenly over the steps of a series (Weyl, 1916), and the same whatever other series there are.
    offset = (own[:, None] + GOLDEN * (1 + steps + (1 + len(steps)) * number)) % 1.0 - 0.5
    return Seen(traits, series, y, mean, np.sqrt(traits.variance(mean)), offset)


def trusted(folds: Sequence[Seen], count: int) -> tuple[Numbers, Numbers]:
    """How far forecasts of rare sales are worth following from the level: of each series (count,), each kind (KINDS,).

    The slope of (actual - level) on (forecast - level) over all errors, between 0 and 1: that of a series is drawn to
    that of its kind, this to that of all, and this to 1.
    """
    size = count * KINDS
    above, below = np.zeros(size), np.zeros(size)
    for one in folds:
        level = one.traits.level[:, None]
        away = one.mean - level
        used = np.isfinite(one.y) & one.traits.rare[:, None]
        weight = np.where(used, 1 / np.maximum(one.traits.variance(one.mean), 1e-300), 0.0)
        place = one.series * KINDS + one.traits.kind
        gain = (weight * away * np.where(used, one.y - level, 0.0)).sum(axis=1)
        above += np.bincount(place, weights=gain, minlength=size)
        below += np.bincount(place, weights=(weight * away**2).sum(axis=1), minlength=size)
    gains, weights = above.reshape(count, KINDS), below.reshape(count, KINDS)
    all_ = (gains.sum() + SLOPE) / (weights.sum() + SLOPE)
    kinds = np.clip((gains.sum(axis=0) + SLOPE * all_) / (weights.sum(axis=0) + SLOPE), 0.0, 1.0)
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    usual = np.where(weights.sum(axis=1) > 0, share @ kinds, 1.0)
    own = (gains.sum(axis=1) + OWN_SLOPE * usual) / (weights.sum(axis=1) + OWN_SLOPE)
    return np.clip(own, 0.0, 1.0), kinds


def _rows(one: Seen, number: int, frequency: Frequency) -> tuple[NDArray[Any], ...]:
    row, step = np.nonzero(np.isfinite(one.y) & (one.spread > 0))
    spread, error = one.spread[row, step], one.y[row, step] - one.mean[row, step]
    jitter = one.offset[row, step] * one.traits.unit[row]
    # Nothing is nothing in any unit: where zeros reached up to half a dozen packs, the 75 % quantile of parts that sell
    # in one period of ten was a unit and more (spare_raf: pinball 0.6245, with zeros kept at zero 0.6200).
    jitter = np.where(one.y[row, step] > 0, jitter, np.minimum(jitter, 0.0))
    return (
        one.series[row].astype(np.int32), np.full(len(row), number, dtype=np.int16),
        buckets(one.y.shape[1], frequency)[step].astype(np.int8),
        one.traits.relative(one.mean).astype(np.int8)[row, step], one.traits.kind.astype(np.int8)[row],
        error / spread, (error + jitter) / spread,
    )  # fmt: skip


def joined(parts: Iterable[tuple[NDArray[Any], ...]]) -> Iterator[NDArray[Any]]:
    """Each column of all parts, which are given back as soon as they are read: there may be millions of rows."""
    columns = [list(column) for column in zip(*parts, strict=True)]
    del parts
    while columns:
        yield np.concatenate(columns.pop(0))


def buckets(steps: int, frequency: Frequency) -> NDArray[np.intp]:
    """(steps,) bucket of each step."""
    edges = BUCKETS.get(frequency.code[0], OTHERS)
    return np.searchsorted(edges, np.arange(steps), side="right")


@dataclass(frozen=True)
class Tables:
    """scores: (DISTANCES, KINDS, BINS, len(GRID)) quantiles. distance: (KINDS, BINS, DISTANCES) spread there.

    That is beside the spread at any distance. nothing: (KINDS,) mean squared score of forecasts of next to nothing.
    """

    scores: NDArray[np.float32]
    distance: NDArray[np.float32]
    nothing: NDArray[np.float32]

    @classmethod
    def of(cls, scores: Scores) -> Tables:
        """Pooled from kinds to classes of zeros, distances and all; series that are not sold yet apart."""
        found = np.zeros((DISTANCES, KINDS, BINS, len(GRID)))
        live: NDArray[np.bool_] = np.asarray(scores.kind != COLD)
        prior = pooling.fitted(scores.plain[live & (scores.kind != YOUNG) & (scores.bin >= FEW)])
        order = np.argsort(scores.jittered)
        for bin_ in range(BINS):
            for rare in (False, True):
                kinds = (scores.kind >= RARE) == rare
                start = prior if bin_ >= FEW else _of_nothing(scores, order[(live & kinds)[order]], rare)
                # Where sales are frequent or rare, those of the other kind say nothing of a forecast of zero.
                mine = order[(live & (scores.bin == bin_) & (kinds | (bin_ >= FEW)))[order]]
                groups = nested(scores.kind[mine], scores.bucket[mine], DISTANCES)
                own = pooling.pooled(scores.jittered[mine], groups, start, scores.series[mine])
                those = slice(RARE, KINDS) if rare else slice(COLD, RARE)
                found[:, those, bin_] = own.reshape(KINDS, DISTANCES, len(GRID)).swapaxes(0, 1)[:, those]
        cold = order[scores.kind[order] == COLD]
        found[:, COLD] = pooling.pooled(scores.jittered[cold], [], exponential())
        kind, any_ = squares(scores)
        distance = np.ones((KINDS, BINS, DISTANCES))
        distance[:, FEW:] = np.sqrt(kind / any_[:, None])[:, None]
        rare = (scores.bin == NONE) & (scores.kind != COLD)
        nothing = pooling.means(scores.plain[rare] ** 2, nested(scores.kind[rare], None, 1), 0.0)
        return cls(found.astype(np.float32), distance.astype(np.float32), nothing.astype(np.float32))

    def by_bucket(self, steps: int, frequency: Frequency, weights: Numbers) -> tuple[Numbers, Numbers]:
        """Quantiles (steps, KINDS, BINS, n_levels) and distances (steps, KINDS, BINS)."""
        place = buckets(steps, frequency)
        return (self.scores @ weights)[place], self.distance.astype(np.float64).transpose(2, 0, 1)[place]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name."""
        return {"scores": self.scores, "distance": self.distance, "nothing": self.nothing}

    @classmethod
    def from_arrays(cls, content: Mapping[str, NDArray[Any]]) -> Self:
        """What `arrays` gave."""
        return cls(content["scores"], content["distance"], content["nothing"])


def _of_nothing(scores: Scores, rows: NDArray[np.intp], rare: bool) -> Numbers:
    """(len(GRID),) scores of a forecast of next to nothing, where none is known: no sale, if sales are frequent.

    Where they are rare it is chance in which places of the season none was seen: as of any other forecast.
    """
    if not rare:
        return np.zeros(len(GRID))
    found: Numbers = pooling.pooled(scores.jittered[rows], [], np.zeros(len(GRID)))[0]
    return found


def own_factors(scores: Scores) -> tuple[Numbers, Numbers]:
    """Factor on the spread of each series, (n_series,), and the same without the errors of each fold, (n, n_folds).

    The root of its mean squared score beside that of its kind, drawn towards 1. What a fold's own errors say is not
    used on that fold, so that its scores spread as those of new errors will.
    """
    mean, _ = squares(scores)
    used = (scores.kind != COLD) & (scores.bin >= FEW)
    beside = np.minimum(scores.plain[used] ** 2 / mean[scores.kind[used], scores.bucket[used]], WIDE)
    shape = (len(scores.ids), max(len(scores.folds), 1))
    place = np.ravel_multi_index((scores.series[used], scores.fold[used]), shape)
    total = np.bincount(place, weights=beside, minlength=shape[0] * shape[1]).reshape(shape)
    count = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
    all_, rows = total.sum(axis=1, keepdims=True), count.sum(axis=1, keepdims=True)
    inner = np.sqrt((FACTOR + all_ - total) / (FACTOR + rows - count))
    return np.sqrt((FACTOR + all_) / (FACTOR + rows))[:, 0], inner


def squares(scores: Scores) -> tuple[Numbers, Numbers]:
    """Mean squared scores of forecasts of the level's size: (KINDS, DISTANCES), and (KINDS,) at any distance."""
    used = (scores.kind != COLD) & (scores.bin >= FEW)
    values, kind = scores.plain[used] ** 2, scores.kind[used]
    near = pooling.means(values, nested(kind, scores.bucket[used], DISTANCES), SPREAD)
    return near.reshape(KINDS, DISTANCES), pooling.means(values, nested(kind, None, 1), SPREAD)


def nested(kind: Codes, bucket: Codes | None, count: int) -> list[tuple[Codes, NDArray[np.intp]]]:
    """Groups from wide to narrow, for `pooling`: distances, these by class of zeros, these by kind.

    Series with few observations are a class of their own, which borrows from the others and lends them nothing: their
    levels are wrong by more, so that one new item would widen the bands of a small shop.
    """
    place = np.zeros(len(kind), dtype=np.intp) if bucket is None else bucket
    classes = int(PARENT.max()) + 1
    each = np.arange(count)
    return [
        (np.where(kind == YOUNG, -1, place), np.zeros(count, dtype=np.intp)),
        (PARENT[kind] * count + place, np.tile(each, classes)),
        (kind * count + place, (PARENT[:, None] * count + each).ravel()),
    ]


def exponential() -> Numbers:
    """(len(GRID),) scores where nothing is known but a mean: the exponential distribution, the widest of that mean.

    It has the highest entropy of all with a given mean above zero (Jaynes, 1957).
    """
    found: Numbers = -np.log1p(-np.asarray(GRID)) - 1.0
    return found
