"""A shop whose challenger waits for a person, and people who speak REST to the Airflow that runs over it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.launcher.server import Airflow
from forecasting.sources.demo import database
from forecasting.steps.ingest.demo import tonight
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS
from tests.steps.test_night import night
from tests.support.shops import small_shop

PATIENCE = 480
PENDING = "dags/~/dagRuns/~/hitlDetails?response_received=false"


class Shop(NamedTuple):
    """conf.toml, what it says, and the newest cutoff, which has sales but no vintage yet."""

    path: Path
    settings: Settings
    last: date


def week_old_shop(folder: Path, hours: float) -> Shop:
    """A shop whose first night was a week ago, by the weaker model; a person must approve what comes after it."""
    path = small_shop(
        folder, demo__items=20, demo__stores=4, train__models=["seasonal_mean", "lightgbm"],
        train__approval="person", train__approvers=["lead"], train__approval_hours=hours,
    )  # fmt: skip
    weak = configuration.load(path, ["train.models=['seasonal_naive']"])
    first = tonight(weak)
    night(weak, first, "first")
    last = first + timedelta(days=7)
    database.advance(weak, last)
    return Shop(path, configuration.load(path), last)


def patient(server: Airflow) -> requests.Session:
    """Asks again where the answer is 500: SQLite says so while another part of Airflow writes (docs/airflow.md)."""
    session = requests.Session()
    retry = Retry(total=6, backoff_factor=0.5, status_forcelist=[500], allowed_methods=None, raise_on_status=False)
    session.mount(server.url, HTTPAdapter(max_retries=retry))
    return session


class Person:
    """Somebody who is logged in and speaks REST."""

    def __init__(self, server: Airflow, name: str) -> None:
        self.url, self.session = server.url, patient(server)
        login = {"username": name, "password": password(server, name)}
        answer = self.session.post(f"{server.url}/auth/token", json=login, timeout=30)
        self.login = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def ask(self, path: str) -> dict:
        answer = self.session.get(f"{self.url}/api/v2/{path}", headers=self.login, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def answer(self, detail: dict, choice: str, note: str | None = None) -> int:
        task = detail["task_instance"]
        place = f"dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/-1/hitlDetails"
        body = {"chosen_options": [choice], "params_input": {"note": note}}
        return self.session.patch(f"{self.url}/api/v2/{place}", json=body, headers=self.login, timeout=30).status_code


def password(server: Airflow, name: str) -> str:
    return json.loads((server.home / "passwords.json").read_text())[name]


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


@contextmanager
def plain_environment() -> Iterator[None]:
    """Nothing of what other tests have set for Airflow."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "FORECASTING_POOL"):
            patch.delenv(name, raising=False)
        patch.setenv("FORECASTING_RETRY_SECONDS", "0")
        yield
