"""`migrate`: the warehouse's tables from one release to another, up or down."""

from __future__ import annotations

from argparse import Namespace

from forecasting.cli.report import result
from forecasting.core.config.settings import load
from forecasting.storage.migrations import HEAD
from forecasting.storage.warehouse.warehouse import Warehouse


def migrate(arguments: Namespace) -> int:
    """Go to a revision and tell from which one, or print the SQL of the way there."""
    warehouse, to = Warehouse(load(arguments.conf, arguments.changes).warehouse), arguments.to or HEAD
    if arguments.sql:
        sql = warehouse.script(to)
        result(arguments, {"sql": sql}, sql.rstrip)
        return 0
    there, to = warehouse.migrate(to)
    came = f"revision {there}" if there else "the time before revisions"
    told = f"The warehouse is at revision {to}." if there == to else f"The warehouse went from {came} to revision {to}."
    result(arguments, {"from": there, "to": to}, lambda: told)
    return 0
