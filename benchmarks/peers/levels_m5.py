"""statsforecast on M5's aggregated levels, with the four intervals that hold the nine quantiles of M5 Uncertainty.

Writes level (1..12), name, ds, mean and pXXX. `auto_ets`: levels 1-9 (154 series); the others have tens of thousands.
"""

from __future__ import annotations

import time
from datetime import date

import numpy as np
import pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import AutoARIMA, AutoETS, SeasonalNaive

from benchmarks.data import read_m5
from benchmarks.hierarchy import NAMES, add, group_of
from benchmarks.peers import arguments, hand_over

INTERVALS = {99: ("p005", "p995"), 95: ("p025", "p975"), 67: ("p165", "p835"), 50: ("p250", "p750")}
MODELS = {
    "seasonal_naive": (SeasonalNaive(7, alias="mean"), 12),
    "auto_ets": (AutoETS(season_length=7, alias="mean"), 9),
    "auto_arima": (AutoARIMA(season_length=7, alias="mean"), 9),
}


def main() -> None:
    parser = arguments(__doc__, MODELS)
    parser.add_argument("--cutoff", type=date.fromisoformat, required=True, help="last day whose sales are known")
    parser.add_argument("--horizon", type=int, default=28, help="days")
    chosen = parser.parse_args()
    model, count = MODELS[chosen.config]
    m5, began = read_m5(chosen.data / "m5"), time.perf_counter()
    end = m5.position(chosen.cutoff)
    parts = []
    for level in range(1, count + 1):
        codes, labels = group_of(m5.series, level)
        history = add(m5.y[:, :end], codes, len(labels))
        frame = pd.DataFrame(
            {
                "unique_id": np.repeat([f"{level}:{label}" for label in labels], end),
                "ds": np.tile(m5.days[:end], len(labels)),
                "y": history.ravel(),
            }
        )
        sold = frame["y"].gt(0).groupby(frame["unique_id"]).cummax()
        parts.append(frame[sold])
    history = pd.concat(parts, ignore_index=True)
    enough = history.groupby("unique_id")["ds"].transform("size") > 14
    found = StatsForecast(models=[model], freq="D", n_jobs=2, fallback_model=SeasonalNaive(7)).forecast(
        df=history[enough], h=chosen.horizon, level=list(INTERVALS)
    )
    ends = {}
    for level, (low, high) in INTERVALS.items():
        ends |= {f"mean-lo-{level}": low, f"mean-hi-{level}": high}
    found = found.rename(columns=ends).assign(p500=lambda frame: frame["mean"])
    numbers = ["mean", "p500", *ends.values()]
    found[numbers] = np.maximum(found[numbers].fillna(0), 0)
    found[["level", "name"]] = found["unique_id"].str.split(":", n=1, expand=True)
    found["level"] = found["level"].astype(int)
    facts = {"levels": list(NAMES[:count]), "seconds": {"fit and predict": time.perf_counter() - began}}
    hand_over(chosen.out, found, facts, ["statsforecast", "pandas"])


if __name__ == "__main__":
    main()
