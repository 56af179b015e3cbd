"""Health: the warning signs of the process itself, a row a night and sign, with limits and the trend over weeks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.frequency import Frequency
from forecasting.core.night import cutoff_of, promised
from forecasting.evaluation import health as signs
from forecasting.evaluation.health import AirflowFacts, Sign
from forecasting.steps.run import Run, night_of, record
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, HEALTH, MODEL_PROMOTIONS, QUALITY, RUNS, SCORES

WEEK = timedelta(days=7)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def check(
    settings: Settings, cutoff: date, run: Run, tell: Tell = log.info, airflow: AirflowFacts | None = None
) -> dict[str, Any]:
    """Measure every sign at this cutoff, into HEALTH. Returns cutoff, rows, breached, signs (values by name), wape.

    airflow: what only Airflow knows; without it, failed DAG runs are left out. wape: of the newest scored vintage over
    its nearest periods, None before there is one.
    """
    night = night_of(settings, cutoff)
    vintage = night.cutoff
    with record(settings, run, "health", night) as outcome:
        warehouse = Warehouse(settings.warehouse)
        found = [*_nights(settings, vintage, warehouse), *_models(settings, vintage, warehouse)]
        if airflow is not None:
            found += signs.failed_runs(airflow, _before(warehouse, vintage))
        rows = _rows(settings, found, vintage, warehouse)
        warehouse.replace(HEALTH, rows.assign(run_id=run.run_id), cutoff=pd.Timestamp(vintage))
        breached = rows.loc[rows["breached"], "sign"].tolist()
        for row in rows[rows["breached"]].itertuples():
            tell(f"{row.sign}: {row.message} (limit {row.threshold:g} {row.unit})")
        outcome.rows = len(rows)
        outcome.message = f"{len(breached)} of {len(rows)} signs breached" + "".join(f", {name}" for name in breached)
        return {
            "cutoff": vintage.isoformat(),
            "rows": len(rows),
            "breached": breached,
            "signs": {sign.name: sign.value for sign in found if sign.value is not None},
            "wape": _wape(warehouse, vintage),
        }


def _nights(settings: Settings, vintage: date, warehouse: Warehouse) -> Iterator[Sign]:
    """What the record of runs and the vintages tell."""
    frequency, days = Frequency.parse(settings.panel.frequency), timedelta(days=settings.health.days)
    runs = warehouse.read(RUNS)
    runs["vintage"] = [cutoff_of(frequency, day) for day in runs["cutoff"].dt.date]
    runs["night"] = runs["night"].fillna(runs["cutoff"])  # older releases kept the night as the cutoff
    runs = runs[runs["vintage"] <= vintage]
    runs["ended"] = (runs["started_at"] + pd.to_timedelta(runs["seconds"], unit="s")).dt.floor("us")
    moment = runs["started_at"].max().to_pydatetime() if len(runs) else NEVER
    vintages = warehouse.cutoffs(vintage + timedelta(days=1), days.days)
    by, first = settings.health.publish_by, max(min(vintages, default=vintage), vintage - days)
    due = promised(settings.extract, frequency, time.fromisoformat(by or "00:00"), first, vintage)
    yield signs.lead_time(runs, vintage)
    yield signs.missed(due, vintages)
    if by:
        yield signs.late(due, signs.published(runs), runs["started_at"].min().to_pydatetime() if len(runs) else NEVER)
    yield signs.rework(runs, warehouse.read(MODEL_PROMOTIONS), moment - days)
    yield signs.retries(runs, moment - WEEK)
    yield signs.failed_steps(runs, moment - WEEK)
    read = runs.loc[(runs["step"] == "extract") & (runs["vintage"] == vintage), "cutoff"]
    quality = warehouse.read(QUALITY, cutoff=read.max(), rule="all") if len(read) else pd.DataFrame()
    yield signs.quarantined(quality)
    yield signs.fallback(warehouse.counts(FORECASTS, "status", cutoff=pd.Timestamp(vintage), horizon=1), vintage)


def _models(settings: Settings, vintage: date, warehouse: Warehouse) -> Iterator[Sign]:
    """What the registry and the decisions tell."""
    registry = Registry(settings.mlflow)
    champion = next(iter(registry.champions(vintage)), None)
    versions = [one for one in registry.versions() if one.cutoff <= vintage]
    yield signs.champion_age(vintage, champion.since if champion else None, champion.version if champion else "")
    decided = warehouse.read(MODEL_PROMOTIONS)
    decided = decided[decided["cutoff"] <= pd.Timestamp(vintage)]
    after = vintage - timedelta(days=settings.health.days)
    yield signs.decisions(decided, {one.version: one.created for one in versions}, after)
    yield signs.waiting({one.version: one.cutoff for one in versions if one.state == "waiting"}, vintage)


def _before(warehouse: Warehouse, vintage: date) -> float | None:
    """Failed DAG runs that Airflow kept a week ago, or at the oldest night since; None where none was written."""
    rows = warehouse.read(HEALTH, ["cutoff", "value"], sign="failed_runs_ever")
    rows = rows[rows["cutoff"] < pd.Timestamp(vintage)].dropna()
    weeks = rows[rows["cutoff"] <= pd.Timestamp(vintage - WEEK)]
    return float(weeks["value"].iloc[-1]) if len(weeks) else float(rows["value"].iloc[0]) if len(rows) else None


def _rows(settings: Settings, found: list[Sign], vintage: date, warehouse: Warehouse) -> pd.DataFrame:
    """Rows of HEALTH without the run: limits from the settings, the trend from the nights before."""
    days = [pd.Timestamp(vintage - timedelta(days=number)) for number in range(1, 2 * signs.WEEKS.days)]
    past = warehouse.read(HEALTH, ["cutoff", "sign", "value"], cutoff=days).dropna()
    rows = []
    for sign in found:
        limit = getattr(settings.health, sign.name, None)
        known = past[past["sign"] == sign.name]
        values = dict(zip(known["cutoff"].dt.date, known["value"].astype(float), strict=True))
        if sign.value is not None:
            values[vintage] = sign.value
        rows.append(
            {
                "cutoff": pd.Timestamp(vintage), "sign": sign.name, "value": sign.value, "unit": sign.unit,
                "threshold": limit, "breached": limit is not None and sign.value is not None and sign.value > limit,
                "trend": signs.trend(values, vintage), "message": sign.message,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _wape(warehouse: Warehouse, vintage: date) -> float | None:
    where = {"scored_at": pd.Timestamp(vintage), "level": "total", "bucket": "all", "metric": "wape"}
    rows = warehouse.read(SCORES, ["cutoff", "value"], **where).dropna()
    return float(rows.sort_values("cutoff")["value"].iloc[-1]) if len(rows) else None
