"""What the DAGs share: assets, clock, the cutoff of a run, forms, retries, bodies of tasks.

The cutoff travels as the partition key of the assets. Nothing heavy is imported here: every task parses its DAG file
anew, and the steps are imported inside the tasks.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk import Asset, Param, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.hitl import HITLUser
from structlog.contextvars import bound_contextvars

from forecasting.airflow import lineage, telemetry
from forecasting.airflow.connections import load
from forecasting.airflow.schedule import catch_up, clock, conf_path, section, zone
from forecasting.core.config.sections import TrainSettings
from forecasting.core.errors import (
    CutoffError,
    DataQualityError,
    PlanningError,
    PublishError,
    SettingsError,
    TableError,
)

if TYPE_CHECKING:
    from forecasting.core.config.settings import Settings
    from forecasting.steps.run import Run

__all__ = ["catch_up", "clock", "conf_path", "section", "zone"]  # the DAGs find them here too
NOBODY = "nobody in time"
POOL = os.environ.get("FORECASTING_POOL", "training")
# What another try cannot mend; a database that is away for a minute can.
FINAL = (SettingsError, DataQualityError, CutoffError, TableError, PlanningError, PublishError)

FROM_SOURCE = ("extract", "promise")  # DAGs that run by clock: their cutoff is the day before

PANEL = Asset(name="panel", uri="x-forecasting://panel", group="demand")
CHAMPION = Asset(name="champion", uri="x-forecasting://champion", group="demand")
CHALLENGER = Asset(name="challenger", uri="x-forecasting://challenger", group="demand")
FORECASTS = Asset(name="forecasts", uri="x-forecasting://forecasts", group="demand")

log = logging.getLogger(__name__)
START = datetime(2020, 1, 1, tzinfo=UTC)


def report_failure(context: Mapping[str, Any]) -> None:
    """What Airflow calls when a task has failed for good: an alert, so that nobody has to look for it."""
    from forecasting.steps.monitor import alerts
    from forecasting.steps.run import Run

    run, task = context["dag_run"], context["ti"].task_id
    try:
        settings = load(conf_path())
        cutoff = cutoff_of(context, settings, from_source=run.dag_id in FROM_SOURCE)
        alerts.failed(
            settings, cutoff, Run(f"{run.dag_id}__{run.run_id}"), f"{run.dag_id}.{task}", context["exception"]
        )
    except FINAL:
        log.exception("The failure of %s.%s became no alert", run.dag_id, task)


DEFAULTS: dict[str, Any] = {
    "owner": "forecasting",
    "on_failure_callback": report_failure,
    "on_success_callback": telemetry.gauges,
    "retries": 2,
    "retry_delay": timedelta(seconds=float(os.environ.get("FORECASTING_RETRY_SECONDS", "60"))),
    "retry_exponential_backoff": True,
    "execution_timeout": timedelta(hours=1),
}
NIGHTLY: dict[str, Any] = {
    "start_date": START,
    "catchup": False,
    "max_active_runs": 1,
    "default_args": DEFAULTS,
    "tags": ["demand", "nightly"],
}


def cutoff_param() -> Param:
    """The form's field for the last day whose sales are known."""
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="Cutoff",
        description="Last day whose sales are known. Empty: the newest one.",
    )


def training_params() -> dict[str, Param]:
    """The form of `train`."""
    models = list(section("train").get("models", TrainSettings.model_fields["models"].default))
    return {
        "force": Param(False, type="boolean", title="Train now", description="Train whatever the champion's age."),
        "models": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
            examples=models,
            title="Models",
            description="Candidates; none chosen: those of the configuration.",
        ),
        "horizon": horizon_param(),
    }


def forecast_params() -> dict[str, Param]:
    """The form of `forecast`."""
    return {
        "series": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1, "pattern": "^[^'\\\\]+$"},
            title="Series",
            description="Only these, by name or with * as in BREAD_*; none: all.",
        ),
        "horizon": horizon_param(),
    }


def rollback_params() -> dict[str, Param]:
    """The form of `rollback`."""
    return {
        "version": Param(
            "", type="string", pattern=r"^[0-9]+$", title="Version", description="Version to go back to, as in MLflow."
        ),
        "reason": Param("", type="string", minLength=3, title="Reason", description="Why; kept in `promotions`."),
    }


def note_param() -> Param:
    """What a person adds to an answer."""
    return Param(None, type=["null", "string"], maxLength=2000, title="Note", description="Why; kept in `promotions`.")


def approvers() -> list[HITLUser] | None:
    """Who may answer: `train.approvers`; None = everybody who may run DAGs."""
    return [HITLUser(id=str(name), name=str(name)) for name in section("train").get("approvers", ())] or None


def approval_hours() -> float:
    """Time to answer."""
    return float(section("train").get("approval_hours", 48))


def horizon_param() -> Param:
    """Periods ahead; empty: as configured."""
    return Param(None, type=["null", "integer"], minimum=1, maximum=400, title="Horizon", description="Periods ahead.")


