"""One LightGBM for the next period, run forward over its own draws: demand is simulated period by period.

What comes next is told most sharply by what was just sold, so the calendar's effects are learnt more cleanly than many
periods ahead; the price is that errors add up. It errs in other ways than the direct model, and a blend of both is
better than either. Fed with its own means such a model drifts upwards, since trees have learnt from counts with zeros
and a mean is never zero (M5 at 2016-01-03: 23 % too high); fed with draws of the right spread it does not (1 %).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from forecasting import features
from forecasting.models.base import Forecast
from forecasting.models.cold_start import cold_start
from forecasting.models.lightgbm.base import Boosted
from forecasting.models.lightgbm.training_rows import Drawn, Pairs, batches, draw
from forecasting.panel.panel import Matrix, Panel

PERIODS = 400  # newest periods that each is once the next one
MOST_PATHS, SERIES_A_PATH = 4, 10_000  # many series need fewer paths: what is wrong with one draw evens out
LEAST = 2  # seasons before the first period that is learnt
SMALLEST = 1e-6
POISSON = 1.01  # variance over mean up to which counts are Poisson
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # steps of a Weyl sequence: distinct numbers for the hash below


class Recursive(Boosted):
    """Mean over a few simulated paths. A series' draws depend on its name, the seed and the period, on nothing else."""

    name = "recursive"

    def fit(self, panel: Panel, horizon: int) -> Self:
        """Train on every period as the next one. Raises ModelError where there is nothing to learn from."""
        words = features.vocabulary(panel)
        kinds = features.Kinds.of(panel, words)
        count, season = len(panel.periods), panel.frequency.season
        first = max(1, min(LEAST * season, count // 2), count - PERIODS)
        origins = range(count - 1, first - 1, -1)
        quota = max(1, self.settings.rows // max(1, len(origins)))

        def drawn(random: np.random.Generator) -> Drawn:
            return [(origin, draw(panel, origin, 1, quota, random)) for origin in origins]

        def build(known: Panel, rows: NDArray[np.intp], steps: NDArray[np.intp]) -> features.Features:
            return features.build(known, rows, steps, kinds, alone=True)

        paths = int(np.clip(SERIES_A_PATH * MOST_PATHS // max(1, len(panel.y)), 1, MOST_PATHS))
        self.train(
            lambda randoms: batches(panel, drawn, randoms, build), vocabulary=words, horizon=horizon, paths=paths
        )
        newest = [(origin, draw(panel, origin, 1, quota, np.random.default_rng(self.seed))) for origin in origins[:7]]
        self.spec |= self._spread(panel, newest, kinds)
        return self

    def _spread(self, panel: Panel, drawn: list[tuple[int, Pairs]], kinds: features.Kinds) -> dict[str, object]:
        """How actuals spread around the mean: variance over mean, and whether demand comes in whole units."""
        found, actual = [], []
        for origin, (rows, steps) in drawn:
            if len(rows):
                built = features.build(panel.first(origin), rows, steps, kinds, alone=True)
                found.append(self.expected(built).astype(np.float64))
                actual.append(panel.y[rows, origin].astype(np.float64))
        if not found:
            return {"dispersion": 1.0, "whole": True}
        mean, y = np.concatenate(found), np.concatenate(actual)
        # A ratio a series and then their median: one large series must not speak for all.
        ratio = ((y - mean) ** 2).sum() / max(float(mean.sum()), SMALLEST)
        weight = 1 / np.maximum(mean, 1.0)
        even = ((y - mean) ** 2 * weight).sum() / max(float((mean * weight).sum()), SMALLEST)
        return {"dispersion": float(np.clip(min(ratio, even), 0.1, 50)), "whole": bool((y == np.rint(y)).all())}

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Mean over the paths; series without any observation get the forecast of similar series."""
        part = panel if rows is None else panel.take(rows)
        mean = np.zeros((len(part.y), horizon), dtype=np.float64)
        for path in range(self.spec.get("paths", 1)):
            mean += self._path(part, horizon, path)
        mean /= self.spec.get("paths", 1)
        return cold_start(panel, Forecast.ok(mean.astype(np.float32)), rows)

    def _path(self, panel: Panel, horizon: int, path: int) -> Matrix:
        """(n, horizon) expected demand of each period, given what was drawn for those before it."""
        count, periods = len(panel.y), len(panel.periods)
        y = np.concatenate([panel.y, np.full((count, horizon), np.nan, dtype=np.float32)], axis=1)
        past = {
            name: np.concatenate([v, np.repeat(v[:, -1:], horizon, axis=1)], axis=1) for name, v in panel.past.items()
        }
        days = panel.frequency.range(panel.periods[0], periods + horizon)
        names, kinds = pd.util.hash_array(panel.unique_ids), features.Kinds.of(panel, self.spec["vocabulary"])
        every, one = np.arange(count), np.ones(count, dtype=np.intp)
        mean = np.empty((count, horizon), dtype=np.float32)
        for step in range(horizon):
            end = periods + step
            now = replace(
                panel, y=y[:, :end], periods=days[:end], past={name: values[:, :end] for name, values in past.items()}
            )
            mean[:, step] = self.expected(features.build(now, every, one, kinds, alone=True))
            y[:, end] = self._drawn(mean[:, step], _uniform(names, self.seed, path, step))
        return mean

    def _drawn(self, mean: Matrix, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) demand at these quantiles of a distribution with that mean: counts, or amounts that are not whole.

        Negative binomial, Poisson where demand spreads no more than that; gamma for amounts.
        """
        level, spread = np.maximum(mean, SMALLEST).astype(np.float64), self.spec["dispersion"]
        if not self.spec["whole"]:
            found = special.gammaincinv(level / spread, uniform) * spread
        elif spread <= POISSON:
            found = stats.poisson.ppf(uniform, level)
        else:
            found = stats.nbinom.ppf(uniform, level / (spread - 1), 1 / spread)
        return np.asarray(found, dtype=np.float64)


def _uniform(names: NDArray[np.uint64], seed: int, path: int, step: int) -> NDArray[np.float64]:
    """(n,) numbers above 0 and below 1 by hashing, so that a series draws the same in any shard and order."""
    with np.errstate(over="ignore"):
        key = names + np.uint64(1 + seed + 1_000 * path + 1_000_000 * step) * GOLDEN
    hashed = pd.util.hash_array(key)
    return (hashed.astype(np.float64) + 0.5) / 2.0**64
