"""Every model by name. A new one is a file that keeps the protocol of `base.py`, and a line here.

Implementations are loaded by name when they are asked for, so that importing this package stays cheap.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, ModelError, SettingsError, some
from forecasting.models.base import Forecaster

CANDIDATES = {
    "seasonal_naive": "forecasting.models.baselines:SeasonalNaive",
    "seasonal_mean": "forecasting.models.baselines:SeasonalMean",
    "last_year": "forecasting.models.last_year:LastYear",
    "lightgbm": "forecasting.models.lightgbm.direct:DirectLightgbm",
    "lightgbm_median": "forecasting.models.lightgbm.direct:MedianLightgbm",
    "recursive": "forecasting.models.lightgbm.recursive:Recursive",
    "partitioned": "forecasting.models.lightgbm.partitioned:Partitioned",
    "arima": "forecasting.models.arima.model:Arima",
    "ets": "forecasting.models.smoothing.ets:Ets",
    "theta": "forecasting.models.smoothing.theta:Theta",
    "intermittent": "forecasting.models.intermittent.model:Intermittent",
}
MODELS = CANDIDATES | {"blend": "forecasting.models.blend:Blend"}
GLOBAL = ("lightgbm", "lightgbm_median", "recursive")  # one over all series, which partitions may share among them
MODEL_FILE = "model.json"


def create(name: str, settings: Settings) -> Forecaster:
    """A new, unfitted candidate; a global one by `train.partition_by` where that is set (see `sized`).

    Raises SettingsError for a name that is no candidate.
    """
    if name in GLOBAL and settings.train.partition_by:
        split: Forecaster = _named("partitioned").over(name, settings)
        return split
    return plain(name, settings)


def plain(name: str, settings: Settings) -> Forecaster:
    """A new, unfitted candidate over all series that it is given. Raises SettingsError for one that there is not."""
    if name not in CANDIDATES:
        raise SettingsError(f"train.models: there is no model {name!r}; allowed are: {some(CANDIDATES, 20)}.")
    made: Forecaster = _named(name).create(settings)
    return made


def sized(settings: Settings, cells: int) -> Settings:
    """The settings for a panel of so many cells (series x periods): without partitions where one model is enough."""
    if settings.train.partition_by is None or cells > settings.train.partition_rows:
        return settings
    return settings.model_copy(update={"train": settings.train.model_copy(update={"partition_by": None})})


def save(model: Forecaster, folder: Path) -> None:
    """Write a fitted model: its registered name in model.json, beside the model's own text files.

    Raises ModelError for a model that is not registered here, since `load` could not read it back.
    """
    registered = type(model).name  # a partitioned model answers to the name of what it stands in for
    if registered not in MODELS:
        raise ModelError(f"Model {registered!r} is not in forecasting.models.MODELS, so it could not be loaded again.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_text(json.dumps({"model": registered}), encoding="utf-8")
    model.save(folder)


def load(folder: Path) -> Forecaster:
    """Read what `save` wrote. Raises ArtifactError for a folder without a model, or with one that is not known here."""
    try:
        name = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder} does not hold a model: {MODEL_FILE}: {error}") from None
    if name not in MODELS:
        raise ArtifactError(f"{folder} holds a model {name!r}; this code knows: {some(MODELS, 20)}.")
    loaded: Forecaster = _named(name).load(folder)
    return loaded


def _named(name: str) -> Any:
    module, _, kind = MODELS[name].partition(":")
    return getattr(importlib.import_module(module), kind)
