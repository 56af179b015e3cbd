"""`override`: what people say instead of the forecast; taken, previewed, withdrawn, listed."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from forecasting.cli.report import person, records, result, table
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import SettingsError

SHOWN = ["id", "level", "name", "start", "end", "kind", "value", "reason", "by", "at", "expires", "state"]
NEEDED = {"from": "start", "to": "end", "reason": "reason"}


def override(arguments: Namespace) -> int:
    """Without a value or --withdraw: list what is active."""
    from forecasting.steps.forecast import overrides

    settings = configuration.load(arguments.conf, arguments.changes)
    if arguments.withdraw:
        facts = overrides.withdraw(settings, arguments.withdraw, person(arguments), arguments.reason or "")
        result(arguments, facts, lambda: f"Override {facts['id']} is withdrawn (version {facts['version']}).")
        return 0
    if arguments.units is None and arguments.percent is None:
        found = overrides.listed(settings, active=not arguments.all)
        result(arguments, {"overrides": records(found)}, lambda: table(found[SHOWN], "overrides"))
        return 0
    return _submit(arguments, settings)


def _submit(arguments: Namespace, settings: Settings) -> int:
    from forecasting.steps.forecast import overrides

    wanted = _wanted(arguments)
    if arguments.preview:
        changed = overrides.preview(settings, wanted, arguments.change)
        result(arguments, {"changed": records(changed)}, lambda: table(changed, "it would change"))
        return 0
    facts = overrides.submit(settings, wanted, arguments.change)
    result(arguments, facts, lambda: _told(facts))
    return 0


def _wanted(arguments: Namespace) -> Any:
    from forecasting.planning.overrides import ABSOLUTE, PERCENT, Override

    missing = [f"--{option}" for option, name in NEEDED.items() if not getattr(arguments, name)]
    if bool(arguments.series) == bool(arguments.level):
        missing.append("one of --series ID and --level LEVEL --name GROUP")
    if missing:
        raise SettingsError(f"To override a forecast, say also: {', '.join(missing)}.")
    return Override(
        level="series" if arguments.series else arguments.level,
        name=arguments.series or arguments.name or "",
        start=arguments.start,
        end=arguments.end,
        kind=ABSOLUTE if arguments.units is not None else PERCENT,
        value=arguments.units if arguments.units is not None else arguments.percent,
        reason=arguments.reason,
        by=person(arguments),
        expires=arguments.expires,
        note=arguments.note or "",
    )


def _told(facts: dict[str, Any]) -> str:
    return (
        f"Override {facts['id']} (version {facts['version']}) changes {facts['series']:,} series in {facts['periods']} "
        f"periods of the vintage {facts['cutoff']}: {facts['before']:,.1f} units become {facts['after']:,.1f}. "
        "The statistical forecast stays as it is beside it."
    )
