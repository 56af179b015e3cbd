"""Weekdays (or hours) at which a series never sells although it sells on nearly all others: its days of rest.

Zeros of closed Sundays are a sixth of the rows and far from everything else. Trees that split at thresholds drawn by
chance keep them in a leaf with Saturdays for many rounds: 300 stores that are closed on Sundays had Saturdays 6 to 10 %
too low and all days 4 %, even where they had been learnt. Measured in a scale of their own, next to nothing, such rows
weigh and say next to nothing: WAPE 0.098 to 0.089 there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.panel.panel import Panel

SHARE = np.float32(0.02)  # of the scale of other days; above 0, since an event may open the doors
# That a series which sells so often has no sale at one place in the season by luck, at most. With 0.001 five of pasta's
# 118 products had such a weekday at some cutoff and sold on 45 % of its next days; with 0.000,001 none has.
CHANCE = 1e-6


def ahead(panel: Panel, horizon: int) -> NDArray[np.bool_]:
    """(n_series, horizon) targets at a place in the season (weekday, hour) at which the series has not sold.

    Over the seasons that features look at (of days 12 weeks); only where that is no luck: the share of periods without
    a sale at the places at which it does sell, to the power of the seasons in which this one was observed, is at most
    CHANCE. False at frequencies whose season is a year.
    """
    y, frequency = panel.y, panel.frequency
    season = frequency.season
    if frequency.kind not in ("D", "H"):
        return np.zeros((len(y), horizon), dtype=bool)
    newest = y[:, -frequency.seasons[1] * season :]
    missing = -newest.shape[1] % season
    if missing:
        newest = np.pad(newest, ((0, 0), (missing, 0)), constant_values=np.nan)
    by_place = newest.reshape(len(y), -1, season)  # the newest season ends at the cutoff: place 0 is that of step 1
    seen, sold = np.isfinite(by_place).sum(axis=1), (by_place > 0).sum(axis=1)
    there = (seen * (sold > 0)).sum(axis=1)
    # Laplace's rule: a few sales are no certainty. What sold at no place is not on sale, and does not rest.
    zeros = np.where(there > 0, (there - sold.sum(axis=1) + 1) / (there + 2), 1)
    rests: NDArray[np.bool_] = (sold == 0) & (zeros[:, None] ** seen <= CHANCE)
    return rests[:, np.arange(horizon) % season]
