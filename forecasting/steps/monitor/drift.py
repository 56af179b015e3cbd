"""Drift: whether inputs, demand or errors have moved away from what the champion was made for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.evaluation.drift import demand, inputs, statistics
from forecasting.evaluation.drift.recent import Recent, weighted
from forecasting.evaluation.drift.statistics import Finding, Values
from forecasting.steps.run import Run, night_of, record
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import DRIFT, FORECAST_LEVELS

KEY = ["kind", "subject", "statistic"]
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def detect(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Judge the newest window of the panel of this cutoff, and the errors of past vintages: table DRIFT.

    Returns cutoff, measured, drifted (how many) and message; nothing is measured where `drift.enabled` is false.
    """
    night = night_of(settings, cutoff)
    cutoff = night.cutoff
    if not settings.drift.enabled:
        tell("drift.enabled is false")
        return {"cutoff": cutoff.isoformat(), "measured": 0, "drifted": 0, "message": ""}
    with record(settings, run, "drift", night) as outcome:
        warehouse, panel = Warehouse(settings.warehouse), Lake(settings.lake).read_panel(cutoff)
        outcome.snapshot = panel.snapshot
        recent = Recent.of(panel, settings.drift.window)
        means = weighted(recent)
        expected = _expected(settings, recent, warehouse)
        measures = [*inputs.measures(recent, means), *demand.measures(recent, means)]
        groups = sum(len(one) for one in expected.values())
        probability = statistics.chance(len(measures) + groups, settings.drift.false_alarms)
        findings = [*statistics.judge(measures, probability), *demand.residuals(recent, means, expected, probability)]
        table = _table(findings).assign(cutoff=pd.Timestamp(cutoff), run_id=run.run_id)
        warehouse.replace(DRIFT, table, cutoff=pd.Timestamp(cutoff))
        drifted = int(table["drifted"].sum())
        outcome.rows, outcome.message = len(table), statistics.first(findings) or "nothing has drifted"
        tell(f"{len(table)} statistics, {drifted} beyond their limits: {outcome.message}")
        return {
            "cutoff": cutoff.isoformat(), "measured": len(table), "drifted": drifted, "message": outcome.message,
        }  # fmt: skip


def newly(settings: Settings, cutoff: date, since: date) -> list[str]:
    """What drifted at cutoffs after `since` and before this one, but not at the newest one up to `since`.

    So a training answers a drift once, however long it lasts, and a night that is repeated decides as it did.
    """
    warehouse, trained = Warehouse(settings.warehouse), pd.Timestamp(since)
    rows = warehouse.read(DRIFT, ["cutoff", *KEY, "message"], drifted=True)
    measured = warehouse.distinct(DRIFT, ["cutoff"])["cutoff"]
    known = rows[rows["cutoff"] == measured[measured <= trained].max()]
    later = rows[(rows["cutoff"] > trained) & (rows["cutoff"] < pd.Timestamp(cutoff))].drop_duplicates(KEY, keep="last")
    new = later[~pd.MultiIndex.from_frame(later[KEY]).isin(pd.MultiIndex.from_frame(known[KEY]))]
    return [
        f"{kind} of {subject}: {told}"
        for kind, subject, told in zip(new["kind"], new["subject"], new["message"], strict=True)
    ]


def _table(findings: list[Finding]) -> pd.DataFrame:
    rows = [vars(one) | {"drifted": one.drifted} for one in findings]
    return pd.DataFrame(rows, columns=[*KEY, "value", "threshold", "drifted", "message"])


def _expected(settings: Settings, recent: Recent, warehouse: Warehouse) -> Mapping[str, Values]:
    """By level, (n_groups, newest periods): what the newest vintage before each period expected; NaN for none."""
    panel, vintages = recent.panel, settings.drift.vintages
    count = min(vintages * panel.frequency.a_day, len(panel.periods))
    cutoffs = [pd.Timestamp(day) for day in warehouse.cutoffs(before=panel.cutoff, most=vintages)]
    names = [level.name for level in recent.levels]
    columns = ["cutoff", "level", "name", "ds", "horizon", "mean"]
    horizons = list(range(1, recent.window + 1))
    table = warehouse.read(FORECAST_LEVELS, columns, cutoff=cutoffs, level=names, horizon=horizons)
    periods = panel.periods[-count:]
    table = table[table["ds"].isin(periods)].sort_values("horizon", ascending=False, kind="stable")
    found = {}
    for level in recent.levels:
        mine = table[table["level"] == level.name]
        row = pd.Index(level.labels.astype(str)).get_indexer(mine["name"])
        there = row >= 0
        found[level.name] = np.full((len(level.labels), count), np.nan)
        # Later rows win, and those of the shortest lead come last.
        column = periods.get_indexer(pd.DatetimeIndex(mine["ds"]))
        found[level.name][row[there], column[there]] = mine["mean"].to_numpy(dtype=np.float64)[there]
    return found
