"""This project's ARIMA on every series of a data set, in a process of its own: fit, predict, write.

`python -m benchmarks.arima_ours --set pasta --position 1613 --data FOLDER --out FOLDER`
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.arima_sets import first
from benchmarks.small import SETS
from forecasting.core.config.sections import ArimaSettings
from forecasting.core.frequency import Frequency
from forecasting.models.arima.model import Arima
from forecasting.panel.panel import Panel

NO_LIMIT = 86_400.0  # seconds: an order is sought for every series, as the peer does


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=list(SETS), required=True)
    parser.add_argument("--position", type=int, required=True, help="number of known periods")
    parser.add_argument("--seconds", type=float, default=NO_LIMIT, help="as in [train.arima]")
    parser.add_argument("--newest", type=int, default=0, help="periods of history that are used; 0 = all")
    parser.add_argument("--series", type=int, default=0, help="the first ones only; 0 = all")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    given = first(SETS[chosen.set](chosen.data), chosen.series)
    end, began = chosen.position, time.perf_counter()
    known = {name: values[:, : end + given.horizon].astype(np.float32) for name, values in given.known.items()}
    panel = Panel(
        given.y[:, :end].astype(np.float32),
        given.periods[:end],
        given.series,
        Frequency.parse(given.code),
        "bench",
        known,
    )
    history = chosen.newest or end
    settings = ArimaSettings(max_series=len(given.series), seconds=chosen.seconds, history=history)
    model = Arima(settings).fit(panel, given.horizon)
    forecast = model.predict(panel, given.horizon)
    seconds = time.perf_counter() - began
    rows = pd.DataFrame(
        {
            "unique_id": np.repeat(panel.unique_ids, given.horizon),
            "ds": np.tile(panel.future(given.horizon), len(given.series)),
            "mean": forecast.mean.ravel(),
        }
    )
    rows.to_parquet(chosen.out / "forecast.parquet", index=False)
    fallbacks = int((forecast.status != "ok").sum())
    facts = {"seconds": {"fit and predict": seconds}, "orders": model.orders(), "fallbacks": fallbacks}
    (chosen.out / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
