"""Roles of a real PostgreSQL that have the rights of `python -m forecasting grants`, and no more."""

from collections.abc import Iterator
from typing import NamedTuple

import psycopg
import pytest
import sqlalchemy as sa

from forecasting.__main__ import main
from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import StoreError
from forecasting.storage.warehouse.grants import statements
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, RUNS
from tests.storage.warehouse.test_warehouse import CUTOFF, forecasts


class Roles(NamedTuple):
    """Their warehouses, and what psycopg is to be told to connect as them."""

    writer: WarehouseSettings
    reader: WarehouseSettings
    addresses: dict[str, dict]


@pytest.fixture(scope="module")
def roles(postgres_url: str) -> Iterator[Roles]:
    base = sa.make_url(postgres_url).set(database="least rights")
    administrator = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with administrator.connect() as connection:
        connection.exec_driver_sql('CREATE DATABASE "least rights"')

    def settings(url: sa.URL) -> WarehouseSettings:
        text = url.render_as_string(hide_password=False)
        return WarehouseSettings.model_validate({"url": text, "schema": "Forecasts"})

    with sa.create_engine(base, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
        for _ in range(2):  # twice = once
            for statement in statements(settings(base), "night writer", ["bi", "page"]):
                connection.exec_driver_sql(statement)
    urls = {name: base.set(username=name) for name in ("night writer", "bi")}
    addresses = {
        name: {"host": url.host, "port": url.port, "dbname": url.database, "user": name} for name, url in urls.items()
    }
    yield Roles(settings(urls["night writer"]), settings(urls["bi"]), addresses)
    with administrator.connect() as connection:
        connection.exec_driver_sql('DROP DATABASE "least rights" WITH (FORCE)')


def test_the_writer_publishes_and_the_reader_reads_what_comes_later_too(roles):
    writer, reader = Warehouse(roles.writer), Warehouse(roles.reader)
    for mean in (1.0, 2.0):
        writer.replace(FORECASTS, forecasts(mean=mean), cutoff=CUTOFF)
        assert set(reader.latest()["mean"]) == {mean}
        assert len(reader.read(FORECASTS, cutoff=CUTOFF)) == 4
    assert len(reader.read(RUNS)) == 0
    assert writer.remove([(FORECASTS, {"cutoff": CUTOFF})]) == 4
    assert reader.cutoffs() == []


def test_the_reader_cannot_write_by_the_warehouse(roles):
    Warehouse(roles.writer).create()
    with pytest.raises(StoreError, match="read-only transaction"):
        Warehouse(roles.reader).replace(FORECASTS, forecasts(), cutoff=CUTOFF)


@pytest.mark.parametrize(
    "statement",
    [
        'DELETE FROM "Forecasts".runs',
        'INSERT INTO "Forecasts".forecasting_revision VALUES (1)',
        'TRUNCATE "Forecasts".forecasts',
        'DROP TABLE "Forecasts".runs',
        'ALTER TABLE "Forecasts".runs ADD COLUMN x int',
        'CREATE TABLE "Forecasts".mine (x int)',
        "CREATE TABLE public.mine (x int)",
        "CREATE TEMPORARY TABLE mine (x int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE friend",
        'DROP DATABASE "least rights"',
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
def test_what_the_reader_cannot_even_where_he_asks_for_writing(roles, statement):
    Warehouse(roles.writer).create()
    with psycopg.connect(**roles.addresses["bi"], autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        'DROP DATABASE "least rights"',
        "DROP DATABASE postgres",
        "CREATE DATABASE mine",
        "CREATE ROLE friend",
        "ALTER ROLE bi SUPERUSER",
        "CREATE SCHEMA mine",
        "CREATE TABLE public.mine (x int)",
        "ALTER SYSTEM SET fsync = off",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
    ],
)
def test_what_the_writer_cannot(roles, statement):
    connection = psycopg.connect(**roles.addresses["night writer"], autocommit=True)
    with connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_nobody_else_gets_in(roles, postgres_url):
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE stranger LOGIN")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(**{**roles.addresses["bi"], "user": "stranger"})


def test_the_command_prints_sql_without_a_password(capsys):
    words = ["grants", "--conf", "conf/demo.toml", "--writer", "night", "--reader", "bi"]
    place = ["--set", "warehouse.url=postgresql://admin:hush@db/demand", "--set", "warehouse.schema=forecasting"]
    assert main([*words, *place[:2]]) == 0
    assert "GRANT USAGE, CREATE ON SCHEMA public TO night;" in capsys.readouterr().out
    assert main([*words, *place]) == 0
    printed = capsys.readouterr().out
    assert "GRANT SELECT ON ALL TABLES IN SCHEMA forecasting TO bi;" in printed
    assert "hush" not in printed
    assert main(words) == 1
    assert "Rights are given on PostgreSQL" in capsys.readouterr().err
