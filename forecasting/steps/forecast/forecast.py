"""Forecast: plan shards, predict each with the champion, publish the vintage whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from structlog.contextvars import bound_contextvars

from forecasting.core.config.settings import Settings
from forecasting.core.errors import PublishError, SettingsError, some
from forecasting.models.blend import Blend
from forecasting.models.intervals.levels import Calibrations
from forecasting.panel.memory import lean
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.series_names import matching
from forecasting.steps.forecast import overrides, vintage
from forecasting.steps.run import Run, night_of, now, record
from forecasting.steps.train.champion import loaded, servable
from forecasting.storage.lake.lake import Lake
from forecasting.storage.locks import alone
from forecasting.storage.registry.registry import Registry, Version
from forecasting.storage.warehouse.changes import Change, Stream
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECAST_LEVELS, FORECAST_SUMS, FORECASTS, FORECASTS_WITHDRAWN

log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def plan(settings: Settings, cutoff: date) -> list[dict[str, Any]]:
    """Shards of the panel: {"shard", "start", "stop", "version", "model", "refused"} with series positions.

    Every shard sees the whole panel, and all use the champion that there is now; `refused` says why, where its folder
    is not what was registered and the champion before it stands in. Raises SettingsError where `forecast.series` names
    no series of the panel, PublishError where there is no champion, or none that can be loaded.
    """
    cutoff = night_of(settings, cutoff).cutoff
    panel = Lake(settings.lake).read_panel(cutoff)
    rows = _wanted(settings, panel)
    champion, refused = _servable(Registry(settings.mlflow), cutoff)
    size = settings.forecast.shard_series
    return [
        {
            "shard": number, "start": start, "stop": min(start + size, len(rows)),
            "version": champion.version, "model": champion.name, "refused": refused,
        }
        for number, start in enumerate(range(0, len(rows), size))
    ]  # fmt: skip


def _servable(registry: Registry, cutoff: date) -> tuple[Version, str]:
    """The newest champion whose folder can be trusted, and why a newer one cannot."""
    champion, refused = servable(registry, cutoff)
    if champion is not None:
        return champion, "; ".join(refused)[:500]
    if refused:
        raise PublishError(f"No champion can be loaded, and nothing is published: {some(refused)} Train again.")
    raise PublishError(
        f"No promoted model was trained at or before {cutoff}: run train for this cutoff first "
        f"(python -m forecasting train --cutoff {cutoff})."
    )


def predict(
    settings: Settings, cutoff: date, shard: Mapping[str, Any], run: Run, tell: Tell = log.info
) -> dict[str, Any]:
    """Forecast one shard of `plan` into the lake's staging area. Returns shard, rows, version."""
    lean()
    lake = Lake(settings.lake)
    panel = lake.read_panel(night_of(settings, cutoff).cutoff)
    rows = _wanted(settings, panel)[shard["start"] : shard["stop"]]
    with bound_contextvars(snapshot=panel.snapshot):
        version = str(shard["version"])
        model = loaded(Registry(settings.mlflow), version)
        forecast = model.predict(panel, settings.panel.horizon, rows)
        if shard.get("refused"):
            forecast = forecast.fallen_back(f"{shard['refused']}; version {version} stands in")
        parts = vintage.tables(
            panel, forecast, rows, vintage.Origin(str(shard["model"]), version, panel.snapshot, run.run_id)
        )
        lake.write_staged(panel.cutoff, run.run_id, int(shard["shard"]), parts)
        tell(f"shard {shard['shard']}: {len(rows):,} series with version {version} ({shard['model']})")
        return {"shard": int(shard["shard"]), "rows": forecast.mean.size, "version": version}


