"""Every kind of source reads the same small business to the same frame, and complains in the same words."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config.settings import Settings
from forecasting.core.errors import SourceError
from forecasting.sources import KINDS, open_source

SALES = pd.DataFrame(
    {
        "sku": ["A", "007", "A", None, "A"],
        "shop": ["S1", "S1", "S2", "S1", "S2"],
        "day": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-02", "2026-01-03", "2026-01-04"]),
        "units": [3.0, 1.0, -1.0, 2.0, 5.0],
        "note": ["a", "b", "c", "d", "e"],
    }
)
ITEMS = pd.DataFrame({"sku": ["A", "007"], "Category": ["food", "drinks"], "brand": ["x", None]})
PRICES = pd.DataFrame({"item": ["A", "A", "A"], "week": ["w1", "w2", "w9"], "price": [2.0, 2.5, 9.0]})
WEEKS = pd.DataFrame(
    {
        "week": ["w1", "w1", "w2"],
        "day": pd.to_datetime(["2026-01-02", "2026-01-01", "2026-01-05"]),
    }
)
OFFERS = pd.DataFrame(
    {
        "item": ["A", "007"],
        "start": pd.to_datetime(["2026-01-01", "2026-01-10"]),
        "end": pd.to_datetime(["2026-01-05", "2026-01-12"]),
        "value": [0.1, 0.3],
    }
)
CALENDAR = pd.DataFrame(
    {
        "day": pd.to_datetime(["2026-01-01", "2026-01-02"]),
        "event": ["New Year", None],
        "snap_CA": [1.0, 0.0],
        "snap_TX": [0.0, 1.0],
    }
)
TABLES = {"sales": SALES, "items": ITEMS, "prices": PRICES, "weeks": WEEKS, "offers": OFFERS, "calendar": CALENDAR}

Business = Callable[..., Settings]


@pytest.fixture(params=["sqlite", "postgresql", "csv", "parquet"])
def business(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Business]:
    """A function that writes the tables (changed as asked) and gives the settings that describe them."""
    kind = request.param
    if kind in ("csv", "parquet"):
        source = {"kind": "files", "path": str(tmp_path)}
    elif kind == "sqlite":
        source = {"kind": "sql", "url": f"sqlite:///{tmp_path / 'shop.db'}"}
    else:
        source = {"kind": "sql", "url": request.getfixturevalue("postgres_url")}
    schema = "shop_contract" if kind == "postgresql" else None
    if schema:
        _execute(source["url"], f"DROP SCHEMA IF EXISTS {schema} CASCADE", f"CREATE SCHEMA {schema}")

    engine = sa.create_engine(source["url"]) if "url" in source else None

    def make(extract: dict | None = None, **tables: pd.DataFrame) -> Settings:
        for name, frame in (TABLES | tables).items():
            if kind == "csv":
                frame.to_csv(tmp_path / f"{name}.csv", index=False)
            elif kind == "parquet":
                frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
            else:
                frame.to_sql(name, engine, schema=schema, index=False, if_exists="replace")
        return Settings.model_validate(
            {
                "sources": {"shop": source},
                "extract": _placed(DECLARED | (extract or {}), kind, schema),
            }
        )

    yield make
    if engine is not None:
        engine.dispose()
    if schema:
        _execute(source["url"], f"DROP SCHEMA IF EXISTS {schema} CASCADE")


DECLARED = {
    "sales": {"of": "sales", "columns": {"item": "sku", "store": "shop", "ds": "day", "y": "units"}},
    "items": {"of": "items", "columns": {"item": "sku", "category": "Category"}},
    "prices": {"of": "prices", "dates": {"of": "weeks", "key": "week", "date": "day"}},
    "promotions": {"of": "offers"},
    "events": {"of": "calendar", "columns": {"ds": "day"}},
    "signals": [
        {
            "of": "calendar",
            "name": "snap",
            "known": "ahead",
            "by": "state",
            "columns": {"ds": "day"},
            "wide": {"CA": "snap_CA", "TX": "snap_TX"},
        }
    ],
}


def _placed(declared: object, kind: str, schema: str | None) -> object:
    """`of` as a table or a path, with its source."""
    if isinstance(declared, list):
        return [_placed(entry, kind, schema) for entry in declared]
    if not isinstance(declared, dict):
        return declared
    placed = {key: _placed(value, kind, schema) for key, value in declared.items() if key != "of"}
    if "of" in declared:
        place = (
            {"path": f"{declared['of']}.{kind}"}
            if kind in ("csv", "parquet")
            else {"table": f"{schema}.{declared['of']}" if schema else declared["of"]}
        )
        placed |= place if "date" in declared else {"source": "shop", **place}
    return placed


def _execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def typed(frame: pd.DataFrame, dates: tuple[str, ...] = ("ds",), numbers: tuple[str, ...] = ()) -> pd.DataFrame:
    """What screening will do to the values, in short; rows in a fixed order."""
    made = frame.astype(dict.fromkeys(frame.columns, "object"))
    for name in dates:
        made[name] = pd.to_datetime(made[name], format="ISO8601").astype("datetime64[s]")
    for name in numbers:
        made[name] = pd.to_numeric(made[name]).astype("float64")
    return made.sort_values(list(frame.columns), ignore_index=True)[sorted(frame.columns)]


def rows(frame: pd.DataFrame) -> list[tuple]:
    """Rows as tuples, None where a cell is empty, dates as text."""
    return [
        tuple(
            None if pd.isna(cell) else cell.date().isoformat() if isinstance(cell, pd.Timestamp) else cell
            for cell in row
        )
        for row in frame.itertuples(index=False)
    ]


def test_every_kind_is_covered_here():
    assert set(KINDS) == {"sql", "files"}


def test_sales_come_in_our_columns_and_codes_keep_their_zeros(business: Business):
    frame = typed(open_source(business(), "sales").read(None, None), numbers=("y",))
    assert list(frame.columns) == ["ds", "item", "store", "y"]
    assert rows(frame) == [
        ("2026-01-02", "007", "S1", 1.0),
        ("2026-01-01", "A", "S1", 3.0),
        ("2026-01-02", "A", "S2", -1.0),
        ("2026-01-04", "A", "S2", 5.0),
        ("2026-01-03", None, "S1", 2.0),
    ]


@pytest.mark.parametrize(
    ("start", "end", "units"),
    [
        (date(2026, 1, 2), date(2026, 1, 3), [-1.0, 1.0, 2.0]),  # both ends included
        (date(2026, 1, 2), None, [-1.0, 1.0, 2.0, 5.0]),
        (None, date(2026, 1, 1), [3.0]),
        (date(2027, 1, 1), None, []),
    ],
)
def test_a_range_includes_both_ends_and_none_is_open(business: Business, start, end, units):
    frame = open_source(business(), "sales").read(start, end)
    assert sorted(pd.to_numeric(frame["y"])) == units
    assert set(frame.columns) == {"ds", "item", "store", "y"}


def test_times_of_the_last_day_belong_to_it(business: Business):
    late = SALES.assign(day=SALES["day"] + pd.Timedelta(hours=23, minutes=59))
    frame = open_source(business(sales=late), "sales").read(date(2026, 1, 2), date(2026, 1, 2))
    assert sorted(pd.to_numeric(frame["y"])) == [-1.0, 1.0]


def test_rows_without_a_readable_date_are_handed_on(business: Business):
    texts = ["2026-01-01", None, "2026-01-02 08:00:00", "soon", "2026-01-04"]
    frame = open_source(business(sales=SALES.assign(day=texts)), "sales").read(date(2026, 1, 2), date(2026, 1, 3))
    assert sorted(pd.to_numeric(frame["y"])) == [-1.0, 1.0, 2.0]
    assert set(frame["ds"].dropna()) == {"2026-01-02 08:00:00", "soon"}


def test_attributes_keep_their_names_or_the_mapped_one(business: Business):
    frame = open_source(business(), "items").read(date(2030, 1, 1), None)
    assert sorted(frame.columns) == ["brand", "category", "item"]
    assert rows(typed(frame[["category", "item"]], dates=())) == [("drinks", "007"), ("food", "A")]
    only = business({"items": {"of": "items", "columns": {"item": "sku"}, "attributes": ["brand"]}})
    assert set(open_source(only, "items").read(None, None).columns) == {"item", "brand"}


def test_a_period_code_becomes_its_first_date(business: Business):
    frame = typed(open_source(business(), "prices").read(None, None), numbers=("price",))
    assert rows(frame) == [("2026-01-01", "A", 2.0), ("2026-01-05", "A", 2.5), (None, "A", 9.0)]
    assert (
        len(open_source(business(), "prices").read(date(2026, 1, 2), date(2026, 1, 5))) == 2
    )  # w2, and w9 without one


def test_an_offer_is_read_when_it_touches_the_range(business: Business):
    source = open_source(business(), "promotions")
    assert list(source.read(date(2026, 1, 5), date(2026, 1, 9))["item"]) == ["A"]
    assert list(source.read(date(2026, 1, 6), date(2026, 1, 10))["item"]) == ["007"]
    assert list(source.read(date(2026, 1, 6), date(2026, 1, 9))["item"]) == []


def test_days_of_a_calendar_without_an_event_are_none(business: Business):
    assert rows(typed(open_source(business(), "events").read(None, None))) == [("2026-01-01", "New Year")]


def test_a_wide_signal_comes_long(business: Business):
    frame = typed(open_source(business(), "signal_snap").read(date(2026, 1, 1), date(2026, 1, 1)), numbers=("value",))
    assert list(frame.columns) == ["ds", "group", "value"]
    assert rows(frame) == [("2026-01-01", "CA", 1.0), ("2026-01-01", "TX", 0.0)]


def test_a_missing_column_is_named_with_what_is_there_and_what_to_change(business: Business):
    settings = business(
        {"sales": {"of": "sales", "columns": {"item": "skuu", "store": "shop", "ds": "day", "y": "units"}}}
    )
    with pytest.raises(SourceError) as caught:
        open_source(settings, "sales").read(None, None)
    for part in ("sales", "'skuu'", "Did you mean 'sku'?", "sku, shop, day, units, note", "extract.sales.columns.item"):
        assert part in str(caught.value)


def test_a_column_that_nothing_names_is_asked_for(business: Business):
    settings = business({"sales": {"of": "sales", "columns": {"item": "sku", "ds": "day"}}})
    with pytest.raises(SourceError, match=r"no column 'y'.*extract\.sales\.columns\.y"):
        open_source(settings, "sales").read(None, None)


def test_a_mapping_of_an_unknown_name_is_refused(business: Business):
    columns = {"item": "sku", "ds": "day", "y": "units", "sotre": "shop"}
    with pytest.raises(SourceError, match=r"sotre is no column of ours.*store"):
        open_source(business({"sales": {"of": "sales", "columns": columns}}), "sales").read(None, None)


def test_a_number_is_no_date(business: Business):
    settings = business(sales=SALES.assign(day=[20260101, 20260102, 20260103, 20260104, 20260105]))
    if settings.extract.sales.path == "sales.csv":
        frame = open_source(settings, "sales").read(date(2026, 1, 2), date(2026, 1, 3))
        assert list(frame["ds"]) == ["20260102", "20260103"]  # a text: read as the ISO date that it is
        return
    with pytest.raises(SourceError, match=r"(?i)'day' is .*int.*not a date"):
        open_source(settings, "sales").read(None, None)


def test_a_table_that_is_not_declared_is_refused(business: Business):
    with pytest.raises(SourceError, match=r"extract\.stock is declared.*sales, items"):
        open_source(business(), "stock")
