"""Vintages on PostgreSQL: loaded beside the table, swapped in one transaction, dropped as a partition."""

import threading
import time
from collections.abc import Iterator
from datetime import date

import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import StoreError
from forecasting.storage.warehouse.changes import Change, Stream
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECAST_LEVELS, FORECASTS
from tests.storage.warehouse.test_warehouse import CUTOFF, forecasts
from tests.support.servers.postgres import own_schema

SERIES = {mean: tuple(f"s{i}" for i in range(50 + 10 * mean)) for mean in (1, 2, 3)}


@pytest.fixture
def settings(postgres_url: str) -> Iterator[WarehouseSettings]:
    with own_schema(postgres_url) as own:
        yield own


def reader(settings: WarehouseSettings, **options: str) -> sa.Connection:
    engine = sa.create_engine(settings.url, poolclass=sa.NullPool, **options)
    connection = engine.connect()
    connection.exec_driver_sql(f"SET search_path = {settings.namespace}")
    connection.commit()
    return connection


def partitions(settings: WarehouseSettings, table: str = "forecasts") -> dict[str, str]:
    """Bounds by name."""
    with reader(settings) as connection:
        rows = connection.exec_driver_sql(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
            f"WHERE inhparent = '{table}'::regclass ORDER BY 2"
        )
        return dict(row for row in rows)


def levels(cutoff: str, mean: float) -> pd.DataFrame:
    frame = forecasts(cutoff, ("all",), mean).rename(columns={"unique_id": "name"})
    return frame.drop(columns=["status", "reason"]).assign(level="total")


def test_every_cutoff_has_a_partition_with_the_key_and_the_index_by_series(settings):
    warehouse = Warehouse(settings)
    for cutoff in ("2026-06-29", "2026-06-30", "2026-06-30"):
        warehouse.replace(FORECASTS, forecasts(cutoff), cutoff=cutoff)
    found = partitions(settings)
    assert list(found.values()) == ["FOR VALUES IN ('2026-06-29')", "FOR VALUES IN ('2026-06-30')"]
    inspector = sa.inspect(reader(settings))
    for name in found:
        assert inspector.get_pk_constraint(name)["constrained_columns"] == ["cutoff", "unique_id", "ds"]
        assert [one["column_names"] for one in inspector.get_indexes(name)] == [["unique_id", "cutoff"]]
    # Nothing else is left of the vintage that was replaced.
    assert {name for name in inspector.get_table_names() if name.startswith("forecasts_2")} == set(found)


def test_the_plan_of_a_page_looks_at_one_partition_by_its_index(settings):
    warehouse = Warehouse(settings)
    names = tuple(f"s{i:05d}" for i in range(2_000))
    for cutoff in ("2026-06-28", "2026-06-29", "2026-06-30"):
        warehouse.replace(FORECASTS, forecasts(cutoff, names), cutoff=cutoff)
    with reader(settings) as connection:

        def plan(where: str) -> str:
            rows = connection.exec_driver_sql(f"EXPLAIN SELECT * FROM forecasts WHERE {where}")
            return "\n".join(row[0] for row in rows)

        one = plan("cutoff = '2026-06-29' AND unique_id = 's00007'")
        assert "forecasts_20260629" in one
        assert "forecasts_20260630" not in one
        assert "Index Cond" in one
        all_of_it = plan("unique_id = 's00007'")
        assert all_of_it.count("unique_id_cutoff_idx") == 3
        assert "Seq Scan" not in all_of_it


def test_readers_see_the_old_or_the_new_vintage_whole_at_all_times(warehouse_settings):
    warehouse, wrong, seen, done = Warehouse(warehouse_settings), [], set(), threading.Event()
    warehouse.replace(FORECASTS, forecasts("2026-06-30", SERIES[1], 1), cutoff="2026-06-30")

    def read() -> None:
        mine = Warehouse(warehouse_settings)
        while not done.is_set():
            for found in (mine.latest(["cutoff", "unique_id", "mean"]), mine.read(FORECASTS, cutoff="2026-06-30")):
                vintage = (found["cutoff"].nunique(), found["mean"].nunique(), len(found))
                mean = int(found["mean"].iloc[0]) if len(found) else 0
                seen.add(mean)
                if vintage != (1, 1, 2 * len(SERIES.get(mean, ()))):
                    wrong.append(vintage)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 30
        for turn in range(200):
            cutoff = ("2026-06-30", "2026-07-01")[turn % 4 == 3]  # replaced, and now and then a new one that goes again
            mean = turn % 3 + 1
            warehouse.replace(FORECASTS, forecasts(cutoff, SERIES[mean], mean), cutoff=cutoff)
            if cutoff == "2026-07-01":
                warehouse.remove([(FORECASTS, {"cutoff": cutoff})])
            if (turn >= 15 and seen == {1, 2, 3}) or time.monotonic() > deadline:
                break
    finally:
        done.set()
        for thread in threads:
            thread.join(30)
    assert wrong == []
    assert seen == {1, 2, 3}


