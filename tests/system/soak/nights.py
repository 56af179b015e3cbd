"""Two months in one go: each night through the real command line, some through Airflow, each looked at afterwards."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.__main__ import main
from forecasting.core.config.settings import Settings
from forecasting.launcher.client import Client
from forecasting.launcher.server import airflow
from forecasting.steps.operate.reproduce import reproduce
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import ALERTS, DRIFT, FORECASTS, QUALITY, RUNS, SCORES
from tests.system.soak.plan import Plan
from tests.system.soak.shop import Tampered, deliver, fingerprint

PATIENCE = 600  # seconds for a night through Airflow
DETECTED = 7  # nights until a shift must have been found


@dataclass
class Soak:
    """The nights so far. rows: one a night, for the report. problems: what must not be."""

    conf: Path
    settings: Settings
    plan: Plan
    rows: list[dict] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def live(self, scheduled: int, rng: np.random.Generator) -> None:
        """All nights; the last `scheduled` ones through Airflow."""
        alone = self.plan.nights - scheduled
        for night in range(alone):
            self._night(night, rng)
        if scheduled:
            with _airflow(self.conf) as client:
                for night in range(alone, self.plan.nights):
                    deliver(self.settings, self.plan, night)
                    self._looked_at(night, client.trigger, via="Airflow")

    def _night(self, night: int, rng: np.random.Generator) -> None:
        deliver(self.settings, self.plan, night)
        if night in self.plan.away:
            self._row(night, "", "", "")
            return
        catching_up = self.plan.away if self.plan.away and night == self.plan.away[-1] + 1 else []
        for missed in catching_up:  # in order, each as of its own cutoff
            self._looked_at(missed, self._run)
        if "killed" in self.plan.events.get(night, ()):
            self._kill(night, rng)
        tampered = "tampered" in self.plan.events.get(night, ())
        with Tampered(self.settings, self.plan.day(night)) if tampered else nullcontext():
            self._looked_at(night, self._run)

    def _run(self, cutoff: date) -> int:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return main(["run", "--conf", str(self.conf), "--cutoff", cutoff.isoformat(), "--json"])

    def _kill(self, night: int, rng: np.random.Generator) -> None:
        """The night in a process of its own, which is killed at some moment; readers must not notice."""
        before = self._vintages()
        command = [sys.executable, "-m", "forecasting", "run", "--conf", str(self.conf), "--cutoff",
                   self.plan.day(night).isoformat()]  # fmt: skip
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(float(rng.uniform(1.0, 6.0)))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        after = self._vintages()
        if any(after.get(day) != mark for day, mark in before.items()):
            self.problems.append(f"night {night}: a kill changed what was published before")
        self._whole(night, self.plan.day(night), may_lack=True)

    def _looked_at(self, night: int, run, via: str = "command line") -> None:
        """One night, and what must be true after it."""
        cutoff, before, clock = self.plan.day(night), self._vintages(), time.monotonic()
        code = _through(run, self.settings, cutoff) if via == "Airflow" else run(cutoff)
        stops = self.plan.stops(night)
        if (code == 0) == stops:
            wanted = "that it stops" if stops else "that it ends well"
            self.problems.append(f"night {night} ({cutoff}): exit code {code}, but the plan says {wanted}")
        self._whole(night, cutoff, may_lack=stops)
        after = self._vintages()
        lost = [str(day) for day, mark in before.items() if day != cutoff and after.get(day) != mark]
        if lost:
            self.problems.append(f"night {night}: vintages {lost} are not what they were")
        self._row(night, via, code, round(time.monotonic() - clock, 1))

    def _row(self, night: int, via: str, code: object, seconds: object) -> None:
        told = {"night": night, "cutoff": self.plan.day(night), "done": self.plan.told(night)}
        self.rows.append(told | {"via": via, "code": code, "seconds": seconds})

    def _vintages(self) -> dict[date, int]:
        """Fingerprint of every published vintage."""
        forecasts = Warehouse(self.settings.warehouse).read(FORECASTS, ["cutoff", "unique_id", "ds", "mean", "p95"])
        return {day.date(): fingerprint(rows) for day, rows in forecasts.groupby("cutoff")}

    def _whole(self, night: int, cutoff: date, *, may_lack: bool) -> None:
        """Every series with its whole horizon and a status, or nothing at all; every row read is accounted for."""
        warehouse = Warehouse(self.settings.warehouse)
        rows = warehouse.read(FORECASTS, cutoff=pd.Timestamp(cutoff))
        if rows.empty:
            if not may_lack:
                self.problems.append(f"night {night}: no vintage of {cutoff}")
            return
        series = Lake(self.settings.lake).read_panel(cutoff).unique_ids
        whole = rows.groupby("unique_id").size().eq(self.settings.panel.horizon).all()
        if set(rows["unique_id"]) != set(series) or not whole:
            self.problems.append(f"night {night}: the vintage of {cutoff} is not whole")
        if (rows.loc[rows["status"] != "ok", "reason"].fillna("") == "").any():
            self.problems.append(f"night {night}: a status without a reason")
        quality = warehouse.read(QUALITY, cutoff=pd.Timestamp(cutoff), rule="all")
        if (quality["read"] != quality["clean"] + quality["quarantined"]).any():
            self.problems.append(f"night {night}: read is not clean + quarantined")

    def end(self, rng: np.random.Generator) -> dict:
        """What two months must have come to; adds to `problems`."""
        warehouse, plan = Warehouse(self.settings.warehouse), self.plan
        expected = [plan.day(night) for night in range(plan.nights) if not plan.stops(night)]
        published = sorted(warehouse.cutoffs())
        if published != expected:
            self.problems.append(f"published cutoffs differ from the plan's: {sorted({*published} ^ {*expected})}")
        versions = {one.version: one for one in Registry(self.settings.mlflow).versions()}
        used = warehouse.distinct(FORECASTS, ["cutoff", "model_version"])
        late = [row for row in used.itertuples() if versions[row.model_version].cutoff > row.cutoff.date()]
        if late:
            self.problems.append(f"{len(late)} vintages were made by a model that was trained later")
        scored = set(warehouse.distinct(SCORES, ["cutoff"])["cutoff"].dt.date)
        if not set(expected[:-2]) <= scored | {plan.day(plan.nights - 1)}:
            self.problems.append(f"not scored: {sorted({*expected[:-2]} - scored)}")
        for day in rng.choice(np.array(expected, dtype=object), size=min(3, len(expected)), replace=False):
            if not reproduce(self.settings, day)["equal"]:
                self.problems.append(f"the vintage of {day} cannot be made again")
        alerts = warehouse.read(ALERTS)
        if plan.silent and not ((alerts["name"] == "night") & alerts["closed"].notna()).any():
            self.problems.append("the night that stopped left no alert, or it was never closed")
        return {
            "vintages": len(published),
            "versions": len(versions),
            "alerts": _counts(alerts),
            "drift": self._drift(),
        }

    def _drift(self) -> dict:
        """Nights from each shift to its detection, and alarms in the quiet nights before the first of them."""
        drifted = Warehouse(self.settings.warehouse).read(DRIFT, drifted=True)
        days = drifted["cutoff"].dt.date
        first = self.plan.day(min(self.plan.silent))  # before it nothing has happened
        found: dict = {"false alarms": int(days[days < first].nunique())}
        for shift in self.plan.shifts:
            mine = drifted["subject"].str.contains("price" if shift.kind == "price" else shift.target)
            after = sorted(day for day in days[mine].unique() if day >= shift.since)
            found[f"{shift.kind} {shift.target}"] = nights = (after[0] - shift.since).days if after else None
            left = (self.plan.day(self.plan.nights - 1) - shift.since).days
            if left >= DETECTED and (nights is None or nights > DETECTED):
                self.problems.append(f"{shift.kind} {shift.target} from {shift.since} was found after {nights} nights")
        if found["false alarms"] > 1:
            self.problems.append(f"{found['false alarms']} nights of drift before anything had moved")
        return found


def _counts(alerts: pd.DataFrame) -> dict[str, str]:
    closed = alerts["closed"].notna()
    return {
        str(name): f"{len(rows)} opened, {int(closed[rows.index].sum())} closed"
        for name, rows in alerts.groupby("name")
    }


@contextlib.contextmanager
def _airflow(conf: Path) -> Iterator[Client]:
    with airflow(conf.parent / "airflow", conf, clock=False) as server:
        client = Client(server)
        client.wait_for(("extract", "train", "forecast", "monitor"))
        client.make_pool("training", 1)
        yield client


def _through(trigger, settings: Settings, cutoff: date) -> int:
    """One night by the scheduler: extract by hand, all else by its assets; 0 once its last steps are written down."""
    trigger("extract", {"cutoff": cutoff.isoformat()})
    until, warehouse = time.monotonic() + PATIENCE, Warehouse(settings.warehouse)
    while time.monotonic() < until:
        done = warehouse.read(RUNS, ["step"], cutoff=pd.Timestamp(cutoff), step=["retention", "report"])
        if done["step"].nunique() == 2:
            return 0
        time.sleep(0.5)
    return 1
