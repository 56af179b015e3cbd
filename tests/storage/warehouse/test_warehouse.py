from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import StoreError, TableError
from forecasting.storage.migrations import NUMBERED
from forecasting.storage.warehouse.changes import Change, Stream
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.schema import Column, Table
from forecasting.tables.views import VIEWS
from forecasting.tables.warehouse import BACKTESTS, FORECASTS, QUALITY, RUNS, WAREHOUSE

CUTOFF = date(2026, 6, 30)
KINDS = Table(
    "kinds",
    "Every kind of column.",
    {
        "day": Column("date", "a day"),
        "name": Column("text", "a text"),
        "group": Column("text", "a reserved word", null=True),
        "other": Column("date", "another day", null=True),
        "at": Column("instant", "an instant", null=True),
        "count": Column("integer", "whole", "rows", null=True),
        "value": Column("number", "real", null=True),
        "good": Column("flag", "true or false", null=True),
    },
    key=("day", "name"),
    partition=("day",),
)
TEXTS = [
    "plain",
    "",
    'a "quoted", comma',
    "line\nbreak\ttab \\ \\N",
    "NULL",
    "Ünïcødé 数量 🛒",
    "'); DROP TABLE kinds; --",
]


def kinds() -> pd.DataFrame:
    rows = len(TEXTS)
    return pd.DataFrame(
        {
            "day": pd.Timestamp("2026-06-30"),
            "name": TEXTS,
            "group": [None, *TEXTS[1:]],
            "other": [pd.NaT, *pd.date_range("1969-12-30", periods=rows - 1)],
            "at": [datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)] * (rows - 1) + [None],
            "count": pd.array([None, 0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 7], dtype="Int64"),
            "value": [np.nan, 0.1, -1e-300, 1e300, float(np.float32(0.1)), np.inf, 3.0],
            "good": pd.array([None, True, False, True, False, True, None], dtype="boolean"),
        }
    )


def forecasts(cutoff: str = "2026-06-30", series: tuple[str, ...] = ("a_1", "b_1"), mean: float = 1.0) -> pd.DataFrame:
    """Two periods for each series."""
    days = pd.date_range(pd.Timestamp(cutoff) + pd.Timedelta(days=1), periods=2)
    frame = pd.DataFrame({"unique_id": np.repeat(list(series), 2), "ds": list(days) * len(series)})
    numbers = dict.fromkeys(("mean", "p05", "p10", "p25", "p50", "p75", "p90", "p95"), mean)
    return frame.assign(
        cutoff=pd.Timestamp(cutoff),
        horizon=[1, 2] * len(series),
        **numbers,
        model="blend",
        model_version="3",
        snapshot="sales@12",
        run_id="run",
        status="ok",
        reason=None,
    )


