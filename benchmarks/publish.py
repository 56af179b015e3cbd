"""Publishing to PostgreSQL beside a bare COPY of the same rows: `python -m benchmarks.publish [--rounds 5]`.

M5's size: 30,490 series x 28 days. In turns, on one server that this starts itself: COPY of the rows, made into CSV
(and into the binary format) beforehand, into a table of the same columns without key or index; and `Warehouse.publish`
of the same frames, from checking and encoding to key, index and commit: a new cutoff, and one that is replaced. Seconds
on the wall and of CPU, the server's and ours; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv

from forecasting.core.config.sections import WarehouseSettings
from forecasting.storage.warehouse.changes import Stream
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS
from tests.support.servers.postgres import OPTIONS, Server, binaries

SERIES, HORIZON, PART = 30_490, 28, 4096
SAFE = ("fsync", "synchronous_commit", "full_page_writes")  # the tests' server does without; here they are on
TYPES = {"text": "text", "date": "date", "integer": "bigint", "number": "double precision"}
FIRST = date(2026, 6, 30)
COLUMNS = ", ".join(
    f'"{name}" {TYPES[one.kind]}{"" if one.null else " NOT NULL"}' for name, one in FORECASTS.columns.items()
)


def frames(cutoff: date, series: int) -> list[pd.DataFrame]:
    """A vintage as steps/vintage.py makes it: texts as categories, float32, some thousand series a part."""
    random = np.random.default_rng(1)
    names = np.array(sorted(f"{kind}_{i % 7}_{i:05d}_{shop}_{i % 4}" for i, (kind, shop) in enumerate(_kinds(series))))
    days = pd.date_range(pd.Timestamp(cutoff) + pd.Timedelta(days=1), periods=HORIZON).to_numpy()
    origin = {
        "model": "blend(lightgbm+arima)",
        "model_version": "3",
        "snapshot": "sales@12",
        "run_id": "forecast__2026",
    }
    made = []
    for start in range(0, series, PART):
        part = names[start : start + PART]
        rows = len(part) * HORIZON
        ids = pd.Categorical.from_codes(np.repeat(np.arange(len(part)), HORIZON), pd.Index(part, dtype="str"))
        numbers = np.sort(random.gamma(0.7, 2.0, (rows, 8)).astype(np.float32), axis=1)
        table = pd.DataFrame({"cutoff": pd.Timestamp(cutoff), "unique_id": ids, "ds": np.tile(days, len(part))})
        table["horizon"] = np.tile(np.arange(1, HORIZON + 1), len(part))
        for k, name in enumerate(("mean", "p05", "p10", "p25", "p50", "p75", "p90", "p95")):
            table[name] = numbers[:, k]
        for name, value in {**origin, "status": "ok", "reason": ""}.items():
            table[name] = pd.Categorical.from_codes(np.zeros(rows, dtype=np.int8), pd.Index([value], dtype="str"))
        made.append(table)
    return made


def _kinds(count: int) -> Iterator[tuple[str, str]]:
    for i in range(count):
        yield ("FOODS", "HOBBIES", "HOUSEHOLD")[i % 3], ("CA", "TX", "WI")[i % 10 % 3]


def as_csv(vintage: list[pd.DataFrame]) -> list[bytes]:
    """The rows as COPY's CSV, a part each."""
    found = []
    for frame in vintage:
        table = pa.Table.from_pandas(FORECASTS.check(frame), preserve_index=False)
        plain = pa.table({name: _plain(table[name]) for name in FORECASTS.columns})
        buffer = pa.BufferOutputStream()
        pa_csv.write_csv(plain, buffer, pa_csv.WriteOptions(include_header=False))
        found.append(buffer.getvalue().to_pybytes())
    return found


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    return column.cast(pa.date32()) if pa.types.is_timestamp(column.type) else column


def as_binary(vintage: list[pd.DataFrame]) -> list[bytes]:
    """The rows in COPY's binary format, made one by one and without our own encoder."""
    pack = {
        "date": lambda value: struct.pack(">ii", 4, (value - date(2000, 1, 1)).days),
        "integer": lambda value: struct.pack(">iq", 8, value),
        "number": lambda value: struct.pack(">id", 8, value),
        "text": lambda value: struct.pack(">i", len(value.encode())) + value.encode(),
    }
    found, head = [b"PGCOPY\n\xff\r\n\0" + bytes(8)], struct.pack(">h", len(FORECASTS.columns))
    for frame in vintage:
        table = pa.Table.from_pandas(FORECASTS.check(frame), preserve_index=False)
        columns = [
            [pack[one.kind](value) for value in _plain(table[name]).to_pylist()]
            for name, one in FORECASTS.columns.items()
        ]
        found.append(b"".join(head + b"".join(row) for row in zip(*columns, strict=True)))
    return [*found, struct.pack(">h", -1)]


