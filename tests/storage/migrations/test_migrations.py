"""Warehouses of the releases as their own code made them (released/*.sql), brought to this code's revision and back."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine.reflection import Inspector

from forecasting.__main__ import main
from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import StoreError
from forecasting.storage.migrations import HEAD, KNOWN, NUMBERED
from forecasting.storage.migrations.__main__ import page
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.views import VIEWS
from forecasting.tables.warehouse import FORECASTS, RUNS, WAREHOUSE
from tests.storage.warehouse.test_warehouse import forecasts, in_threads, key_order

RELEASED = Path(__file__).parent / "released"
RELEASES = {"0.1.0": "0001", "0.2.0": "0002"}
DAYS = ("2026-06-29", "2026-06-30")
PARTITION = re.compile(r".*_(before|\d{8}_[0-9a-f]{8})$")


@contextmanager
def database(settings: WarehouseSettings) -> Iterator[sa.Connection]:
    engine = sa.create_engine(settings.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        if settings.namespace:
            connection.exec_driver_sql(f"SET LOCAL search_path = {settings.namespace}")
        yield connection


def release(settings: WarehouseSettings, name: str) -> None:
    """A warehouse as that release made it, with two vintages and a run."""
    with database(settings) as connection:
        text = (RELEASED / f"{name}.{connection.dialect.name}.sql").read_text(encoding="utf-8")
        for statement in text.replace("released", str(settings.namespace)).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        for day in DAYS:
            frame = forecasts(day)
            for column in ("cutoff", "ds"):
                frame[column] = frame[column].dt.date
            frame.to_sql("forecasts", connection, schema=settings.namespace, if_exists="append", index=False)
        columns = "run_id, step, cutoff, seconds, outcome, started_at, settings, code"
        values = "'first', 'forecast', '2026-06-30', 1.5, 'done', '2026-07-01 03:00:00.000000', 'd', 'c'"
        connection.exec_driver_sql(f"INSERT INTO runs ({columns}) VALUES ({values})")


def inspected(settings: WarehouseSettings) -> Inspector:
    return sa.inspect(sa.create_engine(settings.url, poolclass=sa.NullPool))


def tables(settings: WarehouseSettings) -> set[str]:
    found = inspected(settings).get_table_names(schema=settings.namespace)
    return {name for name in found if not PARTITION.match(name)} - {NUMBERED}


def views(settings: WarehouseSettings) -> set[str]:
    return set(inspected(settings).get_view_names(schema=settings.namespace))


def differences(settings: WarehouseSettings) -> list:
    """What Alembic would change to make the database what the code says."""
    metadata = Warehouse(settings).metadata
    ours = sa.MetaData()  # without the schema's name: the connection's search path stands for it
    for table in metadata.tables.values():
        table.to_metadata(ours, schema=None)

    def looked_at(thing: object, name: str, kind: str, reflected: bool, _other: object) -> bool:
        return not (kind == "table" and reflected and (name == NUMBERED or PARTITION.match(name)))

    with database(settings) as connection:
        options = {"compare_type": True, "include_object": looked_at}
        return compare_metadata(MigrationContext.configure(connection, opts=options), ours)


def both() -> pd.DataFrame:
    return key_order(pd.concat([forecasts(day) for day in DAYS]), FORECASTS)


@pytest.mark.parametrize("name", RELEASES)
def test_a_warehouse_of_a_release_goes_on_with_its_rows_when_it_is_opened(warehouse_settings, name):
    release(warehouse_settings, name)
    warehouse = Warehouse(warehouse_settings)
    pd.testing.assert_frame_equal(warehouse.read(FORECASTS), both())
    assert list(warehouse.latest(["cutoff"])["cutoff"].dt.date.unique()) == [date(2026, 6, 30)]
    assert warehouse.read(RUNS)["attempt"].isna().tolist() == [True]
    assert differences(warehouse_settings) == []
    assert views(warehouse_settings) == {view.name for view in VIEWS}
    warehouse.replace(FORECASTS, forecasts("2026-07-01", mean=3.0), cutoff="2026-07-01")
    warehouse.replace(FORECASTS, forecasts("2026-06-29", series=("z",), mean=2.0), cutoff="2026-06-29")
    assert warehouse.cutoffs() == [date(2026, 7, 1), date(2026, 6, 30), date(2026, 6, 29)]
    assert set(warehouse.read(FORECASTS, cutoff="2026-06-29")["unique_id"]) == {"z"}
    assert warehouse.remove([(FORECASTS, {"cutoff": "2026-06-30"})]) == 4
    assert warehouse.cutoffs() == [date(2026, 7, 1), date(2026, 6, 29)]


def test_a_new_warehouse_is_what_the_code_says(warehouse_settings):
    Warehouse(warehouse_settings).create()
    assert differences(warehouse_settings) == []


@pytest.mark.parametrize("name", RELEASES)
def test_down_to_a_release_and_up_again_keeps_the_rows(warehouse_settings, name):
    release(warehouse_settings, name)
    before = {table: inspected(warehouse_settings).get_columns(table, schema=warehouse_settings.namespace)
              for table in tables(warehouse_settings)}  # fmt: skip
    warehouse = Warehouse(warehouse_settings)
    assert warehouse.migrate() == (None, HEAD)
    warehouse.replace(FORECASTS, forecasts("2026-07-01"), cutoff="2026-07-01")
    whole = warehouse.read(FORECASTS)
    assert warehouse.migrate(RELEASES[name]) == (HEAD, RELEASES[name])
    assert tables(warehouse_settings) == set(before)
    assert views(warehouse_settings) == {"forecasts_latest"}
    for table, columns in before.items():
        after = inspected(warehouse_settings).get_columns(table, schema=warehouse_settings.namespace)
        assert [(one["name"], str(one["type"]), one["nullable"]) for one in after] == [
            (one["name"], str(one["type"]), one["nullable"]) for one in columns
        ]
    with database(warehouse_settings) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM forecasts").scalar() == 12
        assert connection.exec_driver_sql("SELECT count(*) FROM forecasts_latest").scalar() == 4
    again = Warehouse(warehouse_settings)
    assert again.migrate() == (RELEASES[name], HEAD)
    pd.testing.assert_frame_equal(again.read(FORECASTS), whole)
    assert differences(warehouse_settings) == []
    assert again.migrate("base") == (HEAD, "base")
    assert tables(warehouse_settings) == set()


def test_every_revision_up_and_down_one_by_one(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    warehouse.create()
    for one in [*reversed(KNOWN[:-1]), "base"]:
        warehouse.migrate(one)
    assert tables(warehouse_settings) == set()
    for one in KNOWN:
        warehouse.migrate(one)
    assert tables(warehouse_settings) == {table.name for table in WAREHOUSE}
    assert differences(warehouse_settings) == []


def test_many_that_open_an_old_warehouse_at_once_migrate_it_once(warehouse_settings):
    release(warehouse_settings, "0.1.0")
    found = []
    in_threads(lambda _: found.append(Warehouse(warehouse_settings).migrate()), range(6))
    assert sorted(found, key=str) == [(HEAD, HEAD)] * 5 + [(None, HEAD)]
    pd.testing.assert_frame_equal(Warehouse(warehouse_settings).read(FORECASTS), both())


def test_a_migration_that_fails_changes_nothing(warehouse_settings):
    release(warehouse_settings, "0.1.0")
    with database(warehouse_settings) as connection:  # something of somebody else's is in the way of a revision
        connection.exec_driver_sql("CREATE VIEW drift AS SELECT 1 AS cutoff")
    with pytest.raises(StoreError, match="drift"):
        Warehouse(warehouse_settings).create()
    assert tables(warehouse_settings) == {"backtests", "forecast_levels", "forecast_sums", "forecasts", "lost_demand",
                                          "quality", "quarantine", "runs", "scores"}  # fmt: skip
    with database(warehouse_settings) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM forecasts_latest").scalar() == 4


def test_a_warehouse_of_a_newer_release_is_refused(warehouse_settings):
    Warehouse(warehouse_settings).create()
    with database(warehouse_settings) as connection:
        connection.exec_driver_sql(f"UPDATE {NUMBERED} SET version_num = '9999'")
    with pytest.raises(StoreError, match=rf"newer release.*revision 9999, known are 0001 to {HEAD}"):
        Warehouse(warehouse_settings).cutoffs()


def test_the_command_tells_goes_and_writes_sql(warehouse_settings, tmp_path, capsys):
    release(warehouse_settings, "0.2.0")
    words = ["--conf", "conf/demo.toml", "--set", f"warehouse.url={warehouse_settings.url}"]
    words += ["--set", f"warehouse.schema={warehouse_settings.namespace}"] if warehouse_settings.namespace else []
    assert main(["migrate", *words, "--sql"]) == 1
    assert "Number it first, which moves nothing: python -m forecasting migrate --to 0002" in capsys.readouterr().err
    assert main(["migrate", *words, "--to", "0002"]) == 0
    assert capsys.readouterr().out == "The warehouse went from the time before revisions to revision 0002.\n"
    assert main(["migrate", *words, "--sql"]) == 0
    sql = capsys.readouterr().out
    assert "ADD COLUMN attempt BIGINT" in sql
    assert tables(warehouse_settings) & {"drift"} == set()
    assert main(["migrate", *words]) == 0
    assert capsys.readouterr().out == f"The warehouse went from revision 0002 to revision {HEAD}.\n"
    assert main(["migrate", *words, "--to", "0002"]) == 0
    assert capsys.readouterr().out == f"The warehouse went from revision {HEAD} to revision 0002.\n"
    assert main(["migrate", *words, "--to", "7"]) == 1
    assert "no revision 7 of the warehouse; there are: base, 0001" in capsys.readouterr().err


def test_the_script_for_somebody_else_does_the_same(postgres_url):
    settings = WarehouseSettings.model_validate({"url": postgres_url, "schema": "scripted"})
    release(settings, "0.2.0")
    Warehouse(settings).migrate("0002")
    with psycopg.connect(settings.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(Warehouse(settings).script())
    warehouse = Warehouse(settings)
    assert warehouse.migrate() == (HEAD, HEAD)
    pd.testing.assert_frame_equal(warehouse.read(FORECASTS), both())
    assert views(settings) == {view.name for view in VIEWS}
    assert [one for one in differences(settings) if "comment" not in str(one)] == []


def test_rights_that_people_had_are_theirs_again(postgres_url):
    settings = WarehouseSettings.model_validate({"url": postgres_url, "schema": "granted"})
    release(settings, "0.2.0")
    with database(settings) as connection:
        connection.exec_driver_sql("CREATE ROLE analyst; GRANT USAGE ON SCHEMA granted TO analyst")
        connection.exec_driver_sql(
            "GRANT SELECT ON forecasts, forecasts_latest TO analyst; GRANT SELECT ON runs TO PUBLIC"
        )
    Warehouse(settings).create()
    with database(settings) as connection:
        connection.exec_driver_sql("SET LOCAL ROLE analyst")
        for name, rows in {"forecasts": 8, "forecasts_latest": 4, "runs": 1}.items():
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() == rows


def test_the_next_revision_is_written_from_what_the_code_has_beyond_the_newest():
    there = {table.name: set(table.columns) for table in WAREHOUSE if table.name != "health"}
    there["runs"] -= {"attempt"}
    text = page("more_scores", there)
    assert f'revision, down_revision = "{int(HEAD) + 1:04d}", "{HEAD}"' in text
    assert 'add("runs", "attempt integer?")' in text
    assert '"cutoff sign",' in text
    assert '"forecasts"' not in text


def test_revisions_are_numbered_one_after_the_other():
    assert [f"{number:04d}" for number in range(1, len(KNOWN) + 1)] == KNOWN  # two of one number: renumber the later
