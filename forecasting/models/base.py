"""What every model can do, and the one form that every forecast has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.panel.panel import Matrix, Panel

QUANTILES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
STATUSES = ("ok", "fallback", "insufficient", "discontinued")


@dataclass(frozen=True)
class Forecast:
    """Expected demand and its quantiles, in units a period.

    mean: (n_series, horizon). quantiles: (n_series, horizon, len(QUANTILES)), rising along the last axis, or None
    where the model gives a mean only and calibration adds them. status, reason: (n_series,) text; reason is empty
    where status is ok.
    """

    mean: Matrix
    quantiles: Matrix | None
    status: NDArray[np.object_]
    reason: NDArray[np.object_]

    @classmethod
    def ok(cls, mean: Matrix) -> Forecast:
        """A forecast without quantiles, all series ok."""
        count = len(mean)
        return cls(mean, None, np.full(count, "ok", dtype=object), np.full(count, "", dtype=object))

    def fallen_back(self, reason: str) -> Forecast:
        """The same numbers, said to stand in for others: rows that were ok become `fallback` with this reason."""
        ok = self.status == "ok"
        status, why = self.status.copy(), self.reason.copy()
        status[ok], why[ok] = "fallback", reason
        return replace(self, status=status, reason=why)


class Forecaster(Protocol):
    """One model over all series of a panel. `fit` and `predict` see nothing but the panel that they are handed."""

    name: str

    def fit(self, panel: Panel, horizon: int) -> Self:
        """Learn from everything in the panel, for forecasts of up to `horizon` periods."""
        ...

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Forecast the `horizon` periods after the panel's cutoff, which may be later than the one fitted at.

        `rows`: only these series, each number the same as when all are asked for; so shards change nothing.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted model as text, JSON or npz."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises ArtifactError where it is not whole."""
        ...
