"""What `make model-check` trains on: the demo, and small public data sets where their folder is there.

The public ones are those of conf/examples, made light: what counts is whether a change of the code shows, in seconds.
None of their data is kept with the project, only what a model forecast there.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from benchmarks import ours
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.panel.panel import Panel
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.run import Run
from forecasting.storage.lake.lake import Lake

ROOT = Path(__file__).parents[1]
DEMO = "demo"
SHARED = {"vn2": date(2023, 10, 1), "pasta": date(2018, 6, 30)}  # the last day of each
NAMES = (DEMO, *SHARED)
LIGHT = (
    "train.lightgbm.rows=60000", "train.lightgbm.trees=80", "train.lightgbm.leaves=15", "train.lightgbm.bags=1",
    "runtime.threads=1",
)  # fmt: skip
MODELS = "train.models=['seasonal_naive', 'seasonal_mean', 'lightgbm']"
SMALL = ("demo.stores=5", "demo.items=30", "demo.days=400", MODELS)


@dataclass(frozen=True)
class Sample:
    """One data set as screened. Its last horizon is unseen: nobody learns from it."""

    name: str
    settings: Settings
    panel: Panel

    @property
    def unseen(self) -> int:
        """Periods at the end that are forecast."""
        return self.settings.panel.horizon

    @property
    def learned(self) -> Panel:
        """What a model may learn from."""
        return self.panel.first(len(self.panel.periods) - self.unseen)


def there(name: str, data: Path) -> bool:
    """Whether the data set can be read: the demo always, a public one from its folder in `data`."""
    return name == DEMO or (data / name).is_dir()


def read(name: str, data: Path) -> Sample:
    """Through the same screening as a night, with stores in a folder that goes away."""
    if name != DEMO:
        with ours.shop(name, data, LIGHT) as shop:
            return _screened(name, shop.settings, SHARED[name])
    with tempfile.TemporaryDirectory(prefix="model-check-") as place:
        conf = Path(place) / "demo.toml"
        text = (ROOT / "conf" / "demo.toml").read_text(encoding="utf-8")
        conf.write_text(text.replace("var/", f"{place}/"), encoding="utf-8")
        settings = configuration.load(conf, (*SMALL, *LIGHT))
        return _screened(name, settings, tonight(settings, print))


def _screened(name: str, settings: Settings, cutoff: date) -> Sample:
    extract(settings, cutoff, Run("model-check"), print)
    # Nobody has planned beyond the last day of a public data set, but what lies before was planned when it was sold.
    return Sample(name, settings, replace(Lake(settings.lake).read_panel(cutoff), since={}))