def cutoff_of(context: Mapping[str, Any], settings: Settings, from_source: bool) -> date:
    """Cutoff of a run: the form's, else its partition's, else the newest one that there is.

    For what reads the sources that is the day before the run's own business day: a night that starts on the 2nd works
    on the sales until the 1st, and a backfill's run has the date that it stands for. By hand, the demo goes on to its
    next day. All other steps take the newest snapshot that was there when the run was started.
    """
    given, run = context["params"].get("cutoff"), context["dag_run"]
    if given:
        return date.fromisoformat(str(given))
    if run.partition_key:
        return date.fromisoformat(run.partition_key[:10])
    if not from_source:
        return _newest_snapshot(settings, run.run_after)
    if settings.demo and run.run_type == "manual":
        from forecasting.steps.ingest import demo

        return demo.tonight(settings) if run.dag_id == "extract" else demo.awaited(settings, run.run_after)
    moment = run.logical_date or run.run_after
    business_day: datetime = moment.astimezone(ZoneInfo(zone()))
    return business_day.date() - timedelta(days=1)


def _newest_snapshot(settings: Settings, moment: datetime) -> date:
    from forecasting.storage.lake.lake import Lake

    newest = Lake(settings.lake).newest_cutoff(by=moment)
    if newest is None:
        raise CutoffError(f"The lake {settings.lake.path} holds no snapshot yet: run the DAG `extract` first.")
    return newest


def changes_of(params: Mapping[str, Any]) -> list[str]:
    """What a form says, as settings: `panel.horizon=14`. A field left empty changes nothing."""
    changes = []
    for field, key in (("horizon", "panel.horizon"), ("models", "train.models"), ("series", "forecast.series")):
        value = params.get(field)
        if value:
            changes.append(f"{key}={_toml(value)}")
    if params.get("force"):
        changes.append("train.force=true")
    return changes


def _toml(value: Any) -> str:
    return "[" + ", ".join(f"'{item}'" for item in value) + "]" if isinstance(value, list) else str(value)


@contextmanager
def night(context: Mapping[str, Any], from_source: bool = False) -> Iterator[tuple[Settings, date, Run]]:
    """Settings, cutoff and run of a task; an error that another try cannot mend fails the task at once.

    from_source: the task reads the sources, so the newest cutoff is not yet in the lake.
    """
    from forecasting.steps.run import Run

    try:
        settings = load(conf_path(), changes_of(context["params"]))
        run = Run(f"{context['dag_run'].dag_id}__{context['dag_run'].run_id}")
        cutoff = cutoff_of(context, settings, from_source)
        with bound_contextvars(run=run.run_id, cutoff=cutoff.isoformat()):  # in every line of the task's log
            yield settings, cutoff, run
            lineage.tell(settings, run)
    except FINAL as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def do(context: Mapping[str, Any], module: str, function: str, **more: Any) -> Any:
    """Body of a task: one function of `forecasting.steps` for the night of this run."""
    with night(context) as (settings, cutoff, run):
        return getattr(import_module(f"forecasting.steps.{module}"), function)(settings, cutoff, run, **more)


def step(name: str, where: str, **options: Any) -> Any:
    """A task that does one step, `module:function` of `forecasting.steps`."""
    return task(task_id=name, **options)(lambda **context: do(context, *where.split(":")))()


def ask_for_approval(facts: Mapping[str, Any], *, outlet_events: Any, **context: Any) -> None:
    """Body of a task: hand a challenger that has won to `approve`, where a person has the last word."""
    if facts["decision"] != "waiting":
        raise AirflowSkipException("No challenger waits for a person.")
    with night(context) as (_, cutoff, _run):
        announce(outlet_events, CHALLENGER, cutoff, facts)


def question_of(settings: Settings, cutoff: date) -> dict[str, Any]:
    """What a person is asked; the run is skipped where no challenger waits."""
    from forecasting.steps.train.promotion import question

    if (found := question(settings, cutoff)) is None:
        raise AirflowSkipException("No challenger waits for a person.")
    return found


def answered(
    settings: Settings, cutoff: date, run: Run, outlet_events: Any, asked: Mapping[str, Any], answer: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a person's answer down; an approved challenger is handed over for the newest vintage."""
    from forecasting.steps.operate.rollback import newest_vintage
    from forecasting.steps.train.promotion import Answer, decide

    by, note = (answer.get("responded_by_user") or {}).get("name"), (answer.get("params_input") or {}).get("note")
    said = Answer("Approve" in answer["chosen_options"], str(by or NOBODY), str(note or ""))
    facts = decide(settings, cutoff, str(asked["version"]), said, run)
    if said.approved:
        announce(outlet_events, CHAMPION, newest_vintage(settings), facts)
    return facts


def check_health(**context: Any) -> Any:
    """Warning signs of the process itself, with what only Airflow knows of its runs: table `health`."""
    return do(context, "monitor.health", "check", airflow=telemetry.runs_by_state(context["ti"]))


def announce(outlet_events: Any, asset: Asset, cutoff: date, facts: Mapping[str, Any]) -> None:
    """Emit the asset's event for the partition of this cutoff, with what came out."""
    outlet_events[asset].extra = dict(facts)
    outlet_events[asset].add_partitions(cutoff.isoformat())
