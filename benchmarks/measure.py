"""Runs a command in a process of its own and measures it: wall and CPU time, peak memory of the whole process tree."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

LOCK = "BENCH_LOCK"  # a file: commands run one after the other with whatever else takes the same lock
POLL = 0.1  # seconds between two looks at the memory
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Measured:
    """wall, cpu: seconds (cpu: of the process and all that it waited for). peak: GB, resident, whole process tree.

    load: the machine's one-minute load average when it began, which remembers what ran before. others: cores that
    everything else on the machine kept busy meanwhile. Pages that processes share count once for each in peak.
    """

    wall: float
    cpu: float
    peak: float
    load: float
    others: float

    def facts(self) -> dict[str, Any]:
        """As JSON, rounded to what the measurement is good for."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


@contextmanager
def _turn() -> Iterator[None]:
    place = os.environ.get(LOCK)
    if not place:
        yield
        return
    with Path(place).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> Measured:
    """Run to the end; output goes to `log`. Raises RuntimeError with the end of it where the command fails."""
    # Waiting threads sleep instead of spinning: the same for every side.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **(environ or {})}
    with _turn(), log.open("w", encoding="utf-8") as out:
        load, busy = os.getloadavg()[0], _busy()
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
        tree, peak, ended = psutil.Process(process.pid), 0, 0
        while not ended:
            peak = max(peak, _resident(tree))
            time.sleep(POLL)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        wall, busy = time.perf_counter() - began, _busy() - busy
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}; its last words:\n{tail}")
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(wall, cpu, max(peak / 1e9, usage.ru_maxrss * 1024 / 1e9), load, max(0.0, (busy - cpu) / wall))


def _busy() -> float:
    """Seconds that the machine's cores have worked since it started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _resident(root: psutil.Process) -> int:
    total = 0
    try:
        for process in (root, *root.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        return total
    return total
