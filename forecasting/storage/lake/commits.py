"""What a commit of the table `sales` records: the snapshot of the lake that it completes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True)
class Snapshot:
    """One committed state of the data.

    id: `sales@<version>`. digest: SHA-256 of the content. rows: sales rows that this commit brought (not the whole
    table). versions, digests: Delta version and SHA-256 of every other table that belongs to it.
    """

    id: str
    cutoff: date
    digest: str
    rows: int
    versions: Mapping[str, int]
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Commit:
    """A snapshot with what else its Delta commit records.

    content: digest of the window that it brought. since: first day of that window, None = everything up to the cutoff.
    categorical: columns of the other tables that came as categoricals.
    """

    snapshot: Snapshot
    at: datetime
    since: date | None
    content: str
    categorical: Mapping[str, list[str]]


@dataclass(frozen=True)
class Kept:
    """A table that is written but belongs to no snapshot yet. version: None where it has no columns."""

    digest: str
    version: int | None
    categorical: list[str]


def version_with(commits: Iterable[Commit], name: str, digest: str) -> int | None:
    """Version of the table that already has this content."""
    return next((one.snapshot.versions.get(name) for one in commits if one.snapshot.digests.get(name) == digest), None)


def version_of(snapshot_id: str) -> int:
    """Version of the table `sales` that a snapshot is."""
    return int(snapshot_id.removeprefix("sales@"))


def commit_of(version: int, at: datetime, record: Mapping[str, Any]) -> Commit:
    """The commit whose metadata this record is."""
    cutoff, versions = date.fromisoformat(record["cutoff"]), record["versions"]
    snapshot = Snapshot(f"sales@{version}", cutoff, record["digest"], record["rows"], versions, record["tables"])
    since = date.fromisoformat(record["since"]) if record["since"] else None
    return Commit(snapshot, at, since, record["content"], record["categorical"])
