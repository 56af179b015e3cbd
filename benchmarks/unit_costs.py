"""What a series costs: CPU, memory and bytes of each step, as the slope between two sizes of the demo retailer.

`python -m benchmarks.unit_costs` writes benchmarks/results/unit_costs.json; docs/scale.md says what follows from it.
Two nights each, in a process of its own: `train` is of the first night, all else of the second, which reads what is new
as every night does. The slope leaves out what a step costs however few series there are (imports, a transaction).
"""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.measure import ROOT
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.panel.build import build_panel
from forecasting.panel.memory import Scratch
from forecasting.steps.forecast import forecast
from forecasting.steps.ingest import demo, extract
from forecasting.steps.monitor import monitor
from forecasting.steps.run import Run
from forecasting.steps.train import train
from forecasting.storage.lake.lake import Lake

SIZES = ((8, 60), (36, 100))  # stores, items; not all items are sold in every store
DAYS = 400
NIGHTS = 2
TRAIN = {
    "models": ["lightgbm"],
    "blend": False,
    "folds": 1,
    "refit": "never",  # as on a large panel
    "lightgbm": {"rows": 40_000, "trees": 60, "bags": 1},
}
STEPS = ("extract", "panel", "train", "forecast", "publish", "monitor")


def main() -> int:
    """Both sizes, and the difference by the series between them."""
    found = [_child(stores, items) for stores, items in SIZES]
    more = found[1]["series"] - found[0]["series"]
    slopes: dict[str, Any] = {
        kind: {name: (found[1][kind][name] - found[0][kind][name]) / more for name in found[1][kind]}
        for kind in ("cpu", "peak", "bytes")
    }
    told = {"sizes": found, "days": DAYS, "per_series": slopes}
    results.save("unit_costs", "demo", told)
    print(f"{found[0]['series']:,} and {found[1]['series']:,} series, {DAYS} days; a million series more cost:")
    for name in STEPS:
        cpu, peak = slopes["cpu"][name] * 1e6, slopes["peak"][name] * 1e6
        print(f"  {name:9} {cpu / 3600:8.2f} vCPU hours  {peak / 1e9:8.1f} GB of memory at the peak")
    for name, size in slopes["bytes"].items():
        print(f"  {name:24} {size * 1e6 / 1e9:8.2f} GB")
    return 0


def _child(stores: int, items: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="costs-") as place:
        command = [sys.executable, "-m", "benchmarks.unit_costs", place, str(stores), str(items)]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


class _Meter:
    """CPU seconds (threads and children too) and the rise of resident memory (bytes) of each step."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.peak: dict[str, float] = {}

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """Do it and note what it took; once more under the same name is added to it."""
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the high-water mark starts anew
        before, cpu = _memory("VmRSS"), _cpu()
        answer = work()
        self.cpu[name] = self.cpu.get(name, 0.0) + _cpu() - cpu
        self.peak[name] = max(self.peak.get(name, 0.0), float(_memory("VmHWM") - before))
        return answer


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def nights(place: Path, stores: int, items: int) -> dict[str, Any]:
    """Two nights of a shop of that size in this process."""
    conf = place / "conf.toml"
    conf.write_text((ROOT / "conf" / "demo.toml").read_text(encoding="utf-8").replace("var/", f"{place}/"))
    changes = [f"demo.stores={stores}", f"demo.items={items}", f"demo.days={DAYS}"]
    settings = configuration.load(conf, changes)
    chosen = settings.train.model_validate(settings.train.model_dump() | TRAIN)
    settings = settings.model_copy(update={"train": chosen})
    run = Run("costs")
    for night in range(NIGHTS):
        meter, cutoff = _Meter(), demo.tonight(settings)
        told = meter.step("extract", partial(extract.extract, settings, cutoff, run))
        if night == 0:
            trained = _Meter()
            made = trained.step("train", partial(train.train, settings, cutoff, run))
        for shard in forecast.plan(settings, cutoff):
            meter.step("forecast", partial(forecast.predict, settings, cutoff, shard, run))
        meter.step("publish", partial(forecast.publish, settings, cutoff, run))
        meter.step("monitor", partial(monitor.monitor, settings, cutoff, run))
    with Lake(settings.lake).scratch() as scratch:  # once more, to see how much of `extract` it is
        meter.step("panel", partial(_panel, settings, cutoff, str(told["snapshot"]), scratch))
    meter.cpu["extract"] -= meter.cpu["panel"]
    meter.cpu |= trained.cpu
    meter.peak |= trained.peak
    return {
        "model": made["model"], "series": told["series"], "periods": told["periods"], "read": told["read"],
        "cpu": meter.cpu, "peak": meter.peak, "bytes": _bytes(settings, cutoff),
    }  # fmt: skip


def _panel(settings: Settings, cutoff: date, snapshot: str, scratch: Scratch) -> None:
    """Build it from the lake as `extract` does, and write it."""
    lake = Lake(settings.lake)
    tables: dict[str, Any] = {
        name: partial(lake.pieces, snapshot, name) if name in ("sales", "prices") else lake.read(snapshot, name)
        for name in settings.source_tables()
        if not name.startswith("signal_")
    }
    tables["signals"] = lake.read(snapshot, "signals")
    lake.write_panel(build_panel(tables, settings, cutoff, snapshot, scratch))


def _bytes(settings: Settings, cutoff: date) -> dict[str, float]:
    """Of the lake (sales by day of all history, one panel) and of the tables (a night's rows of each)."""
    lake = Path(settings.lake.path)
    sales = sum(path.stat().st_size for path in (lake / "sales").rglob("*.parquet"))
    panels = [path for path in lake.rglob("*") if path.is_dir() and path.name.endswith(str(cutoff))]
    panel = sum(path.stat().st_size for place in panels for path in place.rglob("*") if path.is_file())
    found = {"lake: sales": float(sales), "lake: panel": float(panel)}
    with sqlite3.connect(settings.warehouse.url.removeprefix("sqlite:///")) as connection:
        for name in ("forecasts", "forecast_sums"):
            found[f"table: {name}"] = _table(connection, name) / NIGHTS
        found["table: series_scores"] = _table(connection, "series_scores")  # the second night's, of the first
    return found


def _table(connection: sqlite3.Connection, name: str) -> float:
    """Bytes of a table and its indexes."""
    pages = connection.execute(
        "SELECT SUM(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = ?)", (name,)
    ).fetchone()[0]
    return float(pages or 0)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(main())
    print(json.dumps(nights(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
