"""`run`, `extract`, `train`, `forecast`, `monitor`: the steps of a night, one after the other, in this process."""

from __future__ import annotations

import uuid
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from structlog.contextvars import bind_contextvars, clear_contextvars

from forecasting import settings as configuration
from forecasting.cli.report import Report, result
from forecasting.errors import CutoffError, ForecastingError, SettingsError, some
from forecasting.settings import Settings
from forecasting.steps.run import Run

Facts = dict[str, Any]


def run(arguments: Namespace) -> int:
    """One whole night; ends with a summary of what came out."""
    settings = _load(arguments)
    cutoff = _cutoff(settings, arguments.cutoff, from_source=True)
    night = Night(settings, cutoff, Report(arguments.debug))
    facts: dict[str, Facts] = {}
    with night.alarmed("extract"):
        facts["extract"] = night.extract()
    with night.spared("train"):  # last week's model is better than no forecast
        facts["train"] = night.train()
    for name in ("forecast", "monitor"):
        with night.alarmed(name):
            facts[name] = getattr(night, name)()
    from forecasting.cli.show import summary

    content = {
        "run_id": night.run.run_id,
        "cutoff": cutoff.isoformat(),
        **facts,
        "seconds": night.report.seconds,
        **night.told(),
        **summary(settings, cutoff),
    }
    result(arguments, content, lambda: _tell(content))
    return night.code


def extract(arguments: Namespace) -> int:
    """Sources to snapshot and panel."""
    return _one(arguments, lambda night: night.extract(), from_source=True)


def train(arguments: Namespace) -> int:
    """Panel to champion, where a training is due."""
    return _one(arguments, lambda night: night.train())


def forecast(arguments: Namespace) -> int:
    """Panel and champion to a published vintage."""
    return _one(arguments, lambda night: night.forecast())


def monitor(arguments: Namespace) -> int:
    """Past vintages to scores."""
    return _one(arguments, lambda night: night.monitor())


def replenish(arguments: Namespace) -> int:
    """Orders of a vintage once more, as after an override."""
    if _load(arguments).planning is None:
        raise SettingsError(f"{arguments.conf} has no section [planning]: lead_time at least, in periods.")
    return _one(arguments, lambda night: night.replenish()["replenishment"])


def export(arguments: Namespace) -> int:
    """Tables of a vintage as files."""
    if _load(arguments).export is None:
        raise SettingsError(f"{arguments.conf} has no section [export]: path at least.")
    return _one(arguments, lambda night: night.export()["export"])


def write_report(arguments: Namespace) -> int:
    """What the night has brought, as one HTML file."""
    if not _load(arguments).report.enabled:
        raise SettingsError(f"{arguments.conf} has report.enabled = false: --set report.enabled=true writes it.")
    return _one(arguments, lambda night: _reported(night.tell()["report"]))


def _reported(facts: Facts) -> Facts:
    if not facts["bytes"]:
        raise CutoffError(f"There are no forecasts of {facts['cutoff']} to report on: run `forecast` for it first.")
    return facts


def retention(arguments: Namespace) -> int:
    """What the rules of [retention] let go, removed or only told."""
    from forecasting.steps.retention import clean

    settings = _load(arguments)
    night = Night(settings, _cutoff(settings, None, from_source=False), Report(arguments.debug))
    with night.report.step("retention") as step:
        facts = clean(settings, night.cutoff, night.run, step.tell, dry=arguments.dry_run)
        step.outcome = "told" if arguments.dry_run else "removed"
    result(arguments, facts, lambda: "\n".join(f"{name:<16} {_counted(gone)}" for name, gone in facts.items()))
    return 0


