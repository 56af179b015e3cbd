"""The newest years of a panel, and what its covariates were by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecasting.evaluation.drift.statistics import REFERENCE, Ends, Values
from forecasting.panel import totals
from forecasting.panel.hierarchy import SERIES, TOTAL, Level
from forecasting.panel.memory import blocks, release
from forecasting.panel.observed.closing_days import is_calendar
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.totals import adder, level_of

CALENDAR = ("event", "event_id")  # covariates that are the calendar: every day of it is different on purpose
GROUPS = 200  # levels with more are left out, as they are from the scores
SAMPLE = 2000  # series that the distribution of a covariate is taken from, spread evenly over all
Means = Mapping[str, Sequence[Values]]  # by covariate: of each level (n_groups, n_periods)


@dataclass(frozen=True)
class Recent:
    """The newest years of a panel, and the window that is judged."""

    panel: Panel
    window: int
    levels: tuple[Level, ...]

    @classmethod
    def of(cls, panel: Panel, window: int | None) -> Recent:
        """window: newest periods that are judged; None: a week of days, four weeks, three months."""
        names = [name for name in dict.fromkeys((TOTAL, *panel.levels)) if name != SERIES]
        found = tuple(level for name in names if len((level := level_of(panel, name)).labels) <= GROUPS)
        return cls(panel, window or panel.frequency.drift_window, found)

    @property
    def year(self) -> int:
        """Periods of a year."""
        return self.panel.frequency.year

    @property
    def width(self) -> int:
        """Periods that are looked at."""
        years = self.panel.frequency.drift_years * self.year
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


def weighted(recent: Recent) -> Means:
    """How far each covariate lies above the series' own mean: over the series, each counting by what it usually sells.

    So new series and a store that is closed change nothing. A covariate that is always above 0 (a price) counts as a
    share of that mean. Beside them, where events are known, how many lie in the window to come; where there is more
    than a year, what was sold in all a year ago.
    """
    panel, found = recent.panel, list(recent.levels)
    given = dict(panel.known) | dict(panel.past)
    used = {name: one for name, one in given.items() if name != CALENDAR[-1] and not is_calendar(name, one)}
    if "event" in used:  # people shop before a holiday
        used["event"] = _met_before(panel, used["event"])
        count = np.cumsum(np.pad(used["event"], ((0, 0), (1, recent.window + 1))), axis=1)
        used["events ahead"] = count[:, recent.window + 1 : -1] - count[:, 1 : -recent.window - 1]
    shares = {name for name, values in used.items() if positive(recent.sample(values))}
    weights, add_weights = adder(found, recent.width)
    sums = {name: adder(found, recent.width) for name in used}
    for part in blocks(len(panel.y)):
        y = recent.newest(panel.y[part])
        sold = mean_of(y.T).T
        weight = np.where(np.isfinite(y), np.nan_to_num(sold), 0)
        add_weights(part, weight)
        for name, values in used.items():
            x = recent.newest(values if len(values) == 1 else values[part])
            own = mean_of(x.T).T
            x = (x - own) / np.where(own > 0, own, 1) if name in shares else x - own
            sums[name][1](part, weight * np.where(np.isfinite(x), x, 0))
        release(panel.y, *used.values())
    means = {
        name: [np.where(w > 0, s / np.maximum(w, 1e-9), np.nan) for s, w in zip(of, weights, strict=True)]
        for name, (of, _) in sums.items()
    }
    if len(panel.periods) > recent.year + (1 + REFERENCE) * recent.window:
        means["a year ago"] = [np.broadcast_to(_year_ago(recent), one.shape) for one in weights]
    return means


def _met_before(panel: Panel, flags: Matrix) -> Matrix:
    """The flag of days with events, without events that were met once: no past says what these do to demand."""
    if panel.events is None:
        return flags
    counts = panel.events.known_by(len(panel.periods))
    often = np.array([counts[name] >= 2 for name in panel.events.names], dtype=np.bool_)
    if often.all():
        return flags
    cells = panel.events.cells
    found = replace(panel.events, cells=cells[often[cells[:, 1]]], since=None).any(flags.shape[1])
    return found if len(flags) == 1 else found[panel.events.calendars]


def positive(values: Values) -> bool:
    """Whether all that is known is above 0."""
    return bool(np.min(values, where=np.isfinite(values), initial=np.inf) > 0)


def _year_ago(recent: Recent) -> Values:
    """(1, width) log of what was sold in all a year before, as a mean over a window around it; NaN where unknown."""
    total = totals.filled(recent.panel, recent.levels[0], len(recent.panel.periods))[0]
    smooth = pd.Series(np.log1p(total, dtype=np.float64)).interpolate(limit_direction="both")
    around = smooth.rolling(recent.window, center=True, min_periods=1).mean()
    found: Values = around.shift(recent.year).to_numpy()[None, -recent.width :]
    return found


def mean_of(values: Values) -> Values:
    """(1, n) means of the columns; NaN where nothing is known."""
    seen = np.isfinite(values)
    count = seen.sum(axis=0, keepdims=True)
    total = np.where(seen, values, 0).sum(axis=0, keepdims=True)
    found: Values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return found
