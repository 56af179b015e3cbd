"""Forecast: plan shards, predict each with the champion, publish the vintage whole or not at all."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting import models
from forecasting.data.hierarchy import SERIES
from forecasting.data.panel import Panel
from forecasting.data.tables import FORECAST_LEVELS, FORECAST_SUMS, FORECASTS
from forecasting.errors import PublishError, SettingsError, some
from forecasting.models.base import QUANTILES, Forecast
from forecasting.models.blend import Blend
from forecasting.models.calibrations import Spread
from forecasting.settings import Settings
from forecasting.steps.run import Run, record, whole_periods
from forecasting.stores.lake import Lake
from forecasting.stores.registry import Registry
from forecasting.stores.warehouse import Change, Warehouse

QUANTILE_COLUMNS = tuple(f"p{round(level * 100):02d}" for level in QUANTILES)
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def plan(settings: Settings, cutoff: date) -> list[dict[str, Any]]:
    """Shards of the panel: {"shard", "start", "stop", "version", "model"} with series positions.

    Every shard sees the whole panel, and all use the champion that there is now. Raises SettingsError where
    `forecast.series` names no series of the panel, PublishError where no model trained at or before the cutoff was ever
    promoted.
    """
    cutoff = whole_periods(settings, cutoff)
    panel = Lake(settings.lake).read_panel(cutoff)
    rows = _wanted(settings, panel)
    champion = Registry(settings.mlflow).champion(cutoff)
    if champion is None:
        raise PublishError(
            f"No promoted model was trained at or before {cutoff}: run train for this cutoff first "
            f"(python -m forecasting train --cutoff {cutoff})."
        )
    size = settings.forecast.shard_series
    return [
        {
            "shard": number, "start": start, "stop": min(start + size, len(rows)),
            "version": champion.version, "model": champion.name,
        }
        for number, start in enumerate(range(0, len(rows), size))
    ]  # fmt: skip


def predict(
    settings: Settings, cutoff: date, shard: Mapping[str, Any], run: Run, tell: Tell = log.info
) -> dict[str, Any]:
    """Forecast one shard of `plan` into the lake's staging area. Returns shard, rows, version."""
    lake = Lake(settings.lake)
    panel = lake.read_panel(whole_periods(settings, cutoff))
    rows = _wanted(settings, panel)[shard["start"] : shard["stop"]]
    version = str(shard["version"])
    model = models.load(Registry(settings.mlflow).fetch(version))
    forecast = model.predict(panel, settings.panel.horizon, rows)
    table = _table(panel, forecast, rows, run)
    table["model"], table["model_version"] = shard["model"], version
    lake.write_staged(panel.cutoff, run.run_id, int(shard["shard"]), table)
    tell(f"shard {shard['shard']}: {len(rows):,} series with version {version} ({shard['model']})")
    return {"shard": int(shard["shard"]), "rows": len(table), "version": version}


def publish(settings: Settings, cutoff: date, run: Run) -> dict[str, Any]:
    """Replace the vintage of this cutoff by the staged shards, in one transaction.

    With `forecast.series` only these series are replaced in the vintage that is there. Returns cutoff, snapshot, rows,
    series, statuses. Raises PublishError where a series lacks a row or a row its status.
    """
    cutoff = whole_periods(settings, cutoff)
    with record(settings, run, "forecast", cutoff) as outcome:
        lake, warehouse = Lake(settings.lake), Warehouse(settings.warehouse)
        panel = lake.read_panel(cutoff)
        table = lake.read_staged(cutoff, run.run_id)
        if settings.forecast.series:
            table = _merged(warehouse, cutoff, table)
        _complete(panel, settings.panel.horizon, table)
        vintage = {"cutoff": pd.Timestamp(cutoff)}
        levels, sums = _added_up(settings, panel, table, run)
        warehouse.publish(
            [
                Change(FORECASTS, table, vintage),
                Change(FORECAST_LEVELS, levels, vintage),
                Change(FORECAST_SUMS, sums, vintage),
            ]
        )
        lake.clear_staged(cutoff, run.run_id)
        first = table.drop_duplicates("unique_id")
        statuses = {str(name): int(count) for name, count in first["status"].value_counts().items()}
        outcome.snapshot, outcome.rows = panel.snapshot, len(table)
        outcome.model_version = str(first["model_version"].iloc[0])
        outcome.message = ", ".join(f"{count:,} {name}" for name, count in statuses.items())
        return {
            "cutoff": cutoff.isoformat(),
            "snapshot": panel.snapshot,
            "rows": len(table),
            "series": len(first),
            "model_version": outcome.model_version,
            "statuses": statuses,
        }


