"""One whole night by the real DAGs, executed by Airflow, twice: the tables are right, and the same."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.sources.demo import database
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import BACKTESTS, FORECASTS, HEALTH, QUALITY, QUARANTINE, RUNS, SCORES, SERIES_SCORES
from tests.support.shops import ROOT, small_shop

# Airflow and its web framework warn about their own use of other libraries, also while a task runs.
pytestmark = pytest.mark.filterwarnings("ignore")

FIRST, SECOND = date(2026, 6, 30), date(2026, 7, 1)
CHAIN = ("extract", "train", "forecast", "monitor")
EXPORTS = ("export_forecasts", "export_orders", "export_scores")
BESIDE = ("alerts", "drift", "exceptions", *EXPORTS, "health", "replenish", "report", "retention")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    path = small_shop(tmp_path_factory.mktemp("shop"))
    settings = configuration.load(path)
    database.create(settings)
    return path, settings


@pytest.fixture(autouse=True)
def configured(shop: tuple[Path, Settings], monkeypatch: pytest.MonkeyPatch, airflow_database: None) -> None:
    monkeypatch.setenv("FORECASTING_CONF", str(shop[0]))


def run(dagbag, name: str, moment: int, **params: object):
    return dagbag.dags[name].test(logical_date=datetime(2026, 8, 1, 0, moment, tzinfo=UTC), run_conf=params)


def tables(settings: Settings) -> dict[str, pd.DataFrame]:
    """What a reader sees, without the name of the run and the clock."""
    warehouse = Warehouse(settings.warehouse)
    found = {}
    for table in (FORECASTS, BACKTESTS, QUALITY, QUARANTINE, SCORES):
        frame = warehouse.read(table).drop(columns="run_id")
        found[table.name] = frame.sort_values(list(table.key)).reset_index(drop=True)
    return found


def test_a_night_from_sales_to_forecasts(dagbag, shop: tuple[Path, Settings]) -> None:
    settings = shop[1]
    for number, name in enumerate(CHAIN):
        assert run(dagbag, name, number, cutoff=FIRST.isoformat()).state == "success"
    warehouse = Warehouse(settings.warehouse)
    forecasts = warehouse.read(FORECASTS)
    series = Lake(settings.lake).read_panel(FIRST).unique_ids
    assert len(series) > 5
    assert set(forecasts["unique_id"]) == set(series)
    assert len(forecasts) == len(series) * settings.panel.horizon
    assert set(forecasts["status"]) <= {"ok", "fallback", "insufficient", "discontinued"}
    assert forecasts["ds"].min() == pd.Timestamp("2026-07-01")
    assert (forecasts["p05"] <= forecasts["p50"]).all()
    assert (forecasts["p50"] <= forecasts["p95"]).all()
    assert forecasts["model_version"].unique().tolist() == ["1"]
    quality = warehouse.read(QUALITY)
    assert ((quality["clean"] + quality["quarantined"]) == quality["read"]).where(quality["rule"] == "all", True).all()
    sales = quality[(quality["table"] == "sales") & (quality["rule"] == "all")].iloc[0]
    quarantine = warehouse.read(QUARANTINE)
    assert int(sales["quarantined"]) == int((quarantine["table"] == "sales").sum()) > 0
    backtests = warehouse.read(BACKTESTS)
    assert backtests["fold"].nunique() == 3
    assert set(backtests["model"]) >= {"seasonal_naive", "seasonal_mean", "lightgbm"}
    runs = warehouse.read(RUNS)
    assert sorted(runs["step"]) == sorted([*CHAIN, *BESIDE])
    assert set(runs.loc[~runs["step"].isin(EXPORTS), "outcome"]) == {"done"}
    assert set(runs.loc[runs["step"].isin(EXPORTS), "outcome"]) == {"skipped"}  # there is no [export]
    health = warehouse.latest(of=HEALTH).set_index("sign")
    counted = health.loc["failed_runs_ever", "message"].rsplit("; ")[1]  # Airflow's own count, through the task
    assert int(counted.removesuffix(" succeeded").replace(",", "")) >= 3
    assert not health.loc[["lead_hours", "nights_missed", "quarantined_share", "waiting"], "breached"].any()


def test_its_steps_tell_openlineage_what_they_read_and_wrote(shop: tuple[Path, Settings]) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="pip install 'forecasting[lineage]' to run this test")
    settings = shop[1]
    told = events()
    tasks = ("extract.read_and_screen_sales", "train.train_and_judge", "forecast.publish_vintage")
    read, written = ({job: ends[side] for job, ends in told.items()} for side in ("inputs", "outputs"))
    lake, warehouse = Path(settings.lake.path).absolute(), f"sqlite://{Path(settings.lake.path).parent}/warehouse.db"
    source = settings.sources["shop"].url.replace("sqlite:///", "sqlite://")
    extract, train, forecast = tasks
    assert (source, "transactions") in read[extract]
    assert {name for _, name in read[extract]} >= {"items", "shops", "prices", "promotions", "holidays", "weather"}
    snapshot, panel = Lake(settings.lake).snapshot(FIRST), ("file", f"{lake}/panels")
    sales = written[extract]["file", f"{lake}/sales"]
    assert sales["version"]["datasetVersion"] == "0"
    assert [(tag["key"], tag["value"]) for tag in sales["tags"]["tags"]] == [("sha256", snapshot.digest)]
    assert [column["name"] for column in sales["schema"]["fields"]] == ["item", "store", "ds", "y"]
    assert {name for _, name in written[extract]} == {
        *(f"{lake}/{name}" for name in ("sales", "panels", *snapshot.versions)), "quality", "quarantine"
    }  # fmt: skip
    assert set(read[train]) == {panel}
    assert read[train][panel]["version"]["datasetVersion"] == snapshot.id
    model = next(key for key in written[train] if key[1] == "models/demand")
    made = Registry(settings.mlflow).version("1")
    assert written[train][model]["version"]["datasetVersion"] == "1"
    assert written[train][model]["tags"]["tags"][0]["value"] == made.tags["manifest"]
    assert set(read[forecast]) == {panel, model}
    assert {(warehouse, name) for name in ("forecasts", "forecast_levels", "forecast_sums")} <= set(written[forecast])
    assert written[forecast][warehouse, "forecasts"]["documentation"]["description"] == FORECASTS.about
    assert (warehouse, "forecasts") in read["monitor.score_past_vintages"]
    assert (warehouse, "scores") in written["monitor.score_past_vintages"]


def events() -> dict[str, dict[str, dict[tuple[str, str], dict]]]:
    """Facets of the data sets of every task, {job: {"inputs" | "outputs": {(namespace, name): facets}}}."""
    found: dict[str, dict[str, dict[tuple[str, str], dict]]] = {}
    for line in (Path(os.environ["AIRFLOW_HOME"]) / "lineage.jsonl").read_text().splitlines():
        event = json.loads(line)
        job = found.setdefault(event["job"]["name"], {"inputs": {}, "outputs": {}})
        for side, data in job.items():
            data |= {(one["namespace"], one["name"]): one["facets"] for one in event.get(side, ())}
    return found


def test_the_same_night_again_leaves_the_same_rows(dagbag, shop: tuple[Path, Settings]) -> None:
    before = tables(shop[1])
    for number, name in enumerate(CHAIN):
        assert run(dagbag, name, 10 + number, cutoff=FIRST.isoformat()).state == "success"
    after = tables(shop[1])
    for name, frame in before.items():
        pd.testing.assert_frame_equal(frame, after[name])


def test_the_next_night_uses_the_champion_and_scores_the_last_vintage(dagbag, shop: tuple[Path, Settings]) -> None:
    settings = shop[1]
    database.advance(settings, SECOND)
    for number, name in enumerate(CHAIN):
        assert run(dagbag, name, 20 + number, cutoff=SECOND.isoformat()).state == "success"
    warehouse = Warehouse(settings.warehouse)
    assert warehouse.cutoffs() == [SECOND, FIRST]
    assert set(warehouse.latest()["cutoff"]) == {pd.Timestamp(SECOND)}
    assert warehouse.read(FORECASTS, cutoff=pd.Timestamp(SECOND))["model_version"].unique().tolist() == ["1"]
    scores = warehouse.read(SCORES)
    assert set(scores["cutoff"]) == {pd.Timestamp(FIRST)}
    assert {"wape", "bias", "mase", "coverage", "pinball", "naive_wape", "value_added"} == set(scores["metric"])
    assert {"total", "demand_class", "volume_class"} <= set(scores["level"])
    series = warehouse.read(SERIES_SCORES, scored_at=pd.Timestamp(SECOND))
    assert 5 < len(series) <= len(Lake(settings.lake).read_panel(SECOND).unique_ids)


def test_some_series_can_be_forecast_again_and_the_rest_of_the_vintage_stays(dagbag, shop) -> None:
    warehouse = Warehouse(shop[1].warehouse)
    before = warehouse.read(FORECASTS, cutoff=pd.Timestamp(SECOND))
    name = str(before["unique_id"].iloc[0])
    assert run(dagbag, "forecast", 30, cutoff=SECOND.isoformat(), series=[name]).state == "success"
    after = warehouse.read(FORECASTS, cutoff=pd.Timestamp(SECOND))
    assert len(after) == len(before)
    renewed = after.loc[after["run_id"] != before["run_id"].iloc[0], "unique_id"].unique()
    assert renewed.tolist() == [name]


def test_a_night_without_sales_stops_before_anything_is_published(dagbag, shop: tuple[Path, Settings]) -> None:
    before = tables(shop[1])["forecasts"]
    late = run(dagbag, "extract", 40, cutoff="2026-07-20")
    assert late.state == "failed"
    pd.testing.assert_frame_equal(tables(shop[1])["forecasts"], before)
    stopped = Warehouse(shop[1].warehouse).read(QUALITY, cutoff=pd.Timestamp("2026-07-20"))
    assert not stopped.loc[stopped["rule"] == "freshness", "passed"].any()


def test_a_training_that_fails_turns_its_run_red_and_the_champion_still_forecasts(dagbag, shop, monkeypatch) -> None:
    monkeypatch.setenv("FORECASTING__TRAIN__MODELS", '["oracle"]')  # there is no such model
    failed = run(dagbag, "train", 50, cutoff=SECOND.isoformat(), force=True)
    assert failed.state == "failed"
    states = {one.task_id: one.state for one in failed.get_task_instances()}
    assert states == {
        "is_training_due": "success",
        "train_and_judge": "failed",
        "ask_for_approval": "upstream_failed",
        "hand_over_champion": "success",
        "report_failed_training": "failed",
    }
    assert run(dagbag, "forecast", 51, cutoff=SECOND.isoformat()).state == "success"
    runs = Warehouse(shop[1].warehouse).read(RUNS, cutoff=pd.Timestamp(SECOND))
    why = runs.loc[(runs["step"] == "train") & (runs["outcome"] == "failed"), "message"]
    assert why.str.contains("oracle").any()


@pytest.mark.parametrize("how", ["form", "setting"])
def test_a_training_that_is_not_due_is_done_where_it_is_asked_for(how: str, shop, monkeypatch) -> None:
    from airflow.dag_processing.dagbag import DagBag

    dagbag = DagBag(str(ROOT / "dags"))  # anew: `test` leaves the params of a run behind as defaults
    moment, registry = {"form": 52, "setting": 54}[how], Registry(shop[1].mlflow)
    before = len(registry.versions())
    idle = run(dagbag, "train", moment, cutoff=SECOND.isoformat())
    assert {one.task_id: one.state for one in idle.get_task_instances()}["train_and_judge"] == "skipped"
    assert len(registry.versions()) == before
    if how == "setting":
        monkeypatch.setenv("FORECASTING__TRAIN__FORCE", "true")
    asked = run(dagbag, "train", moment + 1, cutoff=SECOND.isoformat(), **({"force": True} if how == "form" else {}))
    assert asked.state == "success"
    assert {one.task_id: one.state for one in asked.get_task_instances()}["train_and_judge"] == "success"
    assert len(registry.versions()) == before + 1


def test_started_by_hand_without_a_cutoff_it_does_the_newest_night(shop: tuple[Path, Settings]) -> None:
    from airflow.dag_processing.dagbag import DagBag

    dagbag = DagBag(str(ROOT / "dags"))  # anew: `test` leaves the params of a run behind as defaults
    third = date(2026, 7, 2)
    for number, name in enumerate(CHAIN):
        assert run(dagbag, name, number + 56).state == "success"
    assert Warehouse(shop[1].warehouse).cutoffs()[0] == third
    assert database.next_cutoff(shop[1]) == third
