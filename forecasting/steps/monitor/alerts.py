"""Alerts: what needs a person, told once, kept open until it is mended. All that a night finds comes together here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.errors import StoreError
from forecasting.reporting.alerts.channels import Notice, channels
from forecasting.steps.run import Run, night_of, record
from forecasting.storage.warehouse.changes import Change
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import ALERTS, DRIFT, FORECASTS, HEALTH, QUALITY, RUNS, SCORE_TRENDS, SCORES

RANK = {"info": 0, "warning": 1, "critical": 2}
LOG = "log"
WEEK = 7  # vintages without which a comparison says little
SAID = ("severity", "name", "subject", "message")
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """Something that a night found. name and subject together say what it is, from night to night."""

    name: str
    subject: str
    severity: str
    message: str


def watch(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Compare what this night found with the open alerts; tell of new, worse and mended ones.

    Returns cutoff, opened, open, closed. A night before the newest vintage (a backfill) opens and closes nothing.
    """
    night = night_of(settings, cutoff)
    cutoff = night.cutoff
    with record(settings, run, "alerts", night) as outcome:
        newest = next(iter(Warehouse(settings.warehouse).cutoffs(most=1)), cutoff)
        if cutoff < newest:
            outcome.message = f"alerts are those of the newest vintage, {newest}"
            return {"cutoff": cutoff.isoformat(), "opened": 0, "open": 0, "closed": 0}
        facts = _settle(settings, cutoff, run, findings(settings, cutoff), tell, close=True)
        outcome.rows, outcome.message = facts["open"], f"{facts['opened']} opened, {facts['closed']} closed"
        return facts


def failed(settings: Settings, cutoff: date, run: Run, step: str, error: BaseException) -> None:
    """A step of a night did not end well; the alert closes when it does, or with the next night.

    Where the warehouse itself is away there is no table to open it in: then it is only in the log.
    """
    found = Finding("night", step, "critical", f"{type(error).__name__}: {error}"[:1000])
    _raise(settings, cutoff, run, found)


def late(settings: Settings, cutoff: date, run: Run, promised: str) -> None:
    """No forecasts of this cutoff by the hour promised; the alert closes when they are there."""
    newest = next(iter(Warehouse(settings.warehouse).cutoffs(most=1)), None)
    message = f"no forecasts of {cutoff} by {promised}; the newest are of {newest or 'no night yet'}"
    _raise(settings, cutoff, run, Finding("late", "forecasts", "critical", message))


def _raise(settings: Settings, cutoff: date, run: Run, found: Finding) -> None:
    try:
        _settle(settings, night_of(settings, cutoff).cutoff, run, [found], log.warning, close=False)
    except StoreError:
        log.exception("An alert could not be written: %s", found)


def findings(settings: Settings, cutoff: date) -> list[Finding]:
    """What the tables of this cutoff say that a person should know."""
    warehouse, day = Warehouse(settings.warehouse), pd.Timestamp(cutoff)
    return [
        *_quality(warehouse, day),
        *_refused(warehouse, day),
        *_drifted(warehouse, day),
        *_inaccurate(warehouse, day, settings.alerts.worse),
        *_unwell(warehouse, day),
        *_failing(warehouse, day),
    ]


def _quality(warehouse: Warehouse, day: pd.Timestamp) -> Iterable[Finding]:
    rows = warehouse.read(QUALITY, cutoff=day, passed=False, severity=["stop", "warn"])
    for row in rows.itertuples():
        severity = "critical" if row.severity == "stop" else "warning"
        yield Finding("quality", f"{row.table}: {row.rule}", severity, str(row.message))


def _refused(warehouse: Warehouse, day: pd.Timestamp) -> Iterable[Finding]:
    """A champion whose folder was not loaded, as the rows of the vintage say."""
    reasons = warehouse.distinct(FORECASTS, ["reason"], cutoff=day, status="fallback")["reason"].astype(str)
    for reason in reasons[reasons.str.contains("is refused (", regex=False)]:
        yield Finding("model", reason.split(" is refused")[0], "critical", reason)


def _drifted(warehouse: Warehouse, day: pd.Timestamp) -> Iterable[Finding]:
    for row in warehouse.read(DRIFT, cutoff=day, drifted=True).itertuples():
        yield Finding("drift", f"{row.kind}: {row.subject}", "warning", str(row.message))


def _inaccurate(warehouse: Warehouse, day: pd.Timestamp, worse: float) -> Iterable[Finding]:
    """Of everything together and of each volume class: worse than before, or than seasonal naive."""
    over_time = warehouse.read(SCORE_TRENDS, scored_at=day, bucket="all", level=["total", "volume_class"])
    for row in over_time[over_time["change"] > worse].itertuples():
        message = f"wape {row.wape:.3f} over the newest vintages, {row.wape_before:.3f} over those before"
        yield Finding("accuracy", f"wape of {row.level} {row.group}", "warning", message)
    added = warehouse.read(SCORES, scored_at=day, bucket="all", level="total", metric="value_added")["value"].dropna()
    if len(added) >= WEEK and added.median() < 0:
        message = f"wape is {-added.median():.1%} above that of seasonal naive (median of {len(added)} vintages)"
        yield Finding("accuracy", "value added", "warning", message)


