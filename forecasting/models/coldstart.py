"""Forecasts for series that were never observed: a share of what similar series sell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.data.blocks import blocks, release
from forecasting.data.hierarchy import TOTAL, Level
from forecasting.data.panel import Matrix, Panel
from forecasting.data.totals import level_of
from forecasting.features.history import same_season, window_mean
from forecasting.models.base import Forecast

SHARE = 0.3  # of the mean of similar series: what is not on sale yet mostly sells nothing (M5: 0.1 to 1.2, median 0.33)
SEASONS = 8
REASON = "no sales before the cutoff; mean of similar series"


def cold_start(panel: Panel, forecast: Forecast, rows: NDArray[np.intp] | None = None) -> Forecast:
    """Replace the rows of series without any observation by a share of the mean of the most similar series.

    `forecast` is of the panel's series, or of `rows` of them. The most similar are those that share the rarest
    attribute or level with the series and were observed in the newest eight seasons. The rest stays as it is.
    """
    wanted = np.arange(len(panel.y)) if rows is None else rows
    lately = panel.y[:, -SEASONS * panel.frequency.season :]
    empty = np.asarray(~np.isfinite(lately[wanted]).any(axis=1))
    empty[empty] = ~np.isfinite(panel.y[wanted[empty]]).any(axis=1)  # the whole history of few series
    if not empty.any():
        return forecast
    mean, status, reason = forecast.mean.copy(), forecast.status.copy(), forecast.reason.copy()
    mean[empty] = _similar(panel, wanted[empty], mean.shape[1])
    status[empty], reason[empty] = "insufficient", REASON
    return Forecast(mean, forecast.quantiles, status, reason)


def _similar(panel: Panel, rows: NDArray[np.intp], horizon: int) -> Matrix:
    """(len(rows), horizon) from the finest group of each row that has recent demand; 0 where none has."""
    result = np.full((len(rows), horizon), np.nan, dtype=np.float32)
    for level in _groups(panel):
        open_ = np.flatnonzero(np.isnan(result).any(axis=1))
        if not len(open_):
            break
        codes = level.codes[rows[open_]]
        for code in np.unique(codes):
            mean = _recent(panel, np.flatnonzero(level.codes == code), horizon)
            if mean is not None:
                result[open_[codes == code]] = SHARE * mean
    return np.nan_to_num(result)


def _recent(panel: Panel, members: NDArray[np.intp], horizon: int) -> Matrix | None:
    """(horizon,) mean of the members that were observed in the newest seasons, None where none was.

    A block of them at a time: the last resort is the whole panel.
    """
    season = panel.frequency.season
    total, count = np.zeros(horizon), 0
    for part in blocks(len(members)):
        y = panel.y[members[part], -SEASONS * season :]
        recent, profile = window_mean(y, SEASONS * season), same_season(y, horizon, season, SEASONS)
        known = np.where(np.isfinite(profile), profile, recent[:, None])
        total += known[np.isfinite(recent)].sum(axis=0, dtype=np.float64)
        count += int(np.isfinite(recent).sum())
        release(panel.y)
    return (total / count).astype(np.float32) if count else None


def _groups(panel: Panel) -> list[Level]:
    """Levels and attributes that join several series, finest first, the total last."""
    names = dict.fromkeys([*panel.levels, *(name for name in panel.series.columns if name != "unique_id"), TOTAL])
    found = [level_of(panel, name) for name in names]
    return sorted((level for level in found if len(level.labels) < len(panel.y)), key=lambda one: -len(one.labels))
