"""`python -m benchmarks.drift`: does drift detection find what was done to the demo retailer, and nothing else?

Real nights (extract, forecast, drift) with a cheap model. For each seed: NIGHTS without a shift, of which those that
are marked are counted; and, from copies of the stores at two nights on the way, each shift until a night is marked.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.sources.demo import database
from forecasting.sources.demo import shifts as demo_shifts
from forecasting.sources.demo.shifts import Shift
from forecasting.steps.forecast import forecast
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.drift import detect
from forecasting.steps.run import Run
from forecasting.steps.train.train import train
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import DRIFT

ROOT = Path(__file__).parents[1]
NIGHTS, WITHIN, AT = 60, 7, (30,)
SHIFTS = ("doubled:bakery", "doubled:household", "lost_store:S02", "price:all", "price:dairy")
PLAIN = ('train.models=["seasonal_mean"]', "train.blend=false", "train.folds=1", "panel.horizon=7", "demo.days=730")


def shop(folder: Path, changes: Sequence[str]) -> Settings:
    """The demo's configuration with all stores in a folder."""
    text = (ROOT / "conf" / "demo.toml").read_text(encoding="utf-8").replace("var/", f"{folder}/")
    path = folder / "conf.toml"
    path.write_text(text, encoding="utf-8")
    return configuration.load(path, [*PLAIN, *changes])


def night(settings: Settings, cutoff: date, learn: bool) -> list[str]:
    """One night; what is marked."""
    run = Run(f"night-{cutoff}")
    extract(settings, cutoff, run)
    if learn:
        train(settings, cutoff, run)
    for shard in forecast.plan(settings, cutoff):
        forecast.predict(settings, cutoff, shard, run)
    forecast.publish(settings, cutoff, run)
    detect(settings, cutoff, run)
    rows = Warehouse(settings.warehouse).read(DRIFT, cutoff=pd.Timestamp(cutoff), drifted=True)
    rows = rows.assign(over=rows["value"].abs() / rows["threshold"]).sort_values("over", ascending=False)
    return [f"{row.kind} of {row.subject}, {row.statistic} x{row.over:.2f}" for row in rows.itertuples()]


def shifted(settings: Settings, changes: Sequence[str], text: str, last: date) -> tuple[int | None, str]:
    """Nights until a copy of this shop, shifted from the day after `last` on, is marked; and by what."""
    place = Path(settings.lake.path).parent
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "shop"
        shutil.copytree(place, copy)
        mine = shop(copy, changes)
        shift = Shift.parse(f"{text}@{last + timedelta(days=1)}")
        for number in range(1, WITHIN + 1):
            day = last + timedelta(days=number)
            database.advance(mine, day)
            demo_shifts.apply(mine, day, [shift])
            if marked := night(mine, day, learn=False):
                return number, "; ".join(marked[:2])
    return None, ""


def seed(number: int, changes: Sequence[str], nights: int, shifts: Sequence[str]) -> dict[str, object]:
    """One shop: false alarms, and nights until each shift is found, at each of AT."""
    changes = [*changes, f"demo.seed={number}"]
    facts: dict[str, object] = {"seed": number, "nights": nights, "false": [], "found": {}}
    with tempfile.TemporaryDirectory() as folder:
        settings, start = shop(Path(folder), changes), time.monotonic()
        for count in range(1, nights + 1):
            cutoff = tonight(settings)
            if marked := night(settings, cutoff, learn=count % 14 == 1):
                facts["false"].append([cutoff.isoformat(), *marked])
                print(f"seed {number} {cutoff} (night {count}): {marked}", flush=True)
            if count in AT:
                for text in shifts:
                    found = shifted(settings, changes, text, cutoff)
                    facts["found"][f"{text} after night {count}"] = found
                    print(f"seed {number} {text} after night {count}: {found}", flush=True)
        facts["seconds"] = round(time.monotonic() - start)
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--shifts", nargs="*", default=list(SHIFTS), help="kind:target")
    parser.add_argument("--set", dest="changes", nargs="*", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "drift.json")
    chosen = parser.parse_args()
    found = []
    for number in chosen.seeds:
        found.append(seed(number, chosen.changes, chosen.nights, chosen.shifts))
        chosen.out.write_text(json.dumps({"set": chosen.changes, "seeds": found}, indent=1) + "\n", encoding="utf-8")
    for one in found:
        print(f"seed {one['seed']}: {len(one['false'])} of {one['nights']} nights marked without a shift")
        for name, (nights, what) in one["found"].items():
            print(f"  {name:<40} {nights or f'not within {WITHIN}'}  {what}")


if __name__ == "__main__":
    main()
