"""`demo`: create the made-up retailer, or let days pass in it."""

from __future__ import annotations

from argparse import Namespace

from forecasting import settings as configuration
from forecasting.cli.report import Report, result
from forecasting.errors import SettingsError


def demo(arguments: Namespace) -> int:
    """Create the shop where there is none; let `--days` days pass."""
    settings = configuration.load(arguments.conf, arguments.changes)
    if settings.demo is None:
        raise SettingsError(f"{arguments.conf} has no [demo] section: it describes another business than the demo.")
    raise NotImplementedError
