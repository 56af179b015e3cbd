"""`python -m benchmarks.cluster`: a scoring night of ten times M5, 304,900 series, on the stack of docker-compose.yml.

Two Celery workers of 6 GB, one task at a time each and one thread a task, PostgreSQL, S3 and MLflow, all on this
machine. The history comes in by a few nights before, and a champion is fitted on it, by commands in a worker. Then a
night through REST: `extract` of the next day, `train` that hands on the champion, `forecast` by ten shards, `publish`,
`monitor`. After that the same vintage again by one worker alone: wall time of the shards, and CPU seconds by worker.
Needs Docker, the data and some 20 GB of disk; ten times M5 takes about an hour.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.ours import EXAMPLES, versions
from benchmarks.scale import DAYS, LEVELS, NIGHT
from benchmarks.scale_data import make
from tests.support.shops import changed
from tests.system.compose.stack import Planner, Stack, need_docker

COPIES = 10
CHANGES: dict[str, object] = {
    "panel.levels": list(LEVELS), "runtime.threads": 1, "train.every_days": 365,
    "extract.sales.path": "sales-*.parquet", "train.lightgbm": {"rows": 200_000, "bags": 1, "origins": 26},
    "train.arima": {"seconds": 20}, "sources.m5.path": "/app/conf/data",
    "sources.shop": {"kind": "sql", "url": "sqlite://"},  # the stack says where that is; nothing is read from it
}  # fmt: skip
VARIABLES = {"WORKER_CONCURRENCY": "1", "S3_MEMORY": "2g", "POSTGRES_MEMORY": "4g"}
WORKERS = ("worker", "worker-2")


def main(argv: Sequence[str] | None = None) -> int:
    """All of it; without the data it says so and ends with 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("FORECASTING_DATA", "../shared/data"))
    parser.add_argument("--copies", type=int, default=COPIES, help="of M5's stores")
    arguments = parser.parse_args(argv)
    if not (arguments.data / "m5" / "sales.parquet").is_file():
        print(f"There is no {arguments.data}/m5/sales.parquet (--data, FORECASTING_DATA)")
        return 2
    need_docker()
    place = Path(tempfile.mkdtemp(prefix="bench-cluster-"))
    conf = changed(
        (EXAMPLES / "m5.toml").read_text(encoding="utf-8"),
        CHANGES | {"forecast.shard_series": 3_049 * arguments.copies},
    )
    stack = Stack(place, conf, COMPOSE_PROFILES="worker-2", FORECASTING_SCHEDULE="off", **VARIABLES)
    try:
        stack.remove()
        print("stack:", timed(lambda: stack.make("up")), "s", flush=True)
        for found in Cluster(stack).measured(arguments.data / "m5", arguments.copies):
            results.save("cluster", f"x{arguments.copies}", {**versions(), **found})
    finally:
        stack.remove()
        shutil.rmtree(place, ignore_errors=True)
    return 0


def timed(work: Any) -> float:
    """Seconds that it takes."""
    started = time.monotonic()
    work()
    return round(time.monotonic() - started, 1)


