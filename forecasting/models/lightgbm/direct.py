"""One global LightGBM for all series and periods ahead, trained on sampled (series, past cutoff, horizon) rows.

Source: direct multi-horizon forecasting with a global model (Montero-Manso and Hyndman, 2021); sampling of past cutoffs
instead of recursion: see docs/decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting import features
from forecasting.core.config.settings import Settings
from forecasting.models.base import Forecast
from forecasting.models.cold_start import cold_start
from forecasting.models.lightgbm.base import Boosted
from forecasting.models.lightgbm.training_rows import Build, Drawn, Rows, batches, draw, gather
from forecasting.panel.panel import Panel

BATCH = 400_000
MIN_HISTORY = 2  # seasons before the first origin that rows are measured at


class DirectLightgbm(Boosted):
    """Forecaster on features measured at the cutoff; the mean comes from one pass, whatever the horizon."""

    name = "lightgbm"

    def fit(self, panel: Panel, horizon: int) -> Self:
        """Train on rows measured at past cutoffs. Raises ModelError where no past cutoff has a target."""
        words, origins = features.vocabulary(panel), self._origins(panel, horizon)
        kinds = features.Kinds.of(panel, words)

        def sample(randoms: Sequence[np.random.Generator]) -> Iterator[Rows]:
            return batches(panel, lambda random: self._drawn(panel, horizon, origins, random), randoms, _builder(kinds))

        self.train(sample, vocabulary=words, horizon=horizon)
        return self

    def sampled(self, panel: Panel, horizon: int) -> tuple[Rows, Rows]:
        """Rows whose targets lie before the newest whole horizon, and rows measured just before it; for tuning."""
        random, end = np.random.default_rng(self.seed), max(1, len(panel.periods) - horizon)
        kinds, known = features.Kinds.of(panel, features.vocabulary(panel)), panel.first(end)
        origins, build = self._origins(known, horizon), _builder(kinds)
        learnt = gather(known, [self._drawn(known, horizon, origins, random)], build)
        return learnt[0], gather(panel, [self._drawn(panel, horizon, [end], random)], build)[0]

    def _drawn(self, panel: Panel, horizon: int, origins: Sequence[int], random: np.random.Generator) -> Drawn:
        quota = max(1, self.settings.rows // max(1, len(origins)))
        return [(origin, draw(panel, origin, horizon, quota, random)) for origin in origins]

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Mean forecasts; series without any observation get those of similar series."""
        wanted = np.arange(len(panel.y)) if rows is None else rows
        batch, kinds = max(1, BATCH // horizon), features.Kinds.of(panel, self.spec["vocabulary"])
        parts = [
            self.expected(_ahead(panel, wanted[start : start + batch], horizon, kinds))
            for start in range(0, len(wanted), batch)
        ]
        mean = np.concatenate(parts).reshape(len(wanted), horizon)
        return cold_start(panel, Forecast.ok(mean), rows)

    def explain(self, panel: Panel, horizon: int, rows: NDArray[np.intp]) -> dict[str, NDArray[np.float64]]:
        """(len(rows), horizon) units by group of features: what made the means of these series; they add up to them."""
        parts = self.parts(_ahead(panel, rows, horizon, features.Kinds.of(panel, self.spec["vocabulary"])))
        return {name: values.reshape(len(rows), horizon) for name, values in parts.items()}

    def _origins(self, panel: Panel, horizon: int) -> list[int]:
        """Past cutoffs as counts of known periods, back from the newest one that has a whole horizon after it."""
        periods, season = len(panel.periods), panel.frequency.season
        first = min(MIN_HISTORY * season, periods // 2)
        newest = max(first, periods - horizon)
        step = max(1, (newest - first) // max(1, self.settings.origins - 1))
        if panel.frequency.kind in ("D", "H"):
            step = min(step, season)  # the newest weeks say most about the next ones
        found = list(range(newest, max(first, 1) - 1, -step))[: self.settings.origins]
        return [origin for origin in found if 0 < origin < periods]


def _builder(kinds: features.Kinds) -> Build:
    return lambda known, rows, steps: features.build(known, rows, steps, kinds)


def _ahead(panel: Panel, rows: NDArray[np.intp], horizon: int, kinds: features.Kinds) -> features.Features:
    """A row for each of these series and periods ahead, series by series."""
    steps = np.tile(np.arange(1, horizon + 1), len(rows))
    return features.build(panel, np.repeat(rows, horizon), steps, kinds)


class MedianLightgbm(DirectLightgbm):
    """The same trained for absolute errors: the median instead of the mean, which is what WAPE and MASE reward."""

    name = "lightgbm_median"

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """From `[train.lightgbm]`, but for its objective."""
        chosen = settings.train.lightgbm.model_copy(update={"objective": "regression_l1"})
        return cls(chosen, settings.runtime.threads, settings.train.seed)
