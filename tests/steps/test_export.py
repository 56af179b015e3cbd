"""Tables of a night as files, and `forecasting.read`: what notebooks and other systems get is what the tables hold."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from forecasting import read
from forecasting import settings as configuration
from forecasting.__main__ import main
from forecasting.data.tables import FORECASTS
from forecasting.errors import SettingsError, StoreError, TableError
from forecasting.sections import ExportSettings
from forecasting.settings import Settings
from forecasting.steps.demo import tonight
from forecasting.steps.export import export
from forecasting.steps.extract import extract
from forecasting.steps.replenish import replenish
from forecasting.steps.run import Run
from forecasting.steps.train import train
from forecasting.stores.warehouse import Warehouse
from tests.shops import small_shop
from tests.steps.test_night import forecast

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
    assert read.cutoffs(path) == [FIRST]
    rows = read.latest(name, path)
    assert (len(rows), set(rows["unique_id"])) == (settings.panel.horizon, {name})
    assert (rows["final"] == rows["mean"]).all()
    assert len(read.latest([name, "BAK-001_S02"], path)) == 2 * settings.panel.horizon
    assert read.forecasts("2026-06-30", name, path)["mean"].tolist() == rows["mean"].tolist()
    total = read.levels("total", path)
    assert total["mean"].sum() == pytest.approx(read.latest(conf=path)["mean"].sum(), rel=1e-5)
    sold = read.history(name, path)
    assert sold["ds"].iloc[-1] == pd.Timestamp(FIRST)
    assert sold["y"].sum() > 0
    assert len(read.replenishment(conf=path)) == 10
    assert read.overrides(conf=path).empty
    assert read.scores(conf=path).empty
    assert read.series_scores(conf=path).empty
    assert read.table("runs", path, step="forecast")["run_id"].tolist() == ["night"]
    long = read.table("forecasts_long", path, level="total", measure="mean")
    assert long["value"].tolist() == total["mean"].tolist()
    with pytest.raises(TableError, match="There is no series 'CAKE'"):
        read.history("CAKE", path)
    with pytest.raises(TableError, match="no table or view 'orders'"):
        read.table("orders", path)
