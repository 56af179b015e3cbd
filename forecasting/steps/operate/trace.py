"""Where a number came from: the forecast row, its run, model, snapshot, and the sales and covariates behind it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, TableError, some
from forecasting.models.blend import Blend
from forecasting.panel.panel import Panel
from forecasting.steps.forecast import overrides
from forecasting.steps.forecast.vintage import NUMBERS
from forecasting.steps.operate import snapshot_rows
from forecasting.steps.operate.panel_again import kept_or_rebuilt, rows_of
from forecasting.steps.train.champion import loaded
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry, Version
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, MODEL_PROMOTIONS, RUNS


def trace(settings: Settings, unique_id: str, ds: date, cutoff: date | None = None) -> dict[str, Any]:
    """Everything that is known of one published number; the newest vintage that has it, unless told which.

    Keys: forecast, snapshot, digest (its SHA-256), model_version, code, settings (digest), run, model, decisions, panel
    (kept, or built anew), sales and tables (every row that the features could be made from:
    steps/operate/snapshot_rows.py), covariates (of the day, by name), explanation (why this number, in units), digests
    (of the numbers, the rows and the model), overrides (that the number went through, oldest first, with the final
    number). Raises TableError where no vintage has this series and day, naming what there is.
    """
    warehouse, lake = Warehouse(settings.warehouse), Lake(settings.lake)
    row = _row(warehouse, unique_id, ds, cutoff)
    cutoff, snapshot = row["cutoff"].date(), str(row["snapshot"])
    runs = warehouse.read(RUNS, run_id=row["run_id"])
    wrote = runs[runs["step"] == "forecast"].iloc[0] if (runs["step"] == "forecast").any() else None
    version = Registry(settings.mlflow).version(str(row["model_version"]))
    decisions = warehouse.read(MODEL_PROMOTIONS, version=version.version).sort_values("decided_at")
    panel, kept = kept_or_rebuilt(settings, cutoff, snapshot)
    where = int(rows_of(panel, [unique_id])[0])
    sales, tables = snapshot_rows.sales(lake, panel, where), snapshot_rows.tables(lake, settings, panel, where)
    return {
        "forecast": _filled(row),
        "snapshot": snapshot,
        "digest": lake.find(snapshot).digest,
        "model_version": version.version,
        "code": None if wrote is None else wrote["code"],
        "settings": None if wrote is None else wrote["settings"],
        "run": None if wrote is None else _filled(wrote),
        "model": _model(version),
        "decisions": decisions[["cutoff", "decision", "by", "reason", "decided_at"]].to_dict("records"),
        "panel": "kept" if kept else f"built anew from {snapshot} with settings {settings.digest()}",
        "sales": sales,
        "tables": tables,
        "covariates": _covariates(panel, where, ds, settings.panel.horizon),
        "explanation": _explained(settings, panel, where, ds, version.version),
        "digests": {
            "forecast": snapshot_rows.digest({name: float(row[name]) for name in NUMBERS}),
            "model": version.tags.get("manifest"),
            "sales": sales["digest"],
            **{name: table["rows_digest"] for name, table in tables.items()},
        },
        "overrides": overrides.behind(warehouse, cutoff, unique_id, ds),
    }


def _row(warehouse: Warehouse, unique_id: str, ds: date, cutoff: date | None) -> pd.Series:
    """The forecast itself."""
    where: dict[str, Any] = {} if cutoff is None else {"cutoff": pd.Timestamp(cutoff)}
    rows = warehouse.read(FORECASTS, unique_id=unique_id, **where)
    found = rows[rows["ds"] == pd.Timestamp(ds)]
    if found.empty:
        told = f" in the vintage {cutoff}" if cutoff else ""
        if rows.empty:
            raise TableError(f"There is no forecast of series {unique_id!r}{told}: see `show --series` for the names.")
        days = f"{rows['ds'].min().date()} to {rows['ds'].max().date()}"
        raise TableError(
            f"There is no forecast of {unique_id} for {ds}{told}; it has {days}, of the cutoffs "
            f"{some(sorted({one.date().isoformat() for one in rows['cutoff']}, reverse=True))}."
        )
    newest: pd.Series = found.sort_values("cutoff").iloc[-1]
    return newest


def _filled(row: pd.Series) -> dict[str, Any]:
    """A row as plain values, None for an empty cell."""
    return {str(name): None if pd.isna(value) else value for name, value in row.items()}


def _model(version: Version) -> dict[str, Any]:
    tags = version.tags
    return {
        "name": version.name,
        "state": version.state,
        "trained_at": version.cutoff,
        "trained_on": tags.get("snapshot"),
        "weights": version.weights,
        "weights_by_class": version.by_class,
        "window": json.loads(tags.get("window", "null")),
        "manifest": tags.get("manifest"),
        "code": tags.get("code"),
        "settings": tags.get("settings"),
        "packages": json.loads(tags.get("packages", "{}")),
    }


def _explained(settings: Settings, panel: Panel, where: int, ds: date, version: str) -> list[dict[str, float | str]]:
    """Units by model and group of features, the largest first: they add up to the mean.

    Where the model's folder is not what was registered it is not loaded, and `missing` says so.
    """
    horizon = settings.panel.horizon
    try:
        model = loaded(Registry(settings.mlflow), version)
    except ArtifactError as error:
        return [{"missing": str(error)}]
    if not isinstance(model, Blend):
        return []
    step = int(panel.future(horizon).get_indexer(pd.DatetimeIndex([pd.Timestamp(ds)]))[0])
    rows: list[dict[str, float | str]] = [
        {"model": name, "group": group, "units": float(values[0, step])}
        for (name, group), values in model.explain(panel, horizon, np.array([where], dtype=np.intp)).items()
    ]
    return sorted(rows, key=lambda row: -abs(float(row["units"])))


def _covariates(panel: Panel, where: int, ds: date, horizon: int) -> dict[str, float | None]:
    """What was known ahead of the day, by name."""
    days = panel.periods.append(panel.future(horizon))
    column = int(days.get_indexer(pd.DatetimeIndex([pd.Timestamp(ds)]))[0])
    found: dict[str, float | None] = {}
    for name, values in panel.known.items():
        value = float(values[0 if len(values) == 1 else where, column])
        found[name] = value if np.isfinite(value) else None
    return found
