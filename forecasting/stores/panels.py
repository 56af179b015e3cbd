"""Panels and staged shards: files below the lake, local or on S3, of which a reader never sees half."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.data.frequency import Frequency
from forecasting.data.panel import Matrix, Panel
from forecasting.errors import CutoffError, StoreError, some
from forecasting.settings import LakeSettings
from forecasting.stores import frames

# Options may have the names of fsspec, as those of file sources do, or those of Delta's object store.
NAMES = {
    "key": "aws_access_key_id",
    "secret": "aws_secret_access_key",
    "token": "aws_session_token",
    "endpoint_url": "aws_endpoint_url",
    "region_name": "aws_region",
}


@dataclass(frozen=True)
class Folder:
    """A place for files, by their path below it."""

    path: str
    files: Any  # fsspec.AbstractFileSystem, which has no types
    local: bool

    @classmethod
    def of(cls, settings: LakeSettings) -> Folder:
        """The folder of the lake. Raises StoreError for an address of an unknown kind."""
        address = settings.path.removeprefix("file://").rstrip("/")
        if "://" not in address:
            return cls(str(Path(address).absolute()), fsspec.filesystem("file"), local=True)
        stated = delta_options(settings)
        options: dict[str, Any] = {ours: stated[theirs] for ours, theirs in NAMES.items() if theirs in stated}
        if "region_name" in options:
            options["client_kwargs"] = {"region_name": options.pop("region_name")}
        try:
            return cls(address, fsspec.filesystem(address.split("://")[0], **options), local=False)
        except (ValueError, ImportError) as error:
            raise StoreError(f"lake.path = {settings.path!r} is no folder and no s3:// address: {error}") from error

    def at(self, *parts: str) -> str:
        """Address of something below."""
        return "/".join((self.path, *parts))

    def write(self, data: bytes, *parts: str) -> None:
        """A whole file at once, in place of an earlier one. Raises StoreError where nothing can be written."""
        try:
            self._write(data, *parts)
        except OSError as error:
            raise StoreError(f"{self.at(*parts)} cannot be written: {error}. See lake.path, lake.options.") from error

    def _write(self, data: bytes, *parts: str) -> None:
        if not self.local:
            self.files.pipe_file(self.at(*parts), data)
            return
        target = Path(self.at(*parts))
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        half.write_bytes(data)
        half.replace(target)

    def read(self, *parts: str) -> bytes:
        """A whole file. Raises FileNotFoundError."""
        self.files.invalidate_cache()
        return bytes(self.files.cat_file(self.at(*parts)))

    def names(self, *parts: str) -> list[str]:
        """What lies in a folder, sorted; nothing where there is none, and nothing half written."""
        self.files.invalidate_cache()
        try:
            found = self.files.ls(self.at(*parts), detail=False)
        except FileNotFoundError:
            return []
        names = (str(name).rstrip("/").rsplit("/", 1)[-1] for name in found)
        return sorted(name for name in names if not name.startswith("."))

    def remove(self, *parts: str) -> None:
        """A folder with all that it holds, if there is one."""
        if self.local:
            shutil.rmtree(self.at(*parts), ignore_errors=True)
        elif self.files.exists(self.at(*parts)):
            self.files.rm(self.at(*parts), recursive=True)


def delta_options(settings: LakeSettings) -> dict[str, str]:
    """Storage options as Delta wants them."""
    options = {NAMES.get(key.lower(), key.lower()): value for key, value in settings.options.items()}
    if options.get("aws_endpoint_url", "").startswith("http://"):
        options.setdefault("aws_allow_http", "true")
    return options


class Panels:
    """panels/cutoff=.../: `panel.json`, written last, names the folder beside it that holds the arrays."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def write(self, panel: Panel) -> str:
        """Arrays first, then the one small file that makes them the panel of this cutoff. The same panel: no-op."""
        place = ("panels", f"cutoff={panel.cutoff}")
        arrays, series = _arrays(panel), _parquet(panel.series)
        about = _about(panel, arrays)
        about["digest"] = _digest(arrays, series, about)
        about["folder"] = about["digest"][:16]
        if self._about(panel.cutoff) != about:
            for name, values in arrays.items():
                self._save(values, *place, about["folder"], f"{name}.npy")
            self._folder.write(series, *place, about["folder"], "series.parquet")
            self._folder.write(json.dumps(about, indent=1).encode(), *place, "panel.json")
            for name in set(self._folder.names(*place)) - {about["folder"], "panel.json"}:
                self._folder.remove(*place, name)
        return self._folder.at(*place)

    def read(self, cutoff: date, snapshot: str | None = None) -> Panel:
        """The panel of this cutoff; local arrays are mapped, not read. Raises CutoffError naming what there is."""
        about = self._about(cutoff)
        if about is None or snapshot not in (None, about["snapshot"]):
            raise CutoffError(self._absent(cutoff, snapshot, about))
        try:
            return self._load(cutoff, about)
        except FileNotFoundError:  # replaced between the two readings
            return self._load(cutoff, self._about(cutoff) or about)

    def _absent(self, cutoff: date, snapshot: str | None, about: Mapping[str, Any] | None) -> str:
        if about is not None:
            return (
                f"The panel of cutoff {cutoff} was built from {about['snapshot']}, not from {snapshot}. Run extract "
                f"for this cutoff again, or ask for the panel of {about['snapshot']}."
            )
        there = [name.removeprefix("cutoff=") for name in self._folder.names("panels")]
        return (
            f"The lake {self._folder.path} holds no panel of cutoff {cutoff}; it holds those of "
            f"{some(reversed(there)) or 'none at all'}. Run extract for this cutoff first "
            f"(python -m forecasting extract --cutoff {cutoff})."
        )

    def _about(self, cutoff: date) -> dict[str, Any] | None:
        try:
            about: dict[str, Any] = json.loads(self._folder.read("panels", f"cutoff={cutoff}", "panel.json"))
        except FileNotFoundError:
            return None
        return about

    def _load(self, cutoff: date, about: Mapping[str, Any]) -> Panel:
        place = ("panels", f"cutoff={cutoff}", str(about["folder"]))
        frequency = Frequency.parse(about["frequency"])
        return Panel(
            y=self._array(*place, "y.npy"),
            periods=frequency.range(pd.Timestamp(about["first"]), about["periods"]),
            series=pd.read_parquet(io.BytesIO(self._folder.read(*place, "series.parquet"))),
            frequency=frequency,
            snapshot=about["snapshot"],
            known={name: self._array(*place, "known", f"{_quoted(name)}.npy") for name in about["known"]},
            past={name: self._array(*place, "past", f"{_quoted(name)}.npy") for name in about["past"]},
            levels=tuple(about["levels"]),
        )

    def _array(self, *parts: str) -> Matrix:
        if self._folder.local:
            mapped: Matrix = np.load(self._folder.at(*parts), mmap_mode="r")
            return mapped
        read: Matrix = np.load(io.BytesIO(self._folder.read(*parts)))
        return read

    def _save(self, values: Matrix, *parts: str) -> None:
        """Local: next to its place and then renamed, for somebody may have the old file mapped."""
        if not self._folder.local:
            with self._folder.files.open(self._folder.at(*parts), "wb") as file:
                np.save(file, values)
            return
        target = Path(self._folder.at(*parts))
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{uuid.uuid4().hex}")
        with half.open("wb") as file:
            np.save(file, values)
        half.replace(target)


