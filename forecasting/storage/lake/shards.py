"""Staged shards: Parquet files below the lake that mapped tasks hand to the one that publishes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.core.errors import StoreError, some
from forecasting.storage.lake import arrow_frames
from forecasting.storage.lake.folder import Folder, quoted


class Shards:
    """staged/cutoff=.../run=.../shard-0000.parquet."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def write(self, cutoff: date, run_id: str, shard: int, parts: pd.DataFrame | Iterable[pd.DataFrame]) -> None:
        """One shard, in place of an earlier try; it may come in parts of the same columns."""
        buffer, writer = io.BytesIO(), None
        for part in [parts] if isinstance(parts, pd.DataFrame) else parts:
            table = arrow_frames.to_arrow(part, "shard")
            writer = writer or pq.ParquetWriter(buffer, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is None:
            raise StoreError(f"Shard {shard} of run {run_id!r} is empty.")
        writer.close()
        self._folder.write(buffer.getvalue(), *_place(cutoff, run_id), f"shard-{shard:04d}.parquet")

    def read(self, cutoff: date, run_id: str) -> pd.DataFrame:
        """All shards in their order, as one frame. Raises StoreError where there are none, or one is damaged."""
        return arrow_frames.to_pandas(arrow_frames.concatenated(list(self._tables(cutoff, run_id))))

    def pieces(self, cutoff: date, run_id: str) -> Iterator[pd.DataFrame]:
        """The same rows, in the parts that they were written in."""
        return map(arrow_frames.to_pandas, self._tables(cutoff, run_id))

    def _tables(self, cutoff: date, run_id: str) -> Iterator[pa.Table]:
        place = _place(cutoff, run_id)
        names = [name for name in self._folder.names(*place) if name.startswith("shard-")]
        if not names:
            runs = [unquote(name.removeprefix("run=")) for name in self._folder.names(*place[:-1])]
            raise StoreError(
                f"Nothing is staged for cutoff {cutoff} by run {run_id!r}; staged for this cutoff are runs: "
                f"{some(runs) or 'none'}. The shards of this run must be predicted before they can be published."
            )
        names.sort(key=lambda name: int(name.removeprefix("shard-").removesuffix(".parquet")))
        for name in names:
            try:
                file = pq.ParquetFile(pa.BufferReader(self._folder.read(*place, name)))
                for part in range(file.num_row_groups):
                    yield file.read_row_group(part)
            except pa.ArrowException as error:
                where = self._folder.at(*place)
                raise StoreError(f"A shard below {where} is damaged: {error}. Predict again.") from error

    def clear(self, cutoff: date, run_id: str) -> None:
        """Remove the shards of a run."""
        self._folder.remove(*_place(cutoff, run_id))

    def written(self, by: datetime) -> list[tuple[str, ...]]:
        """Places of the runs whose every shard was written by a moment."""
        cutoffs = [("staged", name) for name in self._folder.names("staged")]
        runs = [(*place, name) for place in cutoffs for name in self._folder.names(*place)]
        there = [(run, names) for run in runs if (names := self._folder.names(*run))]
        return [run for run, names in there if all(self._folder.modified(*run, name) <= by for name in names)]


def _place(cutoff: date, run_id: str) -> tuple[str, str, str]:
    return "staged", f"cutoff={cutoff}", f"run={quoted(run_id)}"
