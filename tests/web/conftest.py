"""The page over a real small deployment after two nights, behind Airflow's own login, without a server."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

import pandas as pd
import pytest
from fastapi import FastAPI

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.sources.demo import database
from forecasting.steps.ingest.demo import tonight
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import EXCEPTIONS, EXPLANATIONS, FORECASTS
from tests.steps.test_night import night
from tests.support.airflow.home import airflow_database
from tests.support.shops import small_shop

__all__ = ["airflow_database"]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have another HTTP client than Airflow brings
    from fastapi.testclient import TestClient


class Shop(NamedTuple):
    """A deployment, the cutoffs of its two vintages, and a series with an exception."""

    settings: Settings
    first: pd.Timestamp
    last: pd.Timestamp
    series: str


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    settings = configuration.load(small_shop(tmp_path_factory.mktemp("planner"), train__models=["seasonal_mean"]))
    first = tonight(settings)
    night(settings, first, "first")
    last = first + timedelta(days=1)
    database.advance(settings, last)
    night(settings, last, "second")
    warehouse, day = Warehouse(settings.warehouse), pd.Timestamp(last)
    name = str(warehouse.read(FORECASTS, ["unique_id"], cutoff=day)["unique_id"].iloc[0])
    raised = {"cutoff": day, "unique_id": name, "rank": 1, "reason": "jump", "stake": 210.5, "model_version": "1"}
    message = f"1,310.5 units, 1,100.0 for the same periods in the vintage of {first}"
    table = pd.DataFrame([raised | {"message": message, "run_id": "second"}])
    warehouse.replace(EXCEPTIONS, table, cutoff=day)
    parts = [("history", 100.0), ("promotion", -12.5)]
    why = [
        {"cutoff": day, "unique_id": name, "ds": day + pd.Timedelta(days=1), "model": "m", "group": group, "units": one}
        for group, one in parts
    ]
    warehouse.replace(EXPLANATIONS, pd.DataFrame(why).assign(run_id="second"), cutoff=day)
    return Shop(settings, pd.Timestamp(first), day, name)


@pytest.fixture(scope="session")
def application(shop: Shop, airflow_database: None) -> FastAPI:
    """Mounted as Airflow mounts it."""
    from airflow.api_fastapi.app import init_auth_manager

    from forecasting.reporting.queries.store import Store
    from forecasting.web.app import create_app

    init_auth_manager()
    root, store = FastAPI(), Store(shop.settings)
    root.mount("/forecasts", create_app(lambda: store))
    return root


@pytest.fixture
def client_of(application: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TestClient]]:
    """Called with a role (or none), a client with this user's session cookie, as a browser would have it."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    monkeypatch.setenv("FORECASTING_SCHEDULE", "off")

    def client(role: str | None = None, bearer: bool = False) -> TestClient:
        made = TestClient(application, base_url="http://airflow.test", raise_server_exceptions=True)
        if role:
            user = SimpleAuthManagerUser(username=f"the {role}", role=role)
            token = get_auth_manager().generate_jwt(user)
            if bearer:
                made.headers["Authorization"] = f"Bearer {token}"
            else:
                made.cookies.set("_token", token)
                made.headers["Sec-Fetch-Site"] = "same-origin"
        return made

    return client


@pytest.fixture
def viewer(client_of: Callable[..., TestClient]) -> TestClient:
    return client_of("VIEWER")


@pytest.fixture
def planner(client_of: Callable[..., TestClient]) -> TestClient:
    return client_of("USER")
