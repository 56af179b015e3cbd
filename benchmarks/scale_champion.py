"""A champion without a backtest, for part `scale`: the parts fitted, equal weights, calibrated on the newest horizon.

A training's backtest takes several times what is measured here, and a scoring night does not care how its champion was
chosen. Run in a process of its own: `python -m benchmarks.scale_champion CONF CUTOFF [section.key=value ...]`.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import date
from pathlib import Path

from forecasting import models
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.models.blend import Blend
from forecasting.models.intervals.levels import Calibrations
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry
from forecasting.storage.registry.tracking import Card

PARTS = ("lightgbm", "arima", "seasonal_mean")


def champion(settings: Settings, cutoff: date) -> None:
    """Fit once on what was known a horizon ago, forecast that horizon, calibrate on its errors, register, promote."""
    lake, registry, horizon = Lake(settings.lake), Registry(settings.mlflow), settings.panel.horizon
    panel = lake.read_panel(cutoff)
    known = panel.first(len(panel.periods) - horizon)
    blend = Blend({name: models.create(name, settings) for name in PARTS}, dict.fromkeys(PARTS, 1 / len(PARTS)))
    mean = blend.fit(known, horizon).predict(known, horizon).mean
    actual = panel.after(known.cutoff, horizon)
    blend.calibrations = Calibrations.fit([(known, actual, mean)])
    card = Card(panel.cutoff, panel.snapshot, lake.snapshot(panel.cutoff).digest, tags={"name": blend.label})
    with tempfile.TemporaryDirectory(prefix="model-") as place:
        models.save(blend, Path(place) / "model")
        version = registry.log(Path(place) / "model", card)
    registry.promote(version.version, "the one there is")


if __name__ == "__main__":
    champion(configuration.load(Path(sys.argv[1]), sys.argv[3:]), date.fromisoformat(sys.argv[2]))
