"""Screening by hand: each rule with a row that breaks it, and the sum that always holds."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.data.gates import gates
from forecasting.data.quality import Known, screen_attributes, screen_sales, screen_table
from forecasting.data.tables import PRICES
from forecasting.settings import SalesTable, Screen

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
    assert '"y": "two"' in screened.quarantined["content"].iat[0]


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
    attributes = screen_attributes(pd.DataFrame({"item": ["A", None, "A"], "size": [1, 2, 3]}), "items", "item")
    assert attributes.clean.to_dict("records") == [{"item": "A", "size": "3"}]


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


def test_a_store_gone_silent_is_named() -> None:
    raw = shop({"S1": 0, "S2": 1})
    screened = screen_sales(raw, LINES, Screen(), Known(CUTOFF))
    table = gates(screened, LINES, "D", Screen(silent_store="stop"), Known(CUTOFF)).set_index("rule")
    assert not table.at["silent_store", "passed"]
    assert table.at["silent_store", "message"] == "sold nothing on 2026-06-30: S2"
    assert table.at["silent_store", "severity"] == "stop"


def test_days_without_any_sale_are_reported() -> None:
    raw = shop({"S1": 0})
    raw = raw[~raw["ds"].between("2026-06-10", "2026-06-13")]
    assert gate(raw, "gap") == (False, "no sale anywhere: 4 days after 2026-06-09")


GARBAGE = st.one_of(
    st.none(), st.text(max_size=12), st.integers(-(2**62), 2**62), st.floats(), st.booleans(),
    st.sampled_from(["A", "B", "S1", "2026-06-29", "1.5", "-3", "POST", "9999-99-99", "1e400", " A "]),
    st.datetimes(), st.dates(),
)  # fmt: skip


@given(st.lists(st.tuples(*[GARBAGE] * 6), max_size=30), st.booleans())
def test_whatever_comes_is_clean_or_in_quarantine_with_a_rule(rows: list[tuple], transactions: bool) -> None:
    raw = pd.DataFrame(rows, columns=["item", "store", "ds", "y", "price", "line"], dtype=object)
    screened = screen_sales(raw, LINES if transactions else PERIODS, Screen(), KNOWN)
    assert len(screened.clean) + len(screened.quarantined) == len(raw)
    assert (screened.quarantined["rule"] != "").all()
    assert (screened.quarantined["reason"] != "").all()
    assert screened.quarantined["row"].is_unique
    report = screened.report
    counted = report.loc[report["severity"] == "quarantine", "quarantined"].sum()
    assert counted == len(screened.quarantined)
    assert ((report["clean"] + report["quarantined"]) == report["read"]).all()
    assert np.isfinite(screened.clean["y"].astype(float)).all()
    assert screened.clean["ds"].notna().all()
