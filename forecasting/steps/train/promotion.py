"""What follows from a verdict: promote, ask a person, watch as a shadow, or keep the champion. All of it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.errors import StoreError
from forecasting.evaluation.promotion import EVERYTHING, Verdict
from forecasting.steps.run import Run, now, record
from forecasting.storage.registry.registry import Registry, Version
from forecasting.storage.warehouse.changes import Change
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import JUDGEMENTS, MODEL_PROMOTIONS

RULES = "rules"  # who decides where no person does
PROMOTED, WAITING, KEPT = "promoted", "waiting", "kept"


def settle(settings: Settings, version: str, verdict: Verdict, live: Version | None, cutoff: date, run: Run) -> str:
    """Do what the verdict says with a registered version; returns the decision: promoted, waiting or kept.

    The first champion needs no person: without one there would be no forecast. The tables are written first and the
    version's state last, so that one without a state is known to have been interrupted.
    """
    registry, rival = Registry(settings.mlflow), live.version if live else ""
    decision = KEPT
    if verdict.promote:
        decision = WAITING if settings.train.approval == "person" and live is not None else PROMOTED
    figures = {
        "metric": settings.train.metric,
        "challenger_value": _finite(verdict.challenger),
        "champion_value": _finite(verdict.champion),
        "naive_value": _finite(verdict.naive),
    }
    changes = [decided(run, cutoff, version, decision, champion=rival, by=RULES, reason=verdict.reason, **figures)]
    if len(verdict.rows):
        changes.append(judgement(verdict, cutoff, version, rival, run))
    Warehouse(settings.warehouse).publish(changes)
    description = markdown(verdict.rows, verdict.reason, rival)
    if decision == PROMOTED:
        registry.promote(version, verdict.reason, description)
    else:
        state = WAITING if decision == WAITING else "shadow" if verdict.narrow else "rejected"
        registry.mark(version, state, verdict.reason, description)
    return decision


def discard_interrupted(settings: Settings, cutoff: date) -> list[str]:
    """Reject what trainings of this cutoff left without an end, and take back what they had written; which ones."""
    registry = Registry(settings.mlflow)
    left = [one.version for one in registry.versions() if not one.state and one.cutoff == cutoff]
    for version in left:
        Warehouse(settings.warehouse).remove([(one, {"version": version}) for one in (MODEL_PROMOTIONS, JUDGEMENTS)])
        registry.discard(version, "its training was interrupted")
    return left


def question(settings: Settings, cutoff: date) -> dict[str, Any] | None:
    """What a person is asked about the newest version that waits: version, subject, body (Markdown); None: nothing."""
    waiting = [one for one in Registry(settings.mlflow).versions() if one.state == "waiting" and one.cutoff <= cutoff]
    if not waiting:
        return None
    version, live = waiting[0], Registry(settings.mlflow).champion(cutoff)
    rows = Warehouse(settings.warehouse).read(JUDGEMENTS, version=version.version)
    newest = rows[rows["cutoff"] == rows["cutoff"].max()]
    newest = newest.iloc[(newest["segment"] != EVERYTHING).to_numpy().argsort(kind="stable")]
    rival = live.version if live else ""
    return {
        "version": version.version,
        "subject": f"Promote {version.name}, version {version.version}, in place of version {rival}?",
        "body": markdown(newest, version.tags.get("verdict", ""), rival),
    }


@dataclass(frozen=True)
class Answer:
    """What a person said, or that nobody did in time. by: who; note: why, in their words."""

    approved: bool
    by: str
    note: str = ""


def decide(settings: Settings, cutoff: date, version: str, answer: Answer, run: Run) -> dict[str, Any]:
    """A person's answer on a version that waits, or its silence: promote it, or keep the champion and watch it.

    Returns version, promoted, reason. Raises StoreError where the version does not wait for an answer.
    """
    with record(settings, run, "approve", cutoff) as outcome:
        registry = Registry(settings.mlflow)
        asked, live = registry.version(version), registry.champion(cutoff)
        if asked.state != "waiting":
            raise StoreError(
                f"Version {version} does not wait for an answer: its state is {asked.state or 'none'}. See the table "
                "promotions for what became of it."
            )
        reason = f"{'approved' if answer.approved else 'not approved'} by {answer.by}"
        reason += f": {answer.note}" if answer.note else ""
        decision, rival = PROMOTED if answer.approved else KEPT, live.version if live else ""
        told = {"champion": rival, "by": answer.by, "reason": reason, "note": answer.note}
        Warehouse(settings.warehouse).publish([decided(run, cutoff, version, decision, **told)])
        # Last, so that a run that was interrupted before still finds it waiting when it is tried again.
        if answer.approved:
            registry.promote(version, reason)
        else:
            registry.mark(version, "shadow", reason)
        outcome.model_version, outcome.message = version, reason
        return {"version": version, "promoted": answer.approved, "reason": reason, "cutoff": cutoff.isoformat()}


def decided(run: Run, cutoff: date, version: str, decision: str, **more: Any) -> Change:
    """One row of MODEL_PROMOTIONS; what is not given in `more` stays empty."""
    given = {name: value for name, value in more.items() if value not in (None, "")}
    row = dict.fromkeys(MODEL_PROMOTIONS.columns) | given
    row |= {
        "cutoff": pd.Timestamp(cutoff), "version": version, "decision": decision, "decided_at": now(),
        "run_id": run.run_id,
    }  # fmt: skip
    return Change(
        MODEL_PROMOTIONS, pd.DataFrame([row]), {"run_id": run.run_id, "version": version, "decision": decision}
    )


def judgement(verdict: Verdict, cutoff: date, version: str, rival: str, run: Run) -> Change:
    """JUDGEMENTS of one version at one cutoff."""
    day = pd.Timestamp(cutoff)
    rows = verdict.rows.assign(cutoff=day, version=version, rival=rival, periods=verdict.periods, run_id=run.run_id)
    return Change(JUDGEMENTS, rows, {"cutoff": day, "version": version})


def markdown(rows: pd.DataFrame, reason: str, rival: str) -> str:
    """The comparison as a table for people: in MLflow, and where they are asked."""
    if rows.empty:
        return reason
    lines = [
        reason, "", f"| rule | segment | challenger | champion {rival} | better by | from | to | |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows.to_dict("records"):
        figures = [f"{_figure(row, name)}" for name in ("challenger", "champion")]
        shares = [f"{row[name]:+.1%}" if _there(row, name) else "" for name in ("improvement", "low", "high")]
        cells = [str(row["rule"]), str(row["segment"]), *figures, *shares, "holds" if row["passed"] else "**fails**"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _there(row: Mapping[Any, Any], name: str) -> bool:
    return row[name] is not None and bool(np.isfinite(row[name]))


def _figure(row: Mapping[Any, Any], name: str) -> str:
    return f"{row[name]:.4f}" if _there(row, name) else ""


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
