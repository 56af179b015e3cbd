"""Warning signs of the process itself: each is one figure with a limit, told in plain words.

`runs` is RUNS with two columns more: `vintage` (the cutoff in whole periods) and `ended` (UTC).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import fmean

import pandas as pd

from forecasting.core.errors import some

FEW = 2  # values that each side of a trend must have
WEEKS = timedelta(weeks=4)  # each side of a trend


@dataclass(frozen=True)
class Sign:
    """One figure of one night. value: in `unit`, None where nothing can be said; message: what was found."""

    name: str
    value: float | None
    unit: str
    message: str


@dataclass(frozen=True)
class AirflowFacts:
    """What Airflow knows and we do not: DAG runs by DAG that failed, and that succeeded, as far as it keeps them."""

    failed: Mapping[str, int] = field(default_factory=dict)
    succeeded: Mapping[str, int] = field(default_factory=dict)


def published(runs: pd.DataFrame) -> dict[date, datetime]:
    """When each vintage was published for the first time."""
    done = runs[(runs["step"] == "forecast") & (runs["outcome"] == "done")]
    first = done.sort_values("ended").drop_duplicates("vintage")
    return {day: moment.to_pydatetime() for day, moment in zip(first["vintage"], first["ended"], strict=True)}


def lead_time(runs: pd.DataFrame, vintage: date) -> Sign:
    """Hours from the first good reading of the sales to the first publication."""
    read = runs[(runs["step"] == "extract") & (runs["outcome"] == "done") & (runs["vintage"] == vintage)]
    out = published(runs).get(vintage)
    if out is None or read.empty:
        return Sign("lead_hours", None, "hours", f"no record of how {vintage} was read and published")
    hours = max(0.0, (out - read["started_at"].min().to_pydatetime()).total_seconds() / 3600)
    return Sign("lead_hours", hours, "hours", f"{_hours(hours)} from reading the sales of {vintage} to its forecasts")


def missed(due: Mapping[date, datetime], vintages: Collection[date]) -> Sign:
    """Nights of the schedule, between the oldest and the newest vintage, that have none."""
    gone = sorted(day for day in due if min(vintages) < day < max(vintages) and day not in vintages) if vintages else []
    return Sign("nights_missed", len(gone), "nights", f"no vintage of {some(gone)}" if gone else "no night is missing")


def late(due: Mapping[date, datetime], out: Mapping[date, datetime], since: datetime) -> Sign:
    """Nights that were published after they were due; what was due before the first run ever was never promised."""
    watched = {day: out[day] - moment for day, moment in due.items() if day in out and moment >= since}
    behind = {day: delay for day, delay in sorted(watched.items()) if delay > timedelta(0)}
    if not behind:
        return Sign("nights_late", 0, "nights", f"{len(watched)} nights, none late")
    told = some(f"{day} by {_hours(delay.total_seconds() / 3600)}" for day, delay in behind.items())
    return Sign("nights_late", len(behind), "nights", f"{len(behind)} of {len(watched)} nights late: {told}")


def champion_age(vintage: date, since: date | None, version: str) -> Sign:
    """Days from the champion's training (or the rollback to it) to this night."""
    if since is None:
        return Sign("champion_days", None, "days", "there is no champion yet")
    days = (vintage - since).days
    return Sign("champion_days", days, "days", f"champion {version} is {days} days old")


def decisions(decided: pd.DataFrame, created: Mapping[str, datetime], after: date) -> Sign:
    """Hours from a challenger's registration to the first decision on it: the longest of those decided since a day.

    decided: MODEL_PROMOTIONS. A version that still waits counts under `waiting`.
    """
    ended = decided[decided["decision"].isin(["promoted", "kept"])].sort_values("decided_at")
    first = ended.drop_duplicates("version")
    first = first[(first["cutoff"].dt.date > after) & first["version"].isin(list(created))]
    if first.empty:
        return Sign("decision_hours", None, "hours", "no challenger was decided on")
    hours = {
        str(version): max(0.0, (moment.to_pydatetime() - created[str(version)]).total_seconds() / 3600)
        for version, moment in zip(first["version"], first["decided_at"], strict=True)
    }
    slowest = max(hours, key=lambda version: hours[version])
    told = f"{len(hours)} challengers decided on, at most {_hours(hours[slowest])} after training (version {slowest})"
    return Sign("decision_hours", hours[slowest], "hours", told)


