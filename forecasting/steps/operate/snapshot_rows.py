"""The rows of a snapshot behind one series: all that its features could be made from, each table with its version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.panel.observed.absence_codes import counts
from forecasting.panel.panel import Panel
from forecasting.storage.lake.arrow_frames import has_hours
from forecasting.storage.lake.commits import version_of
from forecasting.storage.lake.lake import Lake
from forecasting.tables.lake import SALES

Rows = list[dict[str, Any]]


def digest(content: Mapping[str, Any] | Sequence[Any]) -> str:
    """SHA-256 of the content as JSON: sorted keys, no spaces, dates as YYYY-MM-DD. Anybody can take it again."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def sales(lake: Lake, panel: Panel, where: int) -> dict[str, Any]:
    """Every row of sales of the series `where` of the panel up to its cutoff.

    Keys: item, store, version (of the table), count, units, first, last, window (first and last day of the panel),
    unobserved_periods, unobserved (periods by reason), groups (whose totals over all series are features too), digest
    (of the rows), rows (ds, y).
    """
    item, store = (str(panel.series[name].iloc[where]) for name in ("item", "store"))
    found = _used(_among(lake, panel.snapshot, "sales", item=[item], store=[store]), pd.Timestamp(panel.cutoff))
    rows = plain(found[["ds", "y"]])
    return {
        "item": item, "store": store, "version": version_of(panel.snapshot), "count": len(rows),
        "units": float(found["y"].sum()),
        "first": rows[0]["ds"] if rows else None, "last": rows[-1]["ds"] if rows else None,
        "window": [panel.periods[0].date(), panel.cutoff],
        "unobserved_periods": int((~np.isfinite(panel.y[where])).sum()),
        "unobserved": {} if panel.absence is None else counts(panel.absence[where]),
        "groups": {name: str(one.level.labels[one.level.codes[where]]) for name, one in panel.totals.items()},
        "digest": digest(rows), "rows": rows,
    }  # fmt: skip


def tables(lake: Lake, settings: Settings, panel: Panel, where: int) -> dict[str, dict[str, Any]]:
    """Every other table of the snapshot, by name: version, digest (whole table), count, rows_digest and rows.

    The rows are those that hold for the series: of its item and store or of all, up to the last day that is forecast;
    of what is only known afterwards (stock, some signals) up to the cutoff.
    """
    snapshot, series = lake.find(panel.snapshot), panel.series.iloc[where]
    keys = {name: [str(series[name]), ""] for name in ("item", "store")}
    last = pd.Timestamp(panel.frequency.end(panel.future(settings.panel.horizon)[-1]))
    found = {}
    for name, version in snapshot.versions.items():
        if name == "inventory":
            continue  # no forecast is made from it
        mine = _among(lake, snapshot.id, name, **keys)
        if name == "signals" and len(mine):
            mine = _signals(mine, settings, panel, series)
        rows = plain(_used(mine, pd.Timestamp(panel.cutoff) if name == "stock" else last))
        found[name] = {
            "version": version, "digest": snapshot.digests[name], "count": len(rows), "rows_digest": digest(rows),
            "rows": rows,
        }  # fmt: skip
    return found


def plain(frame: pd.DataFrame) -> Rows:
    """Rows as plain values: dates without a time where all are at midnight, None for an empty cell."""
    columns = {}
    for name, values in frame.items():
        shown = values
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            shown = values.dt.strftime("%Y-%m-%d %H:%M") if has_hours(values) else values.dt.date
        columns[str(name)] = shown.astype(object).where(values.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in pd.DataFrame(columns).to_dict("records")]


def _among(lake: Lake, snapshot: str, name: str, **among: Sequence[str]) -> pd.DataFrame:
    """Rows of some keys, with plain text; none: the columns of SALES."""
    parts = [
        piece.astype(dict.fromkeys(piece.select_dtypes("category"), "str"))
        for piece in lake.pieces(snapshot, name, **among)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(SALES.columns))


def _used(rows: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """Those up to a day, and those without one, by day."""
    if rows.empty or "ds" not in rows:
        return rows
    used: pd.DataFrame = rows[rows["ds"].isna() | (rows["ds"].dt.normalize() <= until)]
    return used.sort_values("ds", kind="stable")


def _signals(rows: pd.DataFrame, settings: Settings, panel: Panel, series: pd.Series) -> pd.DataFrame:
    """Those of the series' own groups; of what is known afterwards, those up to the cutoff."""
    declared = settings.extract.signals
    past = rows["signal"].isin([one.name for one in declared if one.known == "afterwards"])
    rows = rows[~past | (rows["ds"] <= pd.Timestamp(panel.cutoff))]
    if "group" not in rows:
        return rows
    groups = {one.name: str(series[one.by]) for one in declared if one.by}
    return rows[rows["group"].isin(["", None]) | (rows["group"] == rows["signal"].map(groups))]
