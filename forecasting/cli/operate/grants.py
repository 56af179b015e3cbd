"""`grants`: SQL that gives a writing role and reading roles their rights on PostgreSQL, and no more."""

from __future__ import annotations

from argparse import Namespace

from forecasting.cli.report import result
from forecasting.core.config.settings import load
from forecasting.storage.warehouse.grants import statements


def grants(arguments: Namespace) -> int:
    r"""Print the statements; nothing is run. Passwords are set apart from them: `\password NAME` in psql."""
    found = statements(load(arguments.conf, arguments.changes).warehouse, arguments.writer, arguments.reader)
    result(arguments, {"statements": found}, lambda: ";\n".join(found) + ";")
    return 0
