"""`backup`, `restore`: all embedded stores of a deployment, to a folder and back."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from forecasting.cli.report import Report, result
from forecasting.core.config import settings as configuration


def backup(arguments: Namespace) -> int:
    """Copy them; others may work meanwhile."""
    settings, target = configuration.load(arguments.conf, arguments.changes), Path(arguments.to)
    from forecasting.storage import backup as stores

    with Report(arguments.debug).step("backup"):
        size = stores.save(settings, target)
    result(arguments, {"folder": str(target), "bytes": size}, lambda: f"{target}: {size / 1e6:.1f} MB.")
    return 0


def restore(arguments: Namespace) -> int:
    """Put them back, where nobody works in them."""
    settings, source = configuration.load(arguments.conf, arguments.changes), Path(arguments.source)
    from forecasting.storage import backup as stores

    with Report(arguments.debug).step("restore"):
        files = stores.restore(settings, source, arguments.overwrite)
    result(arguments, {"folder": str(source), "files": files}, lambda: f"{files} files from {source} are back.")
    return 0
