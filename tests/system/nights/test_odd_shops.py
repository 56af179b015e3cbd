"""Odd small shops through three whole nights each: no traceback, a status for every series, numbers or dashes.

Report and every view of the page are rendered after each shop's last night, in both languages.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pandas as pd
import pytest

from forecasting.__main__ import main
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.models.base import STATUSES
from forecasting.reporting.queries.store import Store
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import REPLENISHMENT
from forecasting.tables.warehouse import BACKTESTS, FORECAST_LEVELS, FORECAST_SUMS, FORECASTS, SCORES
from tests.support import odd_shops
from tests.support.airflow.home import airflow_database
from tests.support.odd_shops import ODD

__all__ = ["airflow_database"]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have another HTTP client than Airflow brings
    from fastapi.testclient import TestClient

CHEAP = ("seasonal_naive", "seasonal_mean")
TRAINED = (*CHEAP, "lightgbm", "arima", "ets", "theta")
WITH_TREES = ("one series", "all new", "constant", "price 0", "20 periods", "one period", "all zero")
VIEWS = ("", "series", "overrides", "replenishment", "accuracy", "accuracy?level=store", "accuracy?level=demand_class",
         "models", "exceptions.csv", "series/one?name=all&level=total")  # fmt: skip
CELLS = [(frequency, kind) for frequency in ("D", "W-MON", "M") for kind in ODD]


@pytest.fixture(scope="module", autouse=True)
def auth(airflow_database: None) -> None:
    from airflow.api_fastapi.app import init_auth_manager

    init_auth_manager()


def page(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client with a viewer's session over this deployment's page."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi import FastAPI

    from forecasting.web.app import create_app

    monkeypatch.setenv("FORECASTING_SCHEDULE", "off")
    root, store = FastAPI(), Store(settings)
    root.mount("/forecasts", create_app(lambda: store))
    client = TestClient(root, base_url="http://airflow.test", raise_server_exceptions=True)
    client.cookies.set("_token", get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="v", role="VIEWER")))
    client.headers["Sec-Fetch-Site"] = "same-origin"
    return client


@pytest.mark.parametrize(("frequency", "kind"), CELLS, ids=[f"{frequency}-{kind}" for frequency, kind in CELLS])
def test_three_nights_of_an_odd_shop(
    frequency: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = ODD[kind](frequency)
    path = odd_shops.write(tmp_path, frequency, odd, TRAINED if kind in WITH_TREES else CHEAP)
    settings = configuration.load(path)
    for cutoff in odd_shops.nights(frequency):
        code = main(["run", "--conf", str(path), "--cutoff", str(cutoff)])
        said = capsys.readouterr()
        assert code == 0, said.err[-3000:]
        assert "Traceback" not in said.err
        check(settings, pd.Timestamp(cutoff), len(odd.units))
        assert main(["report", "--conf", str(path), "--cutoff", str(cutoff)]) == 0
    client = page(settings, monkeypatch)
    names = Warehouse(settings.warehouse).latest(["unique_id"], horizon=1)["unique_id"].unique()
    for language in ("en", "pt"):
        for view in (*VIEWS, f"series/one?name={names[0]}"):
            answer = client.get(f"/forecasts/{view}{'&' if '?' in view else '?'}lang={language}")
            assert answer.status_code == 200, view
            assert ">nan" not in answer.text.lower()
    for view in ("forecasts", "series", f"chart?name={names[0]}", "exceptions"):
        answer = client.get(f"/forecasts/api/{view}")
        assert answer.status_code == 200, view
        assert "NaN" not in answer.text


def check(settings: Settings, cutoff: pd.Timestamp, series: int) -> None:
    """Every series has its forecasts with a status; nothing is infinite; a band holds its mean's place."""
    warehouse = Warehouse(settings.warehouse)
    table = warehouse.read(FORECASTS, cutoff=cutoff)
    assert len(table) == series * settings.panel.horizon
    assert table["status"].isin(STATUSES).all()
    assert table.loc[table["status"] != "ok", "reason"].str.len().gt(0).all()
    for each in (table, warehouse.read(FORECAST_LEVELS, cutoff=cutoff), warehouse.read(FORECAST_SUMS, cutoff=cutoff)):
        for name in ("mean", "p05", "p50", "p95"):
            assert each[name].map(math.isfinite).all(), name
        assert (each["p05"] <= each["p50"]).all()
        assert (each["p50"] <= each["p95"]).all()
    for scores in (warehouse.read(SCORES), warehouse.read(BACKTESTS)):
        assert not scores["value"].astype(float).map(math.isinf).any()
    assert warehouse.read(BACKTESTS).empty or warehouse.read(BACKTESTS)["weight"].max() > 0
    orders = warehouse.read(REPLENISHMENT, cutoff=cutoff)
    assert not orders.select_dtypes("number").isin([math.inf]).any(axis=None)
