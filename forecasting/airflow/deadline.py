"""Airflow's deadline of a night: what the DAG `promise` waits for, and who hears of it when it does not come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from forecasting.airflow.orchestration import conf_path, cutoff_of, section

if TYPE_CHECKING:
    from forecasting.core.config.settings import Settings


def promise() -> DeadlineAlert:
    """Airflow's deadline of a night: hear of it where forecasts are missing `health.lead_hours` after its start."""
    hours = float(section("health").get("lead_hours", 3))
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=hours),
        callback=SyncCallback(report_late),
        name="forecasts by the hour promised",
    )


def report_late(context: Mapping[str, Any], **_: Any) -> None:
    """What Airflow calls when the deadline has passed; the run comes as JSON."""
    from forecasting.airflow.connections import load
    from forecasting.steps.monitor import alerts
    from forecasting.steps.run import Run

    stated = context["dag_run"]
    moments = {name: stated[name] and datetime.fromisoformat(stated[name]) for name in ("logical_date", "run_after")}
    facts = {"dag_id": stated["dag_id"], "run_type": stated["run_type"], "partition_key": stated.get("partition_key")}
    settings, run = load(conf_path()), SimpleNamespace(**facts, **moments)
    cutoff = cutoff_of({"params": stated.get("conf") or {}, "dag_run": run}, settings, from_source=True)
    if published(settings, cutoff):  # in the minute before the sensor looks again
        return
    hours = settings.health.lead_hours
    alerts.late(
        settings, cutoff, Run(f"{stated['dag_id']}__{stated['dag_run_id']}"), f"{hours:g} h after the night's start"
    )


def published(settings: Settings, cutoff: date) -> bool:
    """Whether the vintage of a cutoff is there."""
    from forecasting.steps.run import night_of
    from forecasting.storage.warehouse.warehouse import Warehouse

    day = night_of(settings, cutoff).cutoff
    return Warehouse(settings.warehouse).cutoffs(before=day + timedelta(days=1), most=1) == [day]