class Bench:
    """What is timed, on one server."""

    def __init__(self, url: str, series: int) -> None:
        self.vintages = {FIRST + timedelta(days=k): frames(FIRST + timedelta(days=k), series) for k in range(2)}
        self.payloads = {"csv": as_csv(self.vintages[FIRST]), "binary": as_binary(self.vintages[FIRST])}
        self.driver = psycopg.connect(url.replace("+psycopg", ""))
        self.warehouse = Warehouse(WarehouseSettings.model_validate({"url": url, "schema": "bench"}))
        self.warehouse.create()

    def empty(self) -> None:
        with self.driver.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS bare")
            cursor.execute(f"CREATE TABLE bare ({COLUMNS})")
        self.driver.commit()

    def copy(self, how: str) -> None:
        with self.driver.cursor() as cursor, cursor.copy(f"COPY bare FROM STDIN (FORMAT {how})") as copy:
            for payload in self.payloads[how]:
                copy.write(payload)
        self.driver.commit()

    def publish(self, cutoff: date) -> None:
        self.warehouse.publish([Stream(FORECASTS, self.vintages[cutoff], {"cutoff": cutoff})])


def measured(work: Callable[[], None]) -> dict[str, float]:
    """Seconds: on the wall, of the server's CPU, of ours."""
    server, ours, wall = _server(), time.process_time(), time.perf_counter()
    work()
    took = time.perf_counter() - wall
    return {"wall": took, "server": _server() - server, "ours": time.process_time() - ours}


def _server() -> float:
    """CPU of the postmaster's family, those that have ended too."""
    found = 0.0
    for one in psutil.process_iter(["name"]):
        if one.info["name"] == "postgres":
            times = one.cpu_times()
            found += times.user + times.system + times.children_user + times.children_system
    return found


def run(url: str, rounds: int, series: int) -> dict[str, list[dict[str, float]]]:
    bench = Bench(url, series)
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds + 1):
        turns: list[tuple[str, Callable[[], None]]] = [
            ("bare COPY, csv", lambda: bench.copy("csv")),
            ("publish, new cutoff", lambda: bench.publish(FIRST)),
            ("bare COPY, binary", lambda: bench.copy("binary")),
            ("publish, replaced cutoff", lambda: bench.publish(FIRST)),
        ]
        bench.warehouse.remove([(FORECASTS, {"cutoff": FIRST})])
        for name, work in turns:
            bench.empty()
            took = measured(work)
            if number:  # the first round warms up
                found.setdefault(name, []).append(took)
    rows = len(bench.warehouse.read(FORECASTS, ["horizon"], cutoff=FIRST))
    assert rows == series * HORIZON, f"{rows:,} rows were published instead of {series * HORIZON:,}"
    bench.driver.close()
    return found


def report(found: dict[str, list[dict[str, float]]], rows: int) -> str:
    """A table, and the ratio of the medians to each bare COPY."""
    middle = {
        name: {key: statistics.median(one[key] for one in took) for key in took[0]} for name, took in found.items()
    }
    lines = [f"{'':26s}{'wall s':>8s}{'rows/s':>10s}{'server CPU s':>14s}{'our CPU s':>11s}"]
    for name, one in middle.items():
        speed = f"{rows / one['wall']:,.0f}"
        lines.append(f"{name:26s}{one['wall']:8.2f}{speed:>10s}{one['server']:14.2f}{one['ours']:11.2f}")
    for bare in ("bare COPY, csv", "bare COPY, binary"):
        for published in ("publish, new cutoff", "publish, replaced cutoff"):
            wall = middle[bare]["wall"] / middle[published]["wall"]
            server = middle[bare]["server"] / middle[published]["server"]
            lines.append(f"speed of {published} over {bare}: {wall:.0%} (by the server's CPU {server:.0%})")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--series", type=int, default=SERIES)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    programs = binaries()
    assert programs, "no PostgreSQL server here: install the package `postgresql`"
    folder = Path(tempfile.mkdtemp(prefix="forecasting-publish-"))
    server = Server(programs, folder, {key: value for key, value in OPTIONS.items() if key not in SAFE})
    try:
        server.start()
        found = run(server.url, arguments.rounds, arguments.series)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found) if arguments.json else report(found, arguments.series * HORIZON))


if __name__ == "__main__":
    main()
