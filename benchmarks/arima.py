"""Part `arima`: our ARIMA per series against statsforecast's AutoARIMA, one process each, same series and history."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import environment, results
from benchmarks.arima_sets import first
from benchmarks.contest import score
from benchmarks.measure import run
from benchmarks.scoring import mase, naive_scale
from benchmarks.small import SETS

# Series of a set that are fitted, the first ones; 0 = all. For trials: exact AutoARIMA needs minutes on each set.
FIRST = {"pasta": 0, "vn2": 0, "m5_departments": 0}
NEWEST = {"pasta": 400, "vn2": 0, "m5_departments": 0}  # periods of history that both sides see; 0 = all
PEERS = ("auto_arima", "auto_arima_approximation")
# Both sides on one thread: many small matrices are slower on two.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def part(data: Path, cutoffs: tuple[date, ...], only: list[str], work: Path) -> None:
    """The newest cutoff of each data set (`--cutoffs`: that day's), ours and the peers in turn."""
    for name, newest in NEWEST.items():
        small = first(SETS[name](data), FIRST[name])
        for cutoff in small.cutoffs[-1:] if not cutoffs else [at for at in small.cutoffs if small.day(at) in cutoffs]:
            day = small.day(cutoff)
            for competitor in ("ours", *PEERS):
                label = f"{name} {day} {competitor}"
                if only and not any(wanted in label for wanted in only):
                    continue
                out = work / "arima" / name / str(day) / competitor
                out.mkdir(parents=True, exist_ok=True)
                measured = run(
                    [*_command(competitor), *_given(name, cutoff, data, out, newest)], out / "log.txt", ONE_THREAD
                )
                facts = json.loads((out / "facts.json").read_text(encoding="utf-8"))
                forecast = pd.read_parquet(out / "forecast.parquet")
                facts |= {"series_fitted": len(small.series), "history": newest or cutoff, "measured": measured.facts()}
                facts |= score(small, cutoff, forecast)
                # Robust beside the mean, which one exploding series can own.
                scale = naive_scale(small.y[:, :cutoff], 7 if small.code == "D" else 13)
                each = mase(small.actual(cutoff), small.wide(forecast, cutoff, "mean"), scale)
                facts["mase_median"] = round(float(np.nanmedian(each)), 5)
                results.save("arima", label, facts)
                print(f"{label}: MASE {facts['mase']:.4f}, {facts['seconds']}, {facts['measured']}", flush=True)


def _command(competitor: str) -> list[str]:
    if competitor == "ours":
        return [sys.executable, "-m", "benchmarks.arima_ours"]
    return [environment.python(), "-m", "benchmarks.peers.arima", "--config", competitor, "--jobs", "1"]


def _given(name: str, cutoff: int, data: Path, out: Path, newest: int) -> list[str]:
    return [
        "--set", name, "--position", str(cutoff), "--data", str(data.resolve()), "--out", str(out),
        "--newest", str(newest), "--series", str(FIRST[name]),
    ]  # fmt: skip
