"""The lake: every night's clean tables as versions of Delta tables, and the panels and shards between the steps.

A snapshot is one version of the table `sales`. The other tables are written first; the commit of `sales` comes last and
names their versions, so a snapshot is there whole or not at all. Only `remove` takes one away again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import CommitProperties, PostCommitHookProperties, write_deltalake
from deltalake.exceptions import DeltaError

from forecasting.core.config.sections import LakeSettings
from forecasting.core.errors import CutoffError, StoreError, some
from forecasting.panel.memory import Scratch
from forecasting.panel.panel import Panel
from forecasting.storage.lake import arrow_frames
from forecasting.storage.lake.commits import Commit, Kept, Snapshot, version_of, version_with
from forecasting.storage.lake.folder import Folder, delta_options
from forecasting.storage.lake.panels import Panels
from forecasting.storage.lake.scratch import room
from forecasting.storage.lake.shards import Shards
from forecasting.storage.lake.snapshots import History

KEPT = "interval 36500 days"  # Delta forgets versions after 30 days unless told otherwise
CONFIGURATION = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": KEPT,
    "delta.deletedFileRetentionDuration": KEPT,
}
PIECE = 500_000  # rows read at once where a table is read in pieces: some 10 MB
HOOKS = PostCommitHookProperties(cleanup_expired_logs=False)


class Lake:
    """Versioned tables, panels and staged shards below `lake.path`: a local folder or an s3:// address."""

    def __init__(self, settings: LakeSettings) -> None:
        self._folder = Folder.of(settings)
        self._options = delta_options(settings) or None
        self._history = History(self._folder, self._options)
        self._panels, self._shards = Panels(self._folder), Shards(self._folder)

    def keep(self, name: str, frame: pd.DataFrame) -> Kept:
        """Write a table for a snapshot that `commit` will complete, so that it need not stay in memory until then.

        Nobody sees it before that. What an earlier snapshot already has is not written again.
        """
        digest = arrow_frames.digest(frame)
        version = version_with(self._history.commits(), name, digest)
        if version is None and len(frame.columns):
            version = self._write_table(name, frame)
        return Kept(digest, version, arrow_frames.categorical(frame))

    def commit(
        self, cutoff: date, sales: pd.DataFrame, since: date | None, tables: Mapping[str, pd.DataFrame | Kept]
    ) -> Snapshot:
        """Replace the sales of `since`..`cutoff` (None: everything up to the cutoff) and keep the later ones.

        sales: item, store, ds, y (units a day; NaN where a row is there whose quantity is not known). tables: any other
        tables, each whole, or already kept. Where the newest snapshot of this cutoff already holds all of this, it is
        given back and nothing is written. Raises StoreError for sales outside the window and for a table that cannot
        be stored.
        """
        sales = arrow_frames.sales_of(sales, since, cutoff)
        content = arrow_frames.digest(sales)
        kept = {name: one if isinstance(one, Kept) else self.keep(name, one) for name, one in tables.items()}
        digests = {name: one.digest for name, one in kept.items()}
        commits = list(self._history.commits())
        same = next((one for one in commits if one.snapshot.cutoff == cutoff), None)
        if same and same.snapshot.digests == digests and self._holds(same, sales, since, content):
            return same.snapshot
        versions = {name: one.version for name, one in kept.items() if one.version is not None}
        newest = commits[0].snapshot if commits else None
        whole = newest is None or (since is None and newest.cutoff <= cutoff)  # nothing of earlier snapshots remains
        record = {
            "cutoff": cutoff.isoformat(), "since": since.isoformat() if since else None, "content": content,
            "rows": len(sales), "versions": versions, "tables": digests,
            "categorical": {name: one.categorical for name, one in kept.items()},
        }  # fmt: skip
        base = "" if whole or newest is None else newest.digest
        stated = json.dumps([base, record["since"], record["cutoff"], content, digests], sort_keys=True)
        record["digest"] = hashlib.sha256(stated.encode()).hexdigest()
        return self._write_sales(sales, since, cutoff, record)

    def snapshot(self, cutoff: date) -> Snapshot:
        """The newest one committed for exactly this cutoff, else the newest one of a later cutoff (callers cut).

        Raises CutoffError naming the cutoffs that there are.
        """
        later, there = None, set()
        for commit in self._history.commits():
            if commit.snapshot.cutoff == cutoff:
                return commit.snapshot
            there.add(commit.snapshot.cutoff)
            if later is None and commit.snapshot.cutoff > cutoff:
                later = commit.snapshot
        if later is None:
            raise CutoffError(
                f"The lake {self._folder.path} holds no snapshot for the cutoff {cutoff} or a later one; it holds "
                f"{some(sorted(there, reverse=True)) if there else 'none at all'}. Run extract for this cutoff first "
                f"(python -m forecasting extract --cutoff {cutoff})."
            )
        return later

    def find(self, snapshot_id: str) -> Snapshot:
        """The snapshot of that id. Raises StoreError naming those that there are."""
        return self._history.find(snapshot_id).snapshot

    def snapshots(self, by: datetime | None = None) -> list[Snapshot]:
        """All of them, newest first; only those committed by a moment, if given."""
        return [one.snapshot for one in self._history.commits() if by is None or one.at <= by]

    def remove(self, snapshot_ids: Collection[str]) -> int:
        """Remove old snapshots; what others share with them stays. Returns the number of files deleted."""
        return self._history.remove(snapshot_ids)

    def remove_made(self, by: datetime) -> list[str]:
        """Remove panels, and shards that were never published, written by a moment: all can be made again.

        The panel of the newest cutoff stays. Returns their places.
        """
        gone = self._panels.written(by) + self._shards.written(by)
        for place in gone:
            self._folder.remove(*place)
        return ["/".join(place) for place in gone]

    def newest_cutoff(self, before: date | None = None, by: datetime | None = None) -> date | None:
        """The latest cutoff of all snapshots; of those before a day; of those committed by a moment; None: no such."""
        return max(
            (
                one.snapshot.cutoff
                for one in self._history.commits()
                if (before is None or one.snapshot.cutoff < before) and (by is None or one.at <= by)
            ),
            default=None,
        )

    def read(self, snapshot_id: str, table: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A table as of the snapshot; empty where the snapshot does not have it.

        item and store of sales, and what came as categoricals, come back as categoricals; ds as datetime64[s]. Raises
        StoreError for an id that is no snapshot, and for columns that the table does not have.
        """
        commit = self._history.find(snapshot_id)
        if table == "sales":
            return self._read("sales", version_of(snapshot_id), ["item", "store"], list(columns or arrow_frames.SALES))
        if table not in commit.snapshot.versions:
            return pd.DataFrame()
        return self._read(table, commit.snapshot.versions[table], commit.categorical[table], columns)

    def window(self, snapshot_id: str, table: str, first: date, last: date) -> pd.DataFrame:
        """As `read`, of a table other than the sales: its rows from one day to another, both included."""
        commit = self._history.find(snapshot_id)
        rows = arrow_frames.window(first, last, self._dataset(table, commit.snapshot.versions[table], []).schema)
        return self._read(table, commit.snapshot.versions[table], commit.categorical[table], None, rows)

    def count(self, snapshot_id: str, first: date, last: date) -> int:
        """Number of sales rows (days of series) with a known quantity from one day to another, both included."""
        data = self._dataset("sales", version_of(snapshot_id), [])
        return int(data.count_rows(filter=arrow_frames.window(first, last, data.schema) & pads.field("y").is_valid()))

    def pieces(self, snapshot_id: str, table: str, **among: Sequence[str]) -> Iterator[pd.DataFrame]:
        """The same rows as `read`, at most PIECE at a time, always in the same order; each with its own categories.

        among: only rows whose column is empty or has one of these values, `item=["A", "B"]`, where there is the column.
        """
        commit = self._history.find(snapshot_id)
        if table == "sales":
            version, categorical = version_of(snapshot_id), ["item", "store"]
        elif table in commit.snapshot.versions:
            version, categorical = commit.snapshot.versions[table], commit.categorical[table]
        else:
            return
        data = self._dataset(table, version, categorical)
        columns, rows = list(arrow_frames.SALES) if table == "sales" else None, arrow_frames.among(data.schema, among)
        # One row group after the other: a scan of the whole decodes a file ahead, 10 million rows that wait to be used.
        for group in (group for file in data.get_fragments() for group in file.split_by_row_group()):
            for batch in group.to_batches(data.schema, columns=columns, filter=rows, batch_size=PIECE):
                if len(batch):
                    yield arrow_frames.to_pandas(pa.Table.from_batches([batch]))

    @contextmanager
    def scratch(self) -> Iterator[Scratch]:
        """Room for matrices that do not fit into memory, which goes away: in the lake's folder where it is local.

        Raises StoreError where there is no such room. What a killed process has left there goes after some days.
        """
        with room(Path(self._folder.at(".scratch")) if self._folder.local else None) as scratch:
            yield scratch

    def write_panel(self, panel: Panel) -> str:
        """Keep the panel of its cutoff, in place of an earlier one; gives back where it lies."""
        return self._panels.write(panel)

    def read_panel(self, cutoff: date, snapshot: str | None = None) -> Panel:
        """The panel of this cutoff (and snapshot). Raises CutoffError naming what there is."""
        return self._panels.read(cutoff, snapshot)

    def write_staged(self, cutoff: date, run_id: str, shard: int, parts: pd.DataFrame | Iterable[pd.DataFrame]) -> None:
        """Lay one shard of a run down, in place of an earlier try; it may come in parts of the same columns."""
        self._shards.write(cutoff, run_id, shard, parts)

    def read_staged(self, cutoff: date, run_id: str) -> pd.DataFrame:
        """All shards of a run, in their order. Raises StoreError where there are none."""
        return self._shards.read(cutoff, run_id)

    def staged_pieces(self, cutoff: date, run_id: str) -> Iterator[pd.DataFrame]:
        """The same rows as `read_staged`, in the parts that they were written in."""
        return self._shards.pieces(cutoff, run_id)

    def clear_staged(self, cutoff: date, run_id: str) -> None:
        """Remove the shards of a run."""
        self._shards.clear(cutoff, run_id)

    # ------------------------------------------------------------ Delta

    def _holds(self, commit: Commit, sales: pd.DataFrame, since: date | None, content: str) -> bool:
        """Whether the snapshot already holds exactly these sales in their window."""
        if commit.since == since:
            return commit.content == content
        version = version_of(commit.snapshot.id)
        rows = arrow_frames.window(since, commit.snapshot.cutoff, self._dataset("sales", version, []).schema)
        there = self._read("sales", version, ["item", "store"], arrow_frames.SALES, rows)
        return len(there) == len(sales) and arrow_frames.digest(there) == content

    def _read(
        self,
        name: str,
        version: int,
        categorical: list[str],
        columns: Sequence[str] | None,
        rows: pads.Expression | None = None,
    ) -> pd.DataFrame:
        data = self._dataset(name, version, categorical)
        there = data.schema.names
        missing = [column for column in columns or () if column not in there]
        if missing:
            raise StoreError(f"Table {name!r} of the lake has no column {some(missing)}; it has {', '.join(there)}.")
        return arrow_frames.to_pandas(data.to_table(columns=list(columns or there), filter=rows))

    def _dataset(self, name: str, version: int, categorical: list[str]) -> pads.Dataset:
        table = self._history.table(name, version)
        if table is None:
            raise StoreError(f"Table {name!r}, version {version}, is gone from the lake {self._folder.path}.")
        options = pads.ParquetReadOptions(dictionary_columns=set(categorical))
        return table.to_pyarrow_dataset(parquet_read_options=options)

    def _write_table(self, name: str, frame: pd.DataFrame) -> int:
        table, data = self._history.table(name), arrow_frames.to_arrow(frame, name)
        with _writing(name):
            write_deltalake(
                table or self._folder.at(name), data, mode="overwrite", schema_mode="overwrite",
                configuration=CONFIGURATION, storage_options=self._options, post_commithook_properties=HOOKS,
            )  # fmt: skip
        return table.version() if table else 0

    def _write_sales(self, sales: pd.DataFrame, since: date | None, cutoff: date, record: dict[str, Any]) -> Snapshot:
        table = self._history.table("sales")
        hourly = arrow_frames.has_hours(sales["ds"]) if table is None else "timestamp" in str(table.schema().to_json())
        data = arrow_frames.with_month(arrow_frames.to_arrow(sales, "sales", ("ds",) if hourly else ()))
        window = f"ds < '{cutoff + timedelta(days=1)} 00:00:00'" if hourly else f"ds <= '{cutoff}'"
        window += f" AND ds >= '{since}{' 00:00:00' if hourly else ''}'" if since else ""
        with _writing("sales"):
            write_deltalake(
                table or self._folder.at("sales"), data, mode="overwrite", predicate=window if table else None,
                partition_by="month", configuration=CONFIGURATION, storage_options=self._options,
                post_commithook_properties=HOOKS,
                commit_properties=CommitProperties(custom_metadata={"forecasting": json.dumps(record)}),
            )  # fmt: skip
        return next(one.snapshot for one in self._history.commits() if one.snapshot.digest == record["digest"])


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except (DeltaError, OSError) as error:
        raise StoreError(
            f"Table {name!r} of the lake cannot be written: {error}. Nothing of this snapshot can be seen. "
            "See that lake.path can be written and that no second extract runs; then run extract again."
        ) from error
