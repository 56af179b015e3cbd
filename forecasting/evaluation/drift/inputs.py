"""The measures of drift of what goes into a model: covariates, missing cells, new and vanished series.

Everything is taken over the total and every declared level with at most GROUPS groups, from the newest years.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forecasting.evaluation.drift.recent import CALENDAR, Means, Recent, positive
from forecasting.evaluation.drift.statistics import REFERENCE, Measure, Values, distance, named, psi, windows
from forecasting.panel.hierarchy import TOTAL, Level
from forecasting.panel.memory import blocks, release
from forecasting.panel.observed.closing_days import is_calendar
from forecasting.panel.totals import adder

ACTIVE = 0.7  # share of the periods before on which a series sold, from which on silence is news
MEMBERS = 4  # active series that a group needs to have some vanish
GAPS, SERIES_GONE, DISTRIBUTION, MEAN = 0.25, 0.25, 0.2, 0.1  # changes too small to matter


def measures(recent: Recent, means: Means) -> Iterator[Measure]:
    """Of covariates, whose means by group are given (see `weighted`), and of what could be seen."""
    yield from covariates(recent, means)
    yield from presence(recent)


# ---------------------------------------------------------------- what could be seen


def presence(recent: Recent) -> Iterator[Measure]:
    """Cells without an observation, new and vanished series, as shares of the series on sale, of every group."""
    ends, window, width = recent.ends(), recent.window, recent.width
    if width < (1 + REFERENCE) * window:
        return
    counted = _counted(recent)
    for index, level in enumerate(recent.levels):
        on_sale, seen, new, active, gone = (one[index] for one in counted)
        gap = 1 - seen / np.maximum(on_sale, 1)
        now, before = windows(np.where(on_sale > 0, gap, np.nan), window)
        tail = now.shape[1]
        fresh = np.where(on_sale > 0, _summed(new, window) / np.maximum(on_sale, 1), np.nan)[:, -tail:]
        lost = np.where(active >= MEMBERS, gone / np.maximum(active, 1), np.nan)[:, -tail:]
        for row, label in enumerate(level.labels):
            subject = named(level.name, label)
            told = f"{now[row, -1]:.0%} of the cells were not observed, {before[row, -1]:.0%} before"
            yield ends.measure("missing", subject, "share", now[row] - before[row], (GAPS, told))
            told = f"{_summed(new, window)[row, -1]:,.0f} of {on_sale[row, -1]:,.0f} series sold for the first time"
            yield ends.measure("series", subject, "new", fresh[row], (SERIES_GONE, told))
            told = f"{gone[row, -1]:,.0f} of {active[row, -1]:,.0f} series that sold regularly sold nothing"
            yield ends.measure("series", subject, "vanished", lost[row], (SERIES_GONE, told))


def _summed(values: Values, window: int) -> Values:
    """(n, n_periods) sums over the window that ends at each period."""
    total = np.cumsum(np.pad(values, ((0, 0), (window, 0))), axis=1)
    found: Values = total[:, window:] - total[:, :-window]
    return found


def _counted(recent: Recent) -> tuple[list[Values], ...]:
    """By level, (n_groups, width): series on sale, seen, new at each period, active before the window, gone in it."""
    width, window, found = recent.width, recent.window, list(recent.levels)
    start = len(recent.panel.periods) - width
    sums = [adder(found, width) for _ in range(5)]
    for part in blocks(len(recent.panel.y)):
        y = recent.newest(recent.panel.y[part])
        seen = np.isfinite(y)
        before = np.any(np.isfinite(recent.panel.y[part, :start]), axis=1, keepdims=True)
        on_sale = np.maximum.accumulate(seen | before, axis=1)
        new = np.diff(on_sale, axis=1, prepend=on_sale[:, :1])
        sold = _summed((np.nan_to_num(y) > 0).astype(np.float64), window)
        earlier = np.zeros_like(sold)
        for back in range(1, REFERENCE + 1):
            earlier[:, back * window :] += sold[:, : width - back * window]
        active = earlier >= ACTIVE * REFERENCE * window
        for (_, add), values in zip(sums, (on_sale, seen, new, active, active & (sold == 0)), strict=True):
            add(part, values.astype(np.float64))
        release(recent.panel.y)
    return tuple(total for total, _ in sums)


# ---------------------------------------------------------------- covariates


def covariates(recent: Recent, means: Means) -> Iterator[Measure]:
    """Distribution over all series, mean of every group, and gaps of each covariate that is not the calendar."""
    panel = recent.panel
    for name, values in (dict(panel.known) | dict(panel.past)).items():
        if name in CALENDAR or is_calendar(name, values):
            continue
        sample = recent.sample(values)
        yield from _distributions(recent, name, sample)
        gap = np.mean(~np.isfinite(sample), axis=0, keepdims=True)
        now, before = windows(gap, recent.window)
        if now.shape[1]:
            told = f"{now[0, -1]:.0%} of the values are missing, {before[0, -1]:.0%} before"
            yield recent.ends().measure("missing", name, "share", (now - before)[0], (MEAN, told))
        rare = float(np.mean(sample == 0)) > 0.5  # promotions come in bursts: judged over all series only
        whole = name not in panel.known or len(values) == 1 or rare
        size = None if positive(sample) else float(np.nanmean(np.abs(sample)))
        for level, mean in zip(recent.levels[:1] if whole else recent.levels, means[name], strict=False):
            yield from _means(recent, name, level, mean, size)


def _means(recent: Recent, name: str, level: Level, mean: Values, size: float | None) -> Iterator[Measure]:
    """size: what the covariate usually is; None: it is above 0, and the mean is a share."""
    now, before = windows(mean, recent.window)
    if not now.shape[1]:
        return
    for row, label in enumerate(level.labels):
        subject = name if level.name == TOTAL else f"{name} of {named(level.name, label)}"
        moved = now[row] - before[row]
        told = f"{moved[-1]:+.1%}" if size is None else f"{moved[-1]:+.4g}"
        floor, told = MEAN * (1.0 if size is None else size), f"{told} on average against the periods before"
        yield recent.ends().measure("covariate", subject, "mean", moved, (floor, told))


def _distributions(recent: Recent, name: str, values: Values) -> Iterator[Measure]:
    """PSI of all values, and the KS distance of each series' values from its own mean before the window.

    A move below a twentieth of the spread of all values is none. The window's ends lie a window apart.
    """
    window, width = recent.window, values.shape[1]
    spread = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
    ends = np.arange(width, (1 + REFERENCE) * window - 1, -window)[::-1]
    if not spread or not len(ends):
        return
    found = np.array([_compared(values, end, window, spread / 20) for end in ends])
    at, told = recent.ends(window), "the newest values are distributed otherwise than those before"
    one = at.measure("covariate", name, "psi", np.sqrt(found[:, 0]), (float(np.sqrt(DISTRIBUTION)), told))
    yield replace(one, squared=True)
    yield at.measure("covariate", name, "ks", found[:, 1], (DISTRIBUTION, told))


def _compared(values: Values, end: int, window: int, grain: float) -> tuple[float, float]:
    newest, before = values[:, end - window : end], values[:, end - (1 + REFERENCE) * window : end - window]
    seen = np.isfinite(before)
    count = seen.sum(axis=1, keepdims=True)
    own = np.where(count > 0, np.where(seen, before, 0).sum(axis=1, keepdims=True) / np.maximum(count, 1), np.nan)
    moved: list[NDArray[np.float64]] = [np.round((one - own) / grain) for one in (before, newest)]
    first, second = (one[np.isfinite(one)] for one in moved)
    return psi(before[seen], newest[np.isfinite(newest)]), distance(first, second)