class Cluster:
    """The stack at work."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.planner = stack, Planner(stack)

    def measured(self, data: Path, copies: int) -> Iterator[dict[str, Any]]:
        """Bring in the history, fit the champion; the night by two workers, then with the same vintage by one."""
        source = self.stack.conf / "data"
        made = self.stack.folder / "later"
        files = make(data, made, copies, (*DAYS, NIGHT))
        source.mkdir()
        for name in ("items", "stores", "prices", "calendar"):
            shutil.move(made / f"{name}.parquet", source)
        for day, file in zip(DAYS, files, strict=False):
            shutil.move(file, source)
            seconds = timed(lambda day=day: self.run("-m", "forecasting", "extract", "--cutoff", str(day)))
            print(f"extract of {day}: {seconds} s", flush=True)
        script = (Path(__file__).with_name("scale_champion.py")).read_text(encoding="utf-8")
        seconds = timed(lambda: self.run("-", "/app/conf/demo.toml", str(DAYS[-1]), stdin=script))
        print(f"champion: {seconds} s", flush=True)
        shutil.move(files[-1], source)
        found: dict[str, Any] = {"champion": seconds, "night": self.night()}
        yield found
        self.stack.compose("stop", WORKERS[1])
        one, two = self.shards(self.planner.trigger("forecast", cutoff=NIGHT.isoformat())), found["night"]["shards"]
        ratio = round(one["wall"] / two["wall"], 2)
        print(f"two workers are {ratio} x as fast as one", flush=True)
        yield found | {"one worker": one, "ratio": ratio}

    def run(self, *words: str, stdin: str = "") -> None:
        """Python in a worker."""
        self.stack.compose("exec", "-T", WORKERS[0], "python", *words, stdin=stdin)

    def night(self) -> dict[str, Any]:
        """Seconds of each step of a night and of its shards, and the most memory that a worker had."""
        since = self.planner.trigger("extract", cutoff=NIGHT.isoformat())
        shards = self.shards(since)
        tasks = self.planner.tasks(since)
        whole = (datetime.fromisoformat(tasks["forecast.publish_vintage"]["end_date"]) - since).total_seconds()
        tasks = self.planner.until_done(since)
        steps = {name: round(one["duration"] or 0, 1) for name, one in tasks.items() if one["duration"]}
        found = {"wall": round(whole, 1), "steps": steps, "memory": {name: self.memory(name) for name in WORKERS}}
        print("night:", found, flush=True)
        return found | {"shards": shards}

    def shards(self, since: datetime) -> dict[str, Any]:
        """Of a run's shards: seconds from the first one's start to the last one's end, of all, and CPU by worker."""
        self.reached(since, "plan_shards", ("success",))
        before = {name: self.used(name) for name in WORKERS}
        self.reached(since, "publish_vintage", ("scheduled", "queued", "running", "success"))
        busy = {name: round(self.used(name) - before[name], 1) for name in WORKERS}
        run = self.reached(since, "publish_vintage", ("success",))["run"]["dag_run_id"]
        listed = self.planner.ask("GET", f"dags/forecast/dagRuns/{run}/taskInstances", params={"limit": 100})
        mine = [one for one in listed["task_instances"] if one["task_id"] == "forecast_series"]
        first, last = min(one["start_date"] for one in mine), max(one["end_date"] for one in mine)
        wall = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
        found = {
            "shards": len(mine), "wall": round(wall, 1), "sum": round(sum(one["duration"] for one in mine), 1),
            "hosts": len({one["hostname"] for one in mine}), "cpu": busy,
        }  # fmt: skip
        print("shards:", found, flush=True)
        return found

    def reached(self, since: datetime, task: str, states: Sequence[str]) -> dict[str, Any]:
        """Wait until a task of `forecast` is in one of these states; what it is then."""
        name = f"forecast.{task}"
        return self.planner.until(since, name, lambda found: found.get(name, {}).get("state") in states)[name]

    def used(self, worker: str) -> float:
        """CPU seconds of a worker's container so far; 0 where it is stopped."""
        found = re.search(r"usage_usec (\d+)", self.read(worker, "cpu.stat"))
        if found:
            return int(found.group(1)) / 1e6
        return int(self.read(worker, "cpuacct/cpuacct.usage") or 0) / 1e9

    def memory(self, worker: str) -> dict[str, Any]:
        """GB that a container had at most, files that it had read included, its limit, and what that limit killed."""
        peak = self.read(worker, "memory.peak", "memory/memory.max_usage_in_bytes")
        limit = self.read(worker, "memory.max", "memory/memory.limit_in_bytes")
        killed = re.search(r"oom_kill (\d+)", self.read(worker, "memory.events", "memory/memory.oom_control"))
        sizes = [round(int(text) / 1e9, 2) if text.isdigit() else None for text in (peak, limit)]
        return {"peak": sizes[0], "limit": sizes[1], "killed": int(killed.group(1)) if killed else None}

    def read(self, worker: str, *files: str) -> str:
        """The first of these files of its control group that is there: of version 2 or 1; empty where none is."""
        for file in files:
            done = self.stack.compose("exec", "-T", worker, "cat", f"/sys/fs/cgroup/{file}", check=False)
            if not done.returncode:
                return done.stdout.strip()
        return ""


if __name__ == "__main__":
    raise SystemExit(main())