def _wanted(settings: Settings, panel: Panel) -> NDArray[np.intp]:
    """Positions of the series asked for; all where `forecast.series` is empty."""
    patterns = settings.forecast.series
    if not patterns:
        return np.arange(len(panel.y))
    names = panel.unique_ids
    matching = [k for k, name in enumerate(names) if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    rows = np.array(matching, dtype=np.intp)
    if len(rows) == 0:
        raise SettingsError(f"forecast.series = {list(patterns)}: no such series; there are {some(names)}.")
    return rows


def _table(panel: Panel, forecast: Forecast, rows: NDArray[np.intp], run: Run) -> pd.DataFrame:
    """(n_rows x horizon) long rows, in the order of series and date; names as categories to keep it small."""
    count, horizon = forecast.mean.shape
    series = pd.Index(panel.unique_ids[rows], dtype="str")
    names = pd.Categorical.from_codes(np.repeat(np.arange(count), horizon), series)
    columns: dict[str, Any] = {
        "cutoff": pd.Timestamp(panel.cutoff),
        "unique_id": names,
        "ds": np.tile(panel.future(horizon).to_numpy(), count),
        "horizon": np.tile(np.arange(1, horizon + 1), count),
        "mean": forecast.mean.ravel(),
    }
    if forecast.quantiles is None:
        raise PublishError("The champion gives no quantiles: it was saved without a calibration; train again.")
    columns |= {name: forecast.quantiles[:, :, k].ravel() for k, name in enumerate(QUANTILE_COLUMNS)}
    table = pd.DataFrame(columns)
    table["snapshot"], table["run_id"] = panel.snapshot, run.run_id
    table["status"] = pd.Categorical(np.repeat(forecast.status.astype(str), horizon))
    table["reason"] = pd.Categorical(np.repeat(forecast.reason.astype(str), horizon))
    return table


def _merged(warehouse: Warehouse, cutoff: date, table: pd.DataFrame) -> pd.DataFrame:
    published = warehouse.read(FORECASTS, cutoff=pd.Timestamp(cutoff))
    if published.empty:
        raise PublishError(
            f"forecast.series asks for a part of the vintage {cutoff}, which is not published yet: run it whole first."
        )
    kept = published[~published["unique_id"].isin(table["unique_id"].astype(str).unique())]
    return pd.concat([kept, table.astype({"unique_id": "str"})], ignore_index=True)


def _added_up(settings: Settings, panel: Panel, table: pd.DataFrame, run: Run) -> list[pd.DataFrame]:
    """FORECAST_LEVELS and FORECAST_SUMS of a whole vintage, calibrated by the model that made its newest rows."""
    newest = table[table["run_id"] == run.run_id].iloc[0]
    version = str(newest["model_version"])
    model = models.load(Registry(settings.mlflow).fetch(version))
    if not isinstance(model, Blend) or model.calibrations is None:
        raise PublishError(f"Model version {version} was saved without calibrations; train again.")
    mean = np.empty((len(panel.y), settings.panel.horizon), dtype=np.float32)
    rows = pd.Index(panel.unique_ids).get_indexer(pd.Index(table["unique_id"].astype("str")))
    mean[rows, table["horizon"].to_numpy() - 1] = table["mean"].to_numpy()
    origin: dict[str, Any] = {
        "cutoff": pd.Timestamp(panel.cutoff), "model": str(newest["model"]), "model_version": version,
        "snapshot": panel.snapshot, "run_id": run.run_id,
    }  # fmt: skip
    days = {"ds": panel.future(settings.panel.horizon), "horizon": np.arange(1, settings.panel.horizon + 1)}
    levels = [_long(one, days) for one in model.calibrations.by_period(panel, mean) if one.level.name != SERIES]
    sums = [_long(one, {"periods": model.calibrations.windows}) for one in model.calibrations.by_sum(panel, mean)]
    return [pd.concat(parts, ignore_index=True).assign(**origin) for parts in (levels, sums)]


def _long(spread: Spread, steps: Mapping[str, Any]) -> pd.DataFrame:
    """(n_groups x n_steps) rows with the level, the group's name and the columns of its steps."""
    count, width = spread.mean.shape
    columns: dict[str, Any] = {
        "level": spread.level.name,
        "name": np.repeat(spread.level.labels.astype(str), width),
        **{name: np.tile(np.asarray(values)[:width], count) for name, values in steps.items()},
        "mean": spread.mean.ravel(),
    }
    columns |= {name: spread.quantiles[:, :, k].ravel() for k, name in enumerate(QUANTILE_COLUMNS)}
    return pd.DataFrame(columns)


def _complete(panel: Panel, horizon: int, table: pd.DataFrame) -> None:
    """No series is lost: every series of the panel has its whole horizon, and every row a status and finite numbers."""
    counts = table["unique_id"].value_counts()
    missing = [name for name in panel.unique_ids if counts.get(name, 0) != horizon]
    if missing:
        raise PublishError(f"{len(missing):,} series lack forecast rows and nothing is published: {some(missing)}.")
    numbers = table[["mean", *QUANTILE_COLUMNS]].to_numpy()
    if not np.isfinite(numbers).all() or (numbers < 0).any():
        bad = table.loc[~(np.isfinite(numbers) & (numbers >= 0)).all(axis=1), "unique_id"].unique()
        raise PublishError(f"{len(bad):,} series have forecasts below zero or not finite: {some(bad)}.")
    silent = table.loc[(table["status"] != "ok") & (table["reason"].astype(str) == ""), "unique_id"].unique()
    if len(silent):
        raise PublishError(f"{len(silent):,} series have a status without a reason: {some(silent)}.")
