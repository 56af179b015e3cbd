"""Challengers that lost narrowly, or wait for a person, beside the champion on every night's new sales."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from typing import Any

from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError
from forecasting.evaluation.promotion import Verdict
from forecasting.panel.panel import Panel
from forecasting.steps.run import Run, night_of, record
from forecasting.steps.train import promotion
from forecasting.steps.train.champion import loaded, servable
from forecasting.steps.train.judgement import shadowed
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry, Version
from forecasting.storage.warehouse.warehouse import Warehouse

MOST = 2  # newest ones that are watched; each costs some forecasts a night
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def watch(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Judge the newest shadows on the periods that neither they nor the champion had seen; the best may take over.

    One that does clearly worse, or was watched for `train.judge.shadow_days`, is rejected. Returns cutoff, watched,
    and decision with the version it fell on, if any.
    """
    night, registry = night_of(settings, cutoff), Registry(settings.mlflow)
    cutoff = night.cutoff
    live, _ = servable(registry, cutoff)
    facts: dict[str, Any] = {"cutoff": cutoff.isoformat(), "watched": 0, "version": None, "decision": None}
    shadows = [one for one in registry.versions() if one.state in ("shadow", "waiting") and one.cutoff <= cutoff]
    for one in (one for one in shadows if one.promoted):  # interrupted while it was promoted
        registry.promote(one.version, one.tags["promoted_reason"])
    shadows = [one for one in shadows if not one.promoted and _trusted(registry, one)]
    if live is None or not shadows:
        tell("no challenger to watch")
        return facts
    with record(settings, run, "shadow", night) as outcome:
        panel = Lake(settings.lake).read_panel(cutoff)
        outcome.snapshot = panel.snapshot
        verdicts = {one.version: _judged(settings, panel, one, live, run) for one in shadows[:MOST]}
        facts["watched"] = len(verdicts)
        for one in shadows:
            verdict = verdicts.get(one.version)
            tell(f"version {one.version} ({one.state}): {verdict.reason if verdict else 'older than the newest ones'}")
            if one.state == "shadow":
                _reject(settings, registry, one, verdict, cutoff)
        winners = [one for one in shadows[:MOST] if one.state == "shadow" and verdicts[one.version].promote]
        best = max(winners, key=lambda one: verdicts[one.version].improvement, default=None)
        if best is not None:
            verdict = verdicts[best.version]
            facts |= {"version": best.version}
            facts["decision"] = promotion.settle(settings, best.version, verdict, live, cutoff, run)
            outcome.model_version = best.version
        outcome.message = f"{len(verdicts)} watched" + (f"; {best.version}: {facts['decision']}" if best else "")
        return facts


def _trusted(registry: Registry, shadow: Version) -> bool:
    """Whether its folder is what was registered; where it is not, it is watched no more."""
    try:
        loaded(registry, shadow.version)
    except ArtifactError as error:
        registry.mark(shadow.version, "rejected", f"its folder is refused: {error}"[:1000])
        return False
    return True


def _judged(settings: Settings, panel: Panel, shadow: Version, live: Version, run: Run) -> Verdict:
    """The verdict; where there is one on enough periods it is written to JUDGEMENTS."""
    verdict = shadowed(settings, panel, shadow, live, Registry(settings.mlflow))
    if len(verdict.rows):
        change = promotion.judgement(verdict, panel.cutoff, shadow.version, live.version, run)
        Warehouse(settings.warehouse).publish([change])
    return verdict


def _reject(settings: Settings, registry: Registry, one: Version, verdict: Verdict | None, cutoff: date) -> None:
    days = settings.train.judge.shadow_days
    if (cutoff - one.cutoff).days > days:
        registry.mark(one.version, "rejected", f"watched for {days} days and did not win")
    elif verdict is None:
        registry.mark(one.version, "rejected", f"newer challengers are watched instead (at most {MOST})")
    elif len(verdict.rows) and not verdict.promote and not verdict.narrow:
        registry.mark(one.version, "rejected", verdict.reason)
