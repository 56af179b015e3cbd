"""Part `chain`: a made-up chain of stores by day, mapped with and without `store`, against mlforecast.

The stores are items to the one mapping and stores to the other; both, and the peer, get the same rows and columns.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import environment, ours, results
from benchmarks.chain_data import chain, truth
from benchmarks.data import Array
from benchmarks.measure import run
from benchmarks.scoring import bias, wape
from benchmarks.small import Small

SEEDS = (1, 2, 3)
# Closed days as zeros, as they stand in the data; or filled for the lags, left out of the training and known ahead.
PEERS = ("lightgbm_l2", "lightgbm_l2_scaled", "lightgbm_l2_masked", "lightgbm_l2_scaled_masked")
MAPPED = {
    "ours.items": 'columns = {{ item = "store", ds = "day"{more} }}',
    "ours.stores": 'columns = {{ item = "item", store = "store", ds = "day"{more} }}',
}
CONF = """
name = "chain"

[sources.files]
kind = "files"
path = "{place}"

[extract.sales]
source = "files"
path = "sales.csv"
grain = "periods"
{sales}

[extract.promotions]
source = "files"
path = "promotions.csv"
{promotions}

[panel]
frequency = "D"
horizon = {horizon}
unique_id = "{unique_id}"
"""


def part(data: Path, cutoffs: tuple[date, ...], only: list[str], work: Path) -> None:
    """Every mapping and the peer at every cutoff of every seed, in turn."""
    for seed in SEEDS:
        small = chain(seed)
        for cutoff in small.cutoffs:
            day = small.day(cutoff)
            for name in (*(f"mlforecast.{one}" for one in PEERS), *MAPPED):
                if (cutoffs and day not in cutoffs) or (only and not any(one in name for one in only)):
                    continue
                out = work / "chain" / f"{seed}" / str(day) / name
                out.mkdir(parents=True, exist_ok=True)
                if name in MAPPED:
                    found, facts = _ours(small, cutoff, name)
                    found.to_parquet(out / "forecast.parquet", index=False)
                else:
                    found, facts = _peer(data, seed, cutoff, out, name.removeprefix("mlforecast."))
                facts |= score(small, cutoff, found, truth(seed), closed_known=name.endswith("_masked"))
                results.save("chain", f"{seed} {day} {name}", facts)
                print(
                    f"chain {seed} {day} {name}: WAPE {facts['wape']:.4f}, {facts['measured']['wall']:.0f} s",
                    flush=True,
                )


def score(
    small: Small, cutoff: int, forecast: pd.DataFrame, expected: Array, closed_known: bool = False
) -> dict[str, Any]:
    """WAPE and bias of days of trading, WAPE with closed days as 0, the largest bias of a weekday and of promotion.

    These last two against the expected demand, which a forecast can reach, of the stores that were open at the cutoff.
    wape_open: of these stores. wape_least: what the expected demand itself has there, which nothing can beat.
    closed_known: the forecast of every closed day is 0, those of refurbishments too.
    """
    actual, mean = small.actual(cutoff), small.wide(forecast, cutoff, "mean")
    if closed_known:
        mean = np.where(np.isfinite(actual), mean, 0)
    weekday = small.periods[cutoff : cutoff + small.horizon].weekday
    promoted = small.known["promotion"][:, cutoff : cutoff + small.horizon] > 0
    trading = (small.y[:, cutoff - 14 : cutoff] > 0).any(axis=1, keepdims=True) & (actual > 0)
    right = np.where(trading, expected[:, cutoff : cutoff + small.horizon], np.nan)
    open_ = np.where(trading, actual, np.nan)
    days = [_bias(right, mean, np.broadcast_to(weekday == one, actual.shape)) for one in range(6)]
    halves = [_bias(right, mean, promoted), _bias(right, mean, ~promoted)]
    found = {
        "wape": wape(actual, mean), "wape_all": wape(np.nan_to_num(actual), mean), "bias": bias(actual, mean),
        "bias_weekday": max(days, key=abs), "bias_promotion": max(halves, key=abs),
        "wape_open": wape(open_, mean), "wape_least": wape(open_, right),
    }  # fmt: skip
    return {name: round(float(value), 5) for name, value in found.items()}


def _bias(actual: Array, mean: Array, where: np.ndarray) -> float:
    seen = where & np.isfinite(actual)
    return float((mean[seen].sum() - actual[seen].sum()) / actual[seen].sum())


def _ours(small: Small, cutoff: int, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    place = Path(tempfile.mkdtemp(prefix="bench-chain-"))
    try:
        _write(small, cutoff, place, with_item=name == "ours.stores")
        columns = MAPPED[name]
        conf = place / "chain.toml"
        text = CONF.format(
            place=place, horizon=small.horizon, unique_id="{item}" if name == "ours.items" else "{store}",
            sales=columns.format(more=', y = "units"'), promotions=columns.format(more=', value = "promotion"'),
        )  # fmt: skip
        conf.write_text(text, encoding="utf-8")
        stores = (
            f"lake.path={place}/lake", f"warehouse.url=sqlite:///{place}/w.db",
            f"mlflow.tracking_uri=sqlite:///{place}/m.db", f"mlflow.artifacts={place}/artifacts",
            f"report.path={place}/report",
        )  # fmt: skip
        shop, day = ours.Shop(conf, place, stores), small.day(cutoff)
        extract = shop.do("extract", day)
        measured = shop.do("run", day)
        facts = {"measured": measured.facts(), "extract": extract.facts(), "versions": ours.versions()}
        return shop.forecasts(day), facts
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write(small: Small, cutoff: int, place: Path, with_item: bool) -> None:
    """Rows of the days on which something was sold, and of those with a promotion, the coming ones too."""
    frame = small.long(cutoff, masked=False).rename(columns={"unique_id": "store", "ds": "day", "y": "units"})
    sales = frame.loc[frame["units"] > 0, ["store", "day", "units"]]
    ahead = small.future(cutoff).rename(columns={"unique_id": "store", "ds": "day"})
    promotions = pd.concat([frame[["store", "day", "promotion"]], ahead[["store", "day", "promotion"]]])
    promotions = promotions[promotions["promotion"] > 0]
    for name, table in (("sales", sales), ("promotions", promotions)):
        (table.assign(item="all") if with_item else table).to_csv(place / f"{name}.csv", index=False)


def _peer(data: Path, seed: int, cutoff: int, out: Path, config: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    command = [environment.python(), "-m", "benchmarks.peers.small", "--config", config, "--set", f"chain_{seed}"]
    command += ["--position", str(cutoff), "--data", str(data), "--out", str(out)]
    measured = run(command, out / "log.txt")
    facts = json.loads((out / "facts.json").read_text(encoding="utf-8"))
    return pd.read_parquet(out / "forecast.parquet"), facts | {"measured": measured.facts()}
