"""Back to an earlier model in one step: who and why are written, and the newest vintage is issued again from it."""

from __future__ import annotations

from datetime import date
from typing import Any

from forecasting.core.config.settings import Settings
from forecasting.core.errors import PublishError, SettingsError
from forecasting.steps.run import Run, record
from forecasting.steps.train.promotion import decided
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse


def newest_vintage(settings: Settings) -> date:
    """Cutoff of the newest published vintage. Raises PublishError where there is none."""
    newest = next(iter(Warehouse(settings.warehouse).cutoffs(most=1)), None)
    if newest is None:
        raise PublishError("Nothing was published yet, so there is nothing to go back from: run a night first.")
    return newest


def rollback(settings: Settings, cutoff: date, version: str, reason: str, by: str, run: Run) -> dict[str, Any]:
    """Make `version` the champion of this cutoff again and withdraw the newer ones; the forecasts follow from that.

    Returns cutoff, version, champion (the one before) and withdrawn. Raises SettingsError without a reason, StoreError
    where the version is not there, is champion already, or was trained later.
    """
    if not reason.strip():
        raise SettingsError("A rollback needs a reason: who reads `promotions` later must understand why.")
    with record(settings, run, "rollback", cutoff) as outcome:
        registry = Registry(settings.mlflow)
        live = registry.champion(cutoff)
        before = live.version if live else ""
        withdrawn = registry.rollback(version, reason, by, cutoff)
        rows = [decided(run, cutoff, version, "rolled_back", champion=before, by=by, reason=reason)]
        rows += [decided(run, cutoff, one, "withdrawn", champion=before, by=by, reason=reason) for one in withdrawn]
        Warehouse(settings.warehouse).publish(rows)
        outcome.model_version, outcome.message = version, f"back from version {before} by {by}: {reason}"
        return {"cutoff": cutoff.isoformat(), "version": version, "champion": before, "withdrawn": withdrawn}
