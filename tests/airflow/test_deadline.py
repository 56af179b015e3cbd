"""The promise of a night: which cutoff it waits for, and which one an alert names where the forecasts do not come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.sources.demo import database
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.run import Run
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import ALERTS, FORECASTS
from tests.support.shops import small_shop

# Airflow and its web framework warn about their own use of other libraries, also while a task runs.
pytestmark = pytest.mark.filterwarnings("ignore")
# 00:30 of the 2nd in Berlin: the night after the sales of the 1st, though it is still the 1st in UTC.
NIGHT = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_database: None) -> Settings:
    path = small_shop(tmp_path, extract__timezone="Europe/Berlin")
    monkeypatch.setenv("FORECASTING_CONF", str(path))
    return configuration.load(path)


@pytest.fixture
def late(settings: Settings) -> Callable[..., list[str]]:
    """Airflow calls after a missed deadline, with the run as JSON; the messages of the alerts that are there then."""
    from forecasting.airflow.deadline import report_late

    def call(**run: object) -> list[str]:
        stated = {"dag_id": "promise", "dag_run_id": "one", "run_type": "scheduled", "conf": {}}
        stated |= {"logical_date": NIGHT.isoformat(), "run_after": NIGHT.isoformat()}
        report_late({"dag_run": stated | run})
        return list(Warehouse(settings.warehouse).read(ALERTS, name="late")["message"])

    return call


def test_a_missed_promise_names_the_night_s_own_cutoff(late):
    (message,) = late()
    assert message.startswith("no forecasts of 2026-07-01 by 3 h after the night's start; the newest are of no night")


def test_a_cutoff_that_was_asked_for_is_the_one(late):
    (message,) = late(run_type="manual", logical_date=None, conf={"cutoff": "2026-06-15"})
    assert message.startswith("no forecasts of 2026-06-15 ")


def test_forecasts_that_came_in_the_last_minute_are_not_late(late, settings):
    columns = {name: 1.0 if one.kind == "number" else 1 if one.kind == "integer" else "x"
               for name, one in FORECASTS.columns.items()}  # fmt: skip
    row = columns | {"cutoff": pd.Timestamp("2026-07-01"), "ds": pd.Timestamp("2026-07-02"), "status": "ok"}
    Warehouse(settings.warehouse).replace(FORECASTS, pd.DataFrame([row]), cutoff=pd.Timestamp("2026-07-01"))
    assert late() == []


def test_waiting_by_hand_for_the_demo_s_next_night_moves_nothing(late, settings):
    """However often the sensor looks, and although the night has read its sales meanwhile."""
    from forecasting.airflow.orchestration import cutoff_of

    first = tonight(settings)
    run = {"run_type": "manual", "logical_date": None, "run_after": datetime.now(UTC)}
    waiting = SimpleNamespace(dag_id="promise", partition_key=None, **run)
    context = {"params": {}, "dag_run": waiting}
    assert cutoff_of(context, settings, from_source=True) == first
    extract(settings, first, Run("night"))
    assert cutoff_of(context, settings, from_source=True) == first
    (message,) = late(**run | {"run_after": waiting.run_after.isoformat()})
    assert message.startswith(f"no forecasts of {first} ")
    assert database.next_cutoff(settings) == first == date(2026, 6, 30)
    waiting.run_after += timedelta(days=1)
    assert cutoff_of(context, settings, from_source=True) == first + timedelta(days=1)
