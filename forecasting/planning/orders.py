"""What to order: safety stock, reorder point and order from the distribution of demand until the next order arrives.

Periodic review: at every cutoff, on hand + on order are brought to `order_up_to`. What is ordered now arrives after
the lead time, and the next order, a review later, arrives after another one: until then stock has to last, so demand
over lead time + review counts (Silver, Pyke and Thomas, 2017, section 6.9), where demand without stock waits.

Where it is lost, what is missing before the arrival is not owed, and no constant level is best: the less there is, the
more will be lost. `served` is the level that serves demand from the arrival on at the target (Morton, 1971: the myopic
policy), `projected` the one that brings the stock expected at the arrival to a constant (van Jaarsveld and Arts, 2024).
Where costs are the target, the first orders too much (it counts no later order) and the second too little where
shortage is cheap; half way between them costs less than the best constant level in Zipkin's examples (2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.errors import PlanningError
from forecasting.core.frequency import Frequency
from forecasting.planning import demand_sums

Numbers = NDArray[np.float64]
Labels = NDArray[np.object_]
X_LIMIT, Y_LIMIT = 0.5, 1.0  # coefficient of variation, as is usual
SLACK = 1e-9  # share of a pack that arithmetic may leave over


def critical_ratio(holding: float, shortage: float, periods: float = 1) -> float:
    """Service level at which a unit more costs as much as it saves (newsvendor; Arrow, Harris and Marschak, 1951).

    holding: money a unit left over at the end of a period; shortage: money a unit that was wanted and not there. Demand
    that waits costs it in every period, so `periods` is 1. Demand that is lost costs it once, while a unit left over is
    held until the next order arrives: with `periods` the review.
    """
    if holding < 0 or shortage < 0 or not holding + shortage > 0:
        raise PlanningError(f"holding {holding:g} and shortage {shortage:g}: neither below 0, and not both 0.")
    return shortage / (shortage + holding * periods)


@dataclass(frozen=True)
class Terms:
    """Terms of an order, (n_series,) each: lead_time, review in periods, service_level a share, the rest in units."""

    lead_time: NDArray[np.int64]
    review: NDArray[np.int64]
    service_level: Numbers
    pack_size: Numbers
    minimum_order: Numbers


@dataclass(frozen=True)
class Levels:
    """Levels of stock, (n_series,) units each; NaN where nothing can be said."""

    safety_stock: Numbers
    reorder_point: Numbers
    order_up_to: Numbers


def levels(
    demand_mean: Numbers, demand_quantile: Numbers, cover: Numbers | float = 0.0, needed: Numbers | None = None
) -> Levels:
    """Levels from demand over lead time and review: its mean, its quantile at the service level, and units on top.

    needed: the level to order at where it is not that quantile, as for demand that is lost.
    """
    point = demand_quantile if needed is None else needed
    return Levels(demand_quantile - demand_mean, point, point + cover)


def where_lost(
    position: Numbers, ahead: tuple[Numbers, Numbers], later: Numbers, level: Numbers, costs: NDArray[np.bool_]
) -> tuple[Numbers, Numbers]:
    """(n_series,) levels to order at where unmet demand is lost, and units that are lost before an order arrives.

    position: on hand + on order. ahead: mean (n_series,) and distribution (n_series, len(GRID)) of demand until then;
    later: distribution from then to the next arrival. level: to serve later demand at. costs: whether it follows from
    costs, (n_series,).
    """
    before, spread = ahead
    lost = np.minimum(demand_sums.excess(spread, position), before)
    served = position + demand_sums.missing(later, spread, position, level)
    projected = before - lost + demand_sums.quantile(later, level)
    return np.where(costs, (served + projected) / 2, served), lost


def order(position: Numbers, stock: Levels, terms: Terms, rounding: str = "up") -> Numbers:
    """(n_series,) units to order now; NaN where position or levels are not known.

    position: on hand + on order. Nothing where it is at the reorder point or above; otherwise what is missing to
    `order_up_to`, in whole packs, at least the minimum. rounding: `up`, or `nearest` (half a pack up).
    """
    missing = np.where(position < stock.reorder_point, np.maximum(stock.order_up_to - position, 0), 0.0)
    packs = missing / terms.pack_size
    packs = np.ceil(packs - SLACK) if rounding == "up" else np.floor(packs + 0.5)
    least = np.ceil(terms.minimum_order / terms.pack_size - SLACK)
    ordered: Numbers = np.where(packs > 0, np.maximum(packs, least), 0.0) * terms.pack_size
    return np.where(np.isfinite(position) & np.isfinite(stock.order_up_to), ordered, np.nan)


def projected(stock: Numbers, mean: Numbers, days: pd.DatetimeIndex) -> pd.Series:
    """First day of the period in which expected demand (n_series, horizon) uses up the stock (n_series,); NaT: never.

    Stock that was never there is used up in the first period with any demand.
    """
    used = np.cumsum(mean, axis=1) > stock[:, None] + 1e-9
    out = used.any(axis=1) & np.isfinite(stock)
    return pd.Series(days[used.argmax(axis=1)]).where(out)


def left_over(stock: Numbers, mean: Numbers, lead_time: NDArray[np.int64], lost: Numbers | float = 0.0) -> Numbers:
    """(n_series,) units expected to be left when an order of now arrives, never below 0.

    lost: units of the demand until then that are expected to be lost, and so take nothing from the stock.
    """
    running = np.concatenate([np.zeros((len(mean), 1)), np.cumsum(mean, axis=1)], axis=1)
    used = running[np.arange(len(mean)), np.minimum(lead_time, mean.shape[1])]
    found: Numbers = np.maximum(stock - used + lost, 0)
    return found


def xyz_class(y: NDArray[np.floating], code: str) -> Labels:
    """(n_series,) X, Y or Z by the coefficient of variation of newest demand, of weeks where periods are shorter.

    y: (n_series, n_periods) units, NaN = unobserved: a week counts by the mean of its observed periods. Without two
    periods or any demand: Z.
    """
    frequency = Frequency(code)
    newest = np.asarray(y[:, -frequency.rhythm :], dtype=np.float64)
    if (week := frequency.week) > 1:
        whole = newest[:, newest.shape[1] % week :].reshape(len(newest), -1, week)
        seen = np.isfinite(whole).sum(axis=2)
        newest = np.where(seen > 0, np.nan_to_num(whole).sum(axis=2) / np.maximum(seen, 1), np.nan)
    seen = np.isfinite(newest)
    count = np.maximum(seen.sum(axis=1), 1)
    mean = np.where(seen, newest, 0).sum(axis=1) / count
    spread = np.sqrt((np.where(seen, newest - mean[:, None], 0) ** 2).sum(axis=1) / count)
    variation = np.where((mean > 0) & (seen.sum(axis=1) > 1), spread / np.where(mean > 0, mean, 1), np.inf)
    found: Labels = np.where(variation <= X_LIMIT, "X", np.where(variation <= Y_LIMIT, "Y", "Z")).astype(object)
    return found