def rework(runs: pd.DataFrame, decided: pd.DataFrame, after: datetime) -> Sign:
    """Work done again since a moment: readings and forecasts repeated, past nights made up later, rollbacks.

    A forecast by another model or from other sales is no repetition: it has a reason of its own, which is counted.
    """
    done = runs[runs["outcome"] == "done"].sort_values("started_at")
    read, out = done[done["step"] == "extract"], done[done["step"] == "forecast"]
    backfill = out.assign(newest=out["cutoff"].cummax().shift())
    backfill = backfill[(backfill["cutoff"] < backfill["newest"]) & ~backfill["cutoff"].duplicated()]
    found = {
        "readings again": read[read.get("night", read["cutoff"]).duplicated()],
        "forecasts again": out[out.duplicated(["cutoff", "model_version", "snapshot"])],
        "nights made up": backfill,
    }
    counts = {name: int((rows["started_at"] > after).sum()) for name, rows in found.items()}
    back = decided[decided["decision"] == "rolled_back"]
    counts["rollbacks"] = int((back["decided_at"] > after).sum())
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return Sign("rework", sum(counts.values()), "times", told or "nothing was done twice")


def retries(runs: pd.DataFrame, after: datetime) -> Sign:
    """Steps started again within their run since a moment: by Airflow after an error, or by a person who cleared it."""
    lately = runs[runs["started_at"] > after]
    more = (lately["attempt"].fillna(1) - 1).astype(int)
    worst = lately["step"][more > 0].unique()
    return Sign("retries", int(more.sum()), "times", f"{some(worst)} started again" if len(worst) else "no step again")


def quarantined(quality: pd.DataFrame) -> Sign:
    """Share of the rows read that were set aside; `quality`: rule `all` of every table."""
    if quality.empty or not quality["read"].sum():
        return Sign("quarantined_share", None, "share", "nothing was read")
    share = float(quality["quarantined"].sum() / quality["read"].sum())
    worst = quality.sort_values("quarantined").iloc[-1]
    told = f"{int(quality['quarantined'].sum()):,} of {int(quality['read'].sum()):,} rows quarantined"
    return Sign("quarantined_share", share, "share", told + (f", most in {worst['table']}" if share else ""))


def fallback(statuses: Mapping[str, int], vintage: date) -> Sign:
    """Share of the vintage's series that a fallback stood in for."""
    total = sum(statuses.values())
    if not total:
        return Sign("fallback_share", None, "share", f"no vintage of {vintage}")
    count = statuses.get("fallback", 0)
    return Sign("fallback_share", count / total, "share", f"{count:,} of {total:,} series on a fallback")


def waiting(versions: Mapping[str, date], vintage: date) -> Sign:
    """Challengers that wait for a person; versions: with the cutoff of their training."""
    told = some(f"version {name} for {(vintage - day).days} days" for name, day in versions.items())
    return Sign("waiting", len(versions), "hand-offs", f"waiting for a person: {told}" if versions else "nobody waits")


def failed_steps(runs: pd.DataFrame, after: datetime) -> Sign:
    """Steps that ended in an error since a moment, whatever came after."""
    bad = runs[(runs["outcome"] == "failed") & (runs["started_at"] > after)]
    told = some(f"{row.step} of {row.cutoff:%Y-%m-%d}" for row in bad.itertuples())
    return Sign("failed_steps", len(bad), "steps", told if len(bad) else "no step failed")


def failed_runs(facts: AirflowFacts, before: float | None) -> list[Sign]:
    """All failed DAG runs that Airflow keeps, and those since the night whose count of them is `before`."""
    total, good = sum(facts.failed.values()), sum(facts.succeeded.values())
    told = some(f"{count} of {name}" for name, count in facts.failed.items() if count) if total else "none"
    signs = [Sign("failed_runs_ever", total, "runs", f"failed: {told}; {good:,} succeeded")]
    lately = None if before is None else max(0.0, total - before)
    message = "counted from tonight on" if lately is None else f"{lately:.0f} failed DAG runs in a week; ever: {told}"
    return [*signs, Sign("failed_runs", lately, "runs", message)]


def trend(values: Mapping[date, float], cutoff: date) -> float | None:
    """Mean of the last 4 weeks, this night included, less the mean of the 4 before; None where a side has too few."""
    lately = [value for day, value in values.items() if cutoff - WEEKS < day <= cutoff]
    before = [value for day, value in values.items() if cutoff - 2 * WEEKS < day <= cutoff - WEEKS]
    return fmean(lately) - fmean(before) if min(len(lately), len(before)) >= FEW else None


def _hours(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.0f} days"
