"""Opening the warehouse's database: which URLs we serve, and how SQLite is made fit for readers beside a writer."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from forecasting.core.errors import StoreError

BUSY_MILLISECONDS = 60_000  # how long a writer of a SQLite file waits for another


def address(text: str) -> sa.URL:
    """The URL with the driver that we use. Raises StoreError for a database that we cannot serve."""
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise StoreError(
            "warehouse.url is not a SQLAlchemy URL; it looks like sqlite:///var/warehouse.db or "
            "postgresql://user@host:5432/database. An airflow-connection:// is for the tasks of Airflow."
        ) from None
    backend = "postgresql" if url.get_backend_name() == "postgres" else url.get_backend_name()
    if backend == "sqlite" and url.database and url.database != ":memory:":
        return url
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise StoreError(
        f"warehouse.url {url.render_as_string(hide_password=True)}: allowed are a file (sqlite:///path/file.db) "
        "and PostgreSQL (postgresql://user@host:5432/database)."
    )


def engine(url: sa.URL) -> sa.Engine:
    """An engine without a pool: a task opens a handful of connections, and none may be carried over a fork.

    `execution_options(write=True)` makes a transaction in SQLite a writer's from its start.
    """
    if url.get_backend_name() == "postgresql":
        options = {"application_name": "forecasting", "connect_timeout": 15, "options": "-c timezone=UTC"}
        return sa.create_engine(url, poolclass=sa.NullPool, connect_args=options)
    made = sa.create_engine(url, poolclass=sa.NullPool)
    sa.event.listen(made, "do_connect", _open_sqlite)
    sa.event.listen(made, "connect", _prepare_sqlite)
    sa.event.listen(made, "begin", _begin_sqlite)
    return made


def _open_sqlite(_dialect: Any, _record: Any, words: list[Any], options: dict[str, Any]) -> sqlite3.Connection:
    """A connection; on a full disk, where SQLite finds no room for what it lays beside the file, one that only reads.

    That is safe where the log beside the file (-wal) is empty: the file itself then holds the last commit.
    """
    connection: sqlite3.Connection = sqlite3.connect(*words, **options)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        file, log = Path(words[0]), Path(f"{words[0]}-wal")
        full = error.sqlite_errorname.startswith(("SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN"))
        if not full or not file.is_file() or (log.exists() and log.stat().st_size):
            raise
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True, **options)
        connection.execute("PRAGMA query_only = 1")
    return connection


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves: the driver's own comes too late for a writer's lock
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    # Readers see the last commit while a writer writes. It stays with the file; where that is locked just now, another
    # connection is switching it, and a read-only file keeps the mode that it has.
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -64000")  # 64 MB: the pages of a vintage's index while it is written


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("write")
    if write and connection.exec_driver_sql("PRAGMA query_only").scalar():
        raise sqlite3.OperationalError("no room on its disk for anything new; what is there can be read")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
