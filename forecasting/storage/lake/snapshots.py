"""The Delta tables of the lake and the snapshots that their commits record; how old snapshots go away.

A removed snapshot is struck off first (`removed.json`), so that nobody starts to read it, and its files follow. What a
kept snapshot shares with it stays.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from forecasting.core.errors import StoreError, some
from forecasting.storage.lake.commits import Commit, commit_of, version_of
from forecasting.storage.lake.folder import Folder

REMOVED = "removed.json"


class History:
    """Versions of the lake's tables."""

    def __init__(self, folder: Folder, options: Mapping[str, str] | None) -> None:
        self._folder, self._options = folder, dict(options or {}) or None

    def table(self, name: str, version: int | None = None) -> DeltaTable | None:
        """A table at a version, or the newest; None where there is none."""
        address = self._folder.at(name)
        try:
            return DeltaTable(address, version=version, storage_options=self._options)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise StoreError(f"Table {name!r} of the lake cannot be opened at {address}: {error}") from error

    def commits(self) -> Iterator[Commit]:
        """Snapshots, newest first, without the removed ones."""
        table = self.table("sales")
        removed = self._removed() if table else set()
        for entry in table.history() if table else ():
            if "forecasting" in entry and f"sales@{entry['version']}" not in removed:
                at = datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
                yield commit_of(int(entry["version"]), at, json.loads(entry["forecasting"]))

    def find(self, snapshot_id: str) -> Commit:
        """The commit of a snapshot. Raises StoreError, which tells a removed one from one that never was."""
        for commit in self.commits():
            if commit.snapshot.id == snapshot_id:
                return commit
        known = some(commit.snapshot.id for commit in self.commits()) or "none"
        was = ": it was removed by [retention]" if known != "none" and snapshot_id in self._removed() else ""
        raise StoreError(f"The lake {self._folder.path} has no snapshot {snapshot_id!r}{was}. Newest first: {known}.")

    def remove(self, snapshot_ids: Collection[str]) -> int:
        """Forget these snapshots and delete the files that no other one shares; returns the number of files.

        Names that are no snapshots (any more) are let be, so that an interrupted removal is finished by the next.
        Raises StoreError where the newest one is among them: the next night builds on it.
        """
        commits = list(self.commits())
        if commits and commits[0].snapshot.id in snapshot_ids:
            raise StoreError(f"{commits[0].snapshot.id} is the newest snapshot and cannot be removed.")
        gone = self._removed() | ({commit.snapshot.id for commit in commits} & set(snapshot_ids))
        if not gone:
            return 0
        self._folder.write(json.dumps(sorted(gone, key=version_of)).encode(), REMOVED)
        kept = [commit.snapshot for commit in commits if commit.snapshot.id not in gone]
        files = self._vacuum("sales", {version_of(one.id) for one in kept})
        for name in sorted({name for commit in commits for name in commit.snapshot.versions}):
            files += self._vacuum(name, {one.versions[name] for one in kept if name in one.versions})
        return files

    def _vacuum(self, name: str, versions: set[int]) -> int:
        """Delete the files of other versions. Files that no commit names may be those of a running one: they stay."""
        table = self.table(name)
        if table is None:
            return 0
        try:
            return len(
                table.vacuum(
                    retention_hours=0, dry_run=False, enforce_retention_duration=False, keep_versions=sorted(versions)
                )
            )
        except (DeltaError, OSError) as error:
            raise StoreError(f"Old files of table {name!r} of the lake cannot be removed: {error}") from error

    def _removed(self) -> set[str]:
        try:
            return set(json.loads(self._folder.read(REMOVED)))
        except FileNotFoundError:
            return set()
