"""Whatever a source holds: every row is clean and typed, or in quarantine with one rule and a reason."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forecasting.core.config.sections import SalesTable, Screen
from forecasting.quality import lake_rows
from forecasting.quality.row_screen import Screened
from forecasting.quality.screening import Known, screen_attributes, screen_sales, screen_table
from forecasting.tables.lake import EVENTS, PRICES, PROMOTIONS, SALES, SIGNALS, STOCK

CUTOFF = date(2026, 6, 30)
LINES = SalesTable(source="shop", table="t", grain="transactions", exclude_items="POST|M")
PERIODS = SalesTable(source="shop", table="t", grain="periods")
RETURNS = SalesTable(source="shop", table="t", grain="transactions", returns="quarantine")
KNOWN = Known(CUTOFF, frozenset({"A", "B", "POST", "1"}), frozenset({"S1", "2"}))

SLOWLY = settings(deadline=None, max_examples=50)  # pandas warms up, and machines are busy

LIKELY = st.sampled_from(
    ["A", "B", " A ", "S1", "POST", "", " ", "2026-06-29", "2026-06-29 10:30:00", "2026-06-29T10:30:00+02:00", "1.5",
     "-3", "1e400", "nan", "inf", "29.06.2026", "2026-02-30", "9999-12-31", "0001-01-01", "2026-06-291", "1_000"]
)  # fmt: skip
UNLIKELY = st.sampled_from(
    [10**400, -(10**400), 2**64, -(2**63), 1 + 2j, Decimal("1.5"), Decimal("NaN"), Decimal("Infinity"),
     b"bytes", (1, 2), [1], {"a": [1]}, "a\u2028b\nc", "\x00", np.float32(2.5), np.int64(3), np.nan, pd.NA,
     pd.NaT, pd.Timedelta("1D"), np.datetime64("2026-06-29"), pd.Timestamp("2026-06-29 23:59", tz="Asia/Tokyo"),
     datetime(2026, 6, 29, tzinfo=UTC), date(2026, 6, 28), datetime(1, 1, 1, tzinfo=UTC)]
)  # fmt: skip
ANYTHING = st.one_of(
    LIKELY, LIKELY, UNLIKELY, st.none(), st.text(max_size=12), st.integers(), st.floats(), st.booleans(),
    st.datetimes(), st.dates(),
)  # fmt: skip


def adds_up(screened: Screened, raw: pd.DataFrame) -> None:
    """read = clean + quarantined, over all and by rule; each rejected row is named once, and kept as JSON."""
    assert len(screened.clean) + len(screened.quarantined) == len(raw)
    assert screened.quarantined["row"].is_unique
    assert screened.quarantined["row"].isin(range(len(raw))).all()
    assert (screened.quarantined[["rule", "reason"]] != "").all(axis=None)
    assert all(set(json.loads(text)) == set(raw.columns) for text in screened.quarantined["content"])
    report = screened.report.set_index("rule")
    assert (report["clean"] + report["quarantined"] == report["read"]).all()
    assert (report["read"] == len(raw)).all()
    by_rule = screened.quarantined["rule"].value_counts().to_dict()
    assert {rule: count for rule, count in report["quarantined"].drop("all").items() if count} == by_rule


@SLOWLY
@given(st.lists(st.tuples(*[ANYTHING] * 6), max_size=20), st.sampled_from([LINES, PERIODS, RETURNS]))
@example([(pd.NA,) * 6, ("A", "S1", "2026-06-29", 1 + 2j, Decimal("NaN"), [1])], PERIODS)
@example([("A", "\x00", "2026-06-29", 10**400, 1.5, 1)], LINES)
def test_any_sales_at_all(rows: list[tuple], table: SalesTable) -> None:
    raw = pd.DataFrame(rows, columns=["item", "store", "ds", "y", "price", "line"], dtype=object)
    screened = screen_sales(raw, table, Screen(), KNOWN)
    adds_up(screened, raw)
    clean = screened.clean
    assert set(clean["item"].astype("str")) <= {"A", "B", "1"} | ({"POST"} if not table.exclude_items else set())
    assert set(clean["store"].astype("str")) <= {"S1", "2"}
    assert clean["ds"].between("1900-01-01", "2026-07-01").all()
    assert (clean["y"].abs() <= 1e6).all()
    daily = SALES.check(lake_rows.daily(clean, table))
    assert (daily["y"] >= 0).all()


COLUMNS = st.sampled_from(["int8", "int64", "uint64", "float32", "float64", "bool", "Int64", "str", "category"])


@SLOWLY
@given(st.lists(st.integers(0, 100), min_size=1, max_size=20), COLUMNS)
def test_a_quantity_counts_the_same_in_whatever_type_it_comes(values: list[int], kind: str) -> None:
    amounts = [value % 2 for value in values] if kind == "bool" else values
    raw = pd.DataFrame({"item": "A", "ds": "2026-06-29", "y": pd.Series(amounts).astype(kind)})  # type: ignore[call-overload]
    screened = screen_sales(raw, LINES, Screen(), KNOWN)
    adds_up(screened, raw)
    assert screened.clean["y"].tolist() == amounts


DATES = st.lists(st.dates(date(1900, 1, 1), date(2026, 6, 30)), min_size=1, max_size=20)


@SLOWLY
@given(DATES, st.sampled_from(["object", "str", "datetime64[s]", "datetime64[us]", "datetime64[us, UTC]", "category"]))
def test_a_day_is_the_same_day_in_whatever_type_it_comes(dates: list[date], kind: str) -> None:
    column = pd.Series(dates, dtype=object)
    if kind.startswith("datetime64"):
        instants = pd.to_datetime(column).astype(kind.removesuffix(", UTC]") + "]" if "UTC" in kind else kind)
        column = instants.dt.tz_localize("UTC") if "UTC" in kind else instants
    else:
        column = column.astype(kind)
    raw = pd.DataFrame({"item": "A", "ds": column, "y": 1})
    screened = screen_sales(raw, LINES, Screen(), KNOWN)
    adds_up(screened, raw)
    assert [day.date() for day in screened.clean["ds"]] == dates


@SLOWLY
@given(st.lists(st.tuples(*[ANYTHING] * 4), max_size=20), st.sampled_from([PRICES, PROMOTIONS, EVENTS, STOCK, SIGNALS]))
def test_any_other_table(rows: list[tuple], table: object) -> None:
    names = [name for name in table.columns if name not in ("signal", "group")][:4]  # type: ignore[attr-defined]
    raw = pd.DataFrame([row[: len(names)] for row in rows], columns=names, dtype=object)
    screened = screen_table(raw, "some", table)  # type: ignore[arg-type]
    adds_up(screened, raw)
    table.check(screened.clean)  # type: ignore[attr-defined]


@SLOWLY
@given(st.lists(st.tuples(*[ANYTHING] * 3), max_size=20))
def test_any_attributes(rows: list[tuple]) -> None:
    raw = pd.DataFrame(rows, columns=["item", "brand", "size"], dtype=object)
    screened = screen_attributes(raw, "items", "item")
    adds_up(screened, raw)
    assert screened.clean["item"].is_unique


@SLOWLY
@given(st.lists(st.tuples(*[ANYTHING] * 4), max_size=20))
def test_any_promotions_from_start_to_end(rows: list[tuple]) -> None:
    raw = pd.DataFrame(rows, columns=["item", "start", "end", "value"], dtype=object)
    last = pd.Timestamp("2026-07-28")
    dated = lake_rows.promotions(raw, last)
    adds_up(screen_table(dated, "promotions", PROMOTIONS), dated)
