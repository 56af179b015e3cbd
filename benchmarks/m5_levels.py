"""Part `m5_levels`: peers that forecast M5's aggregated levels themselves, their quantiles, and their reconciliation.

hierarchicalforecast needs a forecast of the bottom: the one that part `m5` left for mlforecast, at the same cutoff.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import environment, m5, results
from benchmarks.data import Array, read_m5
from benchmarks.hierarchy import Level, days_after, levels
from benchmarks.measure import run
from benchmarks.quantiles import score_arrays, share

DIRECT = ("auto_ets", "seasonal_naive")
BOTTOM = "mlforecast.recursive_tweedie"
RECONCILED = ("mint_wls_struct", "mint_ols")


def part(data: Path, cutoffs: tuple[date, ...], only: list[str], work: Path) -> None:
    """Level forecasts first, then the reconciliation of AutoETS's with mlforecast's bottom."""
    given = read_m5(data / "m5")
    for cutoff in cutoffs or m5.CUTOFFS:
        groups, actual = levels(given, cutoff, data / "m5"), given.actual(cutoff, m5.HORIZON)
        place = work / "m5" / str(cutoff)
        for name in DIRECT:
            if only and not any(wanted in f"statsforecast.{name}" for wanted in only):
                continue
            facts = _run("levels_m5", name, cutoff, data, place / f"statsforecast.{name}", [])
            forecast = pd.read_parquet(place / f"statsforecast.{name}" / "forecast.parquet")
            facts |= score(groups, actual, forecast, cutoff)
            results.save("m5_levels", f"{cutoff} statsforecast.{name}", facts)
            print(f"{cutoff} statsforecast.{name}: {facts['wspl']}, {facts['measured']}", flush=True)
        for name in RECONCILED:
            label = f"hierarchicalforecast.{name}"
            bottom, totals = place / BOTTOM / "forecast.parquet", place / "statsforecast.auto_ets" / "forecast.parquet"
            if (only and not any(wanted in label for wanted in only)) or not (bottom.exists() and totals.exists()):
                continue
            more = ["--bottom", str(bottom.resolve()), "--totals", str(totals.resolve())]
            facts = _run("hierarchical_m5", name, cutoff, data, place / label, more)
            mean = m5.wide(pd.read_parquet(place / label / "forecast.parquet"), given, cutoff, "mean")
            facts |= m5.score(groups, actual, mean)
            facts["note"] = f"times are of the reconciliation alone; its bottom is {BOTTOM}, its totals AutoETS's"
            results.save("m5", f"{cutoff} {label}", facts)
            print(f"{cutoff} {label}: WRMSSE {facts['wrmsse']['all']:.4f}, {facts['measured']}", flush=True)


def _run(script: str, config: str, cutoff: date, data: Path, out: Path, more: list[str]) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    command = [environment.python(), "-m", f"benchmarks.peers.{script}", "--config", config, "--cutoff", str(cutoff)]
    command += ["--data", str(data.resolve()), "--out", str(out), *more]
    measured = run(command, out / "log.txt")
    return json.loads((out / "facts.json").read_text(encoding="utf-8")) | {"measured": measured.facts()}


def score(groups: list[Level], actual: Array, forecast: pd.DataFrame, cutoff: date) -> dict[str, Any]:
    """WSPL, coverage and weighted RMSSE of the levels in the forecast; a group without a row is forecast as 0."""
    columns = sorted((name for name in forecast if name[0] == "p" and name[1:].isdigit()), key=share)
    days, given, errors = days_after(cutoff, actual.shape[1]), {}, {}
    for number, level in enumerate(groups, start=1):
        rows = forecast[forecast["level"] == number]
        if rows.empty:
            continue
        place = pd.Index(level.labels).get_indexer(rows["name"]), days.get_indexer(pd.to_datetime(rows["ds"]))
        cube = np.zeros((len(level.labels), len(days), len(columns) + 1))
        cube[place] = rows[["mean", *columns]].to_numpy()
        given[level.name] = cube[..., 1:]
        error = ((level.sum(actual) - cube[..., 0]) ** 2).mean(axis=1)
        errors[level.name] = round(float(np.nansum(level.weight * np.sqrt(error / level.squared))), 5)
    return {"wrmsse": errors} | score_arrays(groups, actual, given, [share(name) for name in columns])
