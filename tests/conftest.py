"""Fixtures that several folders of tests share: a throwaway PostgreSQL server, and one warehouse per database."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from forecasting.core.config.sections import WarehouseSettings
from tests.support.needs import absent
from tests.support.servers.mlflow import MlflowServer, mlflow_server
from tests.support.servers.postgres import Server, binaries, empty_warehouse

pytest.register_assert_rewrite("tests.support.airflow.access")  # what its checks find is told as a test's own would be

# How long an example takes depends on what else the machine does; timings belong to benchmarks.
hypothesis_settings.register_profile("ours", deadline=None)
hypothesis_settings.load_profile("ours")

# Before anything imports MLflow: tests make no calls to the outside.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy URL of an empty database on a PostgreSQL server of our own, stopped at the end of the session."""
    programs = binaries()
    if programs is None:
        absent("no PostgreSQL server here: install the package `postgresql` (initdb, postgres) to run these tests")
    folder = Path(tempfile.mkdtemp(prefix="forecasting-postgres-"))
    server = Server(programs, folder)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def warehouse_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WarehouseSettings]:
    """An empty warehouse: a new SQLite file, then a new schema on PostgreSQL."""
    with empty_warehouse(request, tmp_path) as settings:
        yield settings


@pytest.fixture(scope="session", name="mlflow_server")
def shared_mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One for the session, started by the first test that asks for it: name experiment and model after the test."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow server")) as server:
        yield server


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is downloaded from a registry stays in the test's own folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
