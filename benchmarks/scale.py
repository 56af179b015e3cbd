"""Part `scale`: a scoring night on M5 and on ten times M5, in the same run: the ratio of time and of peak memory.

Both sides: the same settings, the same days, noisy copies of the stores (one copy = M5 itself), a champion of LightGBM,
ARIMA and the seasonal mean that was fitted on the side's own panel. Measured are `extract` of the next day and
`forecast`, the command line as it is. The history is brought in by a few nights before, as files that come in.
"""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import ours, results
from benchmarks.measure import Measured, run
from benchmarks.scale_data import make

DAYS = (date(2015, 7, 1), date(2015, 10, 15), date(2016, 1, 31), date(2016, 4, 24))  # cutoffs of the nights before
NIGHT = date(2016, 4, 25)
COPIES = (1, 10)
LEVELS = (
    "state_id", "store", "cat_id", "dept_id", "state_id|cat_id", "state_id|dept_id", "store|cat_id", "store|dept_id",
    "item", "item|state_id",
)  # fmt: skip
SETTINGS = (
    "extract.sales.path=sales-*.parquet",
    "panel.levels=[" + ", ".join(f'"{name}"' for name in LEVELS) + "]",
    "train.lightgbm.rows=200000", "train.lightgbm.bags=1", "train.lightgbm.origins=26", "train.arima.seconds=20",
)  # fmt: skip


def part(data: Path, cutoffs: tuple[date, ...], only: list[str], work: Path) -> None:  # noqa: ARG001 (as all parts)
    """Once and ten times; `--only x10` for one of them. `cutoffs` does not matter here."""
    found: dict[int, dict[str, Any]] = {}
    for copies in COPIES:
        if only and f"x{copies}" not in only:
            continue
        out = work / "scale" / f"x{copies}"
        out.mkdir(parents=True, exist_ok=True)
        found[copies] = _night(data, copies, out)
        results.save("scale", f"x{copies}", found[copies])
        print(f"x{copies}: {found[copies]}", flush=True)
    if len(found) == len(COPIES):
        once, many = (found[copies]["measured"] for copies in COPIES)
        print(f"ratio of wall {many['wall'] / once['wall']:.2f}, of peak {many['peak'] / once['peak']:.2f}")


def _night(data: Path, copies: int, out: Path) -> dict[str, Any]:
    with ours.shop("m5", data, SETTINGS) as shop:
        files, source = make(data / "m5", shop.place / "later", copies, (*DAYS, NIGHT)), shop.place / "source"
        source.mkdir()
        for name in ("items", "stores", "prices", "calendar"):
            shutil.move(shop.place / "later" / f"{name}.parquet", source)
        here = f"sources.m5.path={source}"
        for day, file in zip(DAYS, files, strict=False):
            shutil.move(file, source)
            shop.do("extract", day, here)
        command = [sys.executable, "-m", "benchmarks.scale_champion", str(shop.conf), str(DAYS[-1])]
        training = run([*command, *shop.changes, here], shop.place / "champion.log")
        shutil.move(files[-1], source)
        extract, forecast = (shop.do(word, NIGHT, here) for word in ("extract", "forecast"))
        for log in shop.place.glob("*.log"):
            shutil.copy(log, out)
    return {
        "measured": _both(extract, forecast), "extract": extract.facts(), "forecast": forecast.facts(),
        "champion": training.facts(),
    }  # fmt: skip


def _both(extract: Measured, forecast: Measured) -> dict[str, Any]:
    parts = (extract, forecast)
    return Measured(
        sum(one.wall for one in parts), sum(one.cpu for one in parts), max(one.peak for one in parts),
        extract.load, max(one.others for one in parts),
    ).facts()  # fmt: skip