def test_a_reader_who_holds_the_table_is_neither_stopped_nor_waited_for(settings):
    warehouse = Warehouse(settings)
    warehouse.replace(FORECASTS, forecasts(series=("a", "b"), mean=1), cutoff=CUTOFF)
    old = partitions(settings)
    with reader(settings, isolation_level="REPEATABLE READ") as connection:
        count = "SELECT count(*), min(mean), max(mean) FROM forecasts"
        assert connection.exec_driver_sql(count).one() == (4, 1, 1)
        began = time.monotonic()
        warehouse.replace(FORECASTS, forecasts(series=("c",), mean=2), cutoff=CUTOFF)
        assert time.monotonic() - began < 20
        assert connection.exec_driver_sql(count).one() == (4, 1, 1)
        assert list(Warehouse(settings).latest()["mean"]) == [2, 2]
        # Retention goes on beside him too.
        assert warehouse.remove([(FORECASTS, {"cutoff": CUTOFF})]) == 2
        assert connection.exec_driver_sql(count).one() == (4, 1, 1)
    assert partitions(settings) == old
    assert len(warehouse.read(FORECASTS)) == 0


def test_retention_drops_the_partition(settings):
    warehouse = Warehouse(settings)
    for cutoff in ("2026-06-29", "2026-06-30"):
        changes = [(FORECASTS, forecasts(cutoff)), (FORECAST_LEVELS, levels(cutoff, 1.0))]
        warehouse.publish([Change(table, frame, {"cutoff": cutoff}) for table, frame in changes])
    gone = [(table, {"cutoff": date(2026, 6, 29)}) for table in (FORECASTS, FORECAST_LEVELS)]
    assert warehouse.remove(gone) == 6
    assert warehouse.remove(gone) == 0
    assert list(partitions(settings).values()) == ["FOR VALUES IN ('2026-06-30')"]
    assert list(partitions(settings, "forecast_levels").values()) == ["FOR VALUES IN ('2026-06-30')"]
    assert warehouse.cutoffs() == [date(2026, 6, 30)]


def test_what_is_removed_waits_for_who_publishes_it(settings):
    """Otherwise a vintage that retention has removed is there again a moment later."""
    warehouse, loading, go_on = Warehouse(settings), threading.Event(), threading.Event()
    warehouse.create()

    def slowly() -> Iterator[pd.DataFrame]:
        loading.set()
        go_on.wait(30)
        yield forecasts(mean=1)

    removed: list[int] = []
    publish = threading.Thread(target=warehouse.publish, args=[[Stream(FORECASTS, slowly(), {"cutoff": CUTOFF})]])
    remove = threading.Thread(target=lambda: removed.append(warehouse.remove([(FORECASTS, {"cutoff": CUTOFF})])))
    publish.start()
    assert loading.wait(30)
    remove.start()
    remove.join(1)
    go_on.set()
    for thread in (publish, remove):
        thread.join(30)
    assert removed == [4]
    assert warehouse.cutoffs() == []


def test_two_writers_of_several_cutoffs_and_tables_do_not_stop_each_other(settings):
    Warehouse(settings).create()
    failed = []

    def write(mean: int) -> None:
        mine = Warehouse(settings)
        for turn in range(6):
            cutoff = ("2026-06-29", "2026-06-30")[(turn + mean) % 2]
            changes = [Change(FORECASTS, forecasts(cutoff, SERIES[mean], mean), {"cutoff": cutoff}),
                       Change(FORECAST_LEVELS, levels(cutoff, mean), {"cutoff": cutoff})]  # fmt: skip
            try:
                mine.publish(changes[:: (-1) ** turn])
            except StoreError as error:
                failed.append(error)

    threads = [threading.Thread(target=write, args=[mean]) for mean in SERIES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    for cutoff in ("2026-06-29", "2026-06-30"):
        (mean,) = Warehouse(settings).read(FORECASTS, cutoff=cutoff)["mean"].unique()
        assert set(Warehouse(settings).read(FORECAST_LEVELS, cutoff=cutoff)["mean"]) == {mean}


def test_a_publish_that_fails_leaves_no_table_behind(settings):
    warehouse = Warehouse(settings)
    warehouse.replace(FORECASTS, forecasts(), cutoff=CUTOFF)
    before = partitions(settings)
    frames = iter([forecasts(mean=2.0), forecasts(mean=3.0)])  # the same keys twice
    with pytest.raises(StoreError, match=r"(?i)unique"):
        warehouse.publish([Stream(FORECASTS, frames, {"cutoff": CUTOFF})])
    assert partitions(settings) == before
    names = sa.inspect(reader(settings)).get_table_names()
    assert {name for name in names if name.startswith("forecasts_2")} == set(before)
