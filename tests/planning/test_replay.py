"""Replays by hand, then what must hold of every one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from forecasting.core.errors import PlanningError
from forecasting.models.intervals.calibration import GRID
from forecasting.planning.orders import Terms, critical_ratio, levels, order, where_lost
from forecasting.planning.replay import Costs, Shelf, by_levels, min_max, replay

COSTS = Costs(holding=0.2, shortage=1.0)


def terms(count: int = 1, lead: int = 2) -> Terms:
    one = np.ones(count)
    return Terms(np.full(count, lead), np.ones(count, dtype=np.int64), one, one, 0 * one)


def flat(level: float, periods: int, count: int = 1, lead: int = 2):
    constant = np.full((count, periods), level)
    return by_levels(constant, constant, terms(count, lead))


def test_four_weeks_by_hand():
    # Up to 6, two periods to wait. Week 1: 6 - (4 + 0 + 1) = 1 ordered; 4 on hand, 3 wanted, 1 left.
    # Week 2: 1 arrives; 6 - (1 + 1 + 1) = 3; 2 there, 3 wanted, 1 lost. Week 3: 1 arrives; 6 - (1 + 3) = 2; 1 wanted.
    # Week 4: 3 arrive; 6 - (3 + 2) = 1 ordered; 2 wanted, 1 left.
    shelf = Shelf(np.array([4.0]), np.array([[0.0, 1.0]]))
    found = replay(np.array([[3.0, 3, 1, 2]]), flat(6, 4), shelf)
    assert found.ordered.tolist() == [[1, 3, 2, 1]]
    assert found.arrived.tolist() == [[0, 1, 1, 3]]
    assert found.served.tolist() == [[3, 2, 1, 2]]
    assert found.left.tolist() == [[1, 0, 0, 1]]
    assert found.cost(COSTS) == pytest.approx(0.2 * 2 + 1.0 * 1)
    assert found.cost(COSTS, first=2) == pytest.approx(0.2)
    assert found.fill_rate() == pytest.approx(8 / 9)
    assert found.stock() == 0.5
    assert found.cycle_service() == 0.75
    assert found.cycle_service(review=2) == 0.5


def test_without_a_lead_time_an_order_serves_its_own_period():
    levels = np.full((1, 2), 5.0)
    found = replay(np.array([[5.0, 2]]), by_levels(levels, levels, terms(lead=0)), Shelf.empty(1, 0))
    assert found.served.tolist() == [[5, 2]]
    assert found.ordered.tolist() == [[5, 5]]


def test_orders_are_given_every_review():
    found = replay(np.full((1, 4), 1.0), flat(9, 4), Shelf.empty(1, 1), review=2)
    assert found.ordered[0].tolist() == [9, 0, 1, 0]


def test_min_max_orders_up_to_so_many_weeks_of_what_was_sold():
    history = np.array([[100.0] * 5 + [np.nan] + [2.0, 4.0]])
    policy = min_max(history, np.array([[9.0, 6.0]]), 2, 4, terms(lead=0), window=3)
    found = replay(np.array([[9.0, 6.0]]), policy, Shelf.empty(1, 0))
    assert found.ordered.tolist() == [[12.0, 17.0]]  # 4 x mean of 2 and 4; 4 x mean of 2, 4 and 9, less 3 left over


@pytest.mark.parametrize("demand", [[[1.0, np.nan]], [[1.0, -1.0]]])
def test_demand_that_is_not_known_cannot_be_replayed(demand):
    with pytest.raises(PlanningError, match="demand that are known and not below 0"):
        replay(np.array(demand), flat(6, 2), Shelf.empty(1, 2))


numbers = st.integers(0, 30)


@settings(deadline=None)
@given(st.lists(st.lists(numbers, min_size=6, max_size=6), min_size=1, max_size=4), numbers, st.integers(0, 3))
def test_no_unit_is_made_or_lost_on_the_way(demand, level, lead):
    wanted = np.array(demand, dtype=float)
    shelf = Shelf(np.full(len(wanted), 5.0), np.ones((len(wanted), lead)))
    levels = np.full(wanted.shape, float(level))
    found = replay(wanted, by_levels(levels, levels, terms(len(wanted), lead)), shelf)
    came = shelf.on_hand[:, None] + found.arrived.cumsum(axis=1)
    assert np.allclose(came - found.served.cumsum(axis=1), found.left)
    assert (found.left >= 0).all()
    assert (found.lost >= 0).all()
    assert ((found.lost == 0) | (found.left == 0)).all()
    more = replay(wanted, by_levels(levels + 5, levels + 5, terms(len(wanted), lead)), shelf)
    assert more.fill_rate() >= found.fill_rate() - 1e-12


# ---------------------------------------------------------------- demand that is lost


@pytest.mark.parametrize("shortage", [4.0, 9.0, 19.0])
def test_where_demand_is_lost_the_middle_of_two_policies_costs_less_than_every_constant_level(shortage):
    # The examples of Zipkin, Old and new methods for lost-sales inventory systems (2008): Poisson demand of 5 a period,
    # lead time 4, holding 1. The best constant level is the rival, picked after the fact.
    lead, count, periods, first = 4, 200, 260, 60
    demand = np.random.default_rng(7).poisson(5, (count, periods)).astype(float)
    costs, shelf = Costs(1.0, shortage), Shelf(np.full(count, 10.0), np.full((count, lead), 5.0))
    ahead, later = (np.repeat(poisson.ppf(GRID, 5 * wait)[None], count, axis=0) for wait in (lead, 1))
    level = np.full(count, critical_ratio(1.0, shortage))

    def middle(period: int, position: np.ndarray) -> np.ndarray:
        needed, _ = where_lost(position, (np.full(count, 5.0 * lead), ahead), later, level, np.ones(count, dtype=bool))
        return order(position, levels(0 * position, 0 * position, 0.0, needed), terms(count, lead), "nearest")

    def cost(policy) -> float:
        return replay(demand, policy, shelf).cost(costs, first) / count / (periods - first)

    best = min(cost(flat(up_to, periods, count, lead)) for up_to in range(18, 40))
    assert cost(middle) < 0.98 * best
