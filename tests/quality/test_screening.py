"""Screening by hand: each rule with a row that breaks it, and the sum that always holds."""

from __future__ import annotations

import json
import math
from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from forecasting.core.config.sections import SalesTable, Screen
from forecasting.quality.gates import gates
from forecasting.quality.screening import (
    Known,
    goes_on_until,
    screen_attributes,
    screen_by_item,
    screen_sales,
    screen_table,
)
from forecasting.tables.lake import INVENTORY, PRICES, STOCK

CUTOFF = date(2026, 6, 30)
LINES = SalesTable(source="shop", table="t", grain="transactions", exclude_items="POST|M")
PERIODS = SalesTable(source="shop", table="t", grain="periods")
KNOWN = Known(CUTOFF, frozenset({"A", "B", "POST"}), frozenset({"S1"}))
GOOD = {"item": "A", "store": "S1", "ds": "2026-06-29", "y": 2, "price": 1.5, "line": "1"}


def lines(*changes: dict) -> pd.DataFrame:
    return pd.DataFrame([GOOD | {"line": str(number)} | change for number, change in enumerate(changes)], dtype=object)


@pytest.mark.parametrize(
    ("change", "rule", "reason"),
    [
        ({"item": None}, "missing_key", "item is empty"),
        ({"item": "  "}, "missing_key", "item is empty"),
        ({"ds": None}, "missing_key", "ds is empty"),
        ({"y": "two"}, "type", "y 'two' cannot be read"),
        ({"ds": "yesterday"}, "type", "ds 'yesterday' cannot be read"),
        ({"ds": "2026-02-30"}, "type", "ds '2026-02-30' cannot be read"),
        ({"price": "cheap"}, "type", "price 'cheap' is not a number"),
        ({"ds": "2026-07-02"}, "future", "dated 2026-07-02, after 2026-07-01"),
        ({"y": 2e9}, "range", "y 2e+09 is beyond screen.max_quantity = 1e+06"),
        ({"price": -1}, "range", "price -1 is not within 0..1e+06"),
        ({"item": "POST"}, "not_a_product", "code 'POST' is no product"),
        ({"item": "C"}, "unknown_item", "item 'C' is not in the items table"),
        ({"store": "S9"}, "unknown_store", "store 'S9' is not in the stores table"),
        ({"line": "0"}, "duplicate", "line '0' is there more than once"),
    ],
)
def test_each_rule_sets_its_row_aside_and_says_why(change: dict, rule: str, reason: str) -> None:
    screened = screen_sales(lines({}, change), LINES, Screen(), KNOWN)
    assert len(screened.clean) == 1
    assert screened.quarantined[["row", "rule", "reason"]].to_dict("records") == [
        {"row": 1, "rule": rule, "reason": reason}
    ]


def test_the_content_of_a_rejected_row_is_kept_as_it_was() -> None:
    screened = screen_sales(lines({"y": "two"}), LINES, Screen(), KNOWN)
    assert json.loads(screened.quarantined["content"].iat[0]) == GOOD | {"y": "two", "line": "0"}


def test_returns_follow_the_declared_policy() -> None:
    raw = lines({"y": 5}, {"y": -2})
    assert len(screen_sales(raw, LINES, Screen(), KNOWN).clean) == 2
    for policy in ("drop", "quarantine"):
        screened = screen_sales(raw, LINES.model_copy(update={"returns": policy}), Screen(), KNOWN)
        assert screened.quarantined["rule"].tolist() == ["return"]


def test_two_equal_lines_are_two_sales_and_two_equal_periods_are_a_mistake() -> None:
    raw = pd.DataFrame([GOOD, GOOD]).drop(columns="line")
    assert len(screen_sales(raw, LINES, Screen(), KNOWN).clean) == 2
    assert screen_sales(raw, PERIODS, Screen(), KNOWN).quarantined["rule"].tolist() == ["duplicate"]


def test_rows_that_another_night_has_already_seen_are_no_future_in_a_backfill() -> None:
    raw = lines({"ds": "2026-07-10"})
    later = Known(CUTOFF, newest=date(2026, 7, 10))
    assert len(screen_sales(raw, LINES, Screen(), later).clean) == 1


def test_a_past_night_takes_the_days_that_follow_for_days_and_not_for_mistakes() -> None:
    days = pd.Series(pd.date_range("2026-06-01", "2026-07-20").repeat(10))
    known, later = days[days <= pd.Timestamp(CUTOFF)], days[days > pd.Timestamp(CUTOFF)]
    typing_errors = pd.Series(pd.to_datetime(["2026-07-22", "2026-08-01", "2034-07-10"]))
    holidays = later[~later.between("2026-07-03", "2026-07-08")]
    closed = later[~later.between("2026-07-03", "2026-07-10")]
    for after, expected in [
        (pd.concat([later, typing_errors]), date(2026, 7, 20)),
        (typing_errors, CUTOFF),
        (later.iloc[:0], CUTOFF),
        (holidays, date(2026, 7, 20)),
        (closed, date(2026, 7, 2)),
    ]:
        assert goes_on_until(known, after, CUTOFF, gap=7) == expected
    assert goes_on_until(known.iloc[:0], later, CUTOFF, gap=7) == CUTOFF


