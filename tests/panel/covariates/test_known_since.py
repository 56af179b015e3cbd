"""Since when a plan is known, by hand: masks, what nights saw, how far a table reaches, how much is covered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.core.config.sections import Screen
from forecasting.panel import totals
from forecasting.panel.build import build_panel
from forecasting.panel.covariates import known_since
from forecasting.panel.covariates.known_ahead import KnownAhead
from forecasting.quality import horizon_coverage
from tests.panel.test_build import day, sales, settings
from tests.support.panels import panel_of

NAN = np.nan


def test_what_was_not_known_yet_is_nothing_or_the_last_known_value() -> None:
    """Two periods are known of four; the last two cells are known since the second and the third."""
    known = {"promotion": np.array([[1, 0, 1, 1]], np.float32), "price": np.array([[5, 4, 3, 2]], np.float32)}
    since = {name: np.array([[0, 0, 2, 3]], np.int16) for name in known}
    panel = panel_of([[1, 1, 1]], known=known, since=since, zero=frozenset({"promotion"}))
    assert panel.known["promotion"].tolist() == [[1, 0, 1, 1]]
    cut = panel.first(2)
    assert cut.known["promotion"].tolist() == [[1, 0, 1]]
    assert panel.first(1).known["promotion"].tolist() == [[1, 0]]
    assert cut.known["price"].tolist() == [[5, 4, 3]]
    early = KnownAhead(known, since, frozenset({"promotion"}), 2)
    assert early["promotion"].tolist() == [[1, 0, 1, 0]]
    assert early["price"].tolist() == [[5, 4, 3, 3]]
    assert early.take(np.array([0]))["price"].tolist() == [[5, 4, 3, 3]]
    assert ("price" in early, len(early), list(early)) == (True, 2, ["promotion", "price"])


@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(1, 8))
def test_to_cut_in_two_steps_or_by_series_is_to_cut_once(seed: int, later: int, earlier: int) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, 3, (3, 13)).astype(np.float32)
    since = random.integers(0, 13, (3, 13)).astype(np.int16)
    panel = panel_of(
        [[1.0] * 10] * 3, known={"promotion": values, "level": values}, since={"promotion": since, "level": since},
        zero=frozenset({"promotion"}),
    )  # fmt: skip
    later, earlier = max(later, earlier), min(later, earlier)
    for name in panel.known:
        once = panel.first(earlier).known[name]
        np.testing.assert_array_equal(panel.first(later).first(earlier).known[name], once)
        rows = np.array([2, 0])
        np.testing.assert_array_equal(panel.take(rows).first(earlier).known[name], once[rows])
        np.testing.assert_array_equal(panel.first(earlier).take(rows).known[name], once[rows])


def test_a_named_day_is_seen_by_a_fold_that_could_know_it() -> None:
    """Three periods are known. The source says that the fair of period 3 was announced on day 1."""
    events = pd.DataFrame({"ds": [pd.Timestamp(day(d)) for d in (1, 3, 3)], "event": ["Feast", "Fair", "Feast"]})
    tables = {"sales": sales(("A", "S1", 0, 1)), "events": events}
    dated = tables | {"events": events.assign(known_since=pd.to_datetime([None, day(1), None]))}
    panel = build_panel(dated, settings({"events": {}}), day(2), "s")
    assert panel.events.names == ("Fair", "Feast")
    assert panel.events.cells.tolist() == [[0, 0, 3], [0, 1, 1], [0, 1, 3]]
    assert panel.events.since.tolist() == [2, 0, 0]
    assert panel.first(2).events.cells.tolist() == panel.events.cells.tolist()
    assert panel.first(1).events.cells.tolist() == [[0, 1, 1], [0, 1, 3]]
    assert panel.first(2).first(1).events.since.tolist() == [0, 0]
    always = build_panel(tables, settings({"events": {}}), day(2), "s")
    assert always.events.since is None
    assert always.first(1).events.cells.tolist() == panel.events.cells.tolist()


def test_a_named_day_that_a_later_night_saw_first_and_one_of_a_store() -> None:
    events = pd.DataFrame(
        {"ds": [pd.Timestamp(day(d)) for d in (3, 3, 4)], "event": ["Fair"] * 3, "store": ["S1", "S2", ""]}
    )
    record = known_since.compare(
        pd.DataFrame(),
        known_since.comparable("events", events[:1]),
        known_since.comparable("events", events[:2]),
        day(1),
    )
    tables = {"sales": sales(("A", "S1", 0, 1), ("A", "S2", 0, 1)), "events": events, "vintages": record}
    panel = build_panel(tables, settings({"events": {}}), day(2), "s")
    assert panel.events.calendars.tolist() == [0, 1]  # known since another day: a calendar of its own
    assert panel.events.since.tolist() == [0, 0, 2, 0]
    assert panel.first(1).events.cells.tolist() == [[0, 0, 3], [0, 0, 4], [1, 0, 4]]


def test_means_of_groups_are_those_of_what_was_known() -> None:
    values = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 0, 1]], np.float32)
    since = np.array([[0, 0, 0, 3, 3], [0] * 5], np.int16)
    panel = panel_of([[1.0] * 4] * 2, known={"promotion": values}, since={"promotion": since},
                     zero=frozenset({"promotion"}), levels=())  # fmt: skip
    kept = replace(panel, totals=totals.compute(panel))
    level = totals.level_of(panel, "total")
    for count in (1, 2, 3):
        cut = kept.first(count)
        np.testing.assert_array_equal(
            totals.mean(cut, level, "promotion"), cut.known["promotion"].mean(axis=0, keepdims=True)
        )


def rows(*days: int, value: float = 1.0, since: int | None = None) -> pd.DataFrame:
    frame = sales(*[("A", "", number, value) for number in days]).rename(columns={"y": "value"})
    return frame if since is None else frame.assign(known_since=pd.Timestamp(day(since)))


def test_what_is_new_or_gone_is_recorded_with_the_night() -> None:
    before = known_since.comparable("promotions", rows(3, 4))
    now = known_since.comparable("promotions", rows(4, 9))
    first = known_since.compare(pd.DataFrame(), before, now, day(2))
    assert first["ds"].dt.date.tolist() == [day(3), day(9)]
    assert first["known_since"].dt.date.tolist()[1] == first["withdrawn"].dt.date.tolist()[0] == day(2)
    assert (first["known_since"].isna().tolist(), first["withdrawn"].isna().tolist()) == ([True, False], [False, True])
    again = known_since.compare(first, now, known_since.comparable("promotions", rows(3, 4, 9)), day(3))
    assert again["known_since"].dt.date.tolist() == [day(3), day(2)]
    assert again["withdrawn"].isna().all()
    assert known_since.compare(pd.DataFrame(), now, now, day(2)).empty


def test_folds_see_what_the_source_says_was_known() -> None:
    table = pd.concat([rows(2, since=0), rows(5, since=4), rows(6, since=9)])
    tables = {"sales": sales(*[("A", "", n, 1.0) for n in range(6)]), "promotions": table}
    panel = build_panel(tables, settings({"promotions": {}}), day(5), "s")
    assert panel.known["promotion"].tolist() == [[0, 0, 1, 0, 0, 1, 0, 0]]  # day 6 is known since day 9: not tonight
    assert panel.until(day(0)).known["promotion"].tolist() == [[0, 0, 1]]
    assert panel.until(day(3)).known["promotion"].tolist() == [[0, 0, 1, 0, 0, 0]]
    assert panel.until(day(4)).known["promotion"].tolist() == [[0, 0, 1, 0, 0, 1, 0]]


def test_a_price_that_came_late_is_the_last_one_until_then() -> None:
    table = rows(0, value=5.0, since=0)
    table = pd.concat([table, rows(3, value=4.0, since=2)]).rename(columns={"value": "price"})
    tables = {"sales": sales(*[("A", "", n, 1.0) for n in range(6)]), "prices": table}
    panel = build_panel(tables, settings({"prices": {}}, horizon=3), day(5), "s")
    assert panel.known["price"][0].tolist() == [5, 5, 5, 4, 4, 4, 4, 4, 4]
    assert panel.until(day(1)).known["price"][0].tolist() == [5] * 5
    assert panel.until(day(2)).known["price"][0].tolist() == [5, 5, 5, 4, 4, 4]


def planned(reach: int, periods: int = 140, horizon: int = 14) -> np.ndarray:
    counts = np.zeros(periods + horizon, dtype=np.int64)
    counts[::3] = 2
    counts[periods + reach :] = 0
    return counts


@pytest.mark.parametrize(("reach", "found"), [(0, 0), (7, 7), (14, None)])
def test_how_far_ahead_a_table_reaches(reach: int, found: int | None) -> None:
    got = known_since.lead(planned(reach), 140, "D")
    assert got is None if found is None else abs(got - found) <= 3


def test_rare_promotions_are_no_missing_plan() -> None:
    counts = np.zeros(154, dtype=np.int64)
    counts[[10, 40, 90, 120]] = 3
    assert known_since.lead(counts, 140, "D") is None


def test_ordinary_nights_give_no_alarm() -> None:
    """Sparse and dense random promotions, chain-wide ones, prices that change now and then: at most 1 % alarms."""
    random, alarms, nights = np.random.default_rng(3), 0, 0
    for _ in range(1500):
        series, periods, horizon = (
            int(random.integers(1, 27)),
            int(random.integers(60, 400)),
            int(random.integers(5, 29)),
        )
        kind, rate = random.integers(3), float(10 ** random.uniform(-3, -0.3))
        if kind == 0:
            on = random.random((series, periods + horizon)) < rate
        else:
            starts = random.random((series if kind == 1 else 1, periods + horizon)) < rate / 5
            on = sum(np.roll(starts, k, axis=1) for k in range(5)) > 0
            on = np.broadcast_to(on, (series, periods + horizon))
        panel = panel_of([[1.0] * periods] * series, known={"promotion": on.astype(np.float32)},
                         zero=frozenset({"promotion"}), levels=())  # fmt: skip
        nights += 1
        alarms += horizon_coverage.measure(panel, "promotion").alarm
    assert alarms <= 0.01 * nights


def test_a_horizon_without_its_promotions_is_told() -> None:
    on = np.zeros((3, 154), np.float32)
    for row in range(3):
        on[row, row * 4 :: 12] = 1
    whole = panel_of([[1.0] * 140] * 3, known={"promotion": on}, zero=frozenset({"promotion"}))
    none = replace(whole, known={"promotion": np.where(np.arange(154) < 140, on, 0)})
    good, bad = (horizon_coverage.report(one, {}, Screen()) for one in (whole, none))
    assert good["passed"].tolist() == [True]
    assert bad[["table", "rule", "severity", "passed", "read"]].to_numpy().tolist() == [
        ["promotions", "horizon_coverage", "warn", False, 0]
    ]
    assert "0.00% of series x periods" in bad["message"][0]
    assert horizon_coverage.report(none, {}, Screen(horizon_coverage="off")).empty
    assert horizon_coverage.report(none, {"promotions": [0] * 7}, Screen())["passed"].tolist() == [True]  # usual by now
