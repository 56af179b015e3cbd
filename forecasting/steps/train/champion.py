"""Which champion can be trusted: the newest one whose folder is what was registered."""

from __future__ import annotations

import logging
from datetime import date

from forecasting import models
from forecasting.core.errors import ArtifactError
from forecasting.models.base import Forecaster
from forecasting.storage.registry.registry import Registry, Version

log = logging.getLogger(__name__)


def servable(registry: Registry, cutoff: date) -> tuple[Version | None, list[str]]:
    """The newest champion trained at or before the cutoff that can be loaded, and why newer ones cannot."""
    refused: list[str] = []
    for champion in registry.champions(cutoff):
        try:
            loaded(registry, champion.version)
        except ArtifactError as error:
            log.exception("Champion %s is refused, the one before it stands in", champion.version)
            refused.append(f"champion {champion.version} is refused ({error})")
            continue
        return champion, refused
    return None, refused


def loaded(registry: Registry, version: str) -> Forecaster:
    """The model of a version. Raises ArtifactError where its folder is not what was registered."""
    return models.load(registry.fetch(version))
