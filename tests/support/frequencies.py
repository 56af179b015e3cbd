"""A small shop with ready sales by hours, days, weeks, months or quarters; and its nights from start to end."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.cli.report import Report
from forecasting.cli.steps import Night
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.frequency import Frequency
from tests.support import shops

HORIZON = {"H": 48, "D": 14, "W": 6, "M": 6, "Q": 4}
PERIODS = {"H": 24 * 7 * 5, "D": 150, "W": 120, "M": 48, "Q": 24}  # of history


def sales(frequency: str, cutoff: date, label: str = "start", items: int = 4) -> pd.DataFrame:
    """Columns item, store, day, units, stock: `label` names each period by its first or its last day."""
    code = Frequency.parse(frequency)
    periods = code.range(code.last_complete(cutoff), -PERIODS[code.kind] + 1).append(
        pd.DatetimeIndex([code.last_complete(cutoff)])
    )
    days = periods if label == "start" else pd.DatetimeIndex([code.end(one) for one in periods])
    random, place = np.random.default_rng(7), np.arange(len(periods))
    season = 1 + 0.4 * np.sin(2 * np.pi * place / code.cycles[0])
    parts = [
        pd.DataFrame({"item": f"I{k}", "store": "S", "day": days, "units": random.poisson(10 * (k + 1) * season)})
        for k in range(items)
    ]
    return pd.concat(parts, ignore_index=True)


def shop(folder: Path, frequency: str, rows: pd.DataFrame, **changes: object) -> Settings:
    """A deployment in the folder whose sales are these rows; `a__b=1` sets a.b."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mlflow.db").write_bytes(shops._empty_registry())
    rows.to_csv(folder / "sales.csv", index=False)
    files = {"kind": "files", "path": str(folder)}
    columns = {"item": "item", "store": "store", "ds": "day", "y": "units"}
    settings: dict[str, object] = {
        "name": "frequencies",
        "sources.files": files,
        "extract.sales": {"source": "files", "path": "sales.csv", "grain": "periods", "columns": columns},
        "panel.frequency": frequency,
        "panel.horizon": HORIZON[frequency[0]],
        "train.models": ["seasonal_naive", "seasonal_mean"],
        "warehouse.url": f"sqlite:///{folder}/warehouse.db",
        "lake.path": f"{folder}/lake",
        "mlflow.tracking_uri": f"sqlite:///{folder}/mlflow.db",
        "mlflow.artifacts": f"{folder}/artifacts",
        "report.path": f"{folder}/reports",
    }
    path = folder / "conf.toml"
    path.write_text(shops.changed("", settings | {name.replace("__", "."): value for name, value in changes.items()}))
    return configuration.load(path)


def night(settings: Settings, cutoff: date) -> Night:
    """Extract, train where it is due, forecast, replenish, monitor and report; nothing may fail."""
    tonight = Night(settings, cutoff, Report(False))
    tonight.extract()
    tonight.train()
    tonight.forecast()
    tonight.monitor()
    assert not tonight.errors, tonight.told()
    return tonight
