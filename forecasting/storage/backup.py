"""Copies of the embedded stores (SQLite files, folders), whole although somebody works in them, and the way back.

A backup is a folder: `warehouse.db`, `mlflow.db`, `lake/`, `artifacts/`, and `backup.json` with the SHA-256 of every
file, written last. The databases come first: what they name was there before, and is copied after them. Stores with a
server of their own are saved by its means (docs/deployment.md).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

import forecasting
from forecasting.core.config.settings import Settings
from forecasting.core.errors import StoreError, some
from forecasting.storage.registry.tracking import local_path

CONTENT = "backup.json"
KIND = "stores"


@dataclass(frozen=True)
class Places:
    """Where the embedded stores lie: databases and folders by their name in a backup."""

    databases: dict[str, Path]
    folders: dict[str, Path]

    @classmethod
    def of(cls, settings: Settings) -> Places:
        """Raises StoreError for a store that is not a file or folder of this machine."""
        folders = {"lake": settings.lake.path, "artifacts": settings.mlflow.artifacts or "mlruns"}
        return cls(
            {
                "warehouse.db": _file("warehouse.url", settings.warehouse.url),
                "mlflow.db": _file("mlflow.tracking_uri", settings.mlflow.tracking_uri),
            },
            {name: _folder(name, place) for name, place in folders.items()},
        )


def save(settings: Settings, target: Path) -> int:
    """Copy all stores to a new folder; returns the bytes written. Raises StoreError, and leaves no half backup then."""
    places = Places.of(settings)
    if target.exists():
        raise StoreError(f"{target} is there already. A backup is never written over another one: name a new folder.")
    part = target.with_name(f"{target.name}.part")
    with _disk(part), _passing(part):
        part.mkdir(parents=True, mode=0o700)
        for name, file in places.databases.items():
            if file.is_file():
                _copy_database(file, part / name)
        for name, folder in places.folders.items():
            _copy_folder(folder, part / name)
        sums = {str(file.relative_to(part)): _sha256(file) for file in _files(part)}
        about = {"kind": KIND, "version": forecasting.__version__, "sha256": sums}
        (part / CONTENT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        part.rename(target)
        return sum(file.stat().st_size for file in _files(target))


def restore(settings: Settings, source: Path, overwrite: bool = False) -> int:
    """Put the stores back as they were; returns the number of files.

    They go to where the configuration says; MLflow's database names its artifacts by their whole path, so that place
    must be the one that they were saved from. What was there goes when all of the backup lies beside it. Raises
    StoreError where the backup is not whole, a store is not empty, or the disk refuses; nothing is changed then.
    """
    places, sums = Places.of(settings), _checked(source)
    there = [str(place) for place in (*places.databases.values(), *places.folders.values()) if place.exists()]
    if there and not overwrite:
        raise StoreError(f"{some(there)} is there already. Say --overwrite to put the backup in its place.")
    whole = {name: place.resolve() for name, place in (places.databases | places.folders).items()}
    beside = {name: _named(place, "restoring") for name, place in whole.items()}
    with _disk(next(iter(beside.values())).parent), _passing(*beside.values()):
        for name in sums:
            top, _, below = name.partition("/")
            target = beside[top] / below
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)
        _swap(whole, beside)
    return len(sums)


def _swap(places: Mapping[str, Path], beside: Mapping[str, Path]) -> None:
    """What lies beside goes to its place, or everything stays where it was; what was there before is gone then."""
    old = [Path(f"{place}{end}") for place in places.values() for end in ("", "-wal", "-shm")]
    replaced = {one: _named(one, "replaced") for one in old}
    _remove(*replaced.values())
    moved: list[tuple[Path, Path]] = []
    try:
        for one, to in [*replaced.items(), *((beside[name], place) for name, place in places.items())]:
            if one.exists():
                one.rename(to)
                moved.append((one, to))
    except BaseException:
        for one, to in reversed(moved):
            to.rename(one)
        raise
    _remove(*replaced.values())


def _named(place: Path, state: str) -> Path:
    """A place beside it, on the same disk."""
    return place.with_name(f"{place.name}.{state}")


@contextlib.contextmanager
def _passing(*places: Path) -> Iterator[None]:
    """Files and folders that are there for the time of the work alone; what an earlier one has left goes first."""
    _remove(*places)
    try:
        yield
    finally:
        _remove(*places)


def _remove(*places: Path) -> None:
    for place in places:
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def _copy_database(file: Path, target: Path) -> None:
    """By SQLite's own backup, which sees one moment of a database that others write to."""
    with contextlib.closing(sqlite3.connect(file)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _copy_folder(folder: Path, target: Path) -> None:
    """Delta's logs first: the files that a log names were there before it. What is half written has a dot."""
    for file in sorted(_files(folder), key=lambda path: "_delta_log" not in path.parts):
        if not any(part.startswith(".") for part in file.relative_to(folder).parts):
            copy = target / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # staged shards go when their vintage is published
                shutil.copyfile(file, copy)


def _checked(source: Path) -> dict[str, str]:
    """Sums of a whole backup's files."""
    try:
        about = json.loads((source / CONTENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise StoreError(f"{source} is no backup: it has no {CONTENT} that can be read.") from None
    if about.get("kind") != KIND:
        raise StoreError(
            f"{source} is a backup of containers, not of this machine's stores: make restore FROM={source}"
        )
    sums: dict[str, str] = about["sha256"]
    wrong = [name for name, wanted in sums.items() if not (source / name).is_file() or _sha256(source / name) != wanted]
    if wrong:
        raise StoreError(f"The backup {source} is damaged: {some(wrong)} is not what was saved. Take another one.")
    return sums


def _file(key: str, address: str) -> Path:
    url = sa.make_url(address) if address.startswith("sqlite") else None
    if url is None or not url.database or url.database == ":memory:":
        raise StoreError(f"{key} has a server of its own: save it by that server's means (docs/deployment.md).")
    return Path(url.database)


def _folder(name: str, place: str) -> Path:
    path = local_path(place)
    if path is None:
        raise StoreError(f"{place} ({name}) is no folder of this machine: copy the bucket (docs/deployment.md).")
    return path


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextlib.contextmanager
def _disk(place: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{place} cannot be written or read: {error}. See that there is room, and the rights."
        ) from error
