"""Exponential smoothing of many series at once: the recursion over time runs on (series x parameters) matrices.

Trends and seasons in the error correction form, errors additive (Hyndman, Koehler, Ord and Snyder (2008), Forecasting
with Exponential Smoothing, chapter 2): ETS(A,N,N), (A,N,A), (A,N,M), (A,Ad,N), (A,Ad,A), (A,Ad,M). An unobserved
period (NaN) leaves level, trend and season as they are. Values should be scaled to a mean of about 1.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
ALPHA = (0.02, 0.05, 0.1, 0.2, 0.35, 0.55, 0.8, 0.98)
BETA, PHI = (0.02, 0.1, 0.3), (0.9, 0.97)
GAMMA = (0.01, 0.05, 0.15, 0.4)
REFINE = (1.6, 1.2, 1.06)  # steps around the best of the grid, in odds of the parameter
TAMED = 2.0  # standard errors
LEAST, MOST = 1e-4, 0.9999  # of a smoothing parameter
SEASON_RANGE = (0.02, 20.0)  # of a multiplicative season
FLOOR = 0.05  # least level that a multiplicative season works on
FIRST = 4  # seasons at most that the first states are measured on
BLOCK = 64  # series worked on at once, so that their states stay in the processor's cache


@dataclass(frozen=True)
class Form:
    """Which components there are. season: periods, 0 = none; multiplicative: times the level, or added to it."""

    trend: bool = False
    season: int = 0
    multiplicative: bool = False

    def __str__(self) -> str:
        return f"(A,{'Ad' if self.trend else 'N'},{('M' if self.multiplicative else 'A') if self.season else 'N'})"


@dataclass(frozen=True)
class Weights:
    """Smoothing parameters, each (n_series, k) or broadcast to it.

    alpha: level. beta: trend, as a share of alpha. gamma: season. phi: what is left of the trend a period later.
    """

    alpha: Vector
    beta: Vector
    gamma: Vector
    phi: Vector


@dataclass(frozen=True)
class State:
    """After the last period. level, trend: (n_series, k). season: (season, n_series, k), from the next period on.

    errors: (n_series, k) squared errors a step ahead summed; count: (n_series, 1) periods that they were taken over.
    """

    level: Vector
    trend: Vector
    season: Vector
    errors: Vector
    count: Vector


def first_states(y: Vector, form: Form, window: int) -> tuple[NDArray[np.intp], Vector, Vector]:
    """Start (n,), level (n,) and season (n, season or 1) by the first `window` periods from the start on.

    The start is the first observed period of each series; window: whole seasons. The season is by calendar place,
    column t % season, and measured within each season, so that a trend over the window is not taken for one.
    """
    n, periods = y.shape
    seen = np.isfinite(y)
    start = np.where(seen.any(axis=1), seen.argmax(axis=1), periods).astype(np.intp)
    place = start[:, None] + np.arange(window)
    values = np.where(place < periods, np.take_along_axis(y, np.minimum(place, periods - 1), axis=1), np.nan)
    level = _mean(values, axis=1)
    if not form.season:
        return start, level, np.zeros((n, 1))
    blocks = values.reshape(n, window // form.season, form.season)
    within = _mean(blocks, axis=2)[:, :, None]
    if form.multiplicative:
        season = _mean(blocks / np.maximum(within, FLOOR), axis=1, default=1.0)
        season = np.clip(season / np.maximum(season.mean(axis=1, keepdims=True), FLOOR), *SEASON_RANGE)
    else:
        season = _mean(blocks - within, axis=1)
        season = season - season.mean(axis=1, keepdims=True)
    return start, level, np.take_along_axis(season, (np.arange(form.season) - start[:, None]) % form.season, axis=1)


def tamed(y: Vector, form: Form, weights: Weights, warm: NDArray[np.intp], window: int) -> State:
    """`smooth` with k = 1, where no period counts for more than TAMED standard errors of a step ahead.

    So one large order does not lift the periods after it. Gelper, Fried and Croux (2010), Robust forecasting with
    exponential and Holt-Winters smoothing; here with the weights as they were found without it.
    """
    plain = smooth(y, form, weights, warm, window)
    spread = np.sqrt(plain.errors / np.maximum(plain.count, 1))
    return smooth(y, form, weights, warm, window, np.where(plain.count > 0, TAMED * spread, np.inf))


def smooth(
    y: Vector, form: Form, weights: Weights, warm: NDArray[np.intp], window: int, limit: Vector | None = None
) -> State:
    """Run the recursion over (n_series, n_periods) for k sets of weights a series.

    warm: (n_series,) periods from each start on whose errors do not count, so that forms with more first states have
    no advantage. window: periods that the first states are measured on. limit: (n_series, 1), the largest error that
    level, trend and season follow.
    """
    shape = np.broadcast_shapes(*(value.shape for value in vars(weights).values()), (len(y), 1))
    start, first, places = first_states(y, form, window)
    level = np.broadcast_to(first[:, None], shape).copy()
    trend, errors, count = np.zeros(shape), np.zeros(shape), np.zeros((len(y), 1))
    season = np.repeat(places.T[:, :, None], shape[1], axis=2)
    seen = np.isfinite(y)
    filled = np.where(seen, y, 0)
    alpha, rest = weights.alpha, weights.alpha * weights.beta
    for period in range(y.shape[1]):
        on = seen[:, period][:, None]
        place = period % (form.season or 1)
        damped = weights.phi * trend if form.trend else trend
        base = level + damped
        if form.multiplicative:
            base = np.maximum(base, FLOOR)
            error = np.where(on, filled[:, period][:, None] - base * season[place], 0)
            if limit is not None:
                error = np.clip(error, -limit, limit)
            level = np.where(on, base + alpha * error / season[place], level)
            moved = error / season[place]
            season[place] = np.clip(season[place] + weights.gamma * error / base, *SEASON_RANGE)
        else:
            error = np.where(on, filled[:, period][:, None] - base - season[place], 0)
            if limit is not None:
                error = np.clip(error, -limit, limit)
            moved = error
            level = np.where(on, base + alpha * error, level)
            if form.season:
                season[place] += weights.gamma * error
        if form.trend:
            trend = np.where(on, damped + rest * moved, trend)
        late = on & (period >= start + warm)[:, None]
        errors += np.where(late, error * error, 0)
        count += late
    return State(level, trend, np.roll(season, -y.shape[1], axis=0), errors, count)


def extend(form: Form, weights: Weights, state: State, horizon: int) -> Vector:
    """(n_series, horizon) expected values from states with k = 1."""
    damping = np.cumsum(np.cumprod(np.broadcast_to(weights.phi, (len(state.level), horizon)), axis=1), axis=1)
    base = state.level + damping * state.trend if form.trend else np.repeat(state.level, horizon, axis=1)
    if not form.season:
        return base
    season = state.season[np.arange(horizon) % form.season, :, 0].T
    return np.maximum(base, FLOOR) * season if form.multiplicative else base + season


def search(y: Vector, form: Form, warm: NDArray[np.intp], window: int) -> tuple[Weights, Vector]:
    """The weights of each series, (n, 1) each, with the least squared error a step ahead, and that error's mean (n,).

    First a grid, then finer ones around the best of each series.
    """
    found: list[tuple[Weights, Vector]] = []
    for begin in range(0, len(y), BLOCK):
        part, late = y[begin : begin + BLOCK], warm[begin : begin + BLOCK]
        best, error = _pick(part, form, _grid(form), late, window)
        for step in REFINE:
            best, error = _pick(part, form, _around(form, best, step), late, window)
        found.append((best, error))
    names = ("alpha", "beta", "gamma", "phi")
    parts = {name: np.concatenate([getattr(one, name) for one, _ in found]) for name in names}
    return Weights(**parts), np.concatenate([error for _, error in found])


def _pick(y: Vector, form: Form, grid: Weights, warm: NDArray[np.intp], window: int) -> tuple[Weights, Vector]:
    state = smooth(y, form, grid, warm, window)
    best = state.errors.argmin(axis=1)[:, None]
    shape = state.errors.shape
    chosen = {
        name: np.take_along_axis(np.broadcast_to(value, shape), best, axis=1) for name, value in vars(grid).items()
    }
    error = np.take_along_axis(state.errors, best, axis=1) / np.maximum(state.count, 1)
    return Weights(**chosen), np.where(state.count > 0, error, np.inf)[:, 0]


def _grid(form: Form) -> Weights:
    """(1, k) weights."""
    choices = (ALPHA, BETA if form.trend else (0.0,), GAMMA if form.season else (0.0,), PHI if form.trend else (1.0,))
    return Weights(*(np.array(column)[None] for column in zip(*itertools.product(*choices), strict=True)))


def _around(form: Form, best: Weights, step: float) -> Weights:
    """(n, k) weights: every combination of each one lower, as it is, and higher; the middle first, to win ties."""
    factors = (1.0, 1 / step, step)
    used = (True, form.trend, bool(form.season))
    product = np.array(list(itertools.product(*(factors if use else (1.0,) for use in used))))
    moved = [
        np.clip(_odds(value * np.ones((1, len(product))), product[:, number]), LEAST, MOST) if use else value
        for number, (use, value) in enumerate(zip(used, (best.alpha, best.beta, best.gamma), strict=True))
    ]
    return replace(best, alpha=moved[0], beta=moved[1], gamma=moved[2])


def _odds(share: Vector, factor: Vector) -> Vector:
    """Shares whose odds are multiplied by the factor: never outside 0 to 1."""
    result: Vector = share * factor / (1 - share + share * factor)
    return result


def _mean(values: Vector, axis: int, default: float = 0.0) -> Vector:
    """Mean of what is not NaN; the default where nothing is."""
    seen = np.isfinite(values)
    count = seen.sum(axis=axis)
    total = np.where(seen, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), default)
