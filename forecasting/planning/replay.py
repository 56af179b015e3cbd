"""Replay: what a policy of ordering would have cost, period by period, with the demand that there was.

In each period, in this order: what was ordered `lead_time` periods ago arrives; the policy, which has seen nothing of
the period, orders; demand takes what is there, and the rest of it is lost; what is left over costs money. So an order
of a night, given before the first period after its cutoff, serves demand from `lead_time` periods later on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.core.errors import PlanningError
from forecasting.planning.orders import Levels, Terms, order

Numbers = NDArray[np.float64]
Policy = Callable[[int, Numbers], Numbers]


@dataclass(frozen=True)
class Costs:
    """holding: money a unit left over at the end of a period; shortage: money a unit that was wanted and not there."""

    holding: float
    shortage: float


@dataclass(frozen=True)
class Shelf:
    """Where a replay begins. on_hand: (n,) units. coming: (n, lead_time) units that arrive in its first periods."""

    on_hand: Numbers
    coming: Numbers

    @classmethod
    def empty(cls, series: int, lead_time: int) -> Self:
        """Nothing there and nothing under way."""
        return cls(np.zeros(series), np.zeros((series, lead_time)))


@dataclass(frozen=True)
class Replay:
    """(n_series, n_periods) units each, in a period: wanted, served, lost, left over at its end, ordered, arrived."""

    wanted: Numbers
    served: Numbers
    left: Numbers
    ordered: Numbers
    arrived: Numbers

    @property
    def lost(self) -> Numbers:
        """Demand that was not served."""
        return self.wanted - self.served

    def cost(self, costs: Costs, first: int = 0) -> float:
        """Money in all, from period `first` on."""
        held, lost = self.left[:, first:].sum(), self.lost[:, first:].sum()
        return float(costs.holding * held + costs.shortage * lost)

    def fill_rate(self, first: int = 0) -> float:
        """Share of the units wanted that were served; 1 where none were."""
        wanted = float(self.wanted[:, first:].sum())
        return float(self.served[:, first:].sum()) / wanted if wanted else 1.0

    def stock(self, first: int = 0) -> float:
        """Units left over at the end of a period, all series together, on average."""
        return float(self.left[:, first:].sum(axis=0).mean())

    def cycle_service(self, review: int = 1, first: int = 0) -> float:
        """Share of order cycles, `review` periods long from period `first` on, in which nothing was lost.

        Cycles in which nothing was wanted count: stock was there. An unfinished one does not.
        """
        cycles = (self.wanted.shape[1] - first) // review
        lost = self.lost[:, first : first + cycles * review].reshape(len(self.wanted), cycles, review)
        return float((lost.sum(axis=2) <= 1e-9).mean())


def replay(demand: Numbers, policy: Policy, shelf: Shelf, review: int = 1) -> Replay:
    """Let the periods of `demand` (n_series, n_periods) pass.

    policy: from the number of the period (0, 1, ...) and what is on hand + on order (n,) to what is ordered (n,), asked
    every `review` periods. Raises PlanningError for demand or orders below 0 or not known.
    """
    _must_be(demand, "demand")
    series, periods = demand.shape
    lead_time = shelf.coming.shape[1]
    coming = np.concatenate([shelf.coming, np.zeros((series, periods))], axis=1)
    on_hand = shelf.on_hand.astype(np.float64)
    served, left, ordered = (np.zeros(demand.shape) for _ in range(3))
    for period in range(periods):
        if period % review == 0:
            position = on_hand + coming[:, period:].sum(axis=1)
            ordered[:, period] = policy(period, position)
            _must_be(ordered[:, period], f"orders of period {period}")
            coming[:, period + lead_time] += ordered[:, period]
        on_hand = on_hand + coming[:, period]
        served[:, period] = np.minimum(on_hand, demand[:, period])
        on_hand = on_hand - served[:, period]
        left[:, period] = on_hand
    return Replay(demand.astype(np.float64), served, left, ordered, coming[:, :periods])


def _must_be(values: Numbers, what: str) -> None:
    if not (np.isfinite(values) & (values >= 0)).all():
        raise PlanningError(f"A replay needs {what} that are known and not below 0.")


def by_levels(reorder_point: Numbers, order_up_to: Numbers, terms: Terms, rounding: str = "up") -> Policy:
    """A policy from levels of every period, (n_series, n_periods), such as those of past nights in `replenishment`."""

    def policy(period: int, position: Numbers) -> Numbers:
        stock = Levels(np.zeros(len(position)), reorder_point[:, period], order_up_to[:, period])
        return order(position, stock, terms, rounding)

    return policy


def min_max(history: Numbers, demand: Numbers, least: float, most: float, terms: Terms, window: int = 13) -> Policy:
    """What many shops do: order up to `most` periods of mean demand when there is less than `least` periods of it.

    history: (n_series, n) demand before the replay, NaN = not known; the mean is that of the newest `window` periods.
    demand: of the replay, seen up to the period before.
    """
    known = np.concatenate([history, demand], axis=1)
    before = history.shape[1]
    levels = []
    for period in range(demand.shape[1]):
        newest = known[:, max(0, before + period - window) : before + period]
        seen = np.isfinite(newest)
        levels.append(np.where(seen, newest, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))
    mean = np.stack(levels, axis=1)
    return by_levels(least * mean, most * mean, terms)
