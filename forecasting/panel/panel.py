"""The Panel: every series of the business as one matrix, and the one door to its history.

Nothing after a cutoff can reach a model that is only ever handed `panel.until(cutoff)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.errors import CutoffError
from forecasting.core.frequency import Frequency
from forecasting.panel.covariates.events import Events
from forecasting.panel.covariates.known_ahead import KnownAhead, Since
from forecasting.panel.hierarchy import Totals

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Panel:
    """Series by periods, dense.

    y: (n_series, n_periods) units sold; NaN = unobserved.
    periods: (n_periods,) first days, regular; the last one ends at the cutoff.
    series: n_series rows, `unique_id` and attributes (text); row i belongs to y[i].
    known: covariates known ahead, each (n_series | 1, n_periods + horizon).
    since: by covariate known ahead, (n_series | 1, n_periods + horizon): count of known periods from which on the
    cell's present value was known; a covariate that is not in it was always known. See panel/covariates/known_ahead.py.
    zero: covariates known ahead that are 0 where nothing is known; the others keep their last known value.
    past: signals known only afterwards, each (n_series | 1, n_periods): for features at or before a cutoff only.
    levels: attributes in `series` that totals of interest are taken over.
    totals: sums of the total and the levels by period, by level name, where they were kept (see panel/totals.py).
    ended: (k, 4) row, period of the last sale, first period, period after the last one: where a series was closed for
        longer than `panel.closed_periods`, sorted by row and period (see panel/observed/closures.py). Its y is NaN
        there.
    events: named days, by the calendar of each series; None where no calendar is declared.
    absence: (n_series, n_periods) why each cell was not observed, a code of panel/observed/absence_codes.py; 0 exactly
        where y is finite. None in a panel that an older version wrote.
    """

    y: Matrix
    periods: pd.DatetimeIndex
    series: pd.DataFrame
    frequency: Frequency
    snapshot: str
    known: Mapping[str, Matrix] = field(default_factory=dict)
    past: Mapping[str, Matrix] = field(default_factory=dict)
    levels: tuple[str, ...] = ()
    totals: Mapping[str, Totals] = field(default_factory=dict)
    ended: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 4), dtype=np.int64))
    events: Events | None = None
    absence: NDArray[np.uint8] | None = None
    since: Mapping[str, Since] = field(default_factory=dict)
    zero: frozenset[str] = frozenset()

    @property
    def cutoff(self) -> date:
        """Last day whose sales are known."""
        return self.frequency.end(self.periods[-1])

    @property
    def unique_ids(self) -> NDArray[np.object_]:
        """(n_series,) names."""
        return self.series["unique_id"].to_numpy(dtype=object)

    def future(self, horizon: int) -> pd.DatetimeIndex:
        """First days of the `horizon` periods after the cutoff."""
        return self.frequency.range(self.periods[-1], horizon + 1)[1:]

    def position(self, cutoff: date) -> int:
        """Periods known at a cutoff. Raises CutoffError where that is none, or more than the panel holds."""
        last = self.frequency.last_complete(cutoff)
        count = int(self.periods.searchsorted(last, side="right"))
        if count == 0 or last > self.periods[-1]:
            raise CutoffError(
                f"Cutoff {cutoff} lies outside the panel, whose cutoffs run from "
                f"{self.frequency.end(self.periods[0])} to {self.cutoff}."
            )
        return count

    def until(self, cutoff: date) -> Panel:
        """What was known at the cutoff: views, no copies."""
        return self.first(self.position(cutoff))

    def first(self, periods: int) -> Panel:
        """The first `periods` periods, with the covariates known ahead from there, as they were known then."""
        cut = len(self.periods) - periods
        if cut == 0:
            return self
        known = self._ahead.first(periods, cut)
        return replace(
            self,
            y=self.y[:, :periods],
            periods=self.periods[:periods],
            known=known if known.since else known.present,
            since=known.since,
            past={name: values[:, :periods] for name, values in self.past.items()},
            totals={name: one.first(periods) for name, one in self.totals.items()},
            ended=np.minimum(self.ended, [len(self.y), periods, periods, periods])[self.ended[:, 2] < periods],
            events=None if self.events is None else self.events.first(periods),
            absence=None if self.absence is None else self.absence[:, :periods],
        )

    def planned(self, name: str) -> bool:
        """Whether a covariate known ahead is known to the end of the horizon, of any series."""
        return name not in self.since or bool((self.since[name][:, -1] <= len(self.periods)).any())

    @property
    def _ahead(self) -> KnownAhead:
        if isinstance(self.known, KnownAhead):
            return self.known
        return KnownAhead(self.known, self.since, self.zero, len(self.periods))

    def after(self, cutoff: date, horizon: int) -> Matrix:
        """(n_series, horizon) actuals after the cutoff; NaN where unobserved or not yet known."""
        start = self.position(cutoff)
        actual = np.full((len(self.y), horizon), np.nan, dtype=np.float32)
        found = self.y[:, start : start + horizon]
        actual[:, : found.shape[1]] = found
        return actual

    def take(self, rows: NDArray[np.intp]) -> Panel:
        """Only these series, in this order; the totals of the whole are not theirs."""
        ahead = self._ahead.take(rows)
        return replace(
            self,
            y=self.y[rows],
            series=self.series.iloc[rows].reset_index(drop=True),
            known=ahead if isinstance(self.known, KnownAhead) else ahead.present,
            since=ahead.since,
            past={name: values if len(values) == 1 else values[rows] for name, values in self.past.items()},
            totals={},
            ended=_of_rows(self.ended, rows),
            events=None if self.events is None else self.events.take(rows),
            absence=None if self.absence is None else self.absence[rows],
        )

    def ended_now(self) -> NDArray[np.int64]:
        """(n_series,) period of the last sale of each series that has ended as of the cutoff; -1 for the others."""
        found = np.full(len(self.y), -1, dtype=np.int64)
        now = self.ended[self.ended[:, 3] == len(self.periods)]
        found[now[:, 0]] = now[:, 1]
        return found


def _of_rows(ended: NDArray[np.int64], rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """The stays of these rows, numbered by their place in `rows`, which may repeat."""
    if not len(ended):
        return ended
    first, last = (np.searchsorted(ended[:, 0], rows, side=side) for side in ("left", "right"))
    count = last - first
    place = np.repeat(np.arange(len(rows)), count)
    taken = ended[np.repeat(first - (np.cumsum(count) - count), count) + np.arange(len(place))]
    return np.concatenate([place[:, None], taken[:, 1:]], axis=1)
