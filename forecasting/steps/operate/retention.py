"""Retention: what the rules of `[retention]` let go, and never what a kept vintage was made from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.steps.run import Run, now, record
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry, Version
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables import planning
from forecasting.tables import warehouse as tables
from forecasting.tables.schema import Table

VINTAGE = (
    tables.FORECASTS, tables.FORECAST_LEVELS, tables.FORECAST_SUMS, tables.FORECASTS_WITHDRAWN, tables.LOST_DEMAND,
    planning.OVERRIDDEN, planning.REPLENISHMENT,
)  # fmt: skip
RECORDS = (
    tables.RUNS, tables.QUALITY, tables.QUARANTINE, tables.BACKTESTS, tables.JUDGEMENTS, tables.SCORES,
    tables.SERIES_SCORES, tables.SCORE_TRENDS, tables.HEALTH, tables.DRIFT,
    tables.EXCEPTIONS, tables.EXPLANATIONS, planning.OVERRIDE_SCORES,
)  # fmt: skip
YOUNG = timedelta(days=2)  # what was written since may belong to a backfill that still runs
CHAMPIONS = 2  # newest ones: today's, and the one before that stands in for it
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Old:
    """What the rules let go: cutoffs of vintages, of records, versions, snapshots."""

    vintages: list[date] = field(default_factory=list)
    records: list[date] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)


def clean(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info, dry: bool = False) -> dict[str, Any]:
    """Remove what is old: vintages first, then what only they needed. Returns what went, by kind.

    dry: only tell. An interrupted run is finished by the next one. Panels and shards go by the time of their writing,
    all else by its cutoff, seen from the newest vintage.
    """
    moment = now()
    old = due(settings, moment)
    facts: dict[str, Any] = {name: list(map(str, getattr(old, name))) for name in vars(old)}
    for name, gone in facts.items():
        if gone:
            tell(f"{name}: {len(gone)}, from {gone[0]} to {gone[-1]}")
    if dry:
        return facts
    with record(settings, run, "retention", cutoff) as outcome:
        warehouse, lake, registry = Warehouse(settings.warehouse), Lake(settings.lake), Registry(settings.mlflow)
        for day in old.vintages:  # each whole or not at all
            outcome.rows = (outcome.rows or 0) + warehouse.remove([(one, _of(one, day)) for one in VINTAGE])
        for day in old.records:
            outcome.rows = (outcome.rows or 0) + warehouse.remove([(one, _of(one, day)) for one in RECORDS])
        for version in old.models:
            registry.remove(version)
        facts["files"] = lake.remove(old.snapshots)
        facts["panels"] = lake.remove_made(moment - timedelta(days=settings.retention.panels))
        outcome.message = ", ".join(f"{name} {len(gone)}" for name, gone in facts.items() if isinstance(gone, list))
    return facts


def due(settings: Settings, moment: datetime) -> Old:
    """What the rules let go at this moment; nothing before there is a vintage."""
    warehouse, lake, rules = Warehouse(settings.warehouse), Lake(settings.lake), settings.retention
    published = warehouse.cutoffs()
    if not published:
        return Old()
    newest = published[0]
    vintages = [day for day in published[1:] if rules.vintages and (newest - day).days > rules.vintages]
    kept = set(published) - set(vintages)
    runs = warehouse.read(tables.RUNS, ["cutoff", "step", "snapshot", "model_version"], step="forecast")
    runs = runs[runs["cutoff"].dt.date.isin(kept)]
    models, needed = _models(settings, newest, set(runs["model_version"].dropna()), moment)
    needed |= set(runs["snapshot"].dropna())
    needed |= {one.id for one in lake.snapshots()[:1]}  # the next night builds on it
    snapshots = [
        one.id
        for one in lake.snapshots(by=moment - YOUNG)
        if one.id not in needed and (newest - one.cutoff).days > rules.snapshots
    ]
    written = warehouse.distinct(tables.RUNS, ["cutoff"])["cutoff"].dt.date
    records = [day for day in written if (newest - day).days > rules.records and day not in kept]
    return Old(sorted(vintages), records, models, snapshots[::-1])


def _models(settings: Settings, newest: date, made: set[str], moment: datetime) -> tuple[list[str], set[str]]:
    """Versions that go, oldest first, and the snapshots that those which stay were trained on."""
    registry = Registry(settings.mlflow)
    versions = registry.versions()
    made = made | {one.version for one in registry.champions(newest)[:CHAMPIONS]}

    def goes(one: Version) -> bool:
        old = (newest - one.cutoff).days > settings.retention.models and one.created <= moment - YOUNG
        return old and one.version not in made and one.state in ("champion", "rejected", "withdrawn")

    stay = {one.tags["snapshot"] for one in versions if not goes(one) and "snapshot" in one.tags}
    return [one.version for one in reversed(versions) if goes(one)], stay


def _of(table: Table, day: date) -> Mapping[str, Any]:
    """The rows of a night's cutoff; what is scored over many vintages has only the cutoff of the actuals."""
    return {"cutoff" if "cutoff" in table.columns else "scored_at": pd.Timestamp(day)}
