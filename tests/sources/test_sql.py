"""What only databases do: addresses, schemas, views, types and errors of their own."""

import socket
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config.settings import Settings
from forecasting.core.errors import SourceError
from forecasting.sources import open_source, sql


def described(url: str, table: str | None = "sales", **extract: object) -> Settings:
    """A business with one table of sales, in our own column names."""
    sales = {"source": "shop", "table": table} if table else {"source": "shop", "path": "sales.csv"}
    return Settings.model_validate(
        {"sources": {"shop": {"kind": "sql", "url": url}}, "extract": {"sales": sales, **extract}}
    )


@pytest.fixture
def database(tmp_path: Path) -> str:
    """URL of a SQLite file that someone without much discipline filled."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    run(
        url,
        'CREATE TABLE sales (item TEXT, ds DATE, y NUMERIC, "select" TEXT)',
        "INSERT INTO sales VALUES ('A', '2026-01-01', 1.5, 'x'), ('A', '2026-01-02', 'three', 'x'), "
        "('B', '01/02/2026', 2, 'x'), ('B', NULL, 4, 'x')",
        "CREATE VIEW sales_of_a AS SELECT item, ds, y FROM sales WHERE item = 'A'",
    )
    return url


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[str]:
    """URL of a PostgreSQL server with a schema `till`, whose clocks know their zone."""
    run(
        postgres_url,
        "CREATE SCHEMA till",
        "CREATE TABLE till.sales (item VARCHAR(9), ds TIMESTAMPTZ, y NUMERIC(9, 2))",
        "INSERT INTO till.sales VALUES ('A', '2026-01-01 23:30+00', 1.25), ('B', '2026-01-02 22:30+00', 2)",
    )
    yield postgres_url
    run(postgres_url, "DROP SCHEMA till CASCADE")


def run(url: str, *statements: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_values_of_a_table_come_as_they_are(database: str):
    frame = open_source(described(database), "sales").read(None, None)
    assert frame["item"].tolist() == ["A", "A", "B", "B"]
    assert frame["y"].tolist() == [1.5, "three", 2, 4]  # screening will say what is wrong with `three`
    assert frame["ds"].tolist()[:3] == ["2026-01-01", "2026-01-02", "01/02/2026"]


def test_a_range_leaves_out_dates_beyond_it_and_hands_on_what_is_no_date(database: str):
    frame = open_source(described(database), "sales").read(date(2026, 1, 2), date(2026, 1, 31))
    assert frame["y"].tolist() == ["three", 2, 4]


def test_a_view_is_a_table(database: str):
    assert len(open_source(described(database, "sales_of_a"), "sales").read(None, None)) == 2


def test_chunks_are_joined_and_names_stay_categories(database: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sql, "CHUNK", 1)
    frame = open_source(described(database), "sales").read(None, None)
    assert frame["item"].tolist() == ["A", "A", "B", "B"]
    assert isinstance(frame["item"].dtype, pd.CategoricalDtype)
    assert frame["y"].tolist() == [1.5, "three", 2, 4]


def test_a_name_that_is_a_word_of_sql_is_quoted(database: str):
    sales = {"source": "shop", "table": "sales", "columns": {"store": "select"}}
    frame = open_source(described(database, sales=sales), "sales").read(date(2026, 1, 1), None)
    assert set(frame["store"]) == {"x"}


def test_a_name_cannot_carry_a_statement(database: str):
    with pytest.raises(SourceError, match="has no table or view"):
        open_source(described(database, "sales; DROP TABLE sales"), "sales").read(None, None)
    assert len(open_source(described(database), "sales").read(None, None)) == 4


def test_a_missing_table_is_named_with_the_one_that_was_meant(database: str):
    with pytest.raises(
        SourceError, match=r"'sale'.*It has: sales, sales_of_a. Did you mean 'sales'.*extract.sales.table"
    ):
        open_source(described(database, "sale"), "sales").read(None, None)


def test_a_missing_file_is_not_created(tmp_path: Path):
    file = tmp_path / "none.db"
    with pytest.raises(SourceError, match=r"no database file .*none\.db.*sources\.shop\.url"):
        open_source(described(f"sqlite:///{file}"), "sales").read(None, None)
    assert not file.exists()


def test_a_file_that_is_no_database(tmp_path: Path):
    (tmp_path / "shop.db").write_text("this is a letter, not a database" * 40)
    with pytest.raises(SourceError, match=r"Source shop .*not a database"):
        open_source(described(f"sqlite:///{tmp_path / 'shop.db'}"), "sales").read(None, None)


def test_a_database_that_does_not_answer_keeps_the_password_to_itself():
    url = "postgresql+psycopg://reader:s3cret@127.0.0.1:1/shop"
    with pytest.raises(SourceError, match=r"Source shop \(postgresql\+psycopg://reader:\*\*\*@127") as caught:
        open_source(described(url), "sales").read(None, None)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["reader:s3cret", "nosuch://reader:s3cret@host/shop", "nosuch+driver://s3cret@host/x"])
def test_an_address_that_is_none_keeps_the_password_to_itself(url: str):
    with pytest.raises(SourceError, match=r"sources\.shop\.url is no address") as caught:
        open_source(described(url), "sales").read(None, None)
    assert "s3cret" not in str(caught.value)


def test_a_path_is_not_for_a_database(database: str):
    with pytest.raises(SourceError, match=r"name a `table`, not a `path`"):
        open_source(described(database, table=None), "sales").read(None, None)


def test_a_missing_column_of_the_calendar_is_named(database: str):
    dates = {"table": "sales", "key": "week", "date": "ds"}
    prices = {"source": "shop", "table": "sales", "columns": {"price": "y"}, "dates": dates | {"key": "item"}}
    assert set(open_source(described(database, prices=prices), "prices").read(None, None).columns) == {
        "item",
        "ds",
        "price",
    }
    wrong = prices | {"dates": dates | {"key": "item", "date": "day"}}
    with pytest.raises(SourceError, match=r"no column 'day', which extract\.prices\.dates\.date asks for"):
        open_source(described(database, prices=wrong), "prices").read(None, None)


@pytest.mark.postgres
def test_money_and_schemas_of_postgresql(postgres: str):
    frame = open_source(described(postgres, "till.sales"), "sales").read(None, None)
    assert frame["y"].tolist() == [1.25, 2.0]
    assert frame["y"].dtype == "float64"
    with pytest.raises(SourceError, match=r"no table or view 'till\.sale'.*It has: sales"):
        open_source(described(postgres, "till.sale"), "sales").read(None, None)


@pytest.mark.postgres
def test_instants_become_business_days_of_the_zone(postgres: str):
    """23:30 UTC on New Year's Day is already the 2nd in Berlin."""
    settings = described(postgres, "till.sales", timezone="Europe/Berlin")
    frame = open_source(settings, "sales").read(date(2026, 1, 2), date(2026, 1, 2))
    assert frame["ds"].tolist() == [pd.Timestamp("2026-01-02 00:30"), pd.Timestamp("2026-01-02 23:30")]
    assert len(open_source(described(postgres, "till.sales"), "sales").read(date(2026, 1, 2), None)) == 1


