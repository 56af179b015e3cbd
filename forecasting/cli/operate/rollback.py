"""`rollback`: back to an earlier model, and the newest vintage issued again from it."""

from __future__ import annotations

from argparse import Namespace

from forecasting.cli.report import Report, person, result
from forecasting.cli.steps import Night
from forecasting.core.config import settings as configuration


def rollback(arguments: Namespace) -> int:
    """Move the champion back, then forecast and publish, as the DAG does."""
    from forecasting.steps.operate.rollback import newest_vintage
    from forecasting.steps.operate.rollback import rollback as step

    settings, by = configuration.load(arguments.conf, arguments.changes), person(arguments)
    night = Night(settings, newest_vintage(settings), Report(arguments.debug))
    with night.report.step("rollback") as progress:
        facts = step(settings, night.cutoff, arguments.to, arguments.reason, by, night.run)
        progress.outcome = f"champion {facts['champion']} -> {facts['version']}"
    published = night.forecast()
    content = {"run_id": night.run.run_id, **facts, "rows": published["rows"], "series": published["series"]}
    content |= night.told()

    def text() -> str:
        return (
            f"Version {facts['version']} is the champion again, in place of version {facts['champion']}. "
            f"The vintage of {facts['cutoff']} was issued anew: {published['rows']:,} rows. "
            "The old one is in forecasts_withdrawn."
        )

    result(arguments, content, text)
    return night.code