def publish(settings: Settings, cutoff: date, run: Run) -> dict[str, Any]:
    """Replace the vintage of this cutoff by the staged shards, in one transaction.

    With `forecast.series` only these series are replaced in the vintage that is there. Returns cutoff, snapshot, rows,
    series, statuses. Raises PublishError where a series lacks a row or a row its status.
    """
    lean()
    night = night_of(settings, cutoff)
    cutoff = night.cutoff
    with record(settings, run, "forecast", night) as outcome:
        lake, warehouse = Lake(settings.lake), Warehouse(settings.warehouse)
        panel = lake.read_panel(cutoff)
        pieces = partial(lake.staged_pieces, cutoff, run.run_id)
        if settings.forecast.series:
            merged = _merged(warehouse, cutoff, lake.read_staged(cutoff, run.run_id))
            pieces = partial(iter, [merged])
        found = vintage.Gathered.of(panel, settings.panel.horizon, run.run_id, pieces())
        calibrations, origin = calibrations_of(settings, found.version), found.origin(panel.snapshot, run.run_id)
        day = {"cutoff": pd.Timestamp(cutoff)}
        with alone(settings.warehouse, "override"):  # one that is taken meanwhile changes this vintage, not the last
            warehouse.publish(
                [
                    *_withdrawn(settings, warehouse, panel, found.mean, origin),
                    Stream(FORECASTS, pieces(), day),
                    Stream(FORECAST_LEVELS, vintage.levels(calibrations, panel, found.mean, origin), day),
                    Stream(FORECAST_SUMS, vintage.sums(calibrations, panel, found.mean, origin), day),
                    overrides.change(warehouse, panel, found.mean, run.run_id),
                ]
            )
        lake.clear_staged(cutoff, run.run_id)
        outcome.snapshot, outcome.rows = panel.snapshot, found.rows
        outcome.model_version = found.first_version
        outcome.message = ", ".join(f"{count:,} {name}" for name, count in found.statuses.items())
        return {
            "cutoff": cutoff.isoformat(),
            "snapshot": panel.snapshot,
            "rows": found.rows,
            "series": sum(found.statuses.values()),
            "model_version": outcome.model_version,
            "statuses": dict(found.statuses),
        }


def _wanted(settings: Settings, panel: Panel) -> NDArray[np.intp]:
    """Positions of the series asked for; all where `forecast.series` is empty."""
    patterns = settings.forecast.series
    if not patterns:
        return np.arange(len(panel.y))
    names = panel.unique_ids
    rows = np.flatnonzero(matching(names, patterns))
    if len(rows) == 0:
        raise SettingsError(f"forecast.series = {list(patterns)}: no such series; there are {some(names)}.")
    return rows


def _merged(warehouse: Warehouse, cutoff: date, table: pd.DataFrame) -> pd.DataFrame:
    published = warehouse.read(FORECASTS, cutoff=pd.Timestamp(cutoff))
    if published.empty:
        raise PublishError(
            f"forecast.series asks for a part of the vintage {cutoff}, which is not published yet: run it whole first."
        )
    kept = published[~published["unique_id"].isin(table["unique_id"].astype(str).unique())]
    return pd.concat([kept, table.astype({"unique_id": "str"})], ignore_index=True)


def _withdrawn(
    settings: Settings, warehouse: Warehouse, panel: Panel, mean: Matrix, origin: vintage.Origin
) -> list[Change]:
    """The vintage that is there, to be kept as it stands, where another model or other sales made it.

    mean: (n_series, horizon) of the new one. Another snapshot whose forecasts are the same replaces nothing that was
    said: with weeks or months that is every night on which no period ends.
    """
    cutoff = panel.cutoff
    made = warehouse.read(FORECASTS, ["model_version", "snapshot"], cutoff=pd.Timestamp(cutoff), horizon=1)
    versions = set(made["model_version"])
    same = versions == {origin.model_version}
    if made.empty or (same and set(made["snapshot"]) == {origin.snapshot}):
        return []
    columns = ["unique_id", "horizon", "mean"]
    if same and _equal(warehouse.read(FORECASTS, columns, cutoff=pd.Timestamp(cutoff)), panel, mean):
        return []
    made_by = [Registry(settings.mlflow).version(one) for one in versions]
    reasons = {one.tags["withdrawn_reason"] for one in made_by if one.state == "withdrawn"}
    told = f"replaced by version {origin.model_version} on {origin.snapshot}"
    old = warehouse.read(FORECASTS, cutoff=pd.Timestamp(cutoff)).assign(
        withdrawn_by=origin.run_id, withdrawn_at=now(), withdrawn_reason="; ".join([*sorted(reasons), told])
    )
    return [Change(FORECASTS_WITHDRAWN, old, {"cutoff": pd.Timestamp(cutoff), "withdrawn_by": origin.run_id})]


def _equal(published: pd.DataFrame, panel: Panel, mean: Matrix) -> bool:
    """Whether a vintage has these series and means."""
    rows = pd.Index(panel.unique_ids).get_indexer(pd.Index(published["unique_id"]))
    steps = published["horizon"].to_numpy(dtype=int) - 1
    if len(published) != mean.size or (rows < 0).any() or (steps >= mean.shape[1]).any():
        return False
    return bool((published["mean"].to_numpy(dtype=np.float32) == mean[rows, steps]).all())


def calibrations_of(settings: Settings, version: str) -> Calibrations:
    """Of the model that made the newest rows of the vintage."""
    model = loaded(Registry(settings.mlflow), version)
    if not isinstance(model, Blend) or model.calibrations is None:
        raise PublishError(f"Model version {version} was saved without calibrations; train again.")
    return model.calibrations
