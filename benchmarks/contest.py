"""Parts `pasta`, `vn2`, `spare_raf`, `retail_days`, `retail_weeks`: rolling cutoffs, ours against the peers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import environment, ours, results
from benchmarks.data import Array
from benchmarks.measure import run
from benchmarks.quantiles import share
from benchmarks.scoring import bias, mase, naive_scale, pinball_losses, rmsse, wape
from benchmarks.small import SETS, Small

QUANTILES = ("p05", "p10", "p25", "p50", "p75", "p90", "p95")


@dataclass(frozen=True)
class Contest:
    """conf: name of the example configuration; changes: what ours sets besides; variants: ours without some sections.

    peers: configurations of benchmarks/peers/small.py with their further arguments.
    """

    conf: str
    changes: tuple[str, ...]
    peers: tuple[str, ...]
    variants: dict[str, tuple[str, ...]]
    quantiles: bool = False
    autogluon: tuple[str, ...] = ("medium_quality",)


LEARNED = ("lightgbm_l2", "lightgbm_tweedie", "lightgbm_l1", "lightgbm_l2_scaled")
RETAIL = ("extract.sales.source=retail",)
CONTESTS = {
    "pasta": Contest("pasta", (), (*LEARNED, "seasonal_naive", "window_average", "auto_ets", "auto_theta"), {}),
    "vn2": Contest(
        "vn2", (),
        (
            *LEARNED, *(f"{name} --masked" for name in LEARNED), "window_average", "window_average --masked",
            "auto_ets", "auto_ets --masked", "seasonal_naive", "croston_optimized", "tsb",
        ),
        {"without_stock_mask": ("extract.stock",)}, autogluon=("medium_quality --masked",),
    ),
    "spare_raf": Contest(
        "spare_raf", ("panel.horizon=3",),
        (
            "croston", "sba", "tsb", "adida", "imapa", "croston_optimized", "zero", "naive", "lightgbm_tweedie",
        ),
        {}, True, ("medium_quality --metric WQL",),
    ),
    "retail_days": Contest(
        "online_retail", RETAIL,
        (*LEARNED, "seasonal_naive", "window_average", "croston_optimized", "tsb", "adida"), {},
    ),
    "retail_weeks": Contest(
        "online_retail", (*RETAIL, "panel.frequency=W-MON", "panel.horizon=4"),
        (*LEARNED, "naive", "window_average", "auto_ets", "croston_optimized", "tsb", "adida"), {},
    ),
}  # fmt: skip
Competitor = Callable[["Given"], tuple[pd.DataFrame, dict[str, Any]]]


@dataclass(frozen=True)
class Given:
    """What a competitor gets: the set's name and matrix, the number of known periods, and a folder to write to."""

    name: str
    data: Path
    small: Small
    cutoff: int
    out: Path


def part(name: str) -> Callable[[Path, tuple[date, ...], list[str], Path], None]:
    """The part of one data set: every competitor at every cutoff, ours and the peers in turn."""

    def run_part(data: Path, cutoffs: tuple[date, ...], only: list[str], work: Path) -> None:
        small = SETS[name](data)
        chosen = {key: made for key, made in competitors(name).items() if not only or any(o in key for o in only)}
        for cutoff in small.cutoffs:
            day = small.day(cutoff)
            if cutoffs and day not in cutoffs:
                continue
            for key, competitor in chosen.items():
                out = work / name / str(day) / key.replace(" --", "_")
                out.mkdir(parents=True, exist_ok=True)
                forecast, facts = competitor(Given(name, data, small, cutoff, out))
                facts |= score(small, cutoff, forecast)
                results.save(name, f"{day} {key}", facts)
                print(f"{name} {day} {key}: WAPE {facts['wape']:.4f}, {facts['measured']['wall']:.0f} s", flush=True)

    return run_part