def _counted(gone: Any) -> str:
    return f"{len(gone)}: {some(gone)}" if isinstance(gone, list) and gone else str(gone or 0)


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
            from forecasting.steps import alerts

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
        from forecasting.steps import extract

        with self.report.step("extract") as step:
            facts = extract.extract(self.settings, self.cutoff, self.run, step.tell)
            step.outcome = _line(facts, "read", "clean", "quarantined", "series", "periods", "snapshot")
        return facts

    def train(self) -> Facts:
        """Train where it is due."""
        from forecasting.steps import train

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
        from forecasting.steps import forecast

        with self.report.step("plan") as step:
            shards = forecast.plan(self.settings, self.cutoff)
            step.outcome = f"{len(shards)} shards"
        with self.report.step("forecast", parts=len(shards)) as step:
            for shard in shards:
                forecast.predict(self.settings, self.cutoff, shard, self.run, step.tell)
                step.advance()
        with self.report.step("publish") as step:
            facts = forecast.publish(self.settings, self.cutoff, self.run)
            step.outcome = _line(facts, "rows", "series", "model_version")
        with self.spared("export_forecasts"):
            facts |= self.export("forecasts")
        with self.spared("replenish"):
            facts |= self.replenish()
            with self.spared("export_orders"):
                facts |= self.export("orders")
        return facts

    def replenish(self) -> Facts:
        """Propose orders, where there is a section [planning]."""
        from forecasting.steps.replenish import replenish

        if self.settings.planning is None:
            return {}
        with self.report.step("replenish") as step:
            facts = replenish(self.settings, self.cutoff, self.run, step.tell)
            step.outcome = _line(facts, "orders", "units", "unknown")
        return {"replenishment": facts}

    def export(self, part: str = "export") -> Facts:
        """Write the night's tables as files, all or those that are there by now, where there is a section [export]."""
        from forecasting.steps import export as steps

        if self.settings.export is None:
            return {}
        name = "export" if part == "export" else f"export_{part}"
        with self.report.step(name) as step:
            facts = getattr(steps, part)(self.settings, self.cutoff, self.run, step.tell)
            step.outcome = _line(facts, "files", "rows", "place")
        return {name: facts}

    def tell(self) -> Facts:
        """Write the night's report, where it is wanted."""
        from forecasting.steps.report import write

        if not self.settings.report.enabled:
            return {}
        with self.report.step("report") as step:
            facts = write(self.settings, self.cutoff, self.run, step.tell)
            step.outcome = _line(facts, "place", "sent", "bytes")
        return {"report": facts}

    def monitor(self) -> Facts:
        """Score past vintages, look for drift, watch challengers, tell what needs a person, let go what is old."""
        from forecasting.steps import alerts, drift, exceptions, health, monitor, shadow
        from forecasting.steps.retention import clean

        with self.report.step("monitor") as step:
            facts = monitor.monitor(self.settings, self.cutoff, self.run, step.tell)
            facts |= {"drift": drift.detect(self.settings, self.cutoff, self.run, step.tell)}
            facts |= {"exceptions": exceptions.find(self.settings, self.cutoff, self.run, step.tell)}
            facts |= {"shadow": shadow.watch(self.settings, self.cutoff, self.run, step.tell)}
            facts |= {"health": health.check(self.settings, self.cutoff, self.run, step.tell)}
            facts |= {"alerts": alerts.watch(self.settings, self.cutoff, self.run, step.tell)}
            clean(self.settings, self.cutoff, self.run, step.tell)
            told = facts["drift"] | facts | facts["shadow"] | {"alerts": facts["alerts"]["open"]}
            step.outcome = _line(told, "vintages", "rows", "watched", "drifted", "version", "decision", "alerts")
            step.outcome += f", breached: {some(facts['health']['breached'], 20) or 'none'}"
        with self.spared("export_scores"):
            facts |= self.export("scores")
        with self.spared("report"):
            facts |= self.tell()
        return facts


def _one(arguments: Namespace, step: Callable[[Night], Facts], *, from_source: bool = False) -> int:
    settings = _load(arguments)
    cutoff = _cutoff(settings, arguments.cutoff, from_source=from_source)
    night = Night(settings, cutoff, Report(arguments.debug))
    facts = {"run_id": night.run.run_id, "cutoff": cutoff.isoformat()} | step(night) | night.told()
    result(arguments, facts, lambda: "\n".join(f"{key:<16} {value}" for key, value in _flat(facts).items()))
    return night.code


def _load(arguments: Namespace) -> Settings:
    changes = list(arguments.changes)
    if getattr(arguments, "force", False):
        changes.append("train.force=true")
    return configuration.load(arguments.conf, changes)


def _cutoff(settings: Settings, asked: date | None, *, from_source: bool) -> date:
    """The cutoff asked for, else the demo shop's newest day (reading) or the lake's newest snapshot (all else)."""
    if asked:
        return asked
    if not from_source:
        from forecasting.stores.lake import Lake

        newest = Lake(settings.lake).newest_cutoff()
        if newest:
            return newest
        raise CutoffError(
            f"The lake {settings.lake.path} holds no snapshot, so there is no newest cutoff. Run `extract` first."
        )
    if settings.demo:
        from forecasting.sources.demo import next_cutoff

        return next_cutoff(settings)
    raise SettingsError(
        "Name the last day whose sales are known: --cutoff YYYY-MM-DD. It is never taken from the clock: a run that is "
        "repeated or made up for later must see what the first one saw, and today's sales are not complete."
    )


def _line(facts: Mapping[str, Any], *keys: str) -> str:
    return ", ".join(
        f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}"
        for key in keys
        if (value := facts.get(key)) is not None
    )


def _flat(facts: Mapping[str, Any]) -> Facts:
    return {key: value for key, value in facts.items() if not isinstance(value, list | dict)}


def _tell(content: Mapping[str, Any]) -> str:
    lines = [f"Night of {content['cutoff']}, run {content['run_id']}"]
    published, accuracy = content["forecast"], content.get("accuracy", {})
    lines.append(f"  forecasts  {_line(published, 'rows', 'series')}")
    if champion := content.get("champion"):
        lines.append(f"  champion   {champion['name']}, version {champion['version']}, trained at {champion['cutoff']}")
    if accuracy:
        found = f"{accuracy['metric']} {accuracy['champion']:.3f}, seasonal naive {accuracy['seasonal_naive']:.3f}"
        lines.append(f"  backtest   {found}")
    lines += [f"  {name:<10} {place}" for name, place in content["places"].items()]
    return "\n".join(lines)
