"""The versioned inputs: Delta tables in a folder or bucket. A version of `sales` is a snapshot of everything.

The sales are committed last, and their commit carries the versions of the other tables: so a snapshot is whole or is
not there. Old versions are never vacuumed here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from forecasting.data.panel import Panel
from forecasting.errors import CutoffError, StoreError, some
from forecasting.settings import LakeSettings
from forecasting.stores.folders import Folder
from forecasting.stores.panels import read_panel, write_panel

SALES = "sales"
KEEP = {"delta.logRetentionDuration": "interval 36500 days", "delta.enableExpiredLogCleanup": "false"}
KEYS = ("item", "store")  # few distinct values, read as categories


@dataclass(frozen=True)
class Snapshot:
    """One version of the sales with the versions of all other tables that belong to it.

    id: `sales@<version>`; digest: sha256 of the content that was committed up to it; rows: clean rows of that night.
    """

    id: str
    cutoff: date
    digest: str
    rows: int
    versions: Mapping[str, int]


class Lake:
    """Snapshots, panels and staged shards below one address."""

    def __init__(self, settings: LakeSettings) -> None:
        self._folder = Folder(settings.path, settings.options)

    def commit(
        self, cutoff: date, sales: pd.DataFrame, since: date | None, tables: Mapping[str, pd.DataFrame]
    ) -> Snapshot:
        """Replace the sales from `since` to `cutoff` (up to `cutoff` where None), and each table that has changed.

        The same content again gives the same snapshot back, and no new version.
        """
        contents = {name: _content(frame) for name, frame in sorted(tables.items())}
        content = _digest([str(since), str(cutoff), _content(sales), *(f"{k}={v}" for k, v in contents.items())])
        history = self._snapshots()
        latest = history[0] if history else None
        if latest and latest["content"] == content:
            return _snapshot(latest)
        filled = {name: frame for name, frame in tables.items() if len(frame.columns)}
        versions = {name: self._replace(name, frame, contents[name], latest) for name, frame in filled.items()}
        metadata = {
            "forecasting": json.dumps(
                {
                    "cutoff": cutoff.isoformat(),
                    "content": content,
                    "digest": _digest([latest["digest"] if latest else "", content]),
                    "rows": len(sales),
                    "versions": versions,
                    "contents": contents,
                }
            )
        }
        self._write_sales(sales, since, cutoff, metadata, bool(latest))
        return _snapshot(self._snapshots()[0])

    def snapshot(self, cutoff: date) -> Snapshot:
        """The newest one of exactly this cutoff, else the newest of a later one, which covers it.

        Raises CutoffError where there is none.
        """
        history = [_snapshot(entry) for entry in self._snapshots()]
        exact = [snapshot for snapshot in history if snapshot.cutoff == cutoff]
        covering = [snapshot for snapshot in history if snapshot.cutoff > cutoff]
        if exact or covering:
            return (exact or covering)[0]
        there = some(sorted({snapshot.cutoff for snapshot in history}, reverse=True)) or "none"
        raise CutoffError(f"No snapshot covers cutoff {cutoff}; there are: {there}. Run extract for it.")

    def newest_cutoff(self) -> date | None:
        """The latest cutoff of any snapshot."""
        return max((_snapshot(entry).cutoff for entry in self._snapshots()), default=None)

    def read(self, snapshot: str, table: str, columns: list[str] | None = None) -> pd.DataFrame:
        """A table as of a snapshot; keys as categories, days as datetime64[s]. Empty where the snapshot has none."""
        version = int(snapshot.removeprefix(f"{SALES}@"))
        if table != SALES:
            entry = next((one for one in self._snapshots() if one["version"] == version), None)
            if entry is None:
                raise StoreError(f"There is no snapshot {snapshot} in {self._folder.address}.")
            if table not in entry["versions"]:
                return pd.DataFrame()
            version = entry["versions"][table]
        frame: pd.DataFrame = self._arrow(table, version, columns).to_pandas(split_blocks=True, self_destruct=True)
        return frame

    def write_panel(self, panel: Panel) -> None:
        """Keep the panel of its cutoff, instead of an earlier one."""
        write_panel(self._folder, panel)

    def read_panel(self, cutoff: date) -> Panel:
        """The panel of a cutoff. Raises CutoffError naming those that exist."""
        return read_panel(self._folder, cutoff)

    def write_staged(self, cutoff: date, run_id: str, shard: int, frame: pd.DataFrame) -> None:
        """One shard of a forecast, until it is published."""
        self._folder.write_parquet(f"{_staging(cutoff, run_id)}/shard-{shard:04d}.parquet", frame)

    def read_staged(self, cutoff: date, run_id: str) -> pd.DataFrame:
        """All shards of a run, in order. Raises StoreError where there is none."""
        place = _staging(cutoff, run_id)
        names = [name for name in self._folder.names(place) if name.endswith(".parquet")]
        if not names:
            raise StoreError(f"Nothing is staged for cutoff {cutoff} in run {run_id}: run predict before publish.")
        return self._folder.read_parquets([f"{place}/{name}" for name in names])

    def clear_staged(self, cutoff: date, run_id: str) -> None:
        """Forget the shards of a run."""
        self._folder.remove(_staging(cutoff, run_id))

    def _snapshots(self) -> list[dict[str, Any]]:
        """Metadata of every snapshot, newest first."""
        table = self._table(SALES)
        if table is None:
            return []
        entries = [(entry["version"], entry.get("forecasting")) for entry in table.history()]
        return [{"version": version, **json.loads(text)} for version, text in entries if text]

    def _table(self, name: str, version: int | None = None) -> DeltaTable | None:
        try:
            return DeltaTable(self._folder.at(name), version=version, storage_options=self._folder.options or None)
        except TableNotFoundError:
            return None
        except DeltaError as error:
            raise StoreError(f"Table {name} in {self._folder.address} cannot be opened: {error}") from None

    def _arrow(self, name: str, version: int, columns: list[str] | None) -> pa.Table:
        table = self._table(name, version)
        if table is None:
            raise StoreError(f"There is no table {name} in {self._folder.address}.")
        wanted = columns or [field.name for field in table.schema().fields if field.name != "month"]
        found = table.to_pyarrow_dataset().to_table(columns=wanted)
        for key in KEYS:
            if key in wanted and len(found):
                place = found.schema.get_field_index(key)
                found = found.set_column(place, key, found.column(key).combine_chunks().dictionary_encode())
        for place, field in enumerate(found.schema):
            if pa.types.is_date32(field.type):
                found = found.set_column(place, field.name, found.column(place).cast(pa.timestamp("s")))
        return found

    def _replace(self, name: str, frame: pd.DataFrame, content: str, latest: Mapping[str, Any] | None) -> int:
        """Write a table where its content has changed; its version either way."""
        if latest and latest["contents"].get(name) == content and name in latest["versions"]:
            return int(latest["versions"][name])
        write_deltalake(
            self._folder.at(name), _to_arrow(frame), mode="overwrite", schema_mode="overwrite",
            storage_options=self._folder.options or None, configuration=KEEP,
        )
        table = self._table(name)
        assert table is not None  # noqa: S101 (it was written a line ago)
        return int(table.version())

    def _write_sales(
        self, sales: pd.DataFrame, since: date | None, cutoff: date, metadata: dict[str, str], exists: bool
    ) -> None:
        limits = [f"ds <= DATE '{cutoff.isoformat()}'"] + ([f"ds >= DATE '{since.isoformat()}'"] if since else [])
        rows = sales.assign(month=_months(sales["ds"]))
        write_deltalake(
            self._folder.at(SALES), _to_arrow(rows), mode="overwrite", partition_by=["month"],
            predicate=" AND ".join(limits) if exists else None, storage_options=self._folder.options or None,
            configuration=KEEP, commit_properties=CommitProperties(custom_metadata=metadata),
        )


def _snapshot(entry: Mapping[str, Any]) -> Snapshot:
    cutoff = date.fromisoformat(entry["cutoff"])
    return Snapshot(f"{SALES}@{entry['version']}", cutoff, entry["digest"], entry["rows"], entry["versions"])


def _staging(cutoff: date, run_id: str) -> str:
    return f"staged/cutoff={cutoff.isoformat()}/run={hashlib.sha256(run_id.encode()).hexdigest()[:16]}"


def _months(days: pd.Series) -> pd.Series:
    months = days.to_numpy().astype("datetime64[M]")
    unique, codes = np.unique(months, return_inverse=True)
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(unique.astype(str))), index=days.index)


def _to_arrow(frame: pd.DataFrame) -> pa.Table:
    """Days as date32, keys as plain text columns (Delta has no dictionaries)."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, column.cast(pa.date32(), safe=False))
        elif pa.types.is_dictionary(field.type) or pa.types.is_null(field.type):
            table = table.set_column(place, field.name, column.cast(pa.string()))
    return table


def _content(frame: pd.DataFrame) -> str:
    """Digest of a frame's rows in any order."""
    if frame.empty:
        return _digest([*map(str, frame.columns), "0"])
    rows = pd.util.hash_pandas_object(frame.astype({"y": "float64"}) if "y" in frame else frame, index=False)
    total = int(rows.to_numpy().sum(dtype=np.uint64))
    return _digest([*map(str, frame.columns), str(len(frame)), str(total)])


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
