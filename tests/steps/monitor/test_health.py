"""The step: what a real deployment's tables say of its nights, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import StoreError
from forecasting.evaluation.health import AirflowFacts
from forecasting.sources.demo import database
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.health import check
from forecasting.steps.run import Run, record
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import HEALTH, RUNS
from tests.steps.test_night import night
from tests.support.shops import small_shop


@pytest.fixture
def settings(tmp_path: Path, warehouse_settings: WarehouseSettings) -> Settings:
    path = small_shop(tmp_path, train__models=["seasonal_naive", "seasonal_mean"])
    return configuration.load(path).model_copy(update={"warehouse": warehouse_settings})


def signs(settings: Settings) -> pd.DataFrame:
    return Warehouse(settings.warehouse).latest(of=HEALTH).set_index("sign")


def test_a_night_has_a_row_for_every_sign_and_the_view_the_newest(settings: Settings) -> None:
    first = tonight(settings)
    night(settings, first)
    facts = check(settings, first, Run("night"), airflow=AirflowFacts({"extract": 1}, {"extract": 2}))
    found = signs(settings)
    assert set(found.index) - {"failed_runs_ever"} == set(type(settings.health).model_fields) - {"publish_by", "days"}
    assert facts["rows"] == len(found)
    assert facts["breached"] == []
    assert facts["wape"] is None
    assert 0 < found.loc["lead_hours", "value"] < 1
    assert 0 < found.loc["quarantined_share", "value"] < 0.02
    assert found.loc["champion_days", "value"] == 0
    assert found.loc["fallback_share", "message"].startswith("0 of ")
    assert found.loc["failed_runs_ever", "value"] == 1
    assert pd.isna(found.loc["failed_runs", "value"])
    assert pd.isna(found.loc["failed_runs_ever", "threshold"])
    assert found["trend"].isna().all()

    # The night after next: one is missing, Airflow has seen two more failures, a challenger waits.
    third = first + timedelta(days=2)
    database.advance(settings, third)
    night(settings, third, "third")
    Registry(settings.mlflow).mark("1", "waiting", "for this test")
    told: list[str] = []
    facts = check(settings, third, Run("third"), told.append, AirflowFacts({"extract": 3}))
    assert facts["breached"] == ["nights_missed", "waiting", "failed_runs"]
    assert told[0] == f"nights_missed: no vintage of {first + timedelta(days=1)} (limit 0 nights)"
    assert 0 < facts["wape"] < 2
    found = signs(settings)
    assert set(found["cutoff"]) == {pd.Timestamp(third)}
    assert found.loc["champion_days", "value"] == 2
    assert found.loc["failed_runs", "value"] == 2
    assert found.loc["waiting", "message"] == "waiting for a person: version 1 for 2 days"
    # Without Airflow its signs stay as they were last seen.
    check(settings, third, Run("by hand"))
    assert set(Warehouse(settings.warehouse).read(HEALTH, cutoff=pd.Timestamp(third))["run_id"]) == {"by hand"}
    assert signs(settings).loc["failed_runs_ever", "cutoff"] == pd.Timestamp(first)


def test_twice_is_once_but_for_the_work_done_twice(settings: Settings) -> None:
    first = tonight(settings)
    night(settings, first, "once")
    check(settings, first, Run("once"))
    once = signs(settings)
    assert once.loc["rework", "value"] == 0
    night(settings, first, "twice")
    check(settings, first, Run("twice"))
    again = signs(settings)
    assert again.loc["rework", "message"] == "1 readings again, 1 forecasts again"
    same = ["lead_hours", "nights_missed", "nights_late", "champion_days", "quarantined_share", "fallback_share"]
    pd.testing.assert_frame_equal(once.loc[same].drop(columns="run_id"), again.loc[same].drop(columns="run_id"))


def test_a_night_nobody_has_extracted_says_so_and_does_not_fail(settings: Settings) -> None:
    first = tonight(settings)
    facts = check(settings, first, Run("early"))
    assert facts["breached"] == []
    found = signs(settings)
    assert found.loc["champion_days", "message"] == "there is no champion yet"
    assert found.loc["quarantined_share", "message"] == "nothing was read"


def test_a_step_that_is_tried_again_in_its_run_is_counted(settings: Settings) -> None:
    first = tonight(settings)
    for _ in range(2):
        with pytest.raises(StoreError), record(settings, Run("tried"), "train", first):
            raise StoreError("the database is away")
    extract(settings, first, Run("tried"))
    attempts = Warehouse(settings.warehouse).read(RUNS).set_index("step")["attempt"]
    assert attempts.to_dict() == {"train": 2, "extract": 1}
    check(settings, first, Run("tried"))
    assert signs(settings).loc["retries", "value"] == 1
    assert signs(settings).loc["failed_steps", "breached"]
