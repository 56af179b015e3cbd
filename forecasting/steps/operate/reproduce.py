"""A published vintage once more, from its snapshot and its model in the registry: equal to the last bit, or why not."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasting import models
from forecasting.core.config.settings import Settings
from forecasting.core.errors import PublishError
from forecasting.models.base import Forecaster
from forecasting.panel.panel import Panel
from forecasting.steps.forecast.vintage import NUMBERS
from forecasting.steps.operate.panel_again import rebuilt, rows_of
from forecasting.steps.run import code_version, night_of, packages
from forecasting.steps.train.challenger import challenger
from forecasting.steps.train.champion import loaded
from forecasting.storage.registry.manifest import write_manifest
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS

log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def reproduce(settings: Settings, cutoff: date, retrain: bool = False, tell: Tell = log.info) -> dict[str, Any]:
    """Rebuild panel and forecasts of a cutoff and compare them with the published rows, number by number.

    retrain: train again from the snapshot that the model learnt from, too; the folder must have the same digest.
    Returns cutoff, equal, rows, different, largest_difference, versions, and with `retrain` what came of it. Raises
    PublishError where nothing was published for the cutoff, SettingsError where other series are asked for than then.
    """
    cutoff = night_of(settings, cutoff).cutoff
    published = Warehouse(settings.warehouse).read(FORECASTS, cutoff=pd.Timestamp(cutoff))
    if published.empty:
        known = ", ".join(str(day) for day in Warehouse(settings.warehouse).cutoffs(most=5)) or "none"
        raise PublishError(f"No vintage of cutoff {cutoff} was published; the newest are: {known}.")
    parts = []
    for (version, snapshot), rows in published.groupby(["model_version", "snapshot"]):
        panel = rebuilt(settings, cutoff, str(snapshot))
        tell(f"{snapshot}: {len(panel.y):,} series, version {version}")
        parts.append(_compared(rows, panel, loaded(Registry(settings.mlflow), str(version))))
    off = np.concatenate(parts)
    different = int((off != 0).any(axis=1).sum())
    versions = sorted(published["model_version"].astype(str).unique())
    facts: dict[str, Any] = {
        "cutoff": cutoff,
        "equal": different == 0,
        "rows": len(published),
        "different": different,
        "largest_difference": float(np.abs(off).max()),
        "versions": versions,
        "snapshots": sorted(published["snapshot"].astype(str).unique()),
    }
    if retrain:
        facts["retrained"] = [_retrained(settings, version, tell) for version in versions]
        facts["equal"] = facts["equal"] and all(one["equal"] for one in facts["retrained"])
    return facts


def _compared(rows: pd.DataFrame, panel: Panel, model: Forecaster) -> np.ndarray:
    """(n_rows, n_numbers) made again less published; as stored, that is as float64 of a float32."""
    where = rows_of(panel, rows["unique_id"])
    wanted = np.unique(where)
    forecast = model.predict(panel, int(rows["horizon"].max()), wanted)
    quantiles = forecast.quantiles
    if quantiles is None:
        raise PublishError("The model gives no quantiles.")
    numbers = np.concatenate([forecast.mean[..., None], quantiles], axis=-1).astype(np.float64)
    again = numbers[np.searchsorted(wanted, where), rows["horizon"].to_numpy(dtype=int) - 1]
    difference: np.ndarray = again - rows[list(NUMBERS)].to_numpy(dtype=np.float64)
    return difference


def _retrained(settings: Settings, version: str, tell: Tell) -> dict[str, Any]:
    """One version trained again from its snapshot.

    Keys: version, equal (the same folder, byte for byte), digest and registered (of the folders), differs (code,
    settings and packages that are others than then, each then and now), moved (share of the units forecast that is
    elsewhere now) and largest_move (of one series and period, in units).
    """
    registry = Registry(settings.mlflow)
    known = registry.version(version)
    panel = rebuilt(settings, known.cutoff, known.tags["snapshot"])
    made = challenger(settings, panel, tell)
    if of := known.tags.get("refit_of"):
        made = made.refit(of, known.weights, known.by_class)
    final = made.final
    with tempfile.TemporaryDirectory(prefix="again-") as place:
        folder = Path(place) / "model"
        models.save(final, folder)
        digest = write_manifest(folder)
    equal, moved, largest = digest == known.tags.get("manifest", ""), 0.0, 0.0
    if not equal:
        before = loaded(registry, version).predict(panel, settings.panel.horizon).mean
        off = np.abs(final.predict(panel, settings.panel.horizon).mean - before)
        moved, largest = float(off.sum() / max(float(np.abs(before).sum()), 1e-12)), float(off.max())
    return {
        "version": version, "equal": equal, "digest": digest, "registered": known.tags.get("manifest", ""),
        "differs": _differs(settings, known.tags), "moved": moved, "largest_move": largest,
    }  # fmt: skip


def _differs(settings: Settings, tags: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What made the model `then` and what would `now`, by name, where that is not the same."""
    then = {"code": tags.get("code", ""), "settings": tags.get("settings", "")} | json.loads(tags.get("packages", "{}"))
    now = {"code": code_version(), "settings": settings.digest()} | packages()
    return {
        name: {"then": str(then.get(name, "")), "now": str(now[name])} for name in now if then.get(name) != now[name]
    }
