"""Panels: arrays below the lake, mapped and not read where it is local, of which a reader never sees half."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.errors import CutoffError, StoreError, some
from forecasting.core.frequency import Frequency
from forecasting.panel.covariates.events import Events
from forecasting.panel.hierarchy import Level, Totals
from forecasting.panel.memory import blocks, release
from forecasting.panel.panel import Panel
from forecasting.storage.lake.folder import Folder, quoted

NEVER: NDArray[np.int64] = np.empty((0, 4), dtype=np.int64)  # no series has ended


class Panels:
    """panels/cutoff=.../: `panel.json`, written last, names the folder beside it that holds the arrays."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def write(self, panel: Panel) -> str:
        """Arrays first, then the one small file that makes them the panel of this cutoff. The same panel, whole: no-op.

        Raises StoreError where the place takes no more.
        """
        place = ("panels", f"cutoff={panel.cutoff}")
        arrays, series = _arrays(panel), _parquet(panel.series)
        about, totals = _about(panel, arrays), _totals(panel)
        about["digest"] = _digest(arrays, series, about)
        about["folder"] = about["digest"][:16]
        if self._about(panel.cutoff) != about or not self._whole(about, [*arrays, *totals], *place):
            for name, values in (arrays | totals).items():
                self._save(values, *place, about["folder"], f"{name}.npy")
            self._folder.write(series, *place, about["folder"], "series.parquet")
            self._folder.write(_parquet(_labels(panel)), *place, about["folder"], "totals", "labels.parquet")
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
            about = self._about(cutoff) or about
        try:
            return self._load(cutoff, about)
        except FileNotFoundError as error:
            raise StoreError(
                f"The panel of cutoff {cutoff} is not whole ({error}): two runs may have written it at once, or files "
                "were removed. Run extract for this cutoff again."
            ) from error

    def written(self, by: datetime) -> list[tuple[str, ...]]:
        """Places of the panels that were written by a moment; never that of the newest cutoff."""
        places = [("panels", name) for name in self._folder.names("panels")[:-1]]
        there = [place for place in places if "panel.json" in self._folder.names(*place)]
        return [place for place in there if self._folder.modified(*place, "panel.json") <= by]

    def _whole(self, about: Mapping[str, Any], arrays: Sequence[str], *place: str) -> bool:
        files = [*(f"{name}.npy" for name in arrays), "series.parquet", "totals/labels.parquet"]
        return all(self._folder.exists(*place, str(about["folder"]), name) for name in files)

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
            known={name: self._array(*place, "known", f"{quoted(name)}.npy") for name in about["known"]},
            past={name: self._array(*place, "past", f"{quoted(name)}.npy") for name in about["past"]},
            levels=tuple(about["levels"]),
            totals=self._load_totals(about, *place),
            ended=self._array(*place, "ended.npy").astype(np.int64) if about.get("ended") else NEVER,
            events=self._load_events(about, *place),
            absence=self._array(*place, "absence.npy") if about.get("absence") else None,
            since={name: self._array(*place, "since", f"{quoted(name)}.npy") for name in about.get("since", ())},
            zero=frozenset(about.get("zero", ())),
        )

    def _load_events(self, about: Mapping[str, Any], *place: str) -> Events | None:
        """None where no calendar is declared, and in a panel that an older version wrote."""
        kept = about.get("events")
        if kept is None:
            return None
        cells, calendars = (self._array(*place, "events", f"{name}.npy") for name in ("cells", "calendars"))
        since = self._array(*place, "events", "since.npy").astype(np.int32) if kept.get("since") else None
        names, ahead = tuple(kept["names"]), int(kept["ahead"])
        return Events(names, cells.astype(np.int32), calendars.astype(np.int32), ahead, since)

    def _load_totals(self, about: Mapping[str, Any], *place: str) -> dict[str, Totals]:
        """The levels' sums lie one below the other in one matrix; none in a panel that an older version wrote."""
        if not about.get("totals"):
            return {}
        labels = pd.read_parquet(io.BytesIO(self._folder.read(*place, "totals", "labels.parquet")))
        groups = labels["label"].to_numpy(dtype=object)
        codes, units, filled = (self._array(*place, "totals", f"{name}.npy") for name in ("codes", "units", "filled"))
        means = {name: self._array(*place, "totals", f"means-{quoted(name)}.npy") for name in about["means"]}
        found, start = {}, 0
        for row, (name, count) in enumerate(about["totals"]):
            mine = slice(start, start + count)
            level = Level(name, codes[row].astype(np.int64), groups[mine])
            found[name] = Totals(level, units[mine], filled[mine], {key: one[mine] for key, one in means.items()})
            start += count
        return found

    def _array(self, *parts: str) -> NDArray[Any]:
        if self._folder.local:
            # A plain array over the mapped file: numpy's own class for it makes every slice cost five times as much.
            return np.asarray(np.load(self._folder.at(*parts), mmap_mode="r"))
        read: NDArray[Any] = np.load(io.BytesIO(self._folder.read(*parts)))
        return read

    def _save(self, values: NDArray[Any], *parts: str) -> None:
        """Local: next to its place and then renamed, for somebody may have the old file mapped."""
        if not self._folder.local:
            with self._folder.files.open(self._folder.at(*parts), "wb") as file:
                _save(file, values)
            return
        target = Path(self._folder.at(*parts))
        half = target.with_name(f".{uuid.uuid4().hex}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with half.open("wb") as file:
                _save(file, values)
            half.replace(target)
        except OSError as error:
            half.unlink(missing_ok=True)  # on a full disk every block counts
            raise StoreError(
                f"The panel cannot be written to {target}: {error}. See lake.path and its disk."
            ) from error


def _save(file: Any, values: NDArray[Any]) -> None:
    """As `np.save`, of an array in C order, a block of rows at a time."""
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
    for part in blocks(len(values)):
        file.write(np.ascontiguousarray(values[part]).data)
        release(values)


def _totals(panel: Panel) -> dict[str, NDArray[Any]]:
    """Matrices of all levels, one level below the other, and the group of each series: codes (n_levels, n_series)."""
    found = list(panel.totals.values())
    if not found:
        return {}
    stacked: dict[str, NDArray[Any]] = {
        "totals/codes": np.stack([one.level.codes.astype(np.int32) for one in found]),
        "totals/units": np.concatenate([one.units for one in found]),
        "totals/filled": np.concatenate([one.filled for one in found]),
    }
    for name in found[0].means:
        stacked[f"totals/means-{quoted(name)}"] = np.concatenate([one.means[name] for one in found])
    return stacked


def _labels(panel: Panel) -> pd.DataFrame:
    names = [label for one in panel.totals.values() for label in one.level.labels]
    return pd.DataFrame({"label": pd.Series(names, dtype="str")})


def _arrays(panel: Panel) -> dict[str, NDArray[Any]]:
    named: dict[str, NDArray[Any]] = {"y": panel.y}
    if panel.absence is not None:
        named["absence"] = panel.absence
    named |= {f"known/{quoted(name)}": panel.known[name] for name in panel.known}
    named |= {f"past/{quoted(name)}": panel.past[name] for name in panel.past}
    named |= {f"since/{quoted(name)}": panel.since[name] for name in panel.since}
    if len(panel.ended):
        named["ended"] = panel.ended
    if panel.events is not None:
        named |= {"events/cells": panel.events.cells, "events/calendars": panel.events.calendars}
        named |= {} if panel.events.since is None else {"events/since": panel.events.since}
    return {name: np.ascontiguousarray(values) for name, values in named.items()}


def _about(panel: Panel, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {
        "cutoff": panel.cutoff.isoformat(),
        "snapshot": panel.snapshot,
        "frequency": panel.frequency.code,
        "first": panel.periods[0].isoformat().removesuffix("T00:00:00"),
        "periods": len(panel.periods),
        "levels": list(panel.levels),
        "known": list(panel.known),
        "past": list(panel.past),
        "events": _about_events(panel.events),
        "absence": panel.absence is not None,
        "totals": [[name, len(one.level.labels)] for name, one in panel.totals.items()],
        "means": sorted({name for one in panel.totals.values() for name in one.means}),
        "ended": len(panel.ended),
        "shapes": {name: list(values.shape) for name, values in arrays.items()},
    } | ({"since": list(panel.since), "zero": sorted(panel.zero)} if panel.since or panel.zero else {})


def _about_events(events: Events | None) -> dict[str, Any] | None:
    if events is None:
        return None
    late = {} if events.since is None else {"since": True}
    return {"names": list(events.names), "ahead": events.ahead} | late


def _digest(arrays: Mapping[str, NDArray[Any]], series: bytes, about: Mapping[str, Any]) -> str:
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    total.update(series)
    for values in arrays.values():
        for part in blocks(len(values)):
            total.update(values[part].reshape(-1).view(np.uint8).data)
            release(values)
    return total.hexdigest()


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