def _arrays(panel: Panel) -> dict[str, Matrix]:
    named = {"y": panel.y}
    named |= {f"known/{_quoted(name)}": panel.known[name] for name in panel.known}
    named |= {f"past/{_quoted(name)}": panel.past[name] for name in panel.past}
    return {name: np.ascontiguousarray(values) for name, values in named.items()}


def _about(panel: Panel, arrays: Mapping[str, Matrix]) -> dict[str, Any]:
    return {
        "cutoff": panel.cutoff.isoformat(),
        "snapshot": panel.snapshot,
        "frequency": panel.frequency.code,
        "first": panel.periods[0].date().isoformat(),
        "periods": len(panel.periods),
        "levels": list(panel.levels),
        "known": list(panel.known),
        "past": list(panel.past),
        "shapes": {name: list(values.shape) for name, values in arrays.items()},
    }


def _digest(arrays: Mapping[str, Matrix], series: bytes, about: Mapping[str, Any]) -> str:
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    total.update(series)
    for values in arrays.values():
        total.update(values.reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def _quoted(name: str) -> str:
    """As one part of a path: no slash, and not hidden."""
    return quote(name, safe="").replace(".", "%2E")


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


class Shards:
    """staged/cutoff=.../run=.../shard-0000.parquet: what mapped tasks hand to the one that publishes."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def write(self, cutoff: date, run_id: str, shard: int, frame: pd.DataFrame) -> None:
        """One shard, in place of an earlier try."""
        self._folder.write(_parquet(frame), *_place(cutoff, run_id), f"shard-{shard:04d}.parquet")

    def read(self, cutoff: date, run_id: str) -> pd.DataFrame:
        """All shards in their order, as one frame. Raises StoreError where there are none, or one is damaged."""
        place = _place(cutoff, run_id)
        names = [name for name in self._folder.names(*place) if name.startswith("shard-")]
        if not names:
            runs = [unquote(name.removeprefix("run=")) for name in self._folder.names(*place[:-1])]
            raise StoreError(
                f"Nothing is staged for cutoff {cutoff} by run {run_id!r}; staged for this cutoff are runs: "
                f"{some(runs) or 'none'}. The shards of this run must be predicted before they can be published."
            )
        names.sort(key=lambda name: int(name.removeprefix("shard-").removesuffix(".parquet")))
        try:
            tables = [pq.read_table(pa.BufferReader(self._folder.read(*place, name))) for name in names]
        except pa.ArrowException as error:
            raise StoreError(f"A shard below {self._folder.at(*place)} is damaged: {error}. Predict again.") from error
        return frames.to_pandas(frames.concatenated(tables))

    def clear(self, cutoff: date, run_id: str) -> None:
        """Remove the shards of a run."""
        place = _place(cutoff, run_id)
        self._folder.remove(*place)


def _place(cutoff: date, run_id: str) -> tuple[str, str, str]:
    return "staged", f"cutoff={cutoff}", f"run={_quoted(run_id)}"
