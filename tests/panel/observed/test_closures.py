"""Which days were closed: tiny shops by hand, natural zeros by simulation, and nothing that depends on the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from forecasting.panel.observed.closures import Closures, Sold, find

WEEK = np.array([1.0, 0.8, 0.8, 1.0, 1.3, 1.8, 0.0])  # nothing on Sundays


def closures(y: np.ndarray, stores: list[str] | None = None, bound: int = 28, hidden: list[int] | None = None):
    """Of (n_series, n_periods) units; one store unless told otherwise."""
    y = np.asarray(y, dtype=np.float32)
    sold = y > 0
    started = np.where(sold.any(axis=1), sold.argmax(axis=1), y.shape[1])
    names = pd.Series(stores or [""] * len(y))
    return find(Sold(np.ascontiguousarray(y.T), started, names, np.array(hidden or [], dtype=np.intp)), bound)


def closed(found: Closures, row: int) -> list[int]:
    return np.flatnonzero(found.closed(slice(row, row + 1))[0]).tolist()


def over(found: Closures, row: int) -> list[int]:
    return np.flatnonzero(found.over(slice(row, row + 1))[0]).tolist()


def shop(level: float, days: int, shut: range | list[int] = (), seed: int = 0) -> np.ndarray:
    """(days,) units with a week, noise of 10 % and nothing on Sundays and the days that it was shut."""
    random = np.random.default_rng([seed, int(level)])
    y = np.round(level * WEEK[np.arange(days) % 7] * random.normal(1, 0.1, days))
    y[list(shut)] = 0
    return y


@pytest.mark.parametrize("stores", [["a", "b", "c"], None])
def test_a_shop_that_is_silent_on_a_day_of_trading_was_closed_whether_it_is_a_store_or_a_series(stores) -> None:
    y = np.stack([shop(100, 200, [100], 1), shop(50, 200, [], 2), shop(1000, 200, [100, 150], 3)])
    found = closures(y, stores)
    assert [closed(found, row) for row in range(3)] == [[100], [], [100, 150]]
    assert len(found.ended) == 0


def test_a_store_whose_items_seldom_sell_is_not_closed_where_nothing_is_sold() -> None:
    random = np.random.default_rng(1)
    quiet = random.poisson(0.3, (4, 400))  # 30 % of its days are without any sale
    busy = random.poisson(0.5, (40, 400))
    busy[:, 300] = 0
    found = closures(np.concatenate([quiet, busy]), ["quiet"] * 4 + ["busy"] * 40)
    assert closed(found, 0) == []
    assert closed(found, 10) == [300]


def test_two_items_that_sell_every_day_are_silent_together_only_where_their_store_is_closed() -> None:
    y = np.array([[10.0] * 60, [5.0] * 60])
    y[:, 50] = 0
    assert closed(closures(y), 0) == [50]


def test_a_group_that_is_silent_together_was_closed_even_where_each_of_them_may_have_sold_nothing() -> None:
    """Forty small shops with three sales a day (nothing on 5 % of the days): on day 100 none of them sells."""
    y = np.random.default_rng(2).poisson(3.0, (40, 150))
    y[10:, 120] = 0  # thirty of forty
    y[:, 100] = 0
    found = closures(y)
    assert all(100 in closed(found, row) for row in range(40))
    assert sum(closed(found, row) == [100, 120] for row in range(10, 40)) >= 25  # where it sells enough of late
    assert all(closed(found, row) == [100] for row in range(10) if y[row, 120] > 0)


@trials(max_examples=12, deadline=None, derandomize=True)
@given(
    st.sampled_from(["poisson", "binomial", "packs", "season"]),
    st.booleans(),
    st.integers(0, 9),
    st.sampled_from([6, 24]),
)
def test_natural_zeros_stay_zeros(kind: str, apart: bool, seed: int, pack: int) -> None:
    """Less than 0.1 % of the cells of any level, for one store of many series as for a store each."""
    random, days = np.random.default_rng(seed), 300
    level = np.repeat([0.3, 1, 3, 6, 10, 20, 50, 200], 60)[:, None] * np.ones(days)
    if kind == "season":
        level = level * np.maximum(0.02, 1 + np.sin(np.arange(days) / 365 * 2 * np.pi))
    y = {
        "poisson": lambda: random.poisson(level),
        "season": lambda: random.poisson(level),
        "binomial": lambda: random.negative_binomial(2, 2 / (2 + level)),
        "packs": lambda: pack * random.poisson(level / pack),
    }[kind]()
    found = closures(y, [f"s{row}" for row in range(len(y))] if apart else None)
    share = found.closed(slice(0, len(y))).reshape(8, -1).mean(axis=1)
    assert share.max() < 0.001, share


@trials(max_examples=15, deadline=None, derandomize=True)
@given(st.sets(st.integers(0, 199), max_size=60), st.integers(30, 199), st.integers(0, 3), st.booleans())
def test_what_comes_later_never_changes_what_a_day_is(shut: set[int], cut: int, seed: int, apart: bool) -> None:
    y = np.stack([shop(80, 200, sorted(shut), seed), shop(40, 200, range(120, 190), seed), shop(5, 200, [], seed)])
    stores = ["a", "b", "c"] if apart else None
    whole, part = closures(y, stores, 14), closures(y[:, :cut], stores, 14)
    rows = slice(0, 3)
    np.testing.assert_array_equal(whole.closed(rows)[:, :cut], part.closed(rows))
    np.testing.assert_array_equal(whole.over(rows)[:, :cut], part.over(rows))


@pytest.mark.parametrize("stores", [["a", "b"], None])
def test_a_closure_is_bounded_and_what_comes_after_it_has_ended_until_it_sells_again(stores) -> None:
    """Closed from day 200 for half a year: 28 days are a closure, the rest has ended, then it trades as before."""
    y = np.stack([shop(100, 480, range(200, 380)), shop(60, 480)])
    found = closures(y, stores)
    sundays = [day for day in range(200, 228) if day % 7 == 6]
    assert [day for day in range(200, 228) if day not in sundays] == closed(found, 0)
    assert over(found, 0) == list(range(228, 380)) or over(found, 0) == list(range(229, 380))
    assert found.ended[:, [0, 1, 3]].tolist() == [[0, 199, 380]]
    assert closed(found, 1) == over(found, 1) == []


def test_a_season_is_no_closure() -> None:
    """Sold in six weeks of every year: when it is over, demand is zero for a few days at most not known."""
    day = np.arange(3 * 364)
    y = np.where(day % 364 < 42, 30.0, 0.0)[None]
    found = closures(np.concatenate([y, y * 2]))
    assert len(found.ended) == 0
    assert len(closed(found, 0)) <= 3 * 10
    summer = np.where(day % 364 < 200, 30.0, 0.0)[None]  # from its second year on the silence is known
    late = [first for _, _, first, _ in closures(summer).ended if first > 364]
    assert late == []


def test_a_weekday_that_is_given_up_is_closed_for_the_bound_and_then_a_day_off() -> None:
    y = shop(100, 300, [day for day in range(150, 300) if day % 7 == 0])
    assert closed(closures(y[None]), 0) == [154, 161, 168, 175]


def test_an_item_that_is_gone_from_a_store_that_trades_sells_nothing_after_a_week() -> None:
    y = np.full((8, 300), 50.0) + np.arange(300) % 3
    y[0, 200:] = 0
    found = closures(y, ["a"] * 4 + ["b"] * 4)
    assert closed(found, 0) == list(range(200, 207))
    assert over(found, 0) == []


def test_cells_that_were_hidden_by_something_else_teach_nothing() -> None:
    y = np.full((2, 100), 20.0)
    y[0, 40:60] = 0
    found = closures(y, hidden=list(range(40, 60)))
    assert closed(found, 0) == []
