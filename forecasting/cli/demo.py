"""`demo`: create the made-up retailer, or let days pass in it."""

from __future__ import annotations

from argparse import Namespace
from datetime import timedelta

from forecasting.cli.report import Report, result
from forecasting.core.config import settings as configuration
from forecasting.core.errors import SettingsError


def demo(arguments: Namespace) -> int:
    """Create the shop where there is none; let `--days` days pass."""
    settings = configuration.load(arguments.conf, arguments.changes)
    if settings.demo is None:
        raise SettingsError(f"{arguments.conf} has no [demo] section: it describes another business than the demo.")
    from forecasting.sources.demo import database as shop

    report = Report(arguments.debug)
    created = not shop.exists(settings)
    if created:
        with report.step("create") as step:
            shop.create(settings)
            step.outcome = f"{settings.demo.stores} stores x {settings.demo.items} items, {settings.demo.days} days"
    if arguments.days:
        with report.step("advance", parts=arguments.days) as step:
            for _ in range(arguments.days):
                day = shop.next_cutoff(settings) + timedelta(days=1)
                shop.advance(settings, day)
                step.tell(day.isoformat())
                step.advance()
    cutoff = shop.next_cutoff(settings)
    facts = {"created": created, "days": arguments.days, "cutoff": cutoff.isoformat()}
    said = "was created" if created else "is there"
    result(arguments, facts, lambda: f"The demo retailer {said}; the last day of sales that it knows is {cutoff}.")
    return 0
