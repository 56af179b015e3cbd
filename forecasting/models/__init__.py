"""Every model by name. A new one is a file that keeps the protocol of `base.py`, and a line here.

Implementations are loaded by name when they are asked for, so that importing this package stays cheap.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from forecasting.errors import ArtifactError, ModelError, SettingsError, some
from forecasting.models.base import Forecaster
from forecasting.settings import Settings

CANDIDATES = {
    "seasonal_naive": "forecasting.models.naive:SeasonalNaive",
    "seasonal_mean": "forecasting.models.naive:SeasonalMean",
    "lightgbm": "forecasting.models.lightgbm:DirectLightgbm",
    "lightgbm_median": "forecasting.models.lightgbm:MedianLightgbm",
    "recursive": "forecasting.models.recursive:Recursive",
    "arima": "forecasting.models.arima:Arima",
    "ets": "forecasting.models.ets:Ets",
    "theta": "forecasting.models.theta:Theta",
    "intermittent": "forecasting.models.intermittent:Intermittent",
}
MODELS = CANDIDATES | {"blend": "forecasting.models.blend:Blend"}
MODEL_FILE = "model.json"


def create(name: str, settings: Settings) -> Forecaster:
    """A new, unfitted candidate. Raises SettingsError for a name that is no candidate."""
    if name not in CANDIDATES:
        raise SettingsError(f"train.models: there is no model {name!r}; allowed are: {some(CANDIDATES, 20)}.")
    made: Forecaster = _named(name).create(settings)
    return made


def save(model: Forecaster, folder: Path) -> None:
    """Write a fitted model: its registered name in model.json, beside the model's own text files.

    Raises ModelError for a model that is not registered here, since `load` could not read it back.
    """
    if model.name not in MODELS:
        raise ModelError(f"Model {model.name!r} is not in forecasting.models.MODELS, so it could not be loaded again.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_text(json.dumps({"model": model.name}), encoding="utf-8")
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
