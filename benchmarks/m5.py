"""Part `m5`: WRMSSE by level at five monthly cutoffs, ours against every configuration of the peers; quantiles too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import environment, ours, quantiles, results
from benchmarks.data import M5, Array, read_m5
from benchmarks.hierarchy import Level, days_after, levels
from benchmarks.measure import Measured, run
from benchmarks.scoring import bias, wape, wrmsse

CUTOFFS = tuple(
    date.fromisoformat(day) for day in ("2016-01-03", "2016-01-31", "2016-02-28", "2016-03-27", "2016-04-24")
)
HORIZON = 28
MLFORECAST = (
    "recursive_tweedie", "no_recursion_tweedie", "recursive_l2", "recursive_notebook", "recursive_scaled_l2",
    "recursive_differences_l2", "direct_tweedie",
)  # fmt: skip
WEEKS, DECAY = 8, 0.8  # of the weekday means


@dataclass(frozen=True)
class Given:
    """What a competitor gets: the data folder, the cutoff, and a folder to leave its forecast in."""

    data: Path
    cutoff: date
    out: Path
    m5: M5


@dataclass(frozen=True)
class Made:
    """mean: (30,490, 28) units, 0 for a series that the competitor dropped; facts: what else is known of the run."""

    mean: Array
    facts: dict[str, Any]
    published: pd.DataFrame | None = None
    levels: pd.DataFrame | None = None


Competitor = Callable[[Given], Made]


def competitors() -> dict[str, Competitor]:
    """Every one by name, in the order in which they run at a cutoff."""
    found: dict[str, Competitor] = {
        "baseline.seasonal_naive": _seasonal_naive,
        "baseline.weekday_means": _weekday_means,
        "ours": _ours,
    }
    return found | {f"mlforecast.{name}": _mlforecast(name) for name in MLFORECAST}


def part(data: Path, cutoffs: tuple[date, ...], only: list[str], work: Path, rescore: bool = False) -> None:
    """Run and score; every run is kept as soon as it is scored. rescore: score what earlier runs left in `work`."""
    m5 = read_m5(data / "m5")
    chosen = {name: made for name, made in competitors().items() if not only or any(part in name for part in only)}
    for cutoff in cutoffs or CUTOFFS:
        groups, actual = levels(m5, cutoff, data / "m5"), m5.actual(cutoff, HORIZON)
        for name, competitor in chosen.items():
            out = work / "m5" / str(cutoff) / name
            out.mkdir(parents=True, exist_ok=True)
            given = Given(data, cutoff, out, m5)
            made = left(given) if rescore and (out / "forecast.parquet").exists() else competitor(given)
            facts = made.facts | score(groups, actual, made.mean)
            if made.published is not None:
                facts |= quantiles.score(m5, groups, actual, cutoff, made.published, made.levels)
            results.save("m5", f"{cutoff} {name}", facts)
            print(f"{cutoff} {name}: WRMSSE {facts['wrmsse']['all']:.4f}, {facts.get('measured', {})}", flush=True)


def left(given: Given) -> Made:
    """The forecast and the facts that an earlier run left."""
    forecast, totals = pd.read_parquet(given.out / "forecast.parquet"), given.out / "levels.parquet"
    place = given.out / "run.json"
    facts = {"note": "scored again from the forecast of a run whose times were not kept"}
    if place.exists():
        facts = json.loads(place.read_text(encoding="utf-8"))
    published = forecast if "p50" in forecast else None
    levels_too = pd.read_parquet(totals) if totals.exists() else None
    return Made(wide(forecast, given.m5, given.cutoff, "mean"), facts, published, levels_too)


def _keep(given: Given, facts: dict[str, Any]) -> dict[str, Any]:
    """Leave the facts of a run beside its forecast, before anything can go wrong in scoring."""
    (given.out / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    return facts


def score(groups: list[Level], actual: Array, mean: Array) -> dict[str, Any]:
    """WRMSSE by level, and WAPE and bias of the series and of the total."""
    total = actual.sum(axis=0, keepdims=True), mean.sum(axis=0, keepdims=True)
    found = {name: round(value, 5) for name, value in wrmsse(groups, actual, mean).items()}
    others = {"wape": wape(actual, mean), "wape_total": wape(*total), "bias": bias(actual, mean)}
    return {"wrmsse": found} | {name: round(value, 5) for name, value in others.items()}


def _seasonal_naive(given: Given) -> Made:
    end = given.m5.position(given.cutoff)
    week = np.nan_to_num(given.m5.y[:, end - 7 : end]).astype(np.float64)
    return Made(np.tile(week, HORIZON // 7), {})


def _weekday_means(given: Given) -> Made:
    """Mean of the same weekday in the last 8 weeks, each week weighing 0.8 of the next newer one."""
    return Made(weekday_means(given.m5.y[:, : given.m5.position(given.cutoff)], HORIZON), {})


def weekday_means(y: Array, horizon: int) -> Array:
    """(n, horizon) from (n, days) of history that ends the day before; NaN before a series' first row."""
    recent = y[:, -7 * WEEKS :].astype(np.float64).reshape(len(y), WEEKS, 7)
    weight = np.isfinite(recent) * (DECAY ** np.arange(WEEKS - 1, -1, -1))[None, :, None]
    mean = (np.nan_to_num(recent) * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    return np.tile(mean, -(-horizon // 7))[:, :horizon]


def _ours(given: Given) -> Made:
    with ours.shop("m5", given.data) as shop:
        measured = shop.do("run", given.cutoff)
        published, totals = shop.forecasts(given.cutoff), shop.level_forecasts(given.cutoff)
        log = (shop.place / f"run-{given.cutoff}.log").read_text(encoding="utf-8")
    published.to_parquet(given.out / "forecast.parquet", index=False)
    if totals is not None:
        totals.to_parquet(given.out / "levels.parquet", index=False)
    (given.out / "night.log").write_text(log, encoding="utf-8")
    facts = _keep(given, {"measured": measured.facts(), "versions": ours.versions()})
    return Made(wide(published, given.m5, given.cutoff, "mean"), facts, published, totals)


def _mlforecast(config: str) -> Competitor:
    def compete(given: Given) -> Made:
        measured = peer("mlforecast_m5", config, given)
        facts = json.loads((given.out / "facts.json").read_text(encoding="utf-8"))
        mean = wide(pd.read_parquet(given.out / "forecast.parquet"), given.m5, given.cutoff, "mean")
        dropped = len(given.m5.series) - facts["series"]
        return Made(mean, _keep(given, facts | {"dropped": dropped, "measured": measured.facts()}))

    return compete


def peer(script: str, config: str, given: Given) -> Measured:
    """One script of benchmarks/peers in the peers' environment, measured."""
    command = [environment.python(), "-m", f"benchmarks.peers.{script}", "--config", config]
    command += ["--data", str(given.data.resolve()), "--cutoff", str(given.cutoff), "--out", str(given.out)]
    return run(command, given.out / "log.txt")


def wide(forecast: pd.DataFrame, m5: M5, cutoff: date, column: str) -> Array:
    """(30,490, 28) of one column of a long forecast, in the order of the series table; 0 where there is no row."""
    row = pd.Index(m5.series["unique_id"]).get_indexer(forecast["unique_id"])
    day = days_after(cutoff, HORIZON).get_indexer(pd.to_datetime(forecast["ds"]))
    if (row < 0).any() or (day < 0).any():
        raise ValueError(f"A forecast at {cutoff} has rows of unknown series or of days outside the window.")
    values = np.zeros((len(m5.series), HORIZON))
    values[row, day] = forecast[column].to_numpy()
    return values
