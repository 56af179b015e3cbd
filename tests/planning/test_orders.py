"""What to order: by hand, as textbooks print it, and what must hold of every order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from forecasting.core.errors import PlanningError
from forecasting.models.intervals.calibration import GRID
from forecasting.planning import orders
from forecasting.planning.demand_sums import above, quantile
from forecasting.planning.orders import Levels, Terms, critical_ratio, order


def terms(count: int = 1, pack: float = 1.0, minimum: float = 0.0) -> Terms:
    whole = np.full(count, 2, dtype=np.int64)
    return Terms(whole, whole, np.full(count, 0.9), np.full(count, pack), np.full(count, minimum))


def up_to(level: float) -> Levels:
    return orders.levels(np.array([level / 2]), np.array([level]))


def normal(mean: float, deviation: float) -> np.ndarray:
    """(1, len(GRID)) quantiles of a normal distribution."""
    return (mean + deviation * norm.ppf(GRID))[None, :]


@pytest.mark.parametrize(
    ("position", "pack", "minimum", "ordered"),
    [
        (4.0, 1.0, 0.0, 6.0),
        (4.0, 4.0, 0.0, 8.0),  # one pack is too little
        (4.0, 1.0, 9.0, 9.0),
        (4.0, 4.0, 9.0, 12.0),  # the least order in whole packs
        (10.0, 1.0, 9.0, 0.0),  # at the reorder point: enough
        (-3.0, 1.0, 0.0, 13.0),  # what is owed to customers comes on top
        (np.nan, 1.0, 0.0, np.nan),
    ],
)
def test_an_order_brings_the_position_up_to_the_level(position, pack, minimum, ordered):
    found = order(np.array([position]), up_to(10.0), terms(pack=pack, minimum=minimum))
    np.testing.assert_array_equal(found, [ordered])


def test_rounding_to_the_nearest_pack_may_order_nothing():
    assert order(np.array([7.0]), up_to(10.0), terms(pack=8.0), "nearest").tolist() == [0.0]
    assert order(np.array([6.0]), up_to(10.0), terms(pack=8.0), "nearest").tolist() == [8.0]


def test_nothing_is_ordered_from_the_reorder_point_on_and_then_up_to_the_level():
    stock = orders.levels(np.array([5.0] * 3), np.array([8.0] * 3), 6.0)
    assert (stock.safety_stock[0], stock.reorder_point[0], stock.order_up_to[0]) == (3.0, 8.0, 14.0)
    assert order(np.array([8.0, 7.5, 0.0]), stock, terms(3)).tolist() == [0.0, 7.0, 14.0]


# ---------------------------------------------------------------- as printed


def test_mac_s_newsstand():
    # Nahmias, Production and Operations Analysis, examples 5.1 and 5.2: normal demand, mean 11.73, deviation 4.74; a
    # paper costs 0.25, sells at 0.75, is taken back at 0.10. Critical ratio 0.77, order 15.24, which is 15.
    ratio = critical_ratio(holding=0.25 - 0.10, shortage=0.75 - 0.25)
    assert ratio == pytest.approx(0.77, abs=0.005)
    best = quantile(normal(11.73, 4.74), np.array([ratio]))
    assert best == pytest.approx(15.24, abs=0.05)  # straight between the levels that are kept


def test_periodic_review_of_lego_at_a_supermarket():
    # Chopra and Meindl, Supply Chain Management, example of a periodic review policy: 2,500 a week, deviation 500, lead
    # time 2 weeks, review every 4, cycle service level 0.9: safety stock 1,570, order-up-to level 16,570.
    spread = normal(6 * 2500, np.sqrt(6) * 500)
    stock = orders.levels(np.array([15000.0]), quantile(spread, np.array([0.9])))
    assert stock.safety_stock[0] == pytest.approx(1570, abs=1)
    assert stock.order_up_to[0] == pytest.approx(16570, abs=1)


def test_vn2_s_costs_ask_for_five_sixths():
    assert critical_ratio(holding=0.2, shortage=1.0) == pytest.approx(5 / 6)
    with pytest.raises(PlanningError, match="neither below 0, and not both 0"):
        critical_ratio(0, 0)


# ---------------------------------------------------------------- what must hold

amounts = st.floats(-1e5, 1e5)


@settings(deadline=None)
@given(amounts, st.floats(0, 1e5), st.floats(0, 1e4), st.sampled_from([0.5, 1.0, 6.0, 24.0]), st.floats(0, 500))
def test_an_order_is_whole_packs_never_below_zero_and_enough(position, quantile_, cover, pack, minimum):
    stock = orders.levels(np.array([0.0]), np.array([quantile_]), cover)
    found = float(order(np.array([position]), stock, terms(pack=pack, minimum=minimum))[0])
    assert found >= 0
    assert found / pack == pytest.approx(round(found / pack))
    if found > 0:
        assert position < stock.reorder_point[0]
        assert found >= minimum - 1e-6
        assert position + found >= stock.order_up_to[0] - 1e-6 * pack
        assert found - max(pack, minimum + pack) < max(stock.order_up_to[0] - position, 0) + 1e-6
    else:
        assert position >= stock.reorder_point[0] - 1e-6 * pack


rising = st.lists(st.floats(0, 1e4), min_size=len(GRID), max_size=len(GRID)).map(lambda v: np.sort(np.array(v))[None])


@settings(deadline=None)
@given(rising, st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_a_higher_service_level_never_lowers_the_reorder_point(spread, one, other):
    low, high = sorted([one, other])
    assert quantile(spread, np.array([low])) <= quantile(spread, np.array([high])) + 1e-9
    assert spread[0, 0] <= quantile(spread, np.array([one]))[0] <= spread[0, -1]


@settings(deadline=None)
@given(rising, st.floats(0, 2e4), st.floats(0, 2e4))
def test_more_stock_is_never_more_risk(spread, one, other):
    less, more = sorted([one, other])
    risk = [float(above(spread, np.array([stock]))[0]) for stock in (less, more)]
    assert 0 <= risk[1] <= risk[0] <= 1


def test_the_risk_is_what_lies_above():
    spread = normal(100, 20)
    found = above(np.repeat(spread, 3, axis=0), np.array([100.0, 100 + 20 * norm.ppf(0.95), 1000.0]))
    assert found.tolist() == pytest.approx([0.5, 0.05, 0.005], abs=1e-6)
    assert above(np.zeros((1, len(GRID))), np.array([0.0])).tolist() == pytest.approx([0.005])


# ---------------------------------------------------------------- stock ahead, classes


def test_stock_is_used_up_in_the_period_in_which_demand_goes_beyond_it():
    days = pd.date_range("2026-07-01", periods=3)
    mean = np.array([[2.0, 3.0, 4.0]] * 5)
    found = orders.projected(np.array([1.9, 5.0, 9.0, np.nan, 0.0]), mean, days)
    assert found.dt.strftime("%d").tolist()[:2] == ["01", "03"]
    assert found.isna().tolist() == [False, False, True, True, False]
    left = orders.left_over(np.array([1.9, 5.0, 9.0]), mean[:3], np.array([0, 1, 3]))
    assert left.tolist() == [1.9, 3.0, 0.0]


def test_xyz_by_the_variation_of_weeks():
    steady = [5.0, 9.0] * 35  # the same every week, whatever its days
    y = np.array([steady, [0.0] * 63 + [10.0] * 7, [np.nan] * 70, [0.0] * 35 + [8.0] * 35])
    assert orders.xyz_class(y, "D").tolist() == ["X", "Z", "Z", "Y"]
    assert orders.xyz_class(np.array([[5.0, 9.0, np.nan, 7.0], [0.0, 0.0, 0.0, 0.0]]), "M").tolist() == ["X", "Z"]
