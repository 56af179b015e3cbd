"""`python -m benchmarks [--data FOLDER] [--cutoff D]`: one whole night on Walmart's M5, scored by the official rule.

The night runs as a user would run it (`python -m forecasting run --conf conf/examples/m5.toml`) in a process of its
own, so that its time and peak memory are those of the whole process. Seasonal naive is scored in the same run.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting import settings as configuration
from forecasting.data.hierarchy import levels
from forecasting.data.tables import FORECASTS
from forecasting.models.naive import SeasonalNaive
from forecasting.stores.lake import Lake
from forecasting.stores.warehouse import Warehouse

CONF = Path(__file__).parents[1] / "conf" / "examples" / "m5.toml"
LEVELS = (
    "state_id", "store", "cat_id", "dept_id", "state_id|cat_id", "state_id|dept_id", "store|cat_id", "store|dept_id",
    "item", "item|state_id",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FORECASTING_DATA", "../shared/data")))
    parser.add_argument("--cutoff", type=date.fromisoformat, default=date(2016, 4, 24))
    chosen = parser.parse_args()
    data = chosen.data / "m5"
    if not data.is_dir():
        print(f"The M5 data is not at {data}; give its parent with --data or FORECASTING_DATA.")
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        changes = [
            f"sources.m5.path={data.resolve()}", f"lake.path={place}/lake", f"warehouse.url=sqlite:///{place}/w.db",
            f"mlflow.tracking_uri=sqlite:///{place}/m.db", f"mlflow.artifacts={place}/artifacts",
        ]  # fmt: skip
        seconds = _night(chosen.cutoff, changes)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        scores = _scores(configuration.load(CONF, changes), chosen.cutoff, data)
    print(f"\nM5, cutoff {chosen.cutoff}: {seconds:.0f} s wall, {memory:.1f} GB peak (whole process)")
    print(scores.to_string(float_format=lambda value: f"{value:.3f}"))
    return 0


def _night(cutoff: date, changes: list[str]) -> float:
    command = [sys.executable, "-m", "forecasting", "run", "--conf", str(CONF), "--cutoff", cutoff.isoformat()]
    began = time.perf_counter()
    subprocess.run([*command, *(part for change in changes for part in ("--set", change))], check=True)
    return time.perf_counter() - began


def _scores(settings: configuration.Settings, cutoff: date, data: Path) -> pd.DataFrame:
    """WRMSSE by level and over all, with the official weights and scales; actuals come from the sales file."""
    panel = Lake(settings.lake).read_panel(cutoff)
    horizon = settings.panel.horizon
    published = Warehouse(settings.warehouse).read(FORECASTS, ["unique_id", "horizon", "mean"])
    wide = published.pivot(index="unique_id", columns="horizon", values="mean").loc[panel.unique_ids].to_numpy()
    naive = SeasonalNaive().predict(panel, horizon).mean
    actual = _actual(panel.unique_ids, panel.future(horizon), data)
    official = pd.read_parquet(data / "wrmsse_validation.parquet")
    rows = []
    for number, level in enumerate(levels(panel.series, LEVELS), start=1):
        labels = ["Total"] if number == 1 else list(level.labels)
        table = official[official["level"] == number].set_index("key").loc[labels]
        # Each of the twelve levels weighs a twelfth.
        weight = 12 * table["weight"].to_numpy()
        score = {}
        for name, forecast in (("published", wide), ("seasonal_naive", naive)):
            error = ((level.sum(actual) - level.sum(forecast)) ** 2).mean(axis=1)
            score[name] = float(np.nansum(weight * np.sqrt(error / table["scale"].to_numpy())))
        rows.append({"level": level.name, **score})
    scores = pd.DataFrame(rows).set_index("level")
    scores.loc["WRMSSE"] = scores.mean()
    return scores


def _actual(names: np.ndarray, days: pd.DatetimeIndex, data: Path) -> np.ndarray:
    window = [("date", ">=", days[0].date()), ("date", "<=", days[-1].date())]
    sales = pd.read_parquet(data / "sales.parquet", filters=window)
    sales["unique_id"] = sales["item_id"].astype(str) + "_" + sales["store_id"].astype(str)
    sales["date"] = pd.to_datetime(sales["date"])
    wide = sales.pivot(index="unique_id", columns="date", values="units").reindex(index=names, columns=days)
    return wide.fillna(0).to_numpy()


if __name__ == "__main__":
    sys.exit(main())
