"""`doctor`: what would stop a night here, found before the night, with what to do about it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import shutil
import sys
import uuid
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import forecasting
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ForecastingError, SettingsError, some

# Loading these proves more than their version: each brings native code that wants system libraries.
NATIVE = {"lightgbm": "install libgomp1 (apt) or libomp (brew)", "pyarrow": "", "scipy": "", "deltalake": ""}
LONG_AGO = date(1900, 1, 1)  # a day without rows: what is asked of it is whether the asking works
GIGABYTE = 2**30
MEMORY_GB, DISK_GB = 2.0, 2.0  # what the demo needs beside Airflow; large panels need more


@dataclass(frozen=True)
class Check:
    """One finding: ok or not, what was found, and what to do where it is not ok."""

    name: str
    ok: bool
    found: str
    to_do: str = ""


def main(arguments: Namespace) -> int:
    """Print all findings; 1 where something is wrong, else 0."""
    checks = [*machine(), *libraries(), *deployment(arguments.conf, arguments.changes)]
    wrong = [check for check in checks if not check.ok]
    if arguments.json:
        import json

        print(json.dumps({"ok": not wrong, "checks": [asdict(check) for check in checks]}))  # noqa: T201
    else:
        _table(checks)
        print(f"Problems: {len(wrong)}." if wrong else "All is well.")  # noqa: T201
    return 1 if wrong else 0


def machine() -> Iterator[Check]:
    """Python, cores, memory, disk."""
    version = sys.version_info[:2]
    allowed = (3, 11) <= version < (3, 14)
    yield Check("python", allowed, sys.version.split()[0], "" if allowed else "use Python 3.11, 3.12 or 3.13")
    yield Check("cores", True, f"{_cores()} usable")
    memory = _memory() / GIGABYTE
    yield Check("memory", memory >= MEMORY_GB, f"{memory:.1f} GB free", _more(memory, MEMORY_GB, "stop other programs"))
    disk = shutil.disk_usage(Path.cwd()).free / GIGABYTE
    yield Check("disk", disk >= DISK_GB, f"{disk:.1f} GB free here", _more(disk, DISK_GB, "make room"))


def libraries() -> Iterator[Check]:
    """Installed versions against the lock, and that native ones load."""
    lock = Path(forecasting.__file__).parent.parent / "requirements.lock"
    if lock.exists():
        differing = list(_differences(lock.read_text("utf-8")))
        found = some(differing) if differing else "as in requirements.lock"
        yield Check("versions", not differing, found, "make env" if differing else "")
    for name, cure in NATIVE.items():
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:
            yield Check(name, False, str(error), cure or f"reinstall {name}: make env")
        else:
            yield Check(name, True, importlib.metadata.version(name))


def deployment(conf: str, changes: list[str]) -> Iterator[Check]:
    """The configuration, and everything outside that it names."""
    try:
        settings = configuration.load(conf, changes)
    except SettingsError as error:
        yield Check("configuration", False, str(error), "correct the file")
        return
    yield Check("configuration", True, f"{conf}, digest {settings.digest()}")
    yield _try("schedule", lambda: _schedule(settings), "extract.schedule is cron, extract.timezone an IANA zone")
    for name in settings.source_tables():
        yield _try(f"source {name}", lambda name=name: _source(settings, name), f"look at [extract.{name}]")  # type: ignore[misc]
    yield _try("lake", lambda: _lake(settings), "set lake.path to a place that can be written")
    yield _try("warehouse", lambda: _database(settings.warehouse.url), "set warehouse.url; is the server up?")
    yield _try("mlflow", lambda: _mlflow(settings), "set mlflow.tracking_uri; is the server up?")


def _try(name: str, look: Callable[[], str], to_do: str) -> Check:
    try:
        return Check(name, True, look())
    except ForecastingError as error:
        return Check(name, False, str(error), to_do)
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is the finding
        return Check(name, False, f"{type(error).__name__}: {error}".splitlines()[0], to_do)


def _differences(lock: str) -> Iterator[str]:
    from packaging.requirements import Requirement

    for line in lock.splitlines():
        if not line.strip() or line.lstrip().startswith(("#", "-")):
            continue
        wanted = Requirement(line.removesuffix("\\"))
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{wanted.name} is missing"
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            yield f"{wanted.name} {version} instead of {str(wanted.specifier).lstrip('=')}"


def _schedule(settings: Settings) -> str:
    from croniter import croniter

    try:
        ZoneInfo(settings.extract.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError(f"no time zone {settings.extract.timezone!r}; e.g. Europe/Berlin") from None
    if not croniter.is_valid(settings.extract.schedule):
        raise SettingsError(f"{settings.extract.schedule!r} is not cron; e.g. 0 3 * * *")
    return f"{settings.extract.schedule} {settings.extract.timezone}"


def _source(settings: Settings, name: str) -> str:
    """Read a day long past: no rows to carry, but the connection, the table and every column must be there."""
    from forecasting.sources import open_source

    return f"columns {some(open_source(settings, name).read(LONG_AGO, LONG_AGO).columns, 8)}"


def _lake(settings: Settings) -> str:
    """Write a shard as a forecast does, and clear it."""
    import pandas as pd

    from forecasting.storage.lake.lake import Lake

    lake, run_id = Lake(settings.lake), f"doctor-{uuid.uuid4().hex[:8]}"
    lake.write_staged(LONG_AGO, run_id, 0, pd.DataFrame({"one": [1]}))
    lake.clear_staged(LONG_AGO, run_id)
    return f"{settings.lake.path} is writable"


def _database(url: str) -> str:
    """Create a table and take it back: it never becomes visible to others."""
    from sqlalchemy import Column, Integer, MetaData, Table, create_engine
    from sqlalchemy.engine import make_url

    place = make_url(url)
    if place.get_backend_name() == "sqlite" and place.database:
        Path(place.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(place)
    trial = Table(f"doctor_{uuid.uuid4().hex[:8]}", MetaData(), Column("one", Integer))
    try:
        with engine.connect() as connection:
            trial.create(connection)
            trial.drop(connection)
            connection.rollback()
    finally:
        engine.dispose()
    return f"{place.render_as_string(hide_password=True)} is writable"


def _mlflow(settings: Settings) -> str:
    uri = settings.mlflow.tracking_uri
    if re.match(r"https?://", uri):
        import requests

        requests.get(f"{uri.rstrip('/')}/health", timeout=10).raise_for_status()
        return f"{uri.split('@')[-1]} answers"
    if "://" in uri and not uri.startswith("file:"):
        return _database(uri)
    folder = Path(uri.removeprefix("file://"))
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"mlflow.tracking_uri: {folder} cannot be written")
    return f"{folder} is writable"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int:
    """Bytes that can still be had: the machine's, or the container's limit where that is less."""
    import psutil

    available: int = psutil.virtual_memory().available
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    try:
        return min(available, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):  # no cgroup of version 2, or "max": no limit
        return available


def _more(has: float, needs: float, cure: str) -> str:
    return "" if has >= needs else f"{needs:.0f} GB are needed: {cure}"


def _table(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    for check in checks:
        mark = Text("ok", "green") if check.ok else Text("problem", "bold red")
        shown.add_row(mark, check.name, Text(check.found), Text(check.to_do))
    Console(width=None if sys.stdout.isatty() else 160).print(shown)
