"""Weeks, months and quarters without a row of series that usually sell: not delivered, rather than zero.

A till writes a row for what was sold, so that a missing row is a zero; but where a series has sold in each of its
newest periods, and no sale at all is very improbable for what it sells, the row is missing and not the demand. Of days
panel/observed/closures.py says the same. Each period is compared with those before it only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.core.frequency import Frequency
from forecasting.panel.memory import release
from forecasting.panel.observed.deliveries import no_row
from forecasting.panel.observed.silence import Rates
from forecasting.panel.panel import Matrix

Positions = NDArray[np.intp]
STREAK = 8  # observed periods with a sale, one after the other, that a series must have had
IMPROBABLE = 1e-4  # probability of a period without a sale, at most


def find(by_period: Matrix, started: Positions, hidden: Positions, frequency: Frequency, bound: int) -> Positions:
    """Sorted flat positions (series by periods) of cells without a row that were not delivered.

    by_period: (n_periods, n_series) units, NO_ROW without a row. started: (n_series,) first period on sale. hidden:
    flat positions that were not observed for another reason. bound: periods in a row; after them, zeros count. Where
    nothing was sold a year before (of weeks: in one of three), a silence is that of a season.
    """
    periods, count = by_period.shape
    rates = Rates(np.zeros(count, dtype=bool))
    streak, run = np.zeros(count, dtype=np.intp), np.zeros(count, dtype=np.intp)
    unseen = np.zeros((periods, count), dtype=bool)
    unseen.reshape(-1)[hidden % periods * count + hidden // periods] = True
    found: list[Positions] = []
    everything = np.arange(count)
    for period, units in enumerate(by_period):
        seen = (started <= period) & ~unseen[period]
        silent = np.flatnonzero(seen & no_row(units) & (streak >= STREAK) & (run < bound))
        missing = np.zeros(count, dtype=bool)
        if len(silent):
            silent = silent[rates.silence(0, silent) < IMPROBABLE]
            before = period - frequency.season
            if before >= 0:
                around = by_period[max(before - frequency.around, 0) : before + frequency.around + 1, silent]
                silent = silent[(around > 0).all(axis=0) | (started[silent] > before)]
            missing[silent] = True
        found.append(everything[missing] * periods + period)
        taken = seen & ~missing
        rates.learn(0, np.where(taken, units, 0).astype(np.float32), taken)
        run = np.where(missing, run + 1, np.where(seen, 0, run))
        streak = np.where(taken, np.where(units > 0, streak + 1, 0), streak)
        if period % 64 == 0:
            release(by_period)
    return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.intp)
