"""Like last year, scaled: what was sold at the same place a year ago, times how demand has grown since.

The place is 52 weeks back for days, so that weekdays fall on weekdays, and for what is sold before a moving event the
same distance to it (see features/seasons.py).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.features import seasons
from forecasting.features.history import Vector, window_mean
from forecasting.models.base import Forecast
from forecasting.models.baselines import SeasonalMean
from forecasting.models.cold_start import cold_start
from forecasting.panel.panel import Matrix, Panel

WEEK, DOUBT_WEEKS = 7, 4.0  # days; weeks without a rhythm that a series' own week is averaged with
# Log of a turn from which on a model gives way to last year, and from which on it does so in whole.
TURN, SHARP = (np.log(1.25), np.log(1.6)), (np.log(2), np.log(4))
ONCE = np.log(4)  # taken off a turn that one year alone has shown: 15 months of other demand hold many by chance
EARLIER = 0.25  # share of a year's sales in the same window a year ago, from which on a season has come and gone


class LastYear:
    """Last year's demand around the same place, grown, in the week's rhythm; the seasonal mean where there is none."""

    name = "last_year"

    @classmethod
    def create(cls, settings: object) -> Self:  # noqa: ARG003 (all models are made alike)
        """Nothing to set."""
        return cls()

    def fit(self, panel: Panel, horizon: int) -> Self:  # noqa: ARG002
        """Nothing to learn."""
        return self

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Mean forecasts; a series never observed gets a cold start."""
        wanted = np.arange(len(panel.y)) if rows is None else rows
        part = _only(panel, wanted)
        mean = grown(part, horizon, _measured(part, horizon))
        gap = np.flatnonzero(~np.isfinite(mean).all(axis=1))
        if len(gap):
            usual = SeasonalMean().predict(panel, horizon, wanted[gap]).mean
            mean[gap] = np.where(np.isfinite(mean[gap]), mean[gap], usual)
        return cold_start(panel, Forecast.ok(np.maximum(mean, 0).astype(np.float32)), rows)

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    @classmethod
    def load(cls, folder: Path) -> Self:  # noqa: ARG003
        """Nothing to read."""
        return cls()


def grown(panel: Panel, horizon: int, season: seasons.Season) -> Matrix:
    """(n, horizon) units of last year's season at each place, NaN where it was not observed."""
    mean = season.near * season.growth[:, None]
    if panel.frequency.code == "D":
        mean = mean * _week(panel.y)[:, np.arange(horizon) % WEEK]
    found: Matrix = mean.astype(np.float32)
    return found


def coming(panel: Panel, horizon: int, rows: NDArray[np.intp]) -> tuple[Matrix, Matrix]:
    """Seasons that begin or end within the horizon.

    Returns turn (len(rows), horizon): the log of the season to come over the recent level as far as it is sure, 0 or
    above whichever way it turns; and the forecast like last year, units. Where two years are known, both must have
    turned at this place; else the turn must be sharp.
    """
    part = _only(panel, rows)
    season = _measured(part, horizon)
    noise, level = season.noise[:, None], season.level[:, None]
    now = np.log((season.expected + noise) / (level + noise))
    now = np.where(np.isfinite(now) & np.isfinite(season.near), now, 0)
    turned = np.flatnonzero(season.rests & (np.abs(now) > TURN[0]).any(axis=1))
    turn, mean = np.zeros_like(now, dtype=np.float32), np.zeros_like(now, dtype=np.float32)
    if not len(turned):
        return turn, mean
    few = _only(part, turned)
    own = seasons.Season(*(getattr(season, name)[turned] for name in season.__dataclass_fields__))
    turn[turned] = _sure(few, horizon, own, now[turned])
    mean[turned] = np.nan_to_num(grown(few, horizon, own))
    return turn, mean


def turned(own: Matrix, turn: Matrix, like: Matrix, knows: bool) -> Matrix:
    """(n, horizon) a model's forecast, drawn to that `like` last year where a season turns.

    knows: the model has features of last year, and is only helped where few seasons can have taught it (a tenfold
    turn was forecast at 0.6 of what was sold).
    """
    first, whole = SHARP if knows else TURN
    weight = np.clip((turn - first) / (whole - first), 0, 1)
    found: Matrix = np.where(weight > 0, own + weight * (like - own), own).astype(np.float32)
    return found


def _sure(panel: Panel, horizon: int, season: seasons.Season, now: Matrix) -> Matrix:
    """(n, horizon) log of the turn that is sure. now: log of what is expected over the recent level."""
    noise, ago = season.noise[:, None], seasons.years_ago(panel, horizon, 2)
    first = np.log((season.around + noise) / (season.before[:, None] + noise))
    second = np.log((ago.around + noise) / (ago.level[:, None] + noise))
    same = (np.sign(first) == np.sign(now)) & (np.sign(second) == np.sign(now))
    least = np.minimum(np.abs(now), np.minimum(np.abs(first), np.abs(second)))
    once = np.where(np.sign(first) == np.sign(now), np.minimum(np.abs(now), np.abs(first)), 0)
    once = np.where(np.isfinite(first), once, np.abs(season.tilt)) - ONCE
    return np.where(np.isfinite(first + second), np.where(same, least, 0), np.maximum(once, 0)).astype(np.float32)


def waiting(panel: Panel, silent: int, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(len(rows),) series that sell at another time of the year than in the newest `silent` periods.

    They sold since the same window a year ago, and less than a quarter of that year's sales in it. What was not
    observed then speaks for nothing.
    """
    year, y = panel.frequency.year, panel.y
    if y.shape[1] < year + silent // 2 or silent >= year:
        return np.zeros(len(rows), dtype=bool)
    part = y[rows]
    stop = part.shape[1] - year
    then, since = part[:, max(0, stop - silent) : stop], part[:, stop:]
    watched = np.isfinite(then).sum(axis=1) >= min(silent, stop) // 2
    sold, after = (np.nansum(one, axis=1, dtype=np.float64) for one in (then, since))
    found: NDArray[np.bool_] = watched & (after > 0) & (sold < EARLIER * (sold + after))
    return found


def _measured(panel: Panel, horizon: int) -> seasons.Season:
    frequency = panel.frequency
    means: dict[int, Vector] = {width: window_mean(panel.y, width) for width in frequency.windows}
    return seasons.measure(panel, horizon, means)


def _only(panel: Panel, rows: NDArray[np.intp]) -> Panel:
    """These series with their sales and calendar only."""
    events = None if panel.events is None else panel.events.take(rows)
    y = panel.y if len(rows) == len(panel.y) and (rows == np.arange(len(rows))).all() else panel.y[rows]
    return replace(panel, y=y, series=panel.series.iloc[rows], known={}, past={}, totals={}, events=events)


def _week(y: Matrix) -> Matrix:
    """(n, 7) factor of each weekday from the day after the cutoff on, over the newest year, drawn to 1."""
    days = min(y.shape[1] // WEEK, 52) * WEEK
    if not days:
        return np.ones((len(y), WEEK), dtype=np.float32)
    blocks = y[:, -days:].reshape(len(y), -1, WEEK)
    seen = np.isfinite(blocks)
    sold, count = np.where(seen, blocks, 0).sum(axis=1, dtype=np.float64), seen.sum(axis=1)
    mean = sold.sum(axis=1, keepdims=True) / np.maximum(count.sum(axis=1, keepdims=True), 1)
    pull = DOUBT_WEEKS * mean
    factor: Matrix = np.where(mean > 0, (sold + pull) / np.maximum(count * mean + pull, 1e-30), 1).astype(np.float32)
    return factor
