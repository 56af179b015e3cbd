"""Overrides by hand, then their properties: what is spread adds up, and nothing else moves."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.core.errors import PlanningError
from forecasting.core.frequency import Frequency
from forecasting.panel.hierarchy import levels
from forecasting.planning.overrides import Override, apply, check, effects, members, spread

SERIES = pd.DataFrame(
    {
        "unique_id": ["A_N", "A_S", "B_N", "B_S"],
        "item": ["A", "A", "B", "B"],
        "store": ["N", "S", "N", "S"],
    }
)
DAYS = pd.date_range("2026-07-01", periods=3)
MEAN = np.array([[10.0, 10, 10], [30, 30, 30], [0, 5, 5], [0, 15, 15]])
CUTOFF, LAST = date(2026, 6, 30), date(2026, 7, 3)
DAILY = Frequency.parse("D")


def override(**changes: object) -> Override:
    base = Override("series", "A_N", date(2026, 7, 1), date(2026, 7, 2), "absolute", 12.0, "fair", "ann", id="one")
    return replace(base, **changes)


def applied(*overrides: Override, live: np.ndarray | None = None):
    rows = [members(SERIES, one) for one in overrides]
    return apply(MEAN, DAYS, overrides, rows, live)


def test_a_series_takes_the_number_on_its_days_and_nothing_else_moves():
    found = applied(override()).final
    assert found[0].tolist() == [12.0, 12.0, 10.0]
    assert (found[1:] == MEAN[1:]).all()


def test_a_group_s_units_are_spread_in_proportion_to_the_forecast():
    found = applied(override(level="item", name="A", value=60.0)).final
    assert found[:2].tolist() == [[15.0, 15.0, 10.0], [45.0, 45.0, 30.0]]


def test_percent_is_on_top_of_every_series():
    found = applied(override(level="store", name="S", kind="percent", value=-20.0)).final
    assert found[1].tolist() == pytest.approx([24.0, 24.0, 30.0])
    assert found[3].tolist() == pytest.approx([0.0, 12.0, 15.0])


def test_a_period_without_a_forecast_is_spread_by_the_whole_horizon():
    found = applied(override(level="item", name="B", value=8.0)).final
    assert found[2:, 0].tolist() == pytest.approx([2.0, 6.0])  # 10 and 30 units over the horizon


def test_a_group_without_any_forecast_is_spread_equally_over_what_is_on_sale():
    days, live = DAYS[:1], np.array([True, True, True, False])
    one = override(level="item", name="B", value=8.0)
    found = apply(np.zeros((4, 1)), days, [one], [members(SERIES, one)], live).final
    assert found[:, 0].tolist() == [0.0, 0.0, 8.0, 0.0]


def test_the_later_override_has_the_last_word_and_percentages_add_on():
    up = override(level="total", name="all", kind="percent", value=10.0, id="up")
    fixed = override(value=20.0, id="fixed")
    assert applied(up, fixed).final[0].tolist() == [20.0, 20.0, 10.0]
    assert applied(fixed, up).final[0].tolist() == pytest.approx([22.0, 22.0, 10.0])


def test_effects_name_every_changed_number_at_every_level():
    up = override(level="store", name="N", kind="percent", value=10.0, id="up", end=date(2026, 7, 1))
    found = effects(MEAN, DAYS, levels(SERIES, ("store", "item")), [up, override()], applied(up, override()))
    table = found.set_index(["level", "name", "ds"])
    first = pd.Timestamp("2026-07-01")
    assert table.loc[("series", "A_N", first), ["mean", "override", "id", "ids"]].tolist() == [10, 12, "one", "up one"]
    assert table.loc[("series", "B_N", first), ["mean", "override", "id"]].tolist() == [0, 0, "up"]
    assert table.loc[("store", "N", first), ["mean", "override", "ids"]].tolist() == [10, 12, "up one"]
    assert table.loc[("total", "all", first), "override"] == 42
    second = pd.Timestamp("2026-07-02")
    assert table.loc[("total", "all", second), ["mean", "override", "ids"]].tolist() == [60, 62, "one"]
    assert ("store", "S", first) not in table.index
    assert effects(MEAN, DAYS, levels(SERIES, ()), [], applied()).empty


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": " "}, "reason: it is empty; say why"),
        ({"by": ""}, "by: it is empty"),
        ({"kind": "relative"}, "kind: 'relative'; allowed are absolute"),
        ({"value": -1.0}, "value: -1; allowed is from 0 to 1,000,000,000 units a period"),
        ({"value": math.nan}, "value: nan"),
        ({"kind": "percent", "value": -101.0}, r"value: -101; allowed is from -100 to 1,000 percent"),
        ({"end": date(2026, 6, 1)}, "end: 2026-06-01 lies before the start"),
        ({"start": date(2026, 6, 1), "end": date(2026, 6, 30)}, "end: 2026-06-30 is over at the newest cutoff"),
        ({"expires": date(2026, 6, 29)}, "expires: 2026-06-29 lies before the newest cutoff"),
        (
            {"start": date(2026, 7, 6), "end": date(2026, 7, 7), "expires": date(2026, 7, 2)},
            "expires: the forecast of 2026-07-02 does not reach 2026-07-06",
        ),
        ({"name": "C_N"}, "name: level series has no 'C_N'; it has: A_N, A_S, B_N, B_S"),
        ({"level": "country"}, "level: there is no 'country'; allowed are total, series, and an attribute"),
        ({"reason": "x" * 201}, "reason: 201 characters, allowed are 200"),
        ({"note": "a\x00b"}, "note: it holds control characters"),
        ({"name": "'; DROP TABLE overrides; --"}, 'has no "\'; DROP TABLE overrides; --"'),
    ],
)
def test_what_cannot_be_taken_is_said(changes, said):
    with pytest.raises(PlanningError, match=said):
        check(override(**changes), SERIES, CUTOFF, LAST, DAILY)


@pytest.mark.parametrize(
    ("code", "start", "end", "first"),
    [
        ("W-MON", date(2026, 7, 7), date(2026, 7, 12), "2026-07-13"),
        ("M", date(2026, 7, 2), date(2026, 7, 31), "2026-08-01"),
    ],
)
def test_days_in_which_no_period_begins_are_refused(code, start, end, first):
    wanted, frequency = override(start=start, end=end), Frequency.parse(code)
    with pytest.raises(PlanningError, match=f"no period begins from {start} to {end}.*the next one begins on {first}"):
        check(wanted, SERIES, CUTOFF, date(2026, 12, 31), frequency)
    reaching = replace(wanted, end=date.fromisoformat(first))
    assert check(reaching, SERIES, CUTOFF, date(2026, 12, 31), frequency).tolist() == [0]


def test_one_beyond_todays_horizon_waits_for_a_vintage_that_reaches_it():
    later = override(start=date(2026, 7, 5), end=date(2026, 7, 5))
    assert check(later, SERIES, CUTOFF, LAST, DAILY).tolist() == [0]
    assert check(replace(later, expires=date(2026, 7, 2)), SERIES, CUTOFF, LAST, DAILY).tolist() == [0]  # goes to 07-05


def test_everything_wrong_is_said_at_once():
    with pytest.raises(PlanningError) as caught:
        check(override(reason="", value=-5.0, name="C"), SERIES, CUTOFF, LAST, DAILY)
    assert all(word in str(caught.value) for word in ("reason:", "value:", "name:"))


def test_what_is_right_gives_its_series():
    assert check(override(level="item|store", name="B|S"), SERIES, CUTOFF, LAST, DAILY).tolist() == [3]
    assert check(override(level="total", name="all"), SERIES, CUTOFF, LAST, DAILY).tolist() == [0, 1, 2, 3]


def test_it_holds_up_to_its_expiry():
    one = override(expires=date(2026, 7, 5), at=datetime(2026, 7, 1, tzinfo=UTC))
    assert one.holds(date(2026, 7, 5))
    assert not one.holds(date(2026, 7, 6))
    assert override().holds(date(2030, 1, 1))


weights = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=40).map(np.array)


@settings(deadline=None)
@given(st.floats(0, 1e9), weights)
def test_what_is_spread_adds_up(total, by):
    shares = spread(total, by)
    assert math.fsum(shares) == pytest.approx(total, rel=1e-15, abs=1e-300)
    assert (shares >= -1e-9 * total).all()
    if by.sum() > 0:
        assert (np.abs(shares[by == 0]) <= 1e-9 * total).all()


cells = st.lists(st.floats(0, 1e5), min_size=12, max_size=12).map(lambda values: np.array(values).reshape(4, 3))
kinds = st.sampled_from(
    [("absolute", 0.0), ("absolute", 7.3), ("absolute", 1e6), ("percent", -100.0), ("percent", 35.0)]
)
scopes = st.sampled_from(
    [("series", "B_S"), ("item", "A"), ("store", "N"), ("total", "all"), ("item|store", "A|S"), ("item", "B")]
)


@settings(deadline=None, max_examples=40)
@given(cells, st.lists(st.tuples(kinds, scopes), max_size=5))
def test_levels_add_up_whatever_was_overridden(mean, said):
    overrides = [
        override(kind=kind, value=value, level=level, name=name, id=f"o{k}")
        for k, ((kind, value), (level, name)) in enumerate(said)
    ]
    rows = [members(SERIES, one) for one in overrides]
    found = apply(mean, DAYS, overrides, rows)
    assert (found.final >= -1e-6).all()
    assert (found.final[:, 2] == mean[:, 2]).all()  # no override speaks of the third day
    table = effects(mean, DAYS, levels(SERIES, ("store", "item")), overrides, found)
    for level, column in (("store", "store"), ("item", "item")):
        for row in table[table["level"] == level].itertuples():
            mine = SERIES[column] == row.name
            assert row.override == pytest.approx(found.final[mine, list(DAYS).index(row.ds)].sum())
    if overrides and overrides[-1].kind == "absolute":
        last = overrides[-1]
        assert found.final[rows[-1], 0].sum() == pytest.approx(last.value)
    untouched = np.setdiff1d(np.arange(4), np.concatenate([*rows, np.empty(0, int)]))
    assert (found.final[untouched] == mean[untouched]).all()
