"""Addresses that a configuration leaves to Airflow's connections."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from forecasting.airflow import connections
from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import StoreError
from forecasting.sources.demo import database
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import QUALITY, RUNS
from tests.support.shops import small_shop

# Airflow and its web framework warn about their own use of other libraries, also while a task runs.
pytestmark = pytest.mark.filterwarnings("ignore")
NIGHT = {"cutoff": "2026-06-30"}


@pytest.fixture
def shop(tmp_path: Path, airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its sales and its output tables are where two connections say."""
    path = small_shop(tmp_path)
    database.create(configuration.load(path))
    monkeypatch.setenv("FORECASTING_CONF", str(path))
    monkeypatch.setenv("FORECASTING__SOURCES__SHOP__URL", "airflow-connection://shop")
    monkeypatch.setenv("FORECASTING__WAREHOUSE__URL", "airflow-connection://forecast_db")
    monkeypatch.setenv("FORECASTING__WAREHOUSE__SCHEMA", "by_connection")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "sqlite", "schema": f"{tmp_path}/demo/shop.db"}))
    return path


def test_a_night_reads_and_writes_by_the_connections_of_airflow(dagbag, shop, postgres_url, monkeypatch, caplog):
    url = sa.make_url(postgres_url)
    facts = {"conn_type": "postgres", "host": url.host, "port": url.port, "login": url.username}
    facts |= {"password": "hush-hush", "schema": url.database, "extra": {"keepalives": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_FORECAST_DB", json.dumps(facts))
    run = dagbag.dags["extract"].test(logical_date=datetime(2026, 8, 1, tzinfo=UTC), run_conf=NIGHT)
    assert run.state == "success"
    warehouse = Warehouse(WarehouseSettings.model_validate({"url": postgres_url, "schema": "by_connection"}))
    assert len(warehouse.read(QUALITY, cutoff=date(2026, 6, 30))) > 0
    assert list(warehouse.read(RUNS)["step"]) == ["extract"]
    assert "hush-hush" not in caplog.text


def test_a_connection_that_is_not_there_is_said_and_not_tried_again(dagbag, shop, caplog):
    run = dagbag.dags["extract"].test(logical_date=datetime(2026, 8, 2, tzinfo=UTC), run_conf=NIGHT)
    assert run.state == "failed"
    assert "warehouse.url names the Airflow connection 'forecast_db', which is not there" in caplog.text


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        ({"host": "/data/shop.db"}, "sqlite:////data/shop.db"),  # as Airflow's form asks for it
        ({"host": "/data/shop.db", "login": "me", "password": "x", "port": 1}, "sqlite:////data/shop.db"),
        ({"schema": "/data/shop.db"}, "sqlite:////data/shop.db"),
        ({"schema": "var/shop.db", "extra": {"timeout": 5}}, "sqlite:///var/shop.db?timeout=5"),
        ("sqlite:////data/shop.db", "sqlite:////data/shop.db"),
        ("sqlite:///var/shop.db", "sqlite:///var/shop.db"),
        ("sqlite://%2Fdata%2Fshop.db", "sqlite:////data/shop.db"),
        ("sqlite://data/shop.db", "sqlite:///data/shop.db"),
    ],
)
def test_a_file_of_sqlite_is_the_host_or_the_schema(shop, monkeypatch, connection, url):
    monkeypatch.delenv("FORECASTING__WAREHOUSE__URL")
    given = connection if isinstance(connection, str) else json.dumps({"conn_type": "sqlite"} | connection)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", given)
    assert connections.load(shop).sources["shop"].url == url


def test_outside_of_airflow_there_are_no_connections():
    with pytest.raises(StoreError, match="airflow-connection:// is for the tasks of Airflow"):
        Warehouse(WarehouseSettings(url="airflow-connection://forecast_db"))
