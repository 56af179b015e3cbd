"""What covariates known ahead (promotions, events, benefit days) add to demand, measured aside from trend and season.

Differences between a period and the same place one season before hold neither a season nor much of a trend; a ridge
regression of demand's differences on the covariates' leaves little but the covariates' own effect.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from forecasting.core.errors import ModelError, some
from forecasting.models.groups import Groups, Vector

DOUBT = 3.0  # periods with the covariate at one and no effect, that the measured ones are averaged with
SEASONS = 3  # seasons that must be known before differences are taken over one


def varying(groups: Groups) -> tuple[str, ...]:
    """Covariates that are whole, and change within the newer half of what is known, so that they can teach us."""
    count = groups.y.shape[1]
    return tuple(
        name
        for name, values in groups.known.items()
        if np.isfinite(values).all() and (np.ptp(values[:, count // 2 : count], axis=1) > 0).any()
    )


def stack(groups: Groups, names: tuple[str, ...]) -> Vector:
    """(n_groups, n + horizon, k) covariates by name. Raises ModelError for one that is gone."""
    missing = [name for name in names if name not in groups.known]
    if missing:
        raise ModelError(
            f"The model was fitted with {some(missing)}, the panel has {some(groups.known) or 'no covariates'}: the "
            "configuration of sources changed; train again."
        )
    shape = (len(groups.y), len(groups.days))
    columns = [np.broadcast_to(groups.known[name], shape) for name in names]
    return np.stack(columns, axis=2) if columns else np.zeros((*shape, 0))


def measure(y: Vector, covariates: Vector, season: int) -> Vector:
    """(n_series, k) units that each covariate adds, from (n_series, n) demand and (n_series, n, k) covariates.

    Ridge regression (Hoerl and Kennard 1970), by series, on differences over a season, over one period where fewer
    than three seasons are known. Differences with a missing end are left out.
    """
    lag = season if y.shape[1] >= SEASONS * season else 1
    change = y[:, lag:] - y[:, :-lag]
    moved = covariates[:, lag:] - covariates[:, :-lag]
    seen = np.isfinite(change)
    change, moved = np.where(seen, change, 0), np.where(seen[:, :, None], moved, 0)
    count = np.maximum(seen.sum(axis=1), 1)[:, None]
    change = np.where(seen, change - change.sum(axis=1, keepdims=True) / count, 0)
    # A covariate that comes and goes changes twice, and each change has twice the variance.
    gram = np.einsum("stk,stl->skl", moved, moved) + 2 * DOUBT * np.eye(moved.shape[2])
    right = np.einsum("stk,st->sk", moved, change)
    effects: Vector = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
    return effects


def added(covariates: Vector, effects: Vector) -> Vector:
    """(n_series, periods) units that the covariates add to demand."""
    total = np.zeros(covariates.shape[:2])
    for column in range(covariates.shape[2]):  # a sum in this order, whatever else is asked for
        total += covariates[:, :, column] * effects[:, column, None]
    return total


def as_columns(effects: list[Mapping[str, float]], names: tuple[str, ...]) -> Vector:
    """(n_series, k) of what was kept by name; a covariate without an effect counts as 0."""
    return np.array([[each.get(name, 0.0) for name in names] for each in effects]).reshape(len(effects), len(names))
