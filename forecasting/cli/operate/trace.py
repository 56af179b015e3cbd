"""`trace`, `reproduce`: where a number came from, and whether it comes out the same again."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from forecasting.cli.report import Report, result
from forecasting.core.config import settings as configuration

NEWEST = 28  # rows of sales that people are shown; with --json all rows are there


def trace(arguments: Namespace) -> int:
    """Print everything that is known of one number."""
    from forecasting.steps.operate.trace import trace as step

    settings = configuration.load(arguments.conf, arguments.changes)
    facts = step(settings, arguments.series, arguments.ds, arguments.cutoff)
    result(arguments, facts, lambda: "\n".join(_lines(_short(facts))))
    return 0


def _short(facts: Mapping[str, Any]) -> dict[str, Any]:
    """For people: the newest rows of sales, and of each other table a line without its rows."""
    sales = facts["sales"] | {"rows": facts["sales"]["rows"][-NEWEST:]}
    shown = ("version", "count", "digest")
    tables = [{"table": name} | {key: table[key] for key in shown} for name, table in facts["tables"].items()]
    return {**facts, "sales": sales, "tables": tables}


def reproduce(arguments: Namespace) -> int:
    """Make a vintage again; exit code 1 where it is not the same."""
    from forecasting.steps.operate.reproduce import reproduce as step

    settings = configuration.load(arguments.conf, arguments.changes)
    report = Report(arguments.debug)
    with report.step("reproduce") as progress:
        facts = step(settings, arguments.cutoff, arguments.retrain, progress.tell)
        progress.outcome = "equal" if facts["equal"] else "not equal"
    result(arguments, facts, lambda: "\n".join(_lines(facts)))
    return 0 if facts["equal"] else 1


def _lines(facts: Mapping[str, Any], indent: str = "") -> list[str]:
    """Nested facts as indented text."""
    lines: list[str] = []
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines.append(f"{indent}{name}")
            for row in value:
                nested = any(isinstance(one, Mapping) for one in row.values())
                told = ", ".join(f"{key} {one}" for key, one in row.items())
                lines += _lines(row, indent + "  ") if nested else [f"{indent}  {told}"]
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            lines.append(f"{indent}{name:<20} {text}")
    return lines
