"""When the moving events of a year come: Easter, and the named ones of the panel's calendar."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.frequency import Frequency
from forecasting.panel.covariates.events import Events
from forecasting.panel.panel import Panel

Places = NDArray[np.intp]
ANCHORS = 3  # named events that move apart from each other


def near(panel: Panel, horizon: int) -> list[Places]:
    """Occurrences of the moving yearly events near the horizon, each as rising positions: Easter, and named ones."""
    frequency, periods = panel.frequency, len(panel.periods)
    if frequency.before_event == 0:
        return []
    reach = periods + horizon + frequency.before_event
    found = [easters(frequency, panel.periods[0], reach)]
    if panel.events is not None:
        found += moving(panel.events, frequency, reach)
    return [days for days in found if len(days) >= 2 and days[-1] >= periods - frequency.near_event][: 1 + ANCHORS]


def moving(events: Events, frequency: Frequency, reach: int) -> list[Places]:
    """Named events that come once a year and move, without those that move with Easter or another: first days."""
    found: list[Places] = []
    apart: set[tuple[int, ...]] = set()
    for name in range(len(events.names)):
        cells = events.cells[(events.cells[:, 1] == name) & (events.cells[:, 2] < reach), 2]
        days = np.unique(cells).astype(np.intp)
        if len(days) < 2:
            continue
        days = days[np.concatenate([[True], np.diff(days) > frequency.near_event])]  # several days are one occurrence
        gaps = np.diff(days)
        yearly = len(gaps) and np.all((gaps > 0.85 * frequency.year) & (gaps < 1.15 * frequency.year))
        if yearly and (np.abs(gaps - frequency.year) > frequency.slack).any() and tuple(gaps) not in apart:
            apart.add(tuple(gaps.tolist()))
            found.append(days)
    return found[:ANCHORS]


def easters(frequency: Frequency, first: pd.Timestamp, reach: int) -> Places:
    """Periods in which Easter Sunday lies, from two years before the panel's first period up to `reach`."""
    start = np.datetime64(first, "D")
    years = range(first.year - 2, first.year + 3 + int(reach / frequency.year * 1.01))
    days = np.array([np.datetime64(easter(year), "D") for year in years])
    if frequency.code[0] in "MQ":
        months = days.astype("datetime64[M]") - start.astype("datetime64[M]")
        places = months.astype(np.int64) // (3 if frequency.code[0] == "Q" else 1)
    else:
        passed = (days - start).astype(np.int64)
        places = passed * 24 if frequency.code[0] == "H" else passed // (7 if frequency.code[0] == "W" else 1)
    return np.asarray(places[places < reach], dtype=np.intp)


@cache
def easter(year: int) -> str:
    """Easter Sunday of the western churches as YYYY-MM-DD (the anonymous Gregorian algorithm: Meeus, 1991)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return f"{year}-{month:02d}-{day + 1:02d}"
