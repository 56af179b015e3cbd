"""Quantiles from out-of-sample errors: each series' own, drawn towards those of like series, and these towards all.

The score of an error is (actual - mean) / spread, where the spread follows from the series' own newest periods at the
cutoff (models/intervals/series_traits.py): normalised split conformal prediction (Papadopoulos et al., 2002; Lei et
al., 2018). Scores are pooled by class of demand, size of the forecast beside the level, and distance
(models/intervals/pooling.py); each series has a factor of its own on the spread and, the more errors of its own there
are, quantiles of its own. Where many errors of erratic demand were seen, quantiles of actual / forecast
(models/intervals/ratio_cells.py) are averaged with them.

Counts: a score is taken at a point of the interval of one unit around the actual that is spread evenly over rows, and
quantiles are rounded to whole units. So P(y < q) <= p <= P(y <= q) where the scores of new errors are as those of old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.models.base import QUANTILES
from forecasting.models.intervals import pooling
from forecasting.models.intervals.error_scores import Fold, Scores, Seen, Tables, own_factors
from forecasting.models.intervals.past_sums import LARGEST, Past, drawn, limits
from forecasting.models.intervals.period_sums import Sums
from forecasting.models.intervals.pooling import GRID, Numbers
from forecasting.models.intervals.ratio_cells import RatioCells, variation
from forecasting.models.intervals.series_traits import BINS, COLD, YOUNG, Traits, matrix, window
from forecasting.panel.memory import blocks, release
from forecasting.panel.panel import Matrix, Panel

__all__ = ["GRID", "Calibration", "Fold"]
# Periods of the window over its whole that the level of a forecast rests on, where nothing is known: errors of level
# are the same in all periods ahead, and have the variance of one period over so many.
TOGETHER = 3.0
# The average of both is better than either (pinball of scores, average and ratios: retail weeks 7.59, 7.45, 7.50;
# pasta 0.578, 0.571, 0.572; spare_raf 0.617, 0.611, 0.610). The fewer errors, the less the cells say.
CELLS, ERRORS = 0.65, 2000.0  # most weight of the cells, and errors at which they have half of it
# A quantile of rare sales is 0 where the share of periods without a sale exceeds its level by so much: an average of a
# quantile of 0 and one of 5 would be 1.
CLEAR = 0.05
SAMPLE = 4000  # series of a fold that the cells are learned from, at most
Own = tuple[Numbers, Numbers, Numbers, Numbers]  # own quantiles, their weight, factor on the spread, trust
Others = tuple[Past, Numbers, Numbers]  # past periods of rare sales, ratios of erratic ones, levels asked for
OWN = 300.0  # errors of its own from which on a series' quantiles are its own rather than those of like series


@dataclass(frozen=True)
class Calibration:
    """tables: scores of groups. ids: (n,) series with errors of their own; factor: (n,) on the spread of each.

    trust: (n + KINDS,) in the forecasts of each series, and of the kinds for others. sums: of windows of periods.
    own: (n, BINS, len(GRID)) quantiles of its scores; share: (n, BINS) weight of these. cells: quantiles of ratios for
    erratic demand; weight: theirs beside the scores.
    """

    tables: Tables
    sums: Sums
    ids: NDArray[np.str_]
    factor: NDArray[np.float32]
    trust: NDArray[np.float32]
    own: NDArray[np.float32]
    share: NDArray[np.float32]
    cells: RatioCells
    weight: float

    @classmethod
    def fit(cls, folds: Sequence[Fold], windows: Sequence[int] = (), groups: bool = False) -> Self:
        """Learn from (panel at the cutoff, actuals, mean forecasts) of each fold, matrices (n_series, n_steps).

        windows: lengths of sums over the first periods that are calibrated too. Not observed (NaN) counts for nothing.
        groups: the series are groups of series, which are wrong together: n folds show n errors of what they share,
        so that this part of the next fold's errors has 1 + 1 / n times its variance. M5's stores at 2016-04-24: 0.84
        of the actuals within p05..p95 without it.
        """
        scores = Scores.of(folds)
        factor, inner = own_factors(scores)
        scores = scores.over(inner)
        tables = Tables.of(scores)
        own, share = _own(scores, tables, factor, inner)
        sums = Sums.of(scores, inner, windows, TOGETHER / window(folds[0][0].frequency) if folds else 0.0)
        trust = np.concatenate([scores.trust, scores.trust_of_kind]).astype(np.float32)
        if groups:
            factor *= (1 + scores.shared() / len(folds)) ** 0.5
        return cls(tables, sums, scores.ids, factor.astype(np.float32), trust, own, share, *_cells(folds, scores.folds))

    def quantiles(
        self, panel: Panel, mean: Matrix, rows: NDArray[np.intp] | None = None, at: Sequence[float] = QUANTILES
    ) -> Matrix:
        """(n_series, n_steps, len(at)) for mean forecasts of the panel's series (or of `rows` of them)."""
        result: Matrix = np.empty((*mean.shape, len(at)), dtype=np.float32)
        weights = pooling.levels(at)
        for part in blocks(len(mean)):
            chosen = np.arange(part.start, part.stop) if rows is None else rows[part]
            traits = Traits.of(panel, chosen)
            own = self._series(self._places(panel, chosen), traits, weights)
            result[part] = self._periods(panel, chosen, mean[part], traits, own, at)
            release(panel.y)
        return result

    def _periods(
        self, panel: Panel, rows: NDArray[np.intp], mean: Matrix, traits: Traits, own: Own, at: Sequence[float]
    ) -> Numbers:
        """(len(rows), n_steps, len(at)) quantiles of single periods."""
        group = self.tables.by_bucket(mean.shape[1], panel.frequency, pooling.levels(at))
        past = drawn(panel, rows, traits, traits.level, 1, at)
        erratic = np.flatnonzero(traits.erratic) if self.weight else np.zeros(0, dtype=np.intp)
        ratios = self.cells.block(variation(panel, rows[erratic]), mean[erratic], self.cells.kept(at))
        most = limits(panel, rows, traits, matrix(mean), 1)[..., None]
        return np.minimum(self._block(traits, matrix(mean), group, own, (past, ratios, np.asarray(at))), most)

    def _block(
        self, traits: Traits, mean: Numbers, group: tuple[Numbers, Numbers], series_: Own, others: Others
    ) -> Numbers:
        scores, distances = group
        (rare, values, share_of_past, limit), ratios, at = others
        mine, share, factor, trust = series_
        centre = traits.centre(mean, trust)
        bins, kind = traits.relative(centre), traits.kind[:, None]
        steps, series = np.arange(mean.shape[1])[None, :], np.arange(len(mean))[:, None]
        weight = share[series, bins][..., None]
        score = (1 - weight) * scores[steps, kind, bins]
        score += weight * distances[steps, kind, bins][..., None] * mine[series, bins]
        spread = np.sqrt(traits.variance(centre)) * factor[:, None]
        found = np.maximum(centre[..., None] + spread[..., None] * score, 0.0)
        beside = centre[rare] / np.maximum(traits.level[rare], 1e-300)[:, None]
        # Where all sales are of one size, a higher mean is more of them and no larger ones.
        beside = np.where(traits.alike[rare, None], np.minimum(beside, 1.0), beside)
        drawn_ = share_of_past[:, None] * values[:, None] * beside[..., None]
        found[rare] = (1 - share_of_past[:, None]) * found[rare] + drawn_
        if self.weight:
            found[traits.erratic] = (1 - self.weight) * found[traits.erratic] + self.weight * ratios
        # Zeros of another season make a series look rare, and its newest sales like errors of many times the forecast.
        most = np.maximum(limit, LARGEST * mean[rare])
        found[rare] = np.minimum(found[rare], most[..., None])
        # A higher mean is in part more sales, in part larger ones.
        none = 1 - np.minimum(traits.sells[rare, None] * np.sqrt(beside), 1.0)
        found[rare] = np.where(at < none[..., None] - CLEAR, 0.0, found[rare])
        found = traits.still(around(traits.rounded(found), mean, at), mean)
        shut = traits.shut[:, np.arange(mean.shape[1]) % 7]
        idle = (traits.cold[:, None] & (mean <= 0)) | traits.over(mean) | shut
        return np.where(idle[..., None], 0.0, found)

    def total(
        self, panel: Panel, mean: Matrix, rows: NDArray[np.intp], at: Sequence[float], span: tuple[int, ...]
    ) -> Numbers:
        """(len(rows), len(span) - 1, len(at)): quantiles of the demand of several periods together.

        mean: (len(rows), horizon). span: periods that do not count, and after these the lengths that are asked for,
        rising. Raises ValueError for a span beyond the horizon.
        """
        after, lengths = span[0], span[1:]
        if after + max(lengths) > mean.shape[1]:
            raise ValueError(f"a sum to period {after + max(lengths)} of a forecast of {mean.shape[1]}")
        weights, ahead = pooling.levels(at), matrix(mean[:, : after + max(lengths)])
        traits, place = Traits.of(panel, rows), self._places(panel, rows)
        own = self._series(place, traits, weights)
        _, _, factor, trust = own
        centre, means = traits.centre(ahead, trust)[:, after:], ahead[:, after:]
        found = np.maximum(self.sums.quantiles(traits, centre, factor, place, weights), 0.0)
        single = self._periods(panel, rows, mean[:, : after + max(lengths)], traits, own, at)[:, after:]
        single = single.astype(np.float32).astype(np.float64)  # as `quantiles` gives them
        found[:, 0] = single[:, 0]
        # A sum is at least any part of it, and so are its quantiles.
        found = np.maximum.accumulate(np.maximum(traits.rounded(found), single), axis=1)
        wanted = np.array(lengths) - 1
        for length in (length for length in lengths if length > 1):
            rare, past, share, limit = drawn(panel, rows, traits, centre[:, :length].sum(axis=1), length, at)
            mixed = np.minimum((1 - share) * found[rare, length - 1] + share * past, limit)
            found[rare, length - 1] = mixed
            most = limits(panel, rows, traits, means[:, :length].sum(axis=1)[:, None], length)
            found[:, length - 1] = np.minimum(found[:, length - 1], most)
        found = np.maximum.accumulate(traits.rounded(found[:, wanted]), axis=1)
        summed = np.cumsum(means, axis=1)[:, wanted]
        found = traits.still(around(found, summed, np.asarray(at)), summed)
        return np.where(traits.over(means)[..., None], 0.0, found)

    @cached_property
    def _index(self) -> pd.Index[str]:
        return pd.Index(self.ids)  # made once: quantiles are asked for block by block

    def _places(self, panel: Panel, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """(len(rows),) place of these series of the panel among `ids`, -1 for one that is new."""
        names = panel.series["unique_id"].iloc[rows].to_numpy(dtype=object)
        return self._index.get_indexer(pd.Index(names.astype(str)))

    def _series(self, place: NDArray[np.intp], traits: Traits, weights: Numbers) -> Own:
        """Own quantiles (n, BINS, n_levels), their weight (n, BINS), the factor on the spread and the trust, (n,)."""
        usual = self.trust[len(self.ids) :][traits.kind].astype(np.float64)
        if not len(self.ids):
            return np.zeros((len(place), BINS, weights.shape[1])), np.zeros((len(place), BINS)), usual**0, usual
        known = np.asarray((place >= 0) & ~traits.cold)
        factor, trust = np.where(known, self.factor[place], 1.0), np.where(known, self.trust[place], usual)
        # Not by BLAS, whose last digits depend on how many series are asked for.
        own = np.einsum("nbg,gl->nbl", self.own[place].astype(np.float64), weights)
        return own, np.where(known[:, None], self.share[place], 0.0), factor, trust

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `from_arrays` makes the same calibration of."""
        mine = {"ids": self.ids, "factor": self.factor, "trust": self.trust, "own": self.own, "share": self.share}
        parts = {"sums": self.sums.arrays(), "cells": self.cells.arrays()}
        named = {f"{part}.{name}": one for part, arrays in parts.items() for name, one in arrays.items()}
        return mine | {"weight": np.array(self.weight)} | self.tables.arrays() | named

    @classmethod
    def from_arrays(cls, content: Mapping[str, NDArray[Any]]) -> Self:
        """What `arrays` gave. Raises KeyError where one is missing."""
        sums, cells = (
            {name.removeprefix(part): one for name, one in content.items() if name.startswith(part)}
            for part in ("sums.", "cells.")
        )
        mine = {name: content[name] for name in ("ids", "factor", "trust", "own", "share")}
        tables, ratios = Tables.from_arrays(content), RatioCells.from_arrays(cells)
        return cls(tables, Sums.from_arrays(sums), cells=ratios, weight=float(content["weight"]), **mine)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: {"type": one.dtype.str, "values": one.tolist()} for name, one in self.arrays().items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        return cls.from_arrays({name: np.array(one["values"], dtype=one["type"]) for name, one in content.items()})


def around(quantiles: Numbers, mean: Numbers, at: Numbers) -> Numbers:
    """Quantiles (..., len(at)) with the mean (...) between those of 5 % and less and those of 95 % and more.

    Where 95 % of the cases are 0 the mean of the few others lies above, and nothing is changed.
    """
    centre = mean[..., None]
    low = np.where(at <= 0.05, np.minimum(quantiles, centre), quantiles)
    found: Numbers = np.where((at >= 0.95) & (quantiles > 0), np.maximum(low, centre), low)
    return found


def _cells(folds: Sequence[Fold], seen: Sequence[Seen]) -> tuple[RatioCells, float]:
    """Cells of the series with erratic demand, and their weight by the number of errors."""
    parts = []
    for (panel, _, _), one in zip(folds, seen, strict=True):
        rows = np.flatnonzero(one.traits.erratic)
        rows = rows[:: 1 + len(rows) // SAMPLE]
        parts.append((variation(panel, rows), one.y[rows], one.mean[rows]))
    count = sum(int(np.isfinite(y).sum()) for _, y, _ in parts)
    return RatioCells.fit(parts), CELLS * count**2 / (count**2 + ERRORS**2)


def _own(
    scores: Scores, tables: Tables, factor: Numbers, inner: Numbers
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Quantiles of each series' own scores, at no distance in particular, and their weights.

    factor: (n_series,) on the spread; inner: (n_series, n_folds) those that the scores are already beside.
    """
    live = np.asarray(scores.kind != COLD)
    beside = factor[scores.series]
    beside /= inner[scores.series, scores.fold]
    values = scores.jittered / beside
    del beside
    values /= np.maximum(tables.distance[scores.kind, scores.bin, scores.bucket], 1e-9)
    order = np.flatnonzero(live)[np.argsort(values[live])]
    values, codes = values[order], scores.series[order] * BINS + scores.bin[order]
    tame = pooling.tamed(values, scores.kind[order] > YOUNG)
    values = pooling.shared(values, tame, codes, np.arange(len(values)))
    found, sizes = pooling.quantiles(values, codes, len(scores.ids) * BINS)
    share = (sizes / (sizes + OWN)).reshape(-1, BINS)
    return found.reshape(len(share), BINS, len(GRID)).astype(np.float32), share.astype(np.float32)
