"""`python -m benchmarks.page`: twenty planners at once on the page over M5's 30,490 series, inside a running Airflow.

Nights of M5 first (one training, then a champion's), through the command line; then a whole Airflow on this machine.
Each planner is logged in as somebody else and opens one view after another, as a morning goes, a random series each
time; between two views passes a time to read, drawn anew. Seconds from asking to the last byte, seen from outside;
the planners and all of Airflow share the machine. Then the same without time to read, for what the server bears.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import requests

from benchmarks import results
from benchmarks.measure import run
from benchmarks.ours import EXAMPLES, Shop, versions
from forecasting.launcher.server import Airflow, airflow
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS

PLANNERS, MINUTES, READING = 20, 3.0, (2.0, 6.0)  # seconds to read a view, from and to
NIGHTS, LAST = 5, date(2016, 4, 24)
LIGHT = ('train.models=["seasonal_mean","lightgbm"]', "train.every_days=90")
PLANNING = "\n[planning]\nlead_time = 7\nreview = 1\n"

# A morning: each view as often as it stands here.
View = Callable[[str], str]
VIEWS: dict[str, tuple[int, View]] = {
    "today": (3, lambda _: "/"),
    "series, list": (2, lambda _: "/series"),
    "series, search": (3, lambda name: f"/series?q={name[:6]}"),
    "series, one": (8, lambda name: f"/series/one?name={quote(name)}"),
    "series, its chart": (8, lambda name: f"/api/chart?name={quote(name)}"),
    "accuracy": (2, lambda _: "/accuracy"),
    "overrides": (1, lambda _: "/overrides"),
    "replenishment": (2, lambda _: "/replenishment"),
    "models": (1, lambda _: "/models"),
    "REST forecasts": (1, lambda name: f"/api/forecasts?unique_id={quote(name)}"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """All of it; without the data it says so and ends with 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("FORECASTING_DATA", "../shared/data"))
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of the planners with time to read")
    parser.add_argument("--keep", type=Path, help="folder for the stores, kept; nights in it are not made again")
    arguments = parser.parse_args(argv)
    if not (arguments.data / "m5" / "sales.parquet").is_file():
        print(f"There is no {arguments.data}/m5/sales.parquet (--data, FORECASTING_DATA)")
        return 2
    place = (arguments.keep or Path(tempfile.mkdtemp(prefix="bench-page-"))).resolve()
    try:
        shop = made(arguments.data, place)
        users = {f"planner{number}": "user" for number in range(PLANNERS)}
        with airflow(place / "airflow", shop.conf, clock=False, users=users) as server:
            found = loaded(server, names(shop), arguments.minutes)
        results.save("page", "m5", {**versions(), **found})
    finally:
        if not arguments.keep:
            shutil.rmtree(place, ignore_errors=True)
    return 0


def made(data: Path, place: Path) -> Shop:
    """M5 with its nights, in a folder."""
    place.mkdir(parents=True, exist_ok=True)
    text = (EXAMPLES / "m5.toml").read_text(encoding="utf-8").replace("var/m5", str(place))
    text = text.replace("../shared/data/m5", str((data / "m5").resolve()))
    shop = Shop(place / "m5.toml", place, LIGHT)
    shop.conf.write_text(text + PLANNING, encoding="utf-8")
    there = set(Warehouse(shop.settings.warehouse).distinct(FORECASTS, ["cutoff"])["cutoff"].dt.date)
    for night in range(NIGHTS):
        cutoff = LAST - timedelta(days=NIGHTS - 1 - night)
        if cutoff not in there:
            print(f"night of {cutoff}: {run(shop.command('run', cutoff), place / f'run-{cutoff}.log').wall:.0f} s")
    return shop


def names(shop: Shop) -> list[str]:
    """Series of the newest vintage."""
    rows = Warehouse(shop.settings.warehouse).read(FORECASTS, ["unique_id"], cutoff=pd.Timestamp(LAST), horizon=1)
    return sorted(rows["unique_id"])


def loaded(server: Airflow, series: list[str], minutes: float) -> dict[str, Any]:
    """Seconds by view: the first time after a start, with time to read, and without."""
    passwords = json.loads((server.home / "passwords.json").read_text(encoding="utf-8"))
    planners = [Planner(server, f"planner{number}", passwords, series, number) for number in range(PLANNERS)]
    first = {name: planners[0].open(name) for name in VIEWS}
    print("first:", {name: round(seconds, 2) for name, seconds in first.items()}, flush=True)
    found: dict[str, Any] = {"series": len(series), "planners": PLANNERS, "first": first}
    for how, reading, seconds in (("reading", READING, 60 * minutes), ("at once", (0.0, 0.0), 30.0)):
        for one in planners:
            one.taken.clear()
        threads = [threading.Thread(target=one.work, args=(seconds, reading)) for one in planners]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = [entry for one in planners for entry in one.taken]
        found[how] = told(taken, time.monotonic() - started)
        print(how, json.dumps(found[how], indent=1), flush=True)
    return found


def told(taken: list[tuple[str, float]], seconds: float) -> dict[str, Any]:
    """Requests a second; median, 95 % and largest time, of all and by view."""
    frame = pd.DataFrame(taken, columns=["view", "seconds"])
    by_view = {name: _times(part["seconds"].to_numpy()) for name, part in frame.groupby("view")}
    return {"a second": round(len(frame) / seconds, 2), "all": _times(frame["seconds"].to_numpy()), **by_view}


def _times(seconds: np.ndarray) -> dict[str, float]:
    middle, high = np.quantile(seconds, [0.5, 0.95])
    return {"count": len(seconds), "p50": round(middle, 3), "p95": round(high, 3), "max": round(seconds.max(), 3)}


class Planner:
    """Somebody who is logged in, looks at one view after another, and keeps how long each took."""

    def __init__(self, server: Airflow, user: str, passwords: dict[str, str], series: list[str], seed: int) -> None:
        login = {"username": user, "password": passwords[user]}
        token = requests.post(f"{server.url}/auth/token", json=login, timeout=60).json()["access_token"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.url, self.series, self.random = f"{server.url}/forecasts", series, random.Random(seed)
        self.taken: list[tuple[str, float]] = []

    def open(self, view: str) -> float:
        """Seconds of one view, of a random series where it is of one. Anything but its content is an error."""
        started = time.monotonic()
        answer = self.session.get(self.url + VIEWS[view][1](self.random.choice(self.series)), timeout=60)
        taken = time.monotonic() - started
        answer.raise_for_status()
        return taken

    def work(self, seconds: float, reading: tuple[float, float]) -> None:
        """Open views until the time is over; it begins with a pause, so that not all begin at once."""
        deadline = time.monotonic() + seconds
        weights = [weight for weight, _ in VIEWS.values()]
        while True:
            time.sleep(self.random.uniform(*reading))
            if time.monotonic() > deadline:
                return
            view = self.random.choices(list(VIEWS), weights)[0]
            self.taken.append((view, self.open(view)))


if __name__ == "__main__":
    raise SystemExit(main())
