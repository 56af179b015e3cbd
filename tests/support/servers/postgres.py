"""A PostgreSQL server of our own on a free port, which tests may stop and start again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
import sqlalchemy as sa

from forecasting.core.config.sections import WarehouseSettings

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "2GB",
}


def binaries() -> Path | None:
    """Folder of initdb and postgres: on PATH, Debian's folders (newest first), or where pg_config points."""
    folders = [Path(found).resolve().parent for found in [shutil.which("initdb"), shutil.which("postgres")] if found]
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    folders += reversed(versions)
    if config := shutil.which("pg_config"):
        asked = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(asked.stdout.strip() or "/nowhere"))
    return next((path for path in folders if all((path / name).is_file() for name in ("initdb", "postgres"))), None)


class Server:
    """One server whose data lie in a folder. url: address of its database `postgres`. options: as of `postgres -c`."""

    def __init__(self, programs: Path, folder: Path, options: Mapping[str, str] = MappingProxyType(OPTIONS)) -> None:
        self._options = options
        self._programs, self._folder, self._identity = programs, folder, _identity(folder)
        self._data, self._log = folder / "data", folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        made = subprocess.run(
            [programs / "initdb", "-D", self._data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C",
             "--no-sync"],
            capture_output=True, text=True, cwd=folder, check=False, **self._identity,
        )  # fmt: skip
        assert made.returncode == 0, f"initdb failed:\n{made.stdout}\n{made.stderr}"
        self._port = _free_port()
        self.url = self.database("postgres")

    def database(self, name: str) -> str:
        """Address of one of its databases."""
        return f"postgresql+psycopg://tester@127.0.0.1:{self._port}/{name}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [self._programs / "postgres", "-D", self._data, "-p", str(self._port)]
        for key, value in self._options.items():
            command += ["-c", f"{key}={value}"]
        with self._log.open("a") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=self._folder, start_new_session=True, **self._identity
            )
        self._wait()

    def stop(self, how: str = "fast") -> None:
        """End it as `pg_ctl stop -m` does: fast ends the sessions in order, immediate as a crash would."""
        if self._process is None:
            return
        self._process.send_signal({"fast": 2, "immediate": 3}[how])
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def execute(self, *statements: str) -> None:
        """Statements outside a transaction, such as CREATE DATABASE."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def _wait(self) -> None:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        pause, process = 0.05, self._process
        assert process is not None
        for _ in range(200):
            if process.poll() is not None:
                pytest.fail(f"postgres ended with code {process.returncode}:\n{self._log.read_text()[-2000:]}")
            try:
                with engine.connect():
                    return
            except sa.exc.OperationalError:
                try:
                    process.wait(timeout=pause)
                except subprocess.TimeoutExpired:
                    pause = min(pause * 1.5, 0.5)
        pytest.fail(f"postgres did not answer:\n{self._log.read_text()[-2000:]}")


def _identity(folder: Path) -> dict:
    """PostgreSQL refuses to run as root: then the folder and the processes belong to another user."""
    if os.geteuid() != 0:
        return {}
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    user = next(name for name in ("postgres", "nobody", "daemon") if name in names)
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def empty_warehouse(request: pytest.FixtureRequest, folder: Path) -> Iterator[WarehouseSettings]:
    """By the fixture's parameter: a new SQLite file in the folder, or a new schema of the session's PostgreSQL."""
    if request.param == "sqlite":
        yield WarehouseSettings(url=f"sqlite:///{folder / 'warehouse.db'}")
        return
    with own_schema(request.getfixturevalue("postgres_url")) as settings:
        yield settings


@contextmanager
def own_schema(url: str) -> Iterator[WarehouseSettings]:
    """A warehouse in a schema of its own, which goes away."""
    schema = f"test_{uuid.uuid4().hex[:12]}"
    yield WarehouseSettings.model_validate({"url": url, "schema": schema})
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema, cascade=True, if_exists=True))
    engine.dispose()
