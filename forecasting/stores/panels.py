"""A panel as files: one array a matrix, the series as Parquet, and panel.json, which is written last."""

from __future__ import annotations

import json
import uuid
from datetime import date

import numpy as np
import pandas as pd

from forecasting.data.frequency import Frequency
from forecasting.data.panel import Panel
from forecasting.errors import CutoffError, some
from forecasting.stores.folders import Folder


def write_panel(folder: Folder, panel: Panel) -> None:
    """Write the arrays under a name of their own, then point panel.json of the cutoff at them."""
    place = _place(panel.cutoff)
    before = folder.names(place)
    version = uuid.uuid4().hex[:12]
    folder.write_array(f"{place}/{version}/y.npy", panel.y)
    for kind, matrices in (("known", panel.known), ("past", panel.past)):
        for name, values in matrices.items():
            folder.write_array(f"{place}/{version}/{kind}-{name}.npy", values)
    folder.write_parquet(f"{place}/{version}/series.parquet", panel.series)
    about = {
        "version": version,
        "snapshot": panel.snapshot,
        "frequency": panel.frequency.code,
        "first": panel.periods[0].date().isoformat(),
        "levels": list(panel.levels),
        "known": list(panel.known),
        "past": list(panel.past),
    }
    folder.write_text(f"{place}/panel.json", json.dumps(about, indent=1))
    for old in before:
        if old not in ("panel.json", version):
            folder.remove(f"{place}/{old}")


def read_panel(folder: Folder, cutoff: date) -> Panel:
    """The panel of a cutoff; local arrays are mapped. Raises CutoffError naming those that exist."""
    place = _place(cutoff)
    try:
        about = json.loads(folder.read_text(f"{place}/panel.json"))
    except FileNotFoundError:
        there = [name.removeprefix("cutoff=") for name in reversed(folder.names("panels"))]
        raise CutoffError(
            f"There is no panel for cutoff {cutoff}; there are: {some(there) or 'none'}. "
            f"Run extract for it first (python -m forecasting extract --cutoff {cutoff})."
        ) from None
    inside = f"{place}/{about['version']}"
    y = folder.read_array(f"{inside}/y.npy")
    frequency = Frequency.parse(about["frequency"])
    return Panel(
        y=y.astype(np.float32, copy=False),
        periods=frequency.range(pd.Timestamp(about["first"]), y.shape[1]),
        series=folder.read_parquets([f"{inside}/series.parquet"]),
        frequency=frequency,
        snapshot=about["snapshot"],
        known={name: folder.read_array(f"{inside}/known-{name}.npy") for name in about["known"]},
        past={name: folder.read_array(f"{inside}/past-{name}.npy") for name in about["past"]},
        levels=tuple(about["levels"]),
    )


def _place(cutoff: date) -> str:
    return f"panels/cutoff={cutoff.isoformat()}"