def _unwell(warehouse: Warehouse, day: pd.Timestamp) -> Iterable[Finding]:
    for row in warehouse.read(HEALTH, cutoff=day, breached=True).itertuples():
        yield Finding("health", str(row.sign), "warning", str(row.message))


def _failing(warehouse: Warehouse, day: pd.Timestamp) -> Iterable[Finding]:
    """Failures that were told of while a step of this night still stands as failed: nothing has mended them yet."""
    runs = warehouse.read(RUNS, ["step", "started_at", "outcome"], cutoff=day).sort_values("started_at")
    newest = runs.drop_duplicates("step", keep="last").set_index("step")["outcome"].drop("alerts", errors="ignore")
    if (newest == "failed").any():
        for row in warehouse.read(ALERTS, closed=None, name="night", seen=day).itertuples():
            yield Finding("night", str(row.subject), str(row.severity), str(row.message))


def _settle(
    settings: Settings, cutoff: date, run: Run, found: Sequence[Finding], tell: Tell, *, close: bool
) -> dict[str, Any]:
    warehouse = Warehouse(settings.warehouse)
    before = warehouse.read(ALERTS, closed=None)
    records = before.drop(columns="closed").to_dict("records")
    there = {(row["name"], row["subject"]): {str(key): row[key] for key in row} | {"closed": None} for row in records}
    rows: list[dict[str, Any]] = []
    notices: dict[int, Notice] = {}
    for one in found:
        row, what = _seen(there.get((one.name, one.subject)), one, pd.Timestamp(cutoff))
        rows.append(row)
        if what:
            notices[len(rows) - 1] = Notice(what, one.severity, one.name, one.subject, one.message)
    current = {(one.name, one.subject) for one in found}
    for key, row in there.items():
        if close and key not in current and row["seen"].date() <= cutoff:
            rows.append(row | {"closed": pd.Timestamp(cutoff)})
            notices[len(rows) - 1] = Notice("mended", *(str(row[name]) for name in SAID))
    for notice in notices.values():
        tell(str(notice))
    _send(settings, cutoff, rows, notices)
    warehouse.publish([_change(row, run) for row in rows])
    opened = sum(one.what == "opened" for one in notices.values())
    closed = sum(one.what == "mended" for one in notices.values())
    return {"cutoff": cutoff.isoformat(), "opened": opened, "open": len(rows) - closed, "closed": closed}


def _seen(row: Mapping[str, Any] | None, one: Finding, day: pd.Timestamp) -> tuple[dict[str, Any], str]:
    """The alert's row after this night, and what is to be told of it: opened, worse, or nothing."""
    said = {name: getattr(one, name) for name in SAID}
    if row is None:
        return said | {"opened": day, "seen": day, "nights": 1, "closed": None, "told": ""}, "opened"
    worse = RANK[one.severity] > RANK[row["severity"]]
    new = {"seen": max(row["seen"], day), "nights": int(row["nights"]) + int(day > row["seen"])}
    if worse:
        new["told"] = ""
    return dict(row) | said | new, "worse" if worse else "" if row["told"] else "opened"


def _send(settings: Settings, cutoff: date, rows: Sequence[dict[str, Any]], notices: Mapping[int, Notice]) -> None:
    """Tell by every channel; one that fails is logged and tried again next night, and never stops the night.

    Who was not told that something is broken is not told either that it is mended.
    """
    least = RANK[settings.alerts.minimum]
    ways = channels(settings.alerts)
    for row in rows:
        row["told"] = row["told"] or LOG
    for name, send in ways.items():
        mine = {
            number: notice for number, notice in _due(rows, notices, name).items() if RANK[notice.severity] >= least
        }
        if not mine:
            continue
        try:
            send(_title(settings, cutoff, list(mine.values())), sorted(mine.values(), key=_order))
        except StoreError as error:
            log.error("Alerts were not told by %s: %s", name, error)  # noqa: TRY400  # the cause is in the message
            continue
        for number in mine:
            rows[number]["told"] = f"{rows[number]['told']}, {name}"


def _due(rows: Sequence[dict[str, Any]], notices: Mapping[int, Notice], name: str) -> dict[int, Notice]:
    """Notices for a channel: what is new, what it could not tell before, and the end of what it has told."""
    found = {}
    for number, row in enumerate(rows):
        told, notice = name in row["told"].split(", "), notices.get(number)
        if row["closed"] is not None:
            if told and notice:
                found[number] = notice
        elif not told:
            found[number] = notice or Notice("opened", *(str(row[key]) for key in SAID))
    return found


def _order(notice: Notice) -> tuple[bool, int, str, str]:
    return notice.what == "mended", -RANK[notice.severity], notice.name, notice.subject


def _title(settings: Settings, cutoff: date, notices: Sequence[Notice]) -> str:
    mended = sum(one.what == "mended" for one in notices)
    parts = [f"{count} {what}" for count, what in ((len(notices) - mended, "to look at"), (mended, "mended")) if count]
    return f"[{settings.name}] {', '.join(parts)} (night of {cutoff})"


def _change(row: Mapping[str, Any], run: Run) -> Change:
    partition = {name: row[name] for name in ALERTS.partition}
    return Change(ALERTS, pd.DataFrame([dict(row) | {"run_id": run.run_id}]), partition)
