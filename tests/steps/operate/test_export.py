"""Tables of a night as files, and `forecasting.read`: what notebooks and other systems get is what the tables hold."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest

from forecasting.__main__ import main
from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import ExportSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import SettingsError, StoreError, TableError
from forecasting.reporting import notebook
from forecasting.steps.forecast.replenish import replenish
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.operate import export as steps
from forecasting.steps.operate.export import export
from forecasting.steps.run import Run
from forecasting.steps.train.train import train
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import OVERRIDES
from forecasting.tables.warehouse import ALERTS, EXCEPTIONS, FORECASTS, HEALTH, RUNS
from tests.steps.test_night import forecast
from tests.support.shops import small_shop

FIRST = date(2026, 6, 30)
CHEAP = {"train__models": ["seasonal_mean"], "train__blend": False, "train__folds": 1}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    folder = tmp_path_factory.mktemp("export")
    path = small_shop(folder, **CHEAP, export__path=str(folder / "out"))
    settings, run = configuration.load(path), Run("night")
    cutoff = tonight(settings)
    extract(settings, cutoff, run)
    train(settings, cutoff, run)
    forecast(settings, cutoff)
    replenish(settings, cutoff, run)
    return path, settings


def exported(settings: Settings, **changes: object) -> dict[str, object]:
    wanted = ExportSettings.model_validate({"path": settings.export.path} | changes)
    return export(settings.model_copy(update={"export": wanted}), FIRST, Run("night"))


def test_files_hold_what_the_tables_hold_and_twice_is_once(shop):
    _, settings = shop
    for _ in range(2):
        facts = exported(settings)
    place = Path(str(facts["place"]))
    assert sorted(file.name for file in place.iterdir()) == ["forecasts_latest.parquet", "replenishment_latest.parquet"]
    found = pd.read_parquet(place / "forecasts_latest.parquet")
    latest = Warehouse(settings.warehouse).latest()
    assert found["mean"].tolist() == latest["mean"].tolist()
    assert found["final"].tolist() == latest["mean"].tolist()
    assert facts["rows"] == len(latest) + latest["unique_id"].nunique()


def test_csv_has_plain_days(shop):
    _, settings = shop
    facts = exported(settings, format="csv", tables=["forecasts", "health"])
    lines = (Path(str(facts["place"])) / "forecasts.csv").read_text().splitlines()
    assert lines[0].startswith("cutoff,unique_id,ds,horizon,mean,p05")
    assert lines[1].startswith("2026-06-30,BAK-001_S01,2026-07-01,1,")
    assert len(lines) == 1 + len(Warehouse(settings.warehouse).read(FORECASTS))
    assert (Path(str(facts["place"])) / "health.csv").read_text().count("\n") == 1  # a head and no rows


def test_csv_has_instants_to_the_microsecond_in_utc_and_no_formula(shop):
    _, settings = shop
    told = "=HYPERLINK(1)"
    row = {"id": "one", "version": 1, "level": "series", "name": "-1", "kind": "absolute", "value": -1.5, "by": "ann"}
    row |= {"start": FIRST, "end": FIRST, "reason": told, "cutoff": FIRST, "state": "active", "note": None}
    row |= {"at": datetime(2026, 7, 1, 5, 4, 3, 21, tzinfo=timezone(timedelta(hours=2))), "expires": pd.NaT}
    frame = pd.DataFrame([row]).astype(dict.fromkeys(("start", "end", "cutoff", "expires"), "datetime64[s]"))
    warehouse = Warehouse(settings.warehouse)
    warehouse.replace(OVERRIDES, frame, id="one", version=1)
    try:
        place = Path(str(exported(settings, format="csv", tables=["overrides"])["place"]))
        exported(settings, tables=["overrides"])
    finally:
        warehouse.remove([(OVERRIDES, {"id": "one"})])
    found = pd.read_csv(place / "overrides.csv", dtype=str).iloc[0]
    assert found["at"] == "2026-07-01T03:04:03.000021Z"
    assert (found["start"], found["value"]) == ("2026-06-30", "-1.5")
    assert (found["reason"], found["name"]) == (f"'{told}", "'-1")
    assert found[["note", "expires"]].isna().all()
    assert pd.read_parquet(place / "overrides.parquet")["reason"].tolist() == [told]  # which no spreadsheet runs


def test_each_table_goes_when_its_rows_of_the_night_are_there(shop):
    _, settings = shop
    wanted = ExportSettings(path=settings.export.path + "/parts", tables=(*steps.KNOWN,))
    settings = settings.model_copy(update={"export": wanted})
    before, files = set(), {}
    for part in (steps.forecasts, steps.orders, steps.scores):
        place = Path(str(part(settings, FIRST, Run("night"))["place"]))
        there = {file.stem for file in place.iterdir()}
        files[part.__name__], before = there - before, there
    assert {"forecasts", "forecasts_latest", "forecasts_long", "quality", "overrides_current"} <= files["forecasts"]
    assert files["orders"] == {"replenishment", "replenishment_latest"}
    assert {"scores", "exceptions", "drift", "health", "alerts", "runs"} <= files["scores"]
    runs = Warehouse(settings.warehouse).read(RUNS, run_id="night")
    assert {"export_forecasts", "export_orders", "export_scores"} <= set(runs["step"])


def test_the_file_of_an_older_night_stays_when_a_view_is_of_a_newer_one(shop):
    _, settings = shop
    facts = exported(settings)
    file = Path(str(facts["place"])) / "forecasts_latest.parquet"
    before, warehouse = file.read_bytes(), Warehouse(settings.warehouse)
    newer = pd.Timestamp(FIRST) + pd.Timedelta(days=1)
    warehouse.replace(FORECASTS, warehouse.read(FORECASTS).assign(cutoff=newer), cutoff=newer)
    try:
        assert exported(settings)["files"] == 1  # replenishment_latest is still of this night
    finally:
        warehouse.remove([(FORECASTS, {"cutoff": newer})])
    assert file.read_bytes() == before


def test_a_night_exports_its_own_scores_and_goes_on_where_orders_fail(tmp_path, capsys):
    """The second night scores the first one; lead times that are no numbers stop the orders and nothing else."""
    tables = ["forecasts_latest", "replenishment_latest", "scores", "exceptions", "health"]
    path = small_shop(tmp_path, **CHEAP, export__path=str(tmp_path / "out"), export__tables=tables)
    second = FIRST + timedelta(days=1)
    assert main(["demo", "--conf", str(path)]) == 0
    assert main(["run", "--conf", str(path), "--cutoff", str(FIRST)]) == 0
    assert main(["demo", "--conf", str(path), "--days", "1"]) == 0
    capsys.readouterr()
    wrong = ["--set", "planning.attributes={lead_time='category'}"]
    assert main(["run", "--conf", str(path), "--cutoff", str(second), "--json", *wrong]) == 1
    said = capsys.readouterr()
    night = json.loads(said.out)
    assert "PlanningError" in night["failed"]["replenish"]
    assert re.search("replenish +failed: PlanningError", said.err)
    place = tmp_path / "out" / f"cutoff={second}"
    assert {file.stem for file in place.iterdir()} == {"forecasts_latest", "scores", "exceptions", "health"}
    scores = pd.read_parquet(place / "scores.parquet")
    assert (set(scores["cutoff"]), set(scores["scored_at"])) == ({pd.Timestamp(FIRST)}, {pd.Timestamp(second)})
    warehouse = Warehouse(configuration.load(path).warehouse)
    assert len(pd.read_parquet(place / "exceptions.parquet")) == len(warehouse.read(EXCEPTIONS, cutoff=second))
    assert len(pd.read_parquet(place / "health.parquet")) == len(warehouse.read(HEALTH, cutoff=second)) > 0
    alerts = warehouse.read(ALERTS, name="night")
    assert (alerts["subject"].tolist(), alerts["closed"].notna().tolist()) == (["replenish"], [False])


def test_a_bucket_takes_them_too(shop):
    import fsspec

    _, settings = shop
    exported(settings, path="memory://planning/out", tables=["runs"])
    files = fsspec.filesystem("memory").ls("/planning/out/cutoff=2026-06-30", detail=False)
    assert files == ["/planning/out/cutoff=2026-06-30/runs.parquet"]


def test_what_cannot_be_exported_is_said(shop, tmp_path):
    _, settings = shop
    with pytest.raises(SettingsError, match=r"export.tables: there is no orders; there are: alerts"):
        exported(settings, tables=["orders"])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot be written: .*Is export.path right"):
        exported(settings, path=str(tmp_path / "file"))
    assert export(settings.model_copy(update={"export": None}), FIRST, Run("none"))["files"] == 0


def test_on_the_command_line(shop, capsys):
    path, _ = shop
    assert main(["export", "--conf", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 2


def test_a_notebook_reads_frames(shop):
    path, settings = shop
    name = "BAK-001_S01"
    assert notebook.cutoffs(path) == [FIRST]
    rows = notebook.latest(name, path)
    assert (len(rows), set(rows["unique_id"])) == (settings.panel.horizon, {name})
    assert (rows["final"] == rows["mean"]).all()
    assert len(notebook.latest([name, "BAK-001_S02"], path)) == 2 * settings.panel.horizon
    assert notebook.forecasts("2026-06-30", name, path)["mean"].tolist() == rows["mean"].tolist()
    total = notebook.levels("total", path)
    assert total["mean"].sum() == pytest.approx(notebook.latest(conf=path)["mean"].sum(), rel=1e-5)
    sold = notebook.history(name, path)
    assert sold["ds"].iloc[-1] == pd.Timestamp(FIRST)
    assert sold["y"].sum() > 0
    assert len(notebook.replenishment(conf=path)) == 10
    assert notebook.overrides(conf=path).empty
    assert notebook.scores(conf=path).empty
    assert notebook.series_scores(conf=path).empty
    assert notebook.table("runs", path, step="forecast")["run_id"].tolist() == ["night"]
    long = notebook.table("forecasts_long", path, level="total", measure="mean")
    assert long["value"].tolist() == total["mean"].tolist()
    with pytest.raises(TableError, match="There is no series 'CAKE'"):
        notebook.history("CAKE", path)
    with pytest.raises(TableError, match="no table or view 'orders'"):
        notebook.table("orders", path)
