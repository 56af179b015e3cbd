"""The made-up retailer's nights: its shop is made at the first one, and lives one more day at each that follows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta

from forecasting.core.config.settings import Settings
from forecasting.core.errors import SettingsError
from forecasting.sources.demo import database
from forecasting.storage.lake.lake import Lake

log = logging.getLogger(__name__)


def tonight(settings: Settings, tell: Callable[[str], object] = log.info) -> date:
    """The cutoff that is next: the first one, one whose night did not get as far as a snapshot, or one day more.

    Raises SourceError where there is no [demo] section.
    """
    if not database.exists(settings) and (size := settings.demo):
        tell(f"Making the demo retailer: {size.stores} stores x {size.items} items, {size.days} days")
        database.create(settings)
    newest = database.next_cutoff(settings)
    if Lake(settings.lake).newest_cutoff() == newest:
        newest += timedelta(days=1)
        database.advance(settings, newest)
    return newest


def awaited(settings: Settings, moment: datetime) -> date:
    """The cutoff that was next at a moment, for those who only wait: the shop lives no day more for them.

    Raises SettingsError where there is no [demo] section.
    """
    if settings.demo is None:
        raise SettingsError("There is no [demo] section: which night is next says the schedule.")
    newest = Lake(settings.lake).newest_cutoff(by=moment)
    return newest + timedelta(days=1) if newest else date.fromisoformat(settings.demo.first_cutoff)
