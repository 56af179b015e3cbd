"""`run`, `extract`, `train`, `forecast`, `monitor`: the steps of a night, one after the other, in this process."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from forecasting.cli.report import Report, result
from forecasting.cli.steps import Facts, Night, line
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import CutoffError, SettingsError, some


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
    from forecasting.steps.operate.retention import clean

    settings = _load(arguments)
    night = Night(settings, _cutoff(settings, None, from_source=False), Report(arguments.debug))
    with night.report.step("retention") as step:
        facts = clean(settings, night.cutoff, night.run, step.tell, dry=arguments.dry_run)
        step.outcome = "told" if arguments.dry_run else "removed"
    result(arguments, facts, lambda: "\n".join(f"{name:<16} {_counted(gone)}" for name, gone in facts.items()))
    return 0


def _counted(gone: Any) -> str:
    return f"{len(gone)}: {some(gone)}" if isinstance(gone, list) and gone else str(gone or 0)


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
        from forecasting.storage.lake.lake import Lake

        newest = Lake(settings.lake).newest_cutoff()
        if newest:
            return newest
        raise CutoffError(
            f"The lake {settings.lake.path} holds no snapshot, so there is no newest cutoff. Run `extract` first."
        )
    if settings.demo:
        from forecasting.sources.demo.database import next_cutoff

        return next_cutoff(settings)
    raise SettingsError(
        "Name the last day whose sales are known: --cutoff YYYY-MM-DD. It is never taken from the clock: a run that is "
        "repeated or made up for later must see what the first one saw, and today's sales are not complete."
    )


def _flat(facts: Mapping[str, Any]) -> Facts:
    return {key: value for key, value in facts.items() if not isinstance(value, list | dict)}


def _tell(content: Mapping[str, Any]) -> str:
    lines = [f"Night of {content['cutoff']}, run {content['run_id']}"]
    published, accuracy = content["forecast"], content.get("accuracy", {})
    lines.append(f"  forecasts  {line(published, 'rows', 'series')}")
    if champion := content.get("champion"):
        lines.append(f"  champion   {champion['name']}, version {champion['version']}, trained at {champion['cutoff']}")
    if accuracy:
        found = f"{accuracy['metric']} {accuracy['champion']:.3f}, seasonal naive {accuracy['seasonal_naive']:.3f}"
        lines.append(f"  backtest   {found}")
    lines += [f"  {name:<10} {place}" for name, place in content["places"].items()]
    return "\n".join(lines)
