"""The measures of drift of what goes into a model: covariates, missing cells, new and vanished series.

Everything is taken over the total and every declared level with at most GROUPS groups, from the newest years.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasting.data import totals
from forecasting.data.blocks import blocks, release
from forecasting.data.hierarchy import SERIES, TOTAL, Level
from forecasting.data.panel import Matrix, Panel
from forecasting.data.totals import adder, level_of
from forecasting.evaluation.drift import (
    REFERENCE,
    WINDOW,
    YEAR,
    YEARS,
    Ends,
    Measure,
    Values,
    distance,
    named,
    psi,
    windows,
)

CALENDAR = ("event", "event_id")  # covariates that are the calendar: every day of it is different on purpose
GROUPS = 200  # levels with more are left out, as they are from the scores
SAMPLE = 2000  # series that the distribution of a covariate is taken from, spread evenly over all
ACTIVE = 0.7  # share of the periods before on which a series sold, from which on silence is news
MEMBERS = 4  # active series that a group needs to have some vanish
GAPS, SERIES_GONE, DISTRIBUTION, MEAN = 0.25, 0.25, 0.2, 0.1  # changes too small to matter


@dataclass(frozen=True)
class Recent:
    """The newest years of a panel, and the window that is judged."""

    panel: Panel
    window: int
    levels: tuple[Level, ...]

    @classmethod
    def of(cls, panel: Panel, window: int | None) -> Recent:
        """window: newest periods that are judged; None: a week of days, four weeks, three months."""
        code = panel.frequency.code[0]
        names = [name for name in dict.fromkeys((TOTAL, *panel.levels)) if name != SERIES]
        found = tuple(level for name in names if len((level := level_of(panel, name)).labels) <= GROUPS)
        return cls(panel, window or WINDOW[code], found)

    @property
    def year(self) -> int:
        """Periods of a year."""
        return YEAR[self.panel.frequency.code[0]]

    @property
    def width(self) -> int:
        """Periods that are looked at."""
        years = YEARS[self.panel.frequency.code[0]] * self.year
        return min(len(self.panel.periods), years + (1 + REFERENCE) * self.window)

    def ends(self, step: int = 1) -> Ends:
        """Where windows end."""
        return Ends(self.window, self.year, step)

    def newest(self, values: Matrix) -> Values:
        """The part of a matrix by period, (n, n_periods or more), that is looked at, up to the cutoff."""
        last = len(self.panel.periods)
        return np.asarray(values[:, max(0, last - self.width) : last], dtype=np.float64)

    def sample(self, values: Matrix) -> Values:
        """The newest part of a covariate for SAMPLE series at most, spread evenly over all."""
        rows = np.unique(np.linspace(0, len(values) - 1, min(SAMPLE, len(values))).astype(np.intp))
        taken = self.newest(values[rows])
        release(values)
        return taken


def measures(recent: Recent) -> Iterator[Measure]:
    """Of covariates, and of what could be seen."""
    yield from covariates(recent)
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


def covariates(recent: Recent) -> Iterator[Measure]:
    """Distribution over all series, mean of every group, and gaps of each covariate that is not the calendar."""
    panel = recent.panel
    for name, values in (dict(panel.known) | dict(panel.past)).items():
        if name in CALENDAR:
            continue
        sample = recent.sample(values)
        yield from _distributions(recent, name, sample)
        mean = mean_of(sample)
        yield from _means(recent, name, "", mean)
        gap = np.mean(~np.isfinite(sample), axis=0, keepdims=True)
        now, before = windows(gap, recent.window)
        if now.shape[1]:
            told = f"{now[0, -1]:.0%} of the values are missing, {before[0, -1]:.0%} before"
            yield recent.ends().measure("missing", name, "share", (now - before)[0], (MEAN, told))
        rare = float(np.mean(sample == 0)) > 0.5  # promotions come in bursts: judged over all series only
        if name in panel.known and len(values) == len(panel.y) and not rare:
            for level in recent.levels:
                if level.name != TOTAL:
                    mean = recent.newest(totals.mean(panel, level, name))
                    for row, label in enumerate(level.labels):
                        yield from _means(recent, name, f" of {named(level.name, label)}", mean[row : row + 1])


def mean_of(values: Values) -> Values:
    """(1, n) means of the columns; NaN where nothing is known."""
    seen = np.isfinite(values)
    count = seen.sum(axis=0, keepdims=True)
    total = np.where(seen, values, 0).sum(axis=0, keepdims=True)
    found: Values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return found


def _means(recent: Recent, name: str, of: str, mean: Values) -> Iterator[Measure]:
    now, before = windows(mean, recent.window)
    if now.shape[1] and np.isfinite(before).any():
        told = f"mean {now[0, -1]:.4g}, {before[0, -1]:.4g} before"
        floor = MEAN * float(np.nanmean(np.abs(before[0])))
        yield recent.ends().measure("covariate", f"{name}{of}", "mean", now[0] - before[0], (floor, told))


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
