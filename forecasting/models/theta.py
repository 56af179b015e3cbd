"""The Theta method: what simple exponential smoothing gives without the season, with half the trend as drift.

Assimakopoulos and Nikolopoulos (2000), The theta model; in the form of Hyndman and Billah (2003), Unmasking the
Theta method. The drift is damped, since a trend seldom lasts (Gardner and McKenzie 1985).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.models import smoothing
from forecasting.models.grouped import Vector
from forecasting.models.smoothed import PENALTY, Fit, Smoothed, warming, weights
from forecasting.models.smoothing import Form

SURE = 1.645  # standard errors of the autocorrelation at the season's lag: 90 %, as in the M3 competition
FULL = 2  # seasons that must be observed before one is believed
DAMPING = 0.98  # what is left of the drift a period later
CLOSED = 0.05  # of a mean period: below, a place in the season tells nothing of the level
DOUBT = {52: 1.0}  # years without a season that few years of weeks are averaged with


class Theta(Smoothed):
    """Theta with theta lines 0 and 2 after a multiplicative season, where there is one."""

    name = "theta"
    label = "Theta"

    def learn(self, y: Vector, season: int) -> list[Fit]:
        """The smoothing weight with the least squared error a step ahead, after the season where one is sure."""
        window, warm = warming(y, season)
        observed = np.isfinite(y).sum(axis=1)
        given = seasonal(y, season) & (observed >= FULL * season)
        adjusted = np.where(given[:, None], divide(y, indices(y, season)), y)
        found, error = smoothing.search(adjusted, Form(), warm, window)
        count = np.maximum(observed - warm, 1)
        score = count * np.log(np.maximum(error, 1e-12)) + PENALTY * (1 + given)
        return [
            Fit(Form(season=season * bool(there), multiplicative=bool(there)), float(alpha), score=float(value))
            for alpha, there, value in zip(found.alpha[:, 0], given, score, strict=True)
        ]

    def extend(self, y: Vector, fits: list[Fit], season: int, horizon: int) -> Vector:
        """The level after the newest period, the drift and the season."""
        window, warm = warming(y, season)
        given = np.array([bool(fit.form.season) for fit in fits])[:, None]
        index = np.where(given, indices(y, season), 1.0)
        adjusted = np.where(given, divide(y, index), y)
        found = weights(fits)
        level = smoothing.smooth(adjusted, Form(), found, warm, window).level
        drift = slope(adjusted)[:, None] / 2 * steps(found.alpha, np.isfinite(adjusted).sum(axis=1)[:, None], horizon)
        ahead = (y.shape[1] + np.arange(horizon)) % season
        return (level + drift) * index[:, ahead]


def steps(alpha: Vector, count: NDArray[np.int_], horizon: int, damping: float = DAMPING) -> Vector:
    """(n_series, horizon) periods of drift, from (n_series, 1) weights and numbers of observations.

    The first ones make up for the level's lag behind a trend (Hyndman and Billah 2003, equation 6).
    """
    lag = (1 - (1 - alpha) ** count) / alpha
    result: Vector = lag + np.concatenate([[0.0], np.cumsum(damping ** np.arange(1, horizon))])[None]
    return result


def slope(y: Vector) -> Vector:
    """(n_series,) change a period of the straight line through the observed ones."""
    seen = np.isfinite(y)
    count = np.maximum(seen.sum(axis=1), 1)[:, None]
    time = np.arange(y.shape[1]) * seen
    time = np.where(seen, time - time.sum(axis=1, keepdims=True) / count, 0)
    squares = (time**2).sum(axis=1)
    result: Vector = (time * np.where(seen, y, 0)).sum(axis=1) / np.where(squares > 0, squares, 1)
    return result


def seasonal(y: Vector, season: int) -> NDArray[np.bool_]:
    """(n_series,) whether the autocorrelation at the season's lag is too high for chance (Bartlett's formula)."""
    if y.shape[1] <= season:
        return np.zeros(len(y), dtype=bool)
    seen = np.isfinite(y)
    mean = np.where(seen, y, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    apart = np.where(seen, y - mean[:, None], 0)
    whole = np.maximum((apart**2).sum(axis=1), 1e-12)
    acf = np.stack([(apart[:, lag:] * apart[:, :-lag]).sum(axis=1) / whole for lag in range(1, season + 1)], axis=1)
    error = np.sqrt((1 + 2 * (acf[:, :-1] ** 2).sum(axis=1)) / np.maximum(seen.sum(axis=1), 1))
    result: NDArray[np.bool_] = np.abs(acf[:, -1]) > SURE * error
    return result


def indices(y: Vector, season: int) -> Vector:
    """(n_series, season) demand at each place t % season over a mean one, by ratios to centred moving averages."""
    n, periods = y.shape
    half = season // 2
    if periods <= 2 * half:
        return np.ones((n, season))
    trend = _centred(y, season)
    inner = y[:, half : periods - half]
    seen = np.isfinite(inner) & (trend > 0)
    ratio = np.where(seen, inner / np.where(seen, trend, 1), 0)
    place = (half + np.arange(ratio.shape[1])) % season
    pull = DOUBT.get(season, 0.0)
    total, count = np.full((n, season), pull), np.full((n, season), pull)
    for number in range(season):
        total[:, number] += ratio[:, place == number].sum(axis=1)
        count[:, number] += seen[:, place == number].sum(axis=1)
    index = np.where(count > 0, total / np.maximum(count, 1e-12), 1.0)
    mean = index.mean(axis=1, keepdims=True)
    return np.where(mean > 0, index / np.where(mean > 0, mean, 1), 1.0)


def divide(y: Vector, index: Vector) -> Vector:
    """Demand without its season; NaN where the shop is as good as closed."""
    by_period = index[:, np.arange(y.shape[1]) % index.shape[1]]
    open_ = by_period > CLOSED
    return np.where(open_, y / np.where(open_, by_period, 1), np.nan)


def _centred(y: Vector, season: int) -> Vector:
    """(n_series, n - 2 * (season // 2)) moving averages of a whole season of what was observed, ends weighing half."""
    seen = np.isfinite(y)
    weight = np.ones(2 * (season // 2) + 1)
    if season % 2 == 0:
        weight[[0, -1]] = 0.5
    width = y.shape[1] - len(weight) + 1
    total, count = np.zeros((len(y), width)), np.zeros((len(y), width))
    for lag, one in enumerate(weight):
        part = slice(lag, lag + width)
        total += one * np.where(seen[:, part], y[:, part], 0)
        count += one * seen[:, part]
    return np.where(count > 0, total / np.maximum(count, 1e-12), 0)
