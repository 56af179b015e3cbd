"""Forecasts that need no training: the yardsticks that every other model has to beat, and the last resort."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError
from forecasting.features.history import same_season, window_mean
from forecasting.models.base import Forecast
from forecasting.models.cold_start import cold_start
from forecasting.models.yearly_profile import profile
from forecasting.panel.panel import Matrix, Panel

SPEC_FILE = "seasonal_mean.json"
LATELY = 4  # newest seasons in which nearly every place has been observed


class SeasonalNaive:
    """The newest observed value at the same place in the season; the newest value where that place has none."""

    name = "seasonal_naive"

    @classmethod
    def create(cls, settings: Settings) -> Self:  # noqa: ARG003 (all models are made alike)
        """Nothing to set."""
        return cls()

    def fit(self, panel: Panel, horizon: int) -> Self:  # noqa: ARG002
        """Nothing to learn."""
        return self

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Repeat the last season, filled from earlier ones; a series never observed gets a cold start."""
        y = panel.y if rows is None else panel.y[rows]
        season = panel.frequency.season
        last = _newest(np.moveaxis(_seasons(y[:, -LATELY * season :], season), 1, 2))
        gap = ~np.isfinite(last).all(axis=1)
        if gap.any():  # few series: the whole history is only looked through for them
            older = _newest(np.moveaxis(_seasons(y[gap], season), 1, 2))
            last[gap] = np.where(np.isfinite(older), older, _newest(y[gap])[:, None])
        mean = last[:, np.arange(horizon) % season]
        return cold_start(panel, Forecast.ok(_positive(mean)), rows)

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    @classmethod
    def load(cls, folder: Path) -> Self:  # noqa: ARG003
        """Nothing to read."""
        return cls()


@dataclass
class SeasonalMean:
    """Recent demand by place in the season.

    Days: exponentially weighted mean of the same weekday in the newest weeks. Weeks and months, whose season is a
    year: exponentially weighted level, times a damped yearly profile where two years are known.

    decay: weight of one week of days against the next newer one. weeks: newest weeks used for days. yearly_decay:
    weight of one period against the next newer one, for weeks and months. common_only: see yearly_profile.py.
    """

    decay: float = 0.8
    weeks: int = 8
    yearly_decay: float = 0.87
    common_only: bool = False

    name = "seasonal_mean"

    @classmethod
    def create(cls, settings: Settings) -> Self:  # noqa: ARG003
        """Nothing to set: the constants did well on every data set that we know."""
        return cls()

    def fit(self, panel: Panel, horizon: int) -> Self:  # noqa: ARG002
        """Nothing to learn."""
        return self

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Mean forecasts; a series never observed gets a cold start."""
        if panel.frequency.kind in ("D", "H"):
            mean = self.daily(panel.y if rows is None else panel.y[rows], horizon, panel.frequency.season)
        else:
            mean = self.yearly(panel, horizon, np.arange(len(panel.y)) if rows is None else rows)
        return cold_start(panel, Forecast.ok(_positive(mean)), rows)

    def daily(self, y: Matrix, horizon: int, week: int = 7) -> Matrix:
        """(n, horizon) of days or hours; a place in the week without an observation gets the series' recent mean."""
        mean = same_season(y, horizon, week, self.weeks, self.decay)
        for width in (week * self.weeks, y.shape[1]):
            gap = ~np.isfinite(mean)
            if not gap.any():
                break
            mean = np.where(gap, window_mean(y, width)[:, None], mean)
        return mean

    def yearly(self, panel: Panel, horizon: int, rows: NDArray[np.intp]) -> Matrix:
        """(len(rows), horizon) of weeks or months; the common part of the profile is that of the whole panel."""
        season = panel.frequency.season
        y, index = panel.y[rows], profile(panel.y, season, self.common_only)[rows]
        periods = y.shape[1]
        past = index[:, (np.arange(periods) - periods) % season]
        age = np.arange(periods - 1, -1, -1, dtype=np.float32)
        # Bounded, so that what was last seen long ago still has a weight above zero.
        weight = np.where(np.isfinite(y), np.float32(self.yearly_decay) ** np.minimum(age, 200), 0).astype(np.float32)
        level = (weight * np.nan_to_num(y)).sum(axis=1) / np.maximum((weight * past).sum(axis=1), 1e-30)
        result: Matrix = level[:, None].astype(np.float32) * index[:, np.arange(horizon) % season]
        return result

    def save(self, folder: Path) -> None:
        """The constants as JSON."""
        (folder / SPEC_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises ArtifactError where it is not whole."""
        try:
            content = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
            numbers = float(content["decay"]), int(content["weeks"]), float(content["yearly_decay"])
            return cls(*numbers, bool(content.get("common_only", True)))  # releases up to 0.2 did not write it
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{folder} does not hold a seasonal mean: {error}") from None


def _positive(mean: Matrix) -> Matrix:
    return np.maximum(mean, 0).astype(np.float32)


def _newest(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Newest observed value along the last axis; NaN where none is."""
    back = np.argmax(np.isfinite(y)[..., ::-1], axis=-1)
    newest: NDArray[np.float32] = np.take_along_axis(y, (y.shape[-1] - 1 - back)[..., None], axis=-1)[..., 0]
    return newest


def _seasons(y: Matrix, season: int) -> Matrix:
    """(n, seasons, season): whole seasons that end at the cutoff, the oldest one filled up with NaN in front."""
    missing = -y.shape[1] % season
    padded = np.pad(y, ((0, 0), (missing, 0)), constant_values=np.nan) if missing else y
    return padded.reshape(len(y), -1, season)