def competitors(name: str) -> dict[str, Competitor]:
    """Ours, its variants, and the peers' configurations, by name."""
    contest = CONTESTS[name]
    found: dict[str, Competitor] = {"ours": _ours(contest, ())}
    for variant, without in contest.variants.items():
        found[f"ours.{variant}"] = _ours(contest, without)
    for config in contest.peers:
        family = "mlforecast" if config.startswith("lightgbm") else "statsforecast"
        found[f"{family}.{config}"] = _peer(config, contest.quantiles)
    for config in contest.autogluon:
        found[f"autogluon.{config}"] = _peer(config, quantiles=False, environment_name="autogluon")
    return found


def score(small: Small, cutoff: int, forecast: pd.DataFrame) -> dict[str, Any]:
    """WAPE and bias; mean MASE and RMSSE over the series that have a scale; with quantiles pinball and p50's WAPE.

    Periods that were not observed (closed, out of stock) do not count; a series without a row is forecast as 0.
    """
    actual, mean = small.actual(cutoff), small.wide(forecast, cutoff, "mean")
    history = small.y[:, :cutoff]
    errors = {
        "mase": mase(actual, mean, naive_scale(history, min(small.season, 13) if small.code != "D" else small.season)),
        "rmsse": rmsse(actual, mean, naive_scale(history, 1, squared=True)),
    }
    found = {"wape": wape(actual, mean), "bias": bias(actual, mean)}
    found |= {name: float(np.nanmean(values)) for name, values in errors.items()}
    weekly = _weeks(small, actual, mean)
    found |= {"wape_window": wape(*_sums(actual, mean))} | ({"wape_week": wape(*weekly)} if weekly else {})
    if all(name in forecast for name in QUANTILES):
        cube = np.stack([small.wide(forecast, cutoff, name) for name in QUANTILES], axis=2)
        found["wape_p50"] = wape(actual, cube[..., QUANTILES.index("p50")])
        found["pinball"] = float(np.nanmean(pinball_losses(actual, cube, [share(name) for name in QUANTILES])))
    missing = len(small.series) - forecast["unique_id"].nunique()
    return {name: round(value, 5) for name, value in found.items()} | {"dropped": int(missing)}


def _sums(actual: Array, mean: Array) -> tuple[Array, Array]:
    """Sums over the whole window, of the periods that were observed."""
    seen = np.isfinite(actual)
    return np.where(seen, actual, 0).sum(axis=1), np.where(seen, mean, 0).sum(axis=1)


def _weeks(small: Small, actual: Array, mean: Array) -> tuple[Array, Array] | None:
    if small.code != "D":
        return None
    seen, shape = np.isfinite(actual), (len(actual), -1, 7)
    sums = [np.where(seen, values, 0).reshape(shape).sum(axis=2) for values in (actual, mean)]
    return sums[0], sums[1]


def _ours(contest: Contest, without: tuple[str, ...]) -> Competitor:
    def compete(given: Given) -> tuple[pd.DataFrame, dict[str, Any]]:
        day = given.small.day(given.cutoff)
        with ours.shop(contest.conf, given.data, contest.changes, without) as shop:
            measured = shop.do("run", day)
            log = (shop.place / f"run-{day}.log").read_text(encoding="utf-8")
            forecast = shop.forecasts(day)
        (given.out / "night.log").write_text(log, encoding="utf-8")
        forecast.to_parquet(given.out / "forecast.parquet", index=False)
        return forecast, {"measured": measured.facts(), "versions": ours.versions()}

    return compete


def _peer(config: str, quantiles: bool, environment_name: str = "peers") -> Competitor:
    script = "small" if environment_name == "peers" else "autogluon_small"

    def compete(given: Given) -> tuple[pd.DataFrame, dict[str, Any]]:
        name, *more = config.split()
        command = [environment.python(environment_name), "-m", f"benchmarks.peers.{script}"]
        command += ["--config", name, *more, "--set", given.name]
        command += ["--position", str(given.cutoff), "--data", str(given.data.resolve()), "--out", str(given.out)]
        measured = run([*command, *(["--quantiles"] if quantiles else [])], given.out / "log.txt")
        facts = json.loads((given.out / "facts.json").read_text(encoding="utf-8"))
        return pd.read_parquet(given.out / "forecast.parquet"), facts | {"measured": measured.facts()}

    return compete
