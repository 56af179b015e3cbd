"""What kind of demand a series has, and how much of the business it is: labels for weights and methods by segment.

Unobserved periods (NaN) never count, neither as a period nor as one without demand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.panel.hierarchy import Level, group
from forecasting.panel.memory import blocks, release
from forecasting.panel.observed.absence_codes import ENDED
from forecasting.panel.panel import Panel

SMOOTH, ERRATIC, INTERMITTENT, LUMPY, NONE = "smooth", "erratic", "intermittent", "lumpy", "none"
DEMAND_CLASSES = (SMOOTH, ERRATIC, INTERMITTENT, LUMPY, NONE)
VOLUME_CLASSES = ("A", "B", "C")
ADI_LIMIT, CV2_LIMIT = 1.32, 0.49
A_SHARE, B_SHARE = 0.80, 0.95  # of recent sales, from the largest series on


def interval_and_variation(panel: Panel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ADI, observed periods a period with demand, and CV2, squared variation of the demand's size: (n_series,) each.

    Both are NaN where nothing was ever sold. CV2 is 0 where demand occurred once.
    """
    found = np.empty((2, len(panel.y)))
    for part in blocks(len(panel.y)):
        y = panel.y[part]
        sold = np.nan_to_num(y) > 0
        count = sold.sum(axis=1)
        some = np.maximum(count, 1)
        size = np.where(sold, y, 0).sum(axis=1, dtype=np.float64) / some
        spread = (np.where(sold, y - size[:, None], 0) ** 2).sum(axis=1, dtype=np.float64) / some
        interval = np.isfinite(y).sum(axis=1) / some
        variation = spread / np.maximum(size, 1e-12) ** 2
        found[:, part] = np.where(count > 0, [interval, variation], np.nan)
        release(panel.y)
    return found[0], found[1]


def demand_class(panel: Panel) -> NDArray[np.object_]:
    """(n_series,) smooth, erratic, intermittent, lumpy; `none` where nothing was ever sold.

    Source: Syntetos, Boylan and Croston (2005), On the categorization of demand patterns, with their limits 1.32 for
    the interval (ADI) and 0.49 for the variation (CV2).
    """
    interval, variation = interval_and_variation(panel)
    rare, wild = interval >= ADI_LIMIT, variation >= CV2_LIMIT
    found = np.where(rare, np.where(wild, LUMPY, INTERMITTENT), np.where(wild, ERRATIC, SMOOTH))
    return np.where(np.isfinite(interval), found, NONE).astype(object)


def volume_class(panel: Panel) -> NDArray[np.object_]:
    """(n_series,) A, B or C: the largest series that make up 80 % of recent sales, the next 15 %, the rest.

    Sales are money at the price of the day where prices are known, else units. What was not observed counts as the
    observed periods do, but not on days of the week that were never observed, nor after the end. The series that
    crosses a limit still belongs above it; of equal series the first one in the panel does. Without any sale all are C.
    """
    width = panel.frequency.recent
    periods = len(panel.periods)
    sales = np.nan_to_num(panel.y[:, -width:]).astype(np.float64)
    if "price" in panel.known:
        sales = sales * np.nan_to_num(panel.known["price"][:, max(0, periods - width) : periods])
    total = sales.sum(axis=1) * _unseen(panel, width)
    order = np.argsort(-total, kind="stable")
    above = np.cumsum(total[order]) - total[order]  # sales of all larger series
    whole = max(float(total.sum()), 1e-12)
    labels = np.where(above < A_SHARE * whole, "A", np.where(above < B_SHARE * whole, "B", "C"))
    labels = np.where(total[order] > 0, labels, "C")
    result = np.empty(len(total), dtype=object)
    result[order] = labels
    return result


def _unseen(panel: Panel, width: int) -> NDArray[np.float64]:
    """(n_series,) factor from the sales observed in the newest periods to those of all of them; 1 where all were."""
    y = panel.y[:, -width:]
    watched = np.isfinite(y)
    if panel.absence is not None:
        watched |= panel.absence[:, -width:] == ENDED
    for row, _, start, stop in panel.ended - [0, 0, *2 * [panel.y.shape[1] - y.shape[1]]]:
        watched[row, max(start, 0) : max(stop, 0)] = True
    # A store that never opens on Sundays sells nothing there; without days or hours no place comes often enough to say.
    frequency = panel.frequency
    season = frequency.season if frequency.kind in ("D", "H") else 1
    open_ = np.zeros(len(y))
    for place in range(min(season, y.shape[1])):
        here = watched[:, place::season]
        open_ += np.where(here.any(axis=1), here.shape[1], 0)
    factor: NDArray[np.float64] = open_ / np.maximum(watched.sum(axis=1), 1)
    return factor


def segments(panel: Panel) -> list[Level]:
    """The series by `demand_class` and by `volume_class`, as levels of these names."""
    found = {"demand_class": demand_class(panel), "volume_class": volume_class(panel)}
    return [group(pd.DataFrame({name: labels}), name) for name, labels in found.items()]