def key_order(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    return table.check(frame).sort_values(list(table.key), ignore_index=True)


def test_two_rows_are_written_and_read_back(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    assert warehouse.replace(FORECASTS, forecasts(series=("a_1",)), cutoff=CUTOFF) == 2
    read = warehouse.read(FORECASTS, ["unique_id", "ds", "mean"], cutoff=CUTOFF)
    expected = pd.DataFrame(
        {"unique_id": ["a_1", "a_1"], "ds": pd.to_datetime(["2026-07-01", "2026-07-02"]), "mean": [1.0, 1.0]}
    )
    pd.testing.assert_frame_equal(read, expected.astype({"ds": "datetime64[s]"}))


def test_every_kind_with_empty_cells_comes_back_as_it_went(warehouse_settings):
    warehouse = Warehouse(warehouse_settings, [KINDS])
    warehouse.replace(KINDS, kinds(), day=CUTOFF)
    read = warehouse.read(KINDS)
    expected = KINDS.check(kinds()).set_index("name").loc[list(read["name"])].reset_index()[list(KINDS.columns)]
    pd.testing.assert_frame_equal(read, expected)


def test_an_empty_text_is_not_an_empty_cell(warehouse_settings):
    warehouse = Warehouse(warehouse_settings, [KINDS])
    warehouse.replace(KINDS, kinds(), day=CUTOFF)
    assert list(warehouse.read(KINDS, ["name"], group=None)["name"]) == ["plain"]
    assert list(warehouse.read(KINDS, ["group"], group="")["group"]) == [""]
    assert list(warehouse.read(KINDS, ["group"], name="plain")["group"].isna()) == [True]


def test_categories_and_float32_are_stored_as_what_they_stand_for(warehouse_settings):
    frame = kinds().assign(value=0.1).astype({"name": "category", "group": "category", "value": "float32"})
    warehouse = Warehouse(warehouse_settings, [KINDS])
    warehouse.replace(KINDS, frame, day=CUTOFF)
    read = warehouse.read(KINDS, name=["plain", "NULL"]).set_index("name")
    assert read.index.dtype == "str"
    assert read["group"].isna().to_dict() == {"NULL": False, "plain": True}
    assert read.loc["NULL", "value"] == float(np.float32(0.1))


def test_more_rows_than_a_batch_keep_their_order_and_number(warehouse_settings):
    rows = 45_000
    frame = pd.DataFrame({"day": pd.Timestamp(CUTOFF), "name": [f"{i:06d}" for i in range(rows)], "count": range(rows)})
    warehouse = Warehouse(warehouse_settings, [KINDS])
    warehouse.replace(KINDS, frame, day=CUTOFF)
    assert list(warehouse.read(KINDS, ["count"])["count"]) == list(range(rows))


def test_an_empty_table_is_read_with_its_types(warehouse_settings):
    read = Warehouse(warehouse_settings, [KINDS]).read(KINDS)
    assert len(read) == 0
    assert read.dtypes.astype(str).to_dict() == {
        "day": "datetime64[s]",
        "name": "str",
        "group": "str",
        "other": "datetime64[s]",
        "at": "datetime64[us, UTC]",
        "count": "Int64",
        "value": "float64",
        "good": "boolean",
    }


def test_where_takes_values_lists_and_instants(warehouse_settings):
    warehouse = Warehouse(warehouse_settings, [KINDS])
    warehouse.replace(KINDS, kinds(), day=CUTOFF)
    assert len(warehouse.read(KINDS, day=pd.Timestamp(CUTOFF))) == len(TEXTS)
    assert len(warehouse.read(KINDS, day="2026-06-29")) == 0
    assert set(warehouse.read(KINDS, name=("plain", TEXTS[-1]))["name"]) == {"plain", TEXTS[-1]}
    assert len(warehouse.read(KINDS, name=[])) == 0
    assert len(warehouse.read(KINDS, at="2026-03-29T03:30:00.123456+02:00")) == len(TEXTS) - 1
    assert list(warehouse.read(KINDS, good=False, count=-1)["name"]) == [TEXTS[2]]


def test_twice_is_once_and_another_partition_stays(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    warehouse.replace(FORECASTS, forecasts("2026-06-29"), cutoff="2026-06-29")
    for _ in range(2):
        warehouse.replace(FORECASTS, forecasts(series=("a_1", "b_1", "c_1")), cutoff=CUTOFF)
    warehouse.replace(FORECASTS, forecasts(mean=2.0), cutoff=CUTOFF)
    read = warehouse.read(FORECASTS)
    expected = pd.concat([forecasts("2026-06-29"), forecasts(mean=2.0)])
    pd.testing.assert_frame_equal(read, key_order(expected, FORECASTS))


def test_an_empty_frame_empties_the_partition(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    warehouse.replace(FORECASTS, forecasts(), cutoff=CUTOFF)
    assert warehouse.replace(FORECASTS, forecasts().head(0), cutoff=CUTOFF) == 0
    assert len(warehouse.read(FORECASTS)) == 0


def test_publish_is_all_or_nothing_when_the_database_refuses_the_second_change(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    warehouse.replace(FORECASTS, forecasts(mean=1.0), cutoff=CUTOFF)
    # The same table with a wider key: `check` lets the repeated series pass, the database's own key does not.
    blind = Table(FORECASTS.name, "", FORECASTS.columns, key=(*FORECASTS.key, "mean"), partition=("cutoff",))
    twice = pd.concat([forecasts("2026-07-01", mean=2.0), forecasts("2026-07-01", mean=3.0)])
    changes = [
        Change(FORECASTS, forecasts(mean=9.0), {"cutoff": CUTOFF}),
        Change(blind, twice, {"cutoff": date(2026, 7, 1)}),
    ]
    with pytest.raises(StoreError, match=r"(?i)unique"):
        warehouse.publish(changes)
    pd.testing.assert_frame_equal(warehouse.read(FORECASTS), key_order(forecasts(mean=1.0), FORECASTS))


def test_a_frame_that_does_not_fit_is_refused_before_anything_is_touched(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    warehouse.replace(FORECASTS, forecasts(), cutoff=CUTOFF)
    with pytest.raises(TableError, match="status"):
        warehouse.replace(FORECASTS, forecasts().assign(status=None), cutoff=CUTOFF)
    with pytest.raises(TableError, match=r"do not belong to the partition 2026-06-30.*2026-06-29"):
        warehouse.replace(FORECASTS, forecasts("2026-06-29"), cutoff=CUTOFF)
    with pytest.raises(TableError, match="is replaced by cutoff, not by unique_id"):
        warehouse.replace(FORECASTS, forecasts(), unique_id="a_1")
    pd.testing.assert_frame_equal(warehouse.read(FORECASTS), key_order(forecasts(), FORECASTS))


def test_frames_one_after_the_other_are_one_partition(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    warehouse.replace(FORECASTS, forecasts(mean=1.0), cutoff=CUTOFF)
    frames = (forecasts(series=(name,), mean=2.0) for name in ("a_1", "b_1", "c_1"))
    warehouse.publish([Stream(FORECASTS, frames, {"cutoff": CUTOFF})])
    whole = forecasts(series=("a_1", "b_1", "c_1"), mean=2.0)
    pd.testing.assert_frame_equal(warehouse.read(FORECASTS), key_order(whole, FORECASTS))


def test_a_later_frame_that_does_not_fit_leaves_everything_as_it_was(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    warehouse.replace(FORECASTS, forecasts(mean=1.0), cutoff=CUTOFF)
    for wrong, error in ((forecasts("2026-06-29"), TableError), (forecasts(series=("a_1",)), StoreError)):
        frames = iter([forecasts(mean=2.0), wrong])
        with pytest.raises(error):
            warehouse.publish([Stream(FORECASTS, frames, {"cutoff": CUTOFF})])
        pd.testing.assert_frame_equal(warehouse.read(FORECASTS), key_order(forecasts(mean=1.0), FORECASTS))


def test_latest_holds_the_newest_cutoff_only(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    assert len(warehouse.latest()) == 0
    for cutoff in ("2026-06-30", "2026-06-28", "2026-06-29"):
        warehouse.replace(FORECASTS, forecasts(cutoff), cutoff=cutoff)
    pd.testing.assert_frame_equal(warehouse.latest(), key_order(forecasts("2026-06-30"), FORECASTS))
    assert list(warehouse.latest(["mean"], unique_id="a_1")["mean"]) == [1.0, 1.0]


def test_cutoffs_are_listed_newest_first(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    assert warehouse.cutoffs() == []
    for cutoff in ("2026-06-28", "2026-06-30", "2026-06-29"):
        warehouse.replace(FORECASTS, forecasts(cutoff), cutoff=cutoff)
    assert warehouse.cutoffs() == [date(2026, 6, 30), date(2026, 6, 29), date(2026, 6, 28)]
    assert warehouse.cutoffs(before=date(2026, 6, 30), most=1) == [date(2026, 6, 29)]


def test_create_twice_makes_all_tables_once_with_comments(warehouse_settings):
    for _ in range(2):
        Warehouse(warehouse_settings).create()
    engine = sa.create_engine(warehouse_settings.url)
    inspector = sa.inspect(engine)
    schema = warehouse_settings.namespace
    assert set(inspector.get_table_names(schema=schema)) == {NUMBERED, *(table.name for table in WAREHOUSE)}
    assert sorted(inspector.get_view_names(schema=schema)) == sorted(view.name for view in VIEWS)
    assert inspector.get_pk_constraint("forecasts", schema=schema)["constrained_columns"] == list(FORECASTS.key)
    if engine.dialect.supports_comments:
        comments = {column["name"]: column["comment"] for column in inspector.get_columns("forecasts", schema=schema)}
        assert comments["mean"] == "expected demand (units a period)"
        assert inspector.get_table_comment("quality", schema=schema)["text"] == QUALITY.about
    engine.dispose()


def test_a_warehouse_of_an_older_version_gets_its_new_columns(warehouse_settings):
    before = {name: column for name, column in FORECASTS.columns.items() if name != "reason"}
    old = Table(FORECASTS.name, FORECASTS.about, before, FORECASTS.key, FORECASTS.partition)
    Warehouse(warehouse_settings, [old]).replace(old, forecasts().drop(columns="reason"), cutoff=CUTOFF)
    warehouse = Warehouse(warehouse_settings)
    pd.testing.assert_frame_equal(warehouse.latest(), key_order(forecasts(), FORECASTS))
    warehouse.replace(FORECASTS, forecasts().assign(reason="why"), cutoff=CUTOFF)
    assert list(warehouse.latest()["reason"]) == ["why"] * 4


def test_a_new_column_that_may_not_be_empty_is_an_error_that_says_what_to_do(warehouse_settings):
    before = {name: column for name, column in FORECASTS.columns.items() if name != "status"}
    old = Table(FORECASTS.name, FORECASTS.about, before, FORECASTS.key, FORECASTS.partition)
    Warehouse(warehouse_settings, [old]).replace(old, forecasts().drop(columns="status"), cutoff=CUTOFF)
    with pytest.raises(StoreError, match=r"lacks column status.*start a new warehouse"):
        Warehouse(warehouse_settings).create()
    assert len(Warehouse(warehouse_settings, [old]).read(old)) == 4


def test_many_at_once_create_the_tables_and_write_their_rows(warehouse_settings):
    row = {
        "step": "extract",
        "cutoff": CUTOFF,
        "seconds": 1.5,
        "outcome": "done",
        "started_at": datetime(2026, 7, 1, tzinfo=UTC),
        "settings": "d",
        "code": "c",
    }

    def write(number: int) -> None:
        frame = pd.DataFrame([{**row, "run_id": f"r{number}"}])
        Warehouse(warehouse_settings).replace(RUNS, frame, run_id=f"r{number}", step="extract")

    in_threads(write, range(6))
    assert list(Warehouse(warehouse_settings).read(RUNS)["run_id"]) == [f"r{number}" for number in range(6)]


def test_writers_of_the_same_cutoff_never_mix(warehouse_settings):
    Warehouse(warehouse_settings).create()
    # Different series as well: without a lock both would stay, and no key would be violated.
    vintages = {1.0: ("a_1", "b_1"), 2.0: ("c_1", "d_1"), 3.0: ("e_1",)}

    def write(mean: float) -> None:
        for _ in range(5):
            frame = forecasts(series=vintages[mean], mean=mean)
            Warehouse(warehouse_settings).replace(FORECASTS, frame, cutoff=CUTOFF)

    in_threads(write, vintages)
    read = Warehouse(warehouse_settings).read(FORECASTS)
    (winner,) = read["mean"].unique()
    assert tuple(read["unique_id"].unique()) == vintages[winner]
    assert len(read) == 2 * len(vintages[winner])


def test_readers_see_the_old_vintage_while_the_new_one_is_written(warehouse_settings):
    warehouse = Warehouse(warehouse_settings)
    warehouse.replace(FORECASTS, forecasts(mean=1.0), cutoff=CUTOFF)
    with warehouse._begin(write=True) as connection:
        connection.execute(sa.delete(warehouse._relation(FORECASTS)))
        assert len(Warehouse(warehouse_settings).latest()) == 4
    assert len(warehouse.latest()) == 0


def test_unknown_columns_and_tables_are_named(warehouse_settings):
    warehouse = Warehouse(warehouse_settings, [FORECASTS])
    with pytest.raises(StoreError, match="forecasts has no column cutof; it has: cutoff"):
        warehouse.read(FORECASTS, cutof=CUTOFF)
    with pytest.raises(StoreError, match="no table backtests; it has: forecasts"):
        warehouse.read(BACKTESTS)


def test_an_unreachable_server_is_an_error_without_the_password():
    settings = WarehouseSettings(url="postgresql://planner:hush-hush@127.0.0.1:1/demand")
    with pytest.raises(StoreError, match=r"postgresql\+psycopg://planner:\*\*\*@127.0.0.1:1/demand") as raised:
        Warehouse(settings).create()
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("url", ["mysql://user:hush@host/db", "sqlite://", "warehouse.db"])
def test_a_url_that_we_cannot_serve_says_what_is_allowed(url):
    with pytest.raises(StoreError, match="postgresql://user@host:5432/database") as raised:
        Warehouse(WarehouseSettings(url=url))
    assert "hush" not in str(raised.value)


def test_a_plain_postgresql_url_is_enough(postgres_url):
    plain = postgres_url.replace("+psycopg", "")  # in a schema of its own: other tests have tables of the same names
    assert Warehouse(WarehouseSettings(url=plain, schema="plain")).cutoffs() == []


def test_the_folder_of_the_file_is_made_and_a_file_in_its_way_is_an_error(tmp_path):
    Warehouse(WarehouseSettings(url=f"sqlite:///{tmp_path}/deep/er/w.db")).create()
    assert (tmp_path / "deep/er/w.db").is_file()
    (tmp_path / "taken").write_text("not a folder")
    with pytest.raises(StoreError, match="taken"):
        Warehouse(WarehouseSettings(url=f"sqlite:///{tmp_path}/taken/w.db")).create()


def in_threads(work, arguments) -> None:
    """Call `work` with each argument, all at once; the first failure is raised."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        for done in [pool.submit(work, argument) for argument in arguments]:
            done.result(timeout=60)
