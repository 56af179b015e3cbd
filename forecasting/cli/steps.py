"""The steps of one cutoff, one after the other, as one run of the command line."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from structlog.contextvars import bind_contextvars, clear_contextvars

from forecasting.cli.report import Report
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ForecastingError, SettingsError, some
from forecasting.steps.run import Run

Facts = dict[str, Any]


class Night:
    """The steps of one cutoff, as one run; every method gives back what the step says of itself."""

    def __init__(self, settings: Settings, cutoff: date, report: Report) -> None:
        self.settings, self.cutoff, self.report = settings, cutoff, report
        # Two that start in the same second are two: shards and rows of RUNS go by this name.
        self.run = Run(f"cli__{cutoff}__{datetime.now(UTC):%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:6]}")
        self.errors: dict[str, ForecastingError] = {}  # of steps that the others could do without
        clear_contextvars()
        bind_contextvars(run=self.run.run_id, cutoff=cutoff.isoformat())  # in every line of the log

    @contextmanager
    def alarmed(self, name: str) -> Iterator[None]:
        """An error becomes an alert before it goes on: nobody may be watching a night."""
        try:
            yield
        except ForecastingError as error:
            from forecasting.steps.monitor import alerts

            alerts.failed(self.settings, self.cutoff, self.run, name, error)
            raise

    @contextmanager
    def spared(self, name: str) -> Iterator[None]:
        """A step that the others can do without: its error is told, they go on, and the night does not end well."""
        try:
            with self.alarmed(name):
                yield
        except ForecastingError as error:
            self.errors[name] = error
            self.report.failed(name, error)

    def told(self) -> Facts:
        """What failed while the rest went on, by step."""
        failed = {name: f"{type(error).__name__}: {error}" for name, error in self.errors.items()}
        return {"failed": failed} if failed else {}

    @property
    def code(self) -> int:
        """Exit code of what has come to its end."""
        if not self.errors:
            return 0
        return 2 if all(isinstance(error, SettingsError) for error in self.errors.values()) else 1

    def extract(self) -> Facts:
        """Read, screen, write snapshot and panel."""
        from forecasting.steps.ingest import extract

        with self.report.step("extract") as step:
            facts = extract.extract(self.settings, self.cutoff, self.run, step.tell)
            step.outcome = line(facts, "read", "clean", "quarantined", "series", "periods", "snapshot")
        return facts

    def train(self) -> Facts:
        """Train where it is due."""
        from forecasting.steps.train import train

        with self.report.step("train") as step:
            due, reason = train.due(self.settings, self.cutoff)
            if not due:
                step.outcome = f"not due: {reason}"
                return {"trained": False, "reason": reason}
            facts = train.train(self.settings, self.cutoff, self.run, step.tell)
            step.outcome = f"{facts['model']}, version {facts['version']}, {facts['decision']}: {facts['reason']}"
        return {"trained": True} | facts

    def forecast(self) -> Facts:
        """Plan the shards, forecast each, publish them together."""
        from forecasting.steps.forecast import forecast

        with self.report.step("plan") as step:
            shards = forecast.plan(self.settings, self.cutoff)
            step.outcome = f"{len(shards)} shards"
        with self.report.step("forecast", parts=len(shards)) as step:
            for shard in shards:
                forecast.predict(self.settings, self.cutoff, shard, self.run, step.tell)
                step.advance()
        with self.report.step("publish") as step:
            facts = forecast.publish(self.settings, self.cutoff, self.run)
            step.outcome = line(facts, "rows", "series", "model_version")
        with self.spared("export_forecasts"):
            facts |= self.export("forecasts")
        with self.spared("replenish"):
            facts |= self.replenish()
            with self.spared("export_orders"):
                facts |= self.export("orders")
        return facts

    def replenish(self) -> Facts:
        """Propose orders, where there is a section [planning]."""
        from forecasting.steps.forecast.replenish import replenish

        if self.settings.planning is None:
            return {}
        with self.report.step("replenish") as step:
            facts = replenish(self.settings, self.cutoff, self.run, step.tell)
            step.outcome = line(facts, "orders", "units", "unknown")
        return {"replenishment": facts}

    def export(self, part: str = "export") -> Facts:
        """Write the night's tables as files, all or those that are there by now, where there is a section [export]."""
        from forecasting.steps.operate import export as steps

        if self.settings.export is None:
            return {}
        name = "export" if part == "export" else f"export_{part}"
        with self.report.step(name) as step:
            facts = getattr(steps, part)(self.settings, self.cutoff, self.run, step.tell)
            step.outcome = line(facts, "files", "rows", "place")
        return {name: facts}

    def tell(self) -> Facts:
        """Write the night's report, where it is wanted."""
        from forecasting.steps.monitor.report import write

        if not self.settings.report.enabled:
            return {}
        with self.report.step("report") as step:
            facts = write(self.settings, self.cutoff, self.run, step.tell)
            step.outcome = line(facts, "place", "sent", "bytes")
        return {"report": facts}

    def monitor(self) -> Facts:
        """Score past vintages, look for drift, watch challengers, tell what needs a person, let go what is old."""
        from forecasting.steps.monitor import alerts, drift, exceptions, health, monitor
        from forecasting.steps.operate.retention import clean
        from forecasting.steps.train import shadow

        with self.report.step("monitor") as step:
            facts = monitor.monitor(self.settings, self.cutoff, self.run, step.tell)
            facts |= {"drift": drift.detect(self.settings, self.cutoff, self.run, step.tell)}
            facts |= {"exceptions": exceptions.find(self.settings, self.cutoff, self.run, step.tell)}
            facts |= {"shadow": shadow.watch(self.settings, self.cutoff, self.run, step.tell)}
            facts |= {"health": health.check(self.settings, self.cutoff, self.run, step.tell)}
            facts |= {"alerts": alerts.watch(self.settings, self.cutoff, self.run, step.tell)}
            clean(self.settings, self.cutoff, self.run, step.tell)
            told = facts["drift"] | facts | facts["shadow"] | {"alerts": facts["alerts"]["open"]}
            step.outcome = line(told, "vintages", "rows", "watched", "drifted", "version", "decision", "alerts")
            step.outcome += f", breached: {some(facts['health']['breached'], 20) or 'none'}"
        with self.spared("export_scores"):
            facts |= self.export("scores")
        with self.spared("report"):
            facts |= self.tell()
        return facts


def line(facts: Mapping[str, Any], *keys: str) -> str:
    """These of the facts, as far as there are any, as people read them."""
    return ", ".join(
        f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}"
        for key in keys
        if (value := facts.get(key)) is not None
    )
