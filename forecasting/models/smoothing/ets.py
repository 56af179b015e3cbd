"""Exponential smoothing (ETS): level, damped trend and season; the form by the error a step ahead of each group."""

from __future__ import annotations

import itertools

import numpy as np

from forecasting.models.groups import Vector
from forecasting.models.smoothing import recursion
from forecasting.models.smoothing.base import PENALTY, Fit, Smoothed, warming, weights
from forecasting.models.smoothing.recursion import Form

POSITIVE = 0.98  # share of periods with demand, above which a season may multiply the level
FULL = 2  # seasons that must be observed before one is believed


class Ets(Smoothed):
    """ETS with additive errors: no or a damped trend; no, an additive or a multiplicative season."""

    name = "ets"
    label = "ETS"

    def learn(self, y: Vector, season: int) -> list[Fit]:
        """Every form by its error over the same periods, with AIC's penalty of each smoothing parameter."""
        window, warm = warming(y, season)
        seen = np.isfinite(y)
        observed = seen.sum(axis=1)
        positive = (np.where(seen, y, 0) > 0).sum(axis=1) >= POSITIVE * observed
        count = np.maximum(observed - warm, 1)
        best: list[Fit] = []
        for form in forms(season):
            allowed = (observed >= FULL * form.season) & (positive | (not form.multiplicative))
            found, error = recursion.search(y, form, warm, window)
            score = count * np.log(np.maximum(error, 1e-12)) + PENALTY * (1 + 2 * form.trend + bool(form.season))
            columns = np.column_stack([found.alpha, found.beta, found.gamma, found.phi, score])
            fits = [Fit(form, *row) for row in columns.tolist()]
            if not best:
                best = fits
                continue
            best = [
                new if may and new.score < old.score else old for old, new, may in zip(best, fits, allowed, strict=True)
            ]
        return best

    def extend(self, y: Vector, fits: list[Fit], season: int, horizon: int) -> Vector:
        """The recursion over what is known, then the expected values ahead, form by form."""
        window, warm = warming(y, season)
        mean = np.zeros((len(y), horizon))
        for form in {fit.form for fit in fits}:
            mine = [number for number, fit in enumerate(fits) if fit.form == form]
            given = weights([fits[number] for number in mine])
            state = recursion.tamed(y[mine], form, given, warm[mine], window)
            mean[mine] = recursion.extend(form, given, state, horizon)
        return mean


def forms(season: int) -> list[Form]:
    """The simplest first."""
    seasons = [(0, False), (season, False), (season, True)]
    return [Form(trend, *one) for one, trend in itertools.product(seasons, (False, True))]
