import re
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.core.errors import TableError
from forecasting.tables.lake import LAKE
from forecasting.tables.schema import Column, Table
from forecasting.tables.warehouse import FORECASTS, WAREHOUSE

SALE = Table(
    "sale",
    "Units sold a day.",
    {
        "ds": Column("date", "day"),
        "item": Column("text", "item"),
        "y": Column("number", "units", "units a day"),
        "rows": Column("integer", "lines", null=True),
        "at": Column("instant", "read at", null=True),
        "open": Column("flag", "shop was open", null=True),
    },
    key=("ds", "item"),
)


def sales(**changes) -> pd.DataFrame:
    frame = pd.DataFrame({"ds": ["2026-07-01", "2026-07-02"], "item": ["a", "a"], "y": [3, 0]})
    return frame.assign(**changes)


def test_columns_come_back_typed_in_order_and_the_optional_ones_empty():
    checked = SALE.check(sales()[["y", "item", "ds"]])
    assert checked.dtypes.astype(str).to_dict() == {
        "ds": "datetime64[s]",
        "item": "str",
        "y": "float64",
        "rows": "Int64",
        "at": "datetime64[us, UTC]",
        "open": "boolean",
    }
    assert list(checked["ds"]) == [pd.Timestamp("2026-07-01"), pd.Timestamp("2026-07-02")]
    assert checked[["rows", "at", "open"]].isna().all(axis=None)


def test_what_is_given_is_left_as_it_was():
    frame = sales()
    SALE.check(frame)
    pd.testing.assert_frame_equal(frame, sales())


def test_instants_become_utc():
    checked = SALE.check(sales(at=["2026-07-01T12:00:00+02:00", None]))
    assert checked["at"].iloc[0] == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert pd.isna(checked["at"].iloc[1])


def test_categories_and_float32_are_kept_small():
    checked = SALE.check(sales().astype({"item": "category", "y": "float32"}))
    assert (str(checked["item"].dtype), checked["y"].dtype) == ("category", np.float32)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (sales().drop(columns=["y", "item"]), r"missing columns: item, y; unknown columns: none; it has: ds, item"),
        (sales(extra=1), r"unknown columns: extra; it has: ds, item, y"),
        (sales(item=["a", None]), r"Table sale, column item: 1 empty cells, none allowed"),
        (sales(y=[1.0, np.nan]), r"Table sale, column y: 1 empty cells, none allowed"),
        (sales(y=["3", "three"]), r"Table sale, column y: not a number: .*three"),
        (sales(ds=["2026-07-01", "yesterday"]), r"Table sale, column ds: not a date: .*yesterday"),
        (sales(rows=[1, 2.5]), r"Table sale, column rows: not a integer"),
        (sales(ds="2026-07-01"), r"Table sale: 1 repeated keys, such as .*2026-07-01.*'item': 'a'"),
    ],
)
def test_what_does_not_fit_is_named(frame, message):
    with pytest.raises(TableError, match=message):
        SALE.check(frame)


def test_at_most_five_examples_are_named():
    frame = pd.DataFrame({"ds": "2026-07-01", "item": [f"item{i // 2}" for i in range(2_000)], "y": 1.0})
    with pytest.raises(TableError, match="1,000 repeated keys") as raised:
        SALE.check(frame)
    assert len(re.findall(r"'item': 'item\d+'", str(raised.value))) == 5


@given(st.lists(st.floats(allow_nan=False, width=32), max_size=20))
def test_checking_twice_is_checking_once(values):
    frame = pd.DataFrame({"ds": pd.date_range("2026-07-01", periods=len(values)), "item": "a", "y": values})
    once = SALE.check(frame)
    pd.testing.assert_frame_equal(SALE.check(once), once)
    assert list(once["y"]) == values


@pytest.mark.parametrize("table", [*WAREHOUSE, *LAKE], ids=lambda table: table.name)
def test_every_table_is_described_and_holds_its_key_and_partition(table):
    assert table.about.endswith(".")
    assert set(table.partition) <= set(table.key) <= set(table.columns)
    assert [name for name, column in table.columns.items() if not column.about] == []
    assert [name for name in table.key if table.columns[name].null and table.name != "signals"] == []


@pytest.mark.parametrize("store", [WAREHOUSE, LAKE])
def test_no_two_tables_of_a_store_have_the_same_name(store):
    names = [table.name for table in store]  # `promotions` are the shop's in the lake, the models' in the warehouse
    assert len(names) == len(set(names))


def test_forecasts_have_the_columns_that_readers_rely_on():
    assert list(FORECASTS.columns) == [
        "cutoff",
        "unique_id",
        "ds",
        "horizon",
        "mean",
        "p05",
        "p10",
        "p25",
        "p50",
        "p75",
        "p90",
        "p95",
        "model",
        "model_version",
        "snapshot",
        "run_id",
        "status",
        "reason",
    ]
