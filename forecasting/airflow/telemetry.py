"""Metrics and counts by what Airflow offers: gauges of what a task found (StatsD, OpenTelemetry), its runs by state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from forecasting.evaluation.health import AirflowFacts

NAMES = ("extract", "train", "approve", "forecast", "monitor", "rollback", "promise")


def gauges(context: Mapping[str, Any]) -> None:
    """What Airflow calls when a task has succeeded: a gauge for every number in what it returned, and its seconds.

    `forecasting.<task>.<fact>`, with the prefix of Airflow's own metrics; nothing where these are switched off.
    """
    if not any(conf.getboolean("metrics", way) for way in ("statsd_on", "statsd_datadog_enabled", "otel_on")):
        return
    task = context["ti"]
    tags, shard = (
        {"dag_id": task.dag_id},
        task.map_index if task.map_index is not None and task.map_index >= 0 else None,
    )
    if shard is not None:
        tags["map_index"] = str(shard)
    found = dict(_numbers(task.xcom_pull(task_ids=task.task_id, map_indexes=shard)))
    if task.start_date and task.end_date:
        found["seconds"] = (task.end_date - task.start_date).total_seconds()
    for name, value in found.items():
        stats.gauge(stats.normalize_name_for_stats(f"forecasting.{task.task_id}.{name}"), value, tags=tags)


def runs_by_state(task: Any) -> AirflowFacts:
    """Runs of our DAGs that failed and that succeeded, as far as Airflow keeps them.

    A task may ask how many there are in a state, not how many there were in a week: the step tells what is new.
    """
    from forecasting.evaluation.health import AirflowFacts

    failed, good = (
        {name: task.get_dr_count(name, states=[state]) for name in NAMES} for state in ("failed", "success")
    )
    return AirflowFacts(failed, good)


def _numbers(facts: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Numbers in a task's facts, by name; those of a fact that has parts as `fact.part`."""
    for name, value in facts.items() if isinstance(facts, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            yield f"{prefix}{name}", value
