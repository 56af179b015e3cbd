"""The measures of drift of demand: level of every group, mix of every level, and what the forecasts missed.

What the covariates explain (promotions, prices, events, weather) is taken out, as they explained it in the past.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from forecasting.evaluation.drift.recent import Means, Recent, mean_of
from forecasting.evaluation.drift.statistics import (
    REFERENCE,
    Ends,
    Finding,
    Measure,
    Values,
    coefficients,
    cusum,
    height,
    named,
    shares,
    shift,
    standardised,
    windows,
)
from forecasting.panel import totals
from forecasting.panel.hierarchy import Level

LEVEL, MIX = 0.3, 0.05  # changes too small to matter: of a group, and the PSI of the shares of a level
UNITS = 10.0  # a group that sold less in a usual window is too small to tell a change of level from chance
SLACK, MOST = 1.5, 3.0  # of the CUSUM, in usual deviations: let pass, and what one period counts at most


def measures(recent: Recent, means: Means) -> Iterator[Measure]:
    """Level of every group, and mix of the groups of every level; what was not observed counts as it usually is.

    means: of the covariates (see `weighted`); what they explain is taken out.
    """
    if recent.width < (1 + REFERENCE) * recent.window:
        return
    ends, explaining = recent.ends(), drivers(recent, means)
    for index, level in enumerate(recent.levels):
        now, before = windows(totals.filled(recent.panel, level, recent.width).astype(np.float64), recent.window)
        one = 1 / recent.window
        change = np.log((now + one) / (before + one))
        moved = np.stack([each[index] for each in explaining])
        usual = np.einsum("ga,agn->gn", coefficients(change, moved, recent.window), moved)
        for row, label in enumerate(level.labels):
            if before[row, -1] * recent.window >= UNITS:
                told = f"{now[row, -1]:,.4g} units a period, expected {before[row, -1] * np.exp(usual[row, -1]):,.4g}"
                values = change[row] - usual[row]
                found = ends.measure("level", named(level.name, label), "change", values, (np.log1p(LEVEL), told))
                yield replace(found, fitted=len(moved))
        if len(level.labels) > 1:
            yield replace(_mix(level, now, before * np.exp(usual), ends), fitted=len(moved))


def drivers(recent: Recent, means: Means) -> list[list[Values]]:
    """By covariate and level, (n_groups, n_ends): how much its weighted mean moved. The last one is constant."""
    pairs = [[windows(mean, recent.window) for mean in each] for each in means.values()]
    ends = recent.width - (1 + REFERENCE) * recent.window + 1
    moved = [[np.nan_to_num(now - before) for now, before in each] for each in pairs]
    return [*moved, [np.ones((len(level.labels), ends)) for level in recent.levels]]


def _mix(level: Level, now: Values, expected: Values, ends: Ends) -> Measure:
    after, was = shares(now, 1e-4), shares(expected, 1e-4)
    index = np.array([shift(was[:, end], after[:, end]) for end in range(after.shape[1])])
    most = int(np.abs(after[:, -1] - was[:, -1]).argmax())
    told = f"share of {level.labels[most]} {after[most, -1]:.1%}, expected {was[most, -1]:.1%}"
    one = ends.measure("mix", level.name, "psi", np.sqrt(index), (float(np.sqrt(MIX)), told))
    return replace(one, squared=True)


def residuals(recent: Recent, means: Means, expected: Mapping[str, Values], probability: float) -> Iterator[Finding]:
    """CUSUM over what forecasts at short lead missed, of every group of a level: (n_groups, newest periods) expected.

    What covariates usually do to demand counts neither where the model knows it nor where it does not: promotions come
    and go. NaN where nothing was forecast. probability: with which one group may be marked by chance on one night.
    """
    limit = height(SLACK, probability)
    if recent.width < (1 + REFERENCE) * recent.window:
        return
    for index, level in enumerate(recent.levels):
        if level.name not in expected:
            continue
        wanted = expected[level.name]
        count = wanted.shape[1]
        actual = totals.filled(recent.panel, level, count).astype(np.float64)
        error = np.log((actual + 1) / (wanted + 1))
        deviations = standardised(error, _usual(recent, index, means, count), recent.window)
        sums = cusum(deviations, SLACK, MOST, limit + MOST)
        newest = np.where(np.isfinite(error), error, 0)[:, -recent.window :].sum(axis=1) / recent.window
        for row in np.flatnonzero(np.isfinite(deviations).any(axis=1)):
            told = f"{np.expm1(newest[row]):+.0%} against the forecasts of the last {recent.window} periods"
            yield Finding("residual", named(level.name, level.labels[row]), "cusum", float(sums[row, -1]), limit, told)


def _usual(recent: Recent, index: int, means: Means, count: int) -> Values:
    """(n_groups, newest periods) what the covariates of each period do to the log of demand, as they did before."""
    level = recent.levels[index]
    if not means:
        return np.zeros((len(level.labels), count))
    now, before = windows(totals.filled(recent.panel, level, recent.width).astype(np.float64), recent.window)
    one = 1 / recent.window
    moved = np.stack([each[index] for each in drivers(recent, means)])
    found = coefficients(np.log((now + one) / (before + one)), moved, recent.window)[:, :-1]
    newest = np.stack([np.nan_to_num(each[index][:, -count:] - mean_of(each[index].T).T) for each in means.values()])
    usual: Values = np.einsum("ga,agn->gn", found, newest)
    return usual
