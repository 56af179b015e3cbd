"""Fixtures that several folders of tests share: a throwaway PostgreSQL server, and one warehouse per database."""

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from forecasting.sections import WarehouseSettings
from tests.needs import absent
from tests.servers import MlflowServer, mlflow_server

# Before anything imports MLflow: tests make no calls to the outside.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy URL of an empty database on a PostgreSQL server of our own, stopped at the end of the session."""
    binaries = _postgres_binaries()
    if binaries is None:
        absent("no PostgreSQL server here: install the package `postgresql` (initdb, postgres) to run these tests")
    folder = Path(tempfile.mkdtemp(prefix="forecasting-postgres-"))
    try:
        yield from _serve(binaries, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def warehouse_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WarehouseSettings]:
    """An empty warehouse: a new SQLite file, then a new schema on PostgreSQL."""
    if request.param == "sqlite":
        yield WarehouseSettings(url=f"sqlite:///{tmp_path / 'warehouse.db'}")
        return
    url = request.getfixturevalue("postgres_url")
    schema = f"test_{uuid.uuid4().hex[:12]}"
    yield WarehouseSettings.model_validate({"url": url, "schema": schema})
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
    engine.dispose()


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


def _postgres_binaries() -> Path | None:
    """Folder of initdb and postgres: on PATH, Debian's folders (newest first), or where pg_config points."""
    folders = [Path(found).resolve().parent for found in [shutil.which("initdb"), shutil.which("postgres")] if found]
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    folders += reversed(versions)
    if config := shutil.which("pg_config"):
        asked = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(asked.stdout.strip() or "/nowhere"))
    return next((path for path in folders if all((path / name).is_file() for name in ("initdb", "postgres"))), None)


def _serve(binaries: Path, folder: Path) -> Iterator[str]:
    identity = _identity(folder)
    data, log = folder / "data", folder / "server.log"
    made = subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        **identity,
    )
    assert made.returncode == 0, f"initdb failed:\n{made.stdout}\n{made.stderr}"
    port = _free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_wal_size": "2GB",
    }
    command = [binaries / "postgres", "-D", data, "-p", str(port)]
    for key, value in options.items():
        command += ["-c", f"{key}={value}"]
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, **identity)
    try:
        url = f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
        _wait(url, server, log)
        yield url
    finally:
        server.send_signal(2)  # SIGINT: fast shutdown, sessions are ended
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _identity(folder: Path) -> dict[str, str | list[str]]:
    """PostgreSQL refuses to run as root: then the folder and the processes belong to another user."""
    if os.geteuid() != 0:
        return {}
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    user = next(name for name in ("postgres", "nobody", "daemon") if name in names)
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}  # type: ignore[dict-item]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    pause = 0.05
    for _ in range(200):
        if server.poll() is not None:
            pytest.fail(f"postgres ended with code {server.returncode}:\n{log.read_text()[-2000:]}")
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            try:
                server.wait(timeout=pause)
            except subprocess.TimeoutExpired:
                pause = min(pause * 1.5, 0.5)
    pytest.fail(f"postgres did not answer:\n{log.read_text()[-2000:]}")
