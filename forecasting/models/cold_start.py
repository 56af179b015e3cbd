"""Forecasts for series that have never sold: a share of what similar series sell, less with every recorded zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.features.history import same_season, window_mean
from forecasting.models.base import Forecast
from forecasting.panel.hierarchy import TOTAL, Level
from forecasting.panel.memory import blocks, release
from forecasting.panel.observed.absence_codes import QUARANTINED
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.totals import level_of

SHARE = 0.3  # of the mean of similar series: what is not on sale yet mostly sells nothing (M5: 0.1 to 1.2, median 0.33)
SEASONS = 8
SHAPE = 0.3  # of the gamma distribution that a new series' mean is drawn from: most sell much less than its mean
ENOUGH = 26  # recorded zeros from which on a series is known well enough, at most
REASON = "no sales before the cutoff; mean of similar series"
RECORDED, RECORDED_ONE = "no sale in {:,} recorded periods", "no sale in 1 recorded period"
UNREADABLE = "no readable sales: the rows of {:,} periods are in quarantine; mean of similar series"


def cold_start(panel: Panel, forecast: Forecast, rows: NDArray[np.intp] | None = None) -> Forecast:
    """Replace the rows of series that have never sold by a share of the mean of the most similar series.

    `forecast` is of the panel's series, or of `rows` of them. The most similar are those that share the rarest
    attribute or level with the series and were observed in the newest eight seasons. The rest stays as it is. After n
    recorded zeros the mean m becomes that of the gamma-Poisson model, m / (1 + n m / SHAPE) (Gelman et al., Bayesian
    Data Analysis, 2.6), and where nobody has sold anything SHAPE / n, by all recorded zeros; a series with two seasons
    of them is no longer new, and its forecast stays. A series whose rows are all in quarantine does sell, as often as
    it has rows.
    """
    wanted = np.arange(len(panel.y)) if rows is None else rows
    empty = never_sold(panel, wanted)
    zeros = np.isfinite(panel.y[wanted[empty]]).sum(axis=1)
    new = zeros < min(2 * panel.frequency.season, ENOUGH)
    empty, zeros = empty[new], zeros[new]
    if not len(empty):
        return forecast
    mean, status, reason = forecast.mean.copy(), forecast.status.copy(), forecast.reason.copy()
    unread, share = _unreadable(panel, wanted[empty])
    expected = _similar(panel, wanted[empty], mean.shape[1]) * np.maximum(share, SHARE)[:, None].astype(np.float32)
    mean[empty] = expected / (1 + zeros[:, None] * expected / SHAPE)
    alone = (expected <= 0).all(axis=1) & (zeros > 0)
    if alone.any():  # the same where m is not known, and so without a limit: a few zeros are no certainty
        mean[empty[alone]] = SHAPE / np.isfinite(panel.y).sum()
    status[empty] = "insufficient"
    reason[empty] = [
        _recorded(recorded) if recorded else UNREADABLE.format(lost) if lost else REASON
        for recorded, lost in zip(zeros, unread, strict=True)
    ]
    return Forecast(mean, forecast.quantiles, status, reason)


def never_sold(panel: Panel, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Places in `rows` of the series without any sale in the panel."""
    empty = np.flatnonzero(~(panel.y[rows, -SEASONS * panel.frequency.season :] > 0).any(axis=1))
    return empty[~(panel.y[rows[empty]] > 0).any(axis=1)]  # the whole history of few series


def named(panel: Panel, forecast: Forecast, rows: NDArray[np.intp] | None = None) -> Forecast:
    """The same forecast, in which the series that have never sold, and are not new, have a status and a reason."""
    wanted = np.arange(len(panel.y)) if rows is None else rows
    empty = never_sold(panel, wanted)
    empty = empty[forecast.status[empty] == "ok"]
    if not len(empty):
        return forecast
    status, reason = forecast.status.copy(), forecast.reason.copy()
    status[empty] = "insufficient"
    reason[empty] = [_recorded(zeros) for zeros in np.isfinite(panel.y[wanted[empty]]).sum(axis=1)]
    return Forecast(forecast.mean, forecast.quantiles, status, reason)


def _unreadable(panel: Panel, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Periods of each series whose rows are in quarantine, and their share of those since the first one: (n,) each."""
    if panel.absence is None:
        return np.zeros(len(rows), dtype=np.intp), np.zeros(len(rows))
    lost = panel.absence[rows] == QUARANTINED
    count = lost.sum(axis=1)
    return count, np.where(count > 0, count / (lost.shape[1] - lost.argmax(axis=1)), 0.0)


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
                result[open_[codes == code]] = mean
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


def _recorded(periods: int) -> str:
    return RECORDED_ONE if periods == 1 else RECORDED.format(periods)
