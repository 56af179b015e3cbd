"""Monitor: score past vintages against the actuals that are known by now, and count what stock-outs cost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from forecasting.data.hierarchy import SERIES, levels
from forecasting.data.panel import Matrix, Panel
from forecasting.data.tables import FORECASTS, LOST_DEMAND, SCORES
from forecasting.evaluation import metrics
from forecasting.models.base import QUANTILES
from forecasting.models.naive import SeasonalNaive
from forecasting.settings import Settings
from forecasting.steps.run import Run, record, whole_periods
from forecasting.steps.stockouts import Stockouts
from forecasting.steps.vintage import QUANTILE_COLUMNS
from forecasting.stores.changes import Change
from forecasting.stores.lake import Lake
from forecasting.stores.warehouse import Warehouse

BUCKETS = ((1, 7), (8, 14), (15, 28), (29, 10_000))
MAX_GROUPS = 200  # levels with more are not scored group by group
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def monitor(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Score the newest vintages before `cutoff` on the periods known by it. Returns cutoff, vintages, rows, lost."""
    cutoff = whole_periods(settings, cutoff)
    with record(settings, run, "monitor", cutoff) as outcome:
        warehouse = Warehouse(settings.warehouse)
        panel = Lake(settings.lake).read_panel(cutoff)
        outcome.snapshot = panel.snapshot
        vintages = [
            day
            for day in warehouse.cutoffs(before=cutoff, most=settings.monitor.vintages)
            if day >= panel.frequency.end(panel.periods[0])
        ]
        changes, lost, newer = [], 0.0, None
        stockouts = Stockouts.of(Lake(settings.lake), settings, panel, min(vintages, default=cutoff))
        for vintage in sorted(vintages, reverse=True):
            numbers, version = _vintage(panel, vintage, warehouse)
            table, without = _score(panel, vintage, numbers), stockouts.lost(vintage, newer, numbers["mean"])
            day = pd.Timestamp(vintage)
            if len(table):
                scores = table.assign(scored_at=pd.Timestamp(cutoff))
                changes.append(Change(SCORES, _told(scores, day, version, run), {"cutoff": day}))
                tell(f"vintage {vintage}: {len(table)} scores")
            changes.append(Change(LOST_DEMAND, _told(without, day, version, run), {"cutoff": day}))
            lost, newer = lost + float(without["lost"].sum()), vintage
        warehouse.publish(changes)
        scored = [len(change.frame) for change in changes if change.table is SCORES]
        outcome.rows = sum(scored)
        outcome.message = f"{len(scored)} vintages scored"
        if newer is not None:
            outcome.message += f"; {lost:,.0f} units lost to stock-outs since {newer}"
        return {"cutoff": cutoff.isoformat(), "vintages": len(scored), "rows": outcome.rows, "lost": round(lost, 1)}


def _told(table: pd.DataFrame, day: pd.Timestamp, version: str, run: Run) -> pd.DataFrame:
    return table.assign(cutoff=day, model_version=version, run_id=run.run_id)


def _vintage(panel: Panel, vintage: date, warehouse: Warehouse) -> tuple[dict[str, Matrix], str]:
    """A published vintage as (n_series, horizon) matrices by column, NaN for series it lacks, and its model version."""
    columns = ["unique_id", "horizon", "mean", *QUANTILE_COLUMNS, "model_version"]
    forecasts = warehouse.read(FORECASTS, columns, cutoff=pd.Timestamp(vintage))
    rows = pd.Index(panel.unique_ids).get_indexer(pd.Index(forecasts["unique_id"]))
    there = rows >= 0
    at = (rows[there], forecasts["horizon"].to_numpy(dtype=int)[there] - 1)
    numbers = {}
    for name in ("mean", *QUANTILE_COLUMNS):
        numbers[name] = np.full((len(panel.y), int(forecasts["horizon"].max())), np.nan, dtype=np.float32)
        numbers[name][at] = forecasts[name].to_numpy(dtype=np.float32)[there]
    return numbers, str(forecasts["model_version"].iloc[0])


def _score(panel: Panel, vintage: date, numbers: dict[str, Matrix]) -> pd.DataFrame:
    """Scores of one vintage: a row a level, group, bucket and metric."""
    horizon = numbers["mean"].shape[1]
    actual = np.where(np.isfinite(numbers["mean"]), panel.after(vintage, horizon), np.nan).astype(np.float32)
    naive = SeasonalNaive().predict(panel.until(vintage), horizon).mean
    return pd.DataFrame(_rows(panel, actual, numbers, naive))


def _rows(panel: Panel, actual: Matrix, numbers: dict[str, Matrix], naive: Matrix) -> Iterator[dict[str, Any]]:
    for first, last in BUCKETS:
        part = slice(first - 1, last)
        y = actual[:, part]
        if not np.isfinite(y).any():
            continue
        bucket = f"{first}-{min(last, actual.shape[1])}"
        for level in levels(panel.series, panel.levels):
            if len(level.labels) > MAX_GROUPS or level.name == SERIES:
                continue
            for code, label in enumerate(level.labels):
                members = level.codes == code
                count = int(np.isfinite(y[members]).sum())
                if count == 0:
                    continue
                mine = {name: matrix[members, part] for name, matrix in numbers.items()}
                found = _metrics(y[members], mine, naive[members, part])
                for metric, value in found.items():
                    yield {
                        "level": level.name,
                        "group": str(label),
                        "bucket": bucket,
                        "metric": metric,
                        "value": value,
                        "periods": count,
                    }


def _metrics(y: Matrix, numbers: dict[str, Matrix], naive: Matrix) -> dict[str, float]:
    quantiles = np.stack([numbers[name] for name in QUANTILE_COLUMNS], axis=-1)
    return {
        "wape": metrics.wape(y, numbers["mean"]),
        "bias": metrics.bias(y, numbers["mean"]),
        "pinball": metrics.pinball(y, quantiles, QUANTILES),
        "coverage": metrics.coverage(y, numbers["p05"], numbers["p95"]),
        "naive_wape": metrics.wape(y, naive),
    }