def test_categories_and_days_of_a_parquet_file_are_screened_alike() -> None:
    raw = lines({}, {"item": "C"}, {}).astype({"item": "category", "store": "category", "y": "int32"})
    raw["ds"] = pd.to_datetime(raw["ds"])
    screened = screen_sales(raw, LINES, Screen(), KNOWN)
    assert screened.quarantined["rule"].tolist() == ["unknown_item"]
    assert isinstance(screened.clean["item"].dtype, pd.CategoricalDtype)


def test_other_tables_keep_the_newest_of_two_rows_and_reject_what_is_no_number() -> None:
    raw = pd.DataFrame({"item": ["A", "A", "B"], "ds": ["2026-01-01"] * 3, "price": [1.0, 2.0, "x"]})
    screened = screen_table(raw, "prices", PRICES)
    assert screened.clean[["item", "store", "price"]].to_dict("records") == [{"item": "A", "store": "", "price": 2.0}]
    assert screened.quarantined["rule"].tolist() == ["duplicate", "type"]
    words = pd.DataFrame({"item": list("ABCD"), "ds": "2026-01-01", "in_stock": ["yes", "FALSE", "0", "maybe"]})
    stock = screen_table(words, "stock", STOCK)
    assert stock.clean["in_stock"].tolist() == [True, False, False]
    assert stock.quarantined["reason"].tolist() == ["in_stock 'maybe' cannot be read"]
    attributes = screen_attributes(pd.DataFrame({"item": ["A", None, "A"], "size": [1, 2, 3]}), "items", "item")
    assert attributes.clean.to_dict("records") == [{"item": "A", "size": "3"}]


def test_a_price_below_zero_or_beyond_the_limit_is_out_of_range() -> None:
    raw = pd.DataFrame({"item": list("ABC"), "ds": "2026-06-01", "price": ["-1", "2e6", "0"]})
    found = screen_table(raw, "prices", PRICES, Screen())
    assert found.clean["item"].tolist() == ["C"]
    assert found.quarantined["rule"].tolist() == ["range"] * 2
    assert "price -1 is not within 0..1e+06" in found.quarantined["reason"].iloc[0]


def test_what_may_be_empty_must_be_readable_where_it_is_not():
    """An amount on order that cannot be read is not 0: the row's stock is not known."""
    raw = pd.DataFrame(
        {
            "item": ["a", "b", "c", "d", "e"],
            "ds": "2026-06-30",
            "on_hand": [1, 2, 3, 4, 5],
            "on_order": ["5", "12 units", " ", None, "6"],
            "service_level": [0.9, None, math.nan, 0.5, math.inf],
        }
    )
    screened = screen_table(raw, "inventory", INVENTORY)
    assert screened.clean["item"].tolist() == ["a", "c", "d"]
    assert screened.clean["on_order"].fillna(-1).tolist() == [5, -1, -1]
    assert screened.quarantined[["row", "rule", "reason"]].to_numpy().tolist() == [
        [1, "type", "on_order '12 units' cannot be read"],
        [4, "type", "service_level 'inf' cannot be read"],
    ]


def gate(raw: pd.DataFrame, rule: str, rules: Screen | None = None, frequency: str = "D") -> tuple[bool, str]:
    screened = screen_sales(raw, LINES, rules or Screen(), KNOWN)
    table = gates(screened, LINES, frequency, rules or Screen(), KNOWN).set_index("rule")
    return bool(table.at[rule, "passed"]), str(table.at[rule, "message"])


def shop(stores: dict[str, int], days: int = 28) -> pd.DataFrame:
    """Ten lines a day in each store, until so many days before the cutoff."""
    rows = [
        {"item": "A", "store": store, "ds": pd.Timestamp(CUTOFF) - pd.Timedelta(days=day), "y": 1}
        for store, silent in stores.items()
        for day in range(silent, days)
        for _ in range(10)
    ]
    return pd.DataFrame(rows)


def test_a_night_without_usable_rows_is_stopped() -> None:
    passed, message = gate(lines({"ds": "2027-01-01"}, {"ds": "2028-01-01"}), "empty")
    assert not passed
    assert "2 were read, all in quarantine (2 future)" in message


def test_too_much_quarantine_is_named_with_its_main_rule() -> None:
    passed, message = gate(lines({}, {"y": "x"}, {"y": "x"}), "max_quarantined")
    assert not passed
    assert message.startswith("66.7% of 3 rows are in quarantine, allowed are 20%; most for 'type' (2)")


def test_stale_sales_and_a_thin_day_are_stopped() -> None:
    known = {"S1": 5}
    assert gate(shop(known), "freshness") == (False, "newest sale 2026-06-25, 5 days before 2026-06-30; allowed are 1")
    whole = shop({"S1": 0})
    assert gate(whole, "row_count")[0]
    thin = whole.drop(whole.index[:8])
    assert gate(thin, "row_count") == (
        False, "2 rows on 2026-06-30, 10 on the same weekdays before; allowed from a share of 0.3"
    )  # fmt: skip


