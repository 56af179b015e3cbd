"""A running Airflow: a challenger waits for its approver, is approved by REST, forecasts, and is rolled back again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
import requests

from forecasting import settings as configuration
from forecasting.data.tables import FORECASTS, FORECASTS_WITHDRAWN, MODEL_PROMOTIONS
from forecasting.launcher.client import Client
from forecasting.launcher.server import Airflow, airflow
from forecasting.settings import Settings
from forecasting.sources import demo
from forecasting.steps.demo import tonight
from forecasting.stores.warehouse import Warehouse
from tests.shops import small_shop
from tests.steps.test_night import night

PATIENCE = 120
PENDING = "dags/~/dagRuns/~/hitlDetails?response_received=false"


def week_old_shop(folder: Path, hours: float) -> tuple[Path, Settings, date]:
    """A shop whose first night was a week ago, by the weaker model; a person must approve what comes after it."""
    path = small_shop(
        folder, demo__items=20, demo__stores=4, train__models=["seasonal_mean", "lightgbm"],
        train__approval="person", train__approvers=["lead"], train__approval_hours=hours,
    )  # fmt: skip
    weak = configuration.load(path, ["train.models=['seasonal_naive']"])
    first = tonight(weak)
    night(weak, first, "first")
    last = first + timedelta(days=7)
    demo.advance(weak, last)
    return path, configuration.load(path), last


class Person:
    """Somebody who is logged in and speaks REST."""

    def __init__(self, server: Airflow, name: str) -> None:
        self.url = server.url
        password = json.loads((server.home / "passwords.json").read_text())[name]
        answer = requests.post(f"{server.url}/auth/token", json={"username": name, "password": password}, timeout=30)
        self.login = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def ask(self, path: str) -> dict:
        answer = requests.get(f"{self.url}/api/v2/{path}", headers=self.login, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def answer(self, detail: dict, choice: str, note: str | None = None) -> int:
        task = detail["task_instance"]
        place = f"dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/-1/hitlDetails"
        body = {"chosen_options": [choice], "params_input": {"note": note}}
        return requests.patch(f"{self.url}/api/v2/{place}", json=body, headers=self.login, timeout=30).status_code


def until(server: Airflow, what: str, there: Callable[[], object]) -> object:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        server.check_alive()
        if found := there():
            return found
        time.sleep(0.5)
    pytest.fail(f"{what} within {PATIENCE} s did not happen:\n{server.log.read_text()[-4000:]}")


def versions(settings: Settings, cutoff: date) -> set[str]:
    return set(Warehouse(settings.warehouse).read(FORECASTS, cutoff=pd.Timestamp(cutoff), horizon=1)["model_version"])


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what other tests have set for Airflow."""
    for name in ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "FORECASTING_POOL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORECASTING_RETRY_SECONDS", "0")


def test_approved_by_rest_and_rolled_back_by_its_dag(tmp_path: Path) -> None:
    path, settings, last = week_old_shop(tmp_path, hours=1)
    with airflow(path.parent / "airflow", path, clock=False, users={"lead": "op", "other": "op"}) as server:
        client = Client(server)
        client.wait_for(("extract", "train", "approve", "forecast", "monitor", "rollback"))
        client.make_pool("training", 1)
        lead, other = Person(server, "lead"), Person(server, "other")
        client.trigger("extract", {"cutoff": last.isoformat()})
        detail = until(server, "a question", lambda: lead.ask(PENDING)["hitl_details"])[0]
        assert "version 2, in place of version 1?" in detail["subject"]
        assert "| better than the champion | all |" in detail["body"]
        assert detail["task_instance"]["state"] == "awaiting_input"  # no worker is held
        # The night itself did not wait: the champion's forecasts are there.
        until(server, "the champion's vintage", lambda: versions(settings, last) == {"1"})
        assert other.answer(detail, "Approve") == 403
        assert lead.answer(detail, "Approve", "agreed with purchasing") == 200
        until(server, "the challenger's vintage", lambda: versions(settings, last) == {"2"})
        decided = Warehouse(settings.warehouse).read(MODEL_PROMOTIONS).set_index(["version", "decision"])
        assert decided.loc[("2", "waiting"), "by"] == "rules"
        assert decided.loc[("2", "promoted"), ["by", "note"]].tolist() == ["lead", "agreed with purchasing"]
        assert set(Warehouse(settings.warehouse).read(FORECASTS_WITHDRAWN)["model_version"]) == {"1"}

        client.trigger("rollback", {"version": "1", "reason": "purchasing changed its mind"})
        until(server, "the vintage from before", lambda: versions(settings, last) == {"1"})
        decided = Warehouse(settings.warehouse).read(MODEL_PROMOTIONS).set_index(["version", "decision"])
        back = decided.loc[("1", "rolled_back")]
        assert (back["by"], back["reason"]) == ("admin", "purchasing changed its mind")
        assert set(Warehouse(settings.warehouse).read(FORECASTS_WITHDRAWN)["model_version"]) == {"1", "2"}


def test_without_an_answer_in_time_the_champion_stays(tmp_path: Path) -> None:
    path, settings, last = week_old_shop(tmp_path, hours=0.003)
    with airflow(path.parent / "airflow", path, clock=False) as server:
        client = Client(server)
        client.wait_for(("extract", "train", "approve", "forecast", "monitor"))
        client.make_pool("training", 1)
        client.trigger("extract", {"cutoff": last.isoformat()})

        def answered() -> list[dict]:
            rows = Warehouse(settings.warehouse).read(MODEL_PROMOTIONS, version="2")
            return rows[rows["decision"] == "kept"].to_dict("records")

        row = until(server, "the end of waiting", answered)[0]
        assert row["by"] == "nobody in time"
        assert versions(settings, last) == {"1"}