def test_a_time_zone_that_does_not_exist(database: str):
    with pytest.raises(SourceError, match=r"extract\.timezone: there is no time zone 'Berlin'"):
        open_source(described(database, timezone="Berlin"), "sales").read(None, None)


def hurried(url: str, table: str = "sales") -> Settings:
    """The same business, that waits one second."""
    settings = described(url, table)
    shop = settings.sources["shop"].model_copy(update={"timeout_seconds": 1.0})
    return settings.model_copy(update={"sources": {"shop": shop}})


def test_a_server_that_takes_the_call_and_says_nothing_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://reader:s3cret@127.0.0.1:{silent.getsockname()[1]}/shop"
        clock = time.monotonic()
        with pytest.raises(SourceError, match=r"Source shop .*cannot be read: .*timeout") as caught:
            open_source(hurried(url), "sales").read(None, None)
    assert time.monotonic() - clock < 30
    assert "s3cret" not in str(caught.value)


# psycopg warns that a cursor on a connection which was cut was not closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_table_that_somebody_holds_is_given_up_and_read_when_it_is_free(postgres: str):
    engine = sa.create_engine(postgres, poolclass=sa.NullPool)
    with engine.begin() as holder:
        holder.exec_driver_sql("LOCK TABLE till.sales IN ACCESS EXCLUSIVE MODE")
        told = r"did not deliver till\.sales within 1 s \(sources\.shop\.timeout_seconds\) and was given up"
        with pytest.raises(SourceError, match=told):
            open_source(hurried(postgres, "till.sales"), "sales").read(None, None)
    assert len(open_source(hurried(postgres, "till.sales"), "sales").read(None, None)) == 2


def test_a_view_that_never_ends_is_given_up(database: str):
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    run(database, f"CREATE VIEW endless AS {numbers} SELECT item, ds, y FROM sales, n WHERE i < 0")
    with pytest.raises(SourceError, match="within 1 s"):
        open_source(hurried(database, "endless"), "sales").read(None, None)
