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

from forecasting.data.frequency import Frequency
from forecasting.data.hierarchy import Totals
from forecasting.data.known import KnownAhead, Since
from forecasting.errors import CutoffError

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Panel:
    """Series by periods, dense.

    y: (n_series, n_periods) units sold; NaN = unobserved (not yet on sale, closed, out of stock).
    periods: (n_periods,) first days, regular; the last one ends at the cutoff.
    series: n_series rows, `unique_id` and attributes (text); row i belongs to y[i].
    known: covariates known ahead, each (n_series | 1, n_periods + horizon).
    since: by covariate known ahead, (n_series | 1, n_periods + horizon): count of known periods from which on the
    cell's present value was known; a covariate that is not in it was always known. See data/known.py.
    zero: covariates known ahead that are 0 where nothing is known; the others keep their last known value.
    past: signals known only afterwards, each (n_series | 1, n_periods): for features at or before a cutoff only.
    levels: attributes in `series` that totals of interest are taken over.
    totals: sums of the total and the levels by period, by level name, where they were kept (see data/totals.py).
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
        )