def test_zeros_of_an_item_that_sells_rarely_are_fresh_and_no_gap() -> None:
    rare = lines(*({"ds": f"2026-06-{day:02d}", "y": 5 * (day in (3, 12, 24))} for day in range(1, 31)))
    for rule in ("freshness", "gap"):
        assert _periods_gate(rare, rule)
        # The same sales without rows of the days between them; and zeros after a month in which every day sold.
        assert not _periods_gate(rare[rare["y"] > 0], rule)
    daily = lines(*({"ds": f"2026-06-{day:02d}", "y": 5 * (day < 25)} for day in range(1, 31)))
    assert not _periods_gate(daily, "freshness")


def _periods_gate(raw: pd.DataFrame, rule: str) -> bool:
    screened, known = screen_sales(raw, PERIODS, Screen(), Known(CUTOFF)), Known(CUTOFF)
    return bool(gates(screened, PERIODS, "D", Screen(), known).set_index("rule").at[rule, "passed"])


def test_a_store_gone_silent_is_named() -> None:
    raw = shop({"S1": 0, "S2": 1})
    screened = screen_sales(raw, LINES, Screen(), Known(CUTOFF))
    table = gates(screened, LINES, "D", Screen(silent_store="stop"), Known(CUTOFF)).set_index("rule")
    assert not table.at["silent_store", "passed"]
    assert table.at["silent_store", "message"] == "sold nothing on 2026-06-30: S2"
    assert table.at["silent_store", "severity"] == "stop"


def test_a_store_that_never_sells_on_sundays_is_not_silent_on_one() -> None:
    sunday = Known(date(2026, 6, 28))
    raw = shop({"S1": 0, "S2": 0}).query("ds <= '2026-06-28'")
    raw = raw[~((raw["store"] == "S2") & (raw["ds"].dt.day_of_week == 6))]
    table = gates(screen_sales(raw, LINES, Screen(), sunday), LINES, "D", Screen(), sunday).set_index("rule")
    assert table.at["silent_store", "passed"]


def test_a_store_of_which_only_zeros_arrive_is_silent() -> None:
    raw = shop({"S1": 0, "S2": 0}).drop_duplicates()
    raw.loc[(raw["store"] == "S2") & (raw["ds"] == "2026-06-30"), "y"] = 0
    known = Known(CUTOFF)
    table = gates(screen_sales(raw, PERIODS, Screen(), known), PERIODS, "D", Screen(), known).set_index("rule")
    assert table.at["silent_store", "message"] == "sold nothing on 2026-06-30: S2"


def test_weeks_are_compared_with_the_weeks_before() -> None:
    monday = Known(date(2026, 6, 29))
    weeks = [{"item": "A", "store": store, "ds": f"2026-06-{day:02d}", "y": 1} for day in (1, 8, 15) for store in "NS"]
    raw = pd.DataFrame([*weeks, {"item": "A", "store": "N", "ds": "2026-06-22", "y": 1}])
    screened = screen_sales(raw, PERIODS, Screen(), monday)
    table = gates(screened, PERIODS, "W-MON", Screen(), monday).set_index("rule")
    assert table.at["silent_store", "message"] == "sold nothing on 2026-06-22: S"
    assert table.at["row_count", "message"].startswith("1 rows on 2026-06-22, 2 on the periods before")
    assert table.at["freshness", "message"] == "newest sale 2026-06-28, 0 days before 2026-06-28; allowed are 1"


def test_what_is_set_aside_by_declaration_does_not_stop_the_night() -> None:
    raw = lines({}, {"item": "POST"}, {"item": "POST"}, {"item": "M"})
    assert gate(raw, "max_quarantined") == (True, "0.0% of 4 rows are in quarantine, allowed are 20%")


def test_days_without_any_sale_are_reported() -> None:
    raw = shop({"S1": 0})
    raw = raw[~raw["ds"].between("2026-06-10", "2026-06-13")]
    assert gate(raw, "gap") == (False, "no sale anywhere: 4 days after 2026-06-09")


@trials(deadline=None, max_examples=30)
@given(st.integers(1, 30))
def test_rows_screened_by_item_are_those_screened_whole(most: int) -> None:
    items = ["A", "A ", "B", None, "", "C", "C", "A", "B", "D"] * 3
    raw = pd.DataFrame(
        {"item": items, "store": "S1", "ds": "2026-06-30", "price": [1, 2, "x", 4, 5, 6, 7, 8, 9, 1] * 3}
    )
    whole = screen_table(raw, "prices", PRICES)
    parts = screen_by_item(raw, lambda rows: screen_table(rows, "prices", PRICES), most)
    order = ["item", "ds", "price"]
    text = {"item": "str", "store": "str"}
    pd.testing.assert_frame_equal(
        parts.clean.astype(text).sort_values(order, ignore_index=True),
        whole.clean.astype(text).sort_values(order, ignore_index=True),
    )
    pd.testing.assert_frame_equal(parts.quarantined, whole.quarantined)
    pd.testing.assert_frame_equal(parts.report, whole.report)
