"""What is done where the history is too short: to choose between models by a backtest, or to measure errors on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from forecasting.models.base import STATUSES, Forecast
from forecasting.models.intervals.calibration import Fold
from forecasting.panel.panel import Matrix, Panel

TOO_FEW = "of history: too few to compare models on"  # how the reason ends
LEAST = 8  # periods, whatever the season
FEW_ERRORS = 30  # actuals in all folds; with fewer, bands rest on an assumed distribution too
PRIOR = 4  # differences of one series that the spread of all series counts as
PRIOR_VARIATION = 0.5  # coefficient of variation beyond Poisson's, where there is no difference to measure it on
DRAWS, MOST_DRAWN = (8, 24), 200_000  # assumed folds, from and to; their cells where there are many series
SHARED = 0.5  # of the variance of the assumed errors: the part that all periods and series of a fold have in common


def too_short(panel: Panel, horizon: int) -> str:
    """Why models cannot be compared on this history: a sentence, empty where they can.

    Needed: 8 periods, a season (of 13 periods at most), and as many periods as are forecast (of 4 seasons at most).
    """
    periods, season = len(panel.periods), min(panel.frequency.season, 13)
    if periods >= max(LEAST, season, min(horizon, 4 * season)):
        return ""
    return f"only {periods} period{'s'[: periods != 1]} {TOO_FEW}"


def insufficient(panel: Panel, horizon: int, forecast: Forecast) -> Forecast:
    """The forecast, its series `insufficient` with this reason where the whole history is too short."""
    why = too_short(panel, horizon)
    if not why:
        return forecast
    less = np.array([STATUSES.index(one) < STATUSES.index("insufficient") for one in forecast.status], dtype=bool)
    status, reason = forecast.status.copy(), forecast.reason.copy()
    status[less], reason[less] = "insufficient", why
    return replace(forecast, status=status, reason=reason)


def with_assumed(panel: Panel, horizon: int, folds: Sequence[Fold]) -> list[Fold]:
    """The folds, and where they hold fewer than FEW_ERRORS actuals some with assumed ones around each series' mean.

    The assumed errors follow a gamma distribution whose variance comes from the differences of neighbouring periods,
    those of the series and, with the weight of PRIOR differences, those of all series. Half of their variance is common
    to all periods and series of a fold, so that bands of sums and totals are wide too.
    """
    found = list(folds)
    if sum(_errors(fold) for fold in found) >= FEW_ERRORS:
        return found
    mean, variance = _moments(panel.y)
    draws = int(np.clip(MOST_DRAWN // max(mean.size * horizon, 1), *DRAWS))
    random = np.random.default_rng(7)
    common = stats.norm.ppf((random.permutation(draws) + 0.5) / draws)
    forecast: Matrix = np.repeat(np.nan_to_num(mean)[:, None], horizon, axis=1).astype(np.float32)
    for one in common:
        own = random.normal(size=forecast.shape)
        rank = stats.norm.cdf(SHARED**0.5 * one + (1 - SHARED) ** 0.5 * own)
        found.append((panel, _gamma(rank, mean, variance), forecast))
    return found


def _errors(fold: Fold) -> int:
    """Actuals of series that had sold and were forecast to: dead and new ones say nothing of the others."""
    panel, actual, mean = fold
    return int(np.isfinite(actual[(panel.y > 0).any(axis=1) & (mean > 0).any(axis=1)]).sum())


def _gamma(rank: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64]) -> Matrix:
    """(n_series, horizon) quantiles of these ranks; 0 where the mean is, NaN where there is none."""
    some = (np.nan_to_num(mean) > 0) & (variance > 0)
    safe, spread = np.where(some, mean, 1.0)[:, None], np.where(some, variance, 1.0)[:, None]
    drawn = stats.gamma.ppf(rank, safe**2 / spread, scale=spread / safe)
    return np.where(some[:, None], drawn, np.where(np.isfinite(mean), mean, np.nan)[:, None]).astype(np.float32)


def _moments(y: Matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n_series,) means, NaN where nothing was observed, and variances of a forecast error of one period."""
    seen = np.isfinite(y)
    count = seen.sum(axis=1)
    total = np.where(seen, y, 0).sum(axis=1, dtype=np.float64)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    size = np.nan_to_num(mean)
    difference = np.diff(y, axis=1)
    known = np.isfinite(difference)
    squares = (np.where(known, difference, 0).astype(np.float64) ** 2).sum(axis=1) / 2
    number = known.sum(axis=1)
    level = float((number * size).sum())
    usual = squares.sum() / level * size if level > 0 else size + (PRIOR_VARIATION * size) ** 2
    variance = (squares + PRIOR * usual) / (number + PRIOR)
    return mean, variance * (1 + 1 / np.maximum(count, 1))
