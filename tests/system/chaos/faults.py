"""Faults made on purpose: each is retried or fails clearly, publishes nothing partial, and the night after is whole."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from forecasting.core import errors
from forecasting.core.errors import ForecastingError
from tests.support.servers.postgres import Server
from tests.support.shops import ROOT
from tests.system.chaos.deployment import SECOND, Child, Deployment, differences
from tests.system.chaos.kills import again, between

BUNDLE = {
    "name": "dags",
    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
    "kwargs": {"path": str(ROOT / "dags")},
}
OURS = "|".join(name for name in vars(errors) if name.endswith("Error"))
SENTENCE = re.compile(rf"^(?:{OURS}): .{{40,}}", re.MULTILINE)  # in a traceback the module stands before it
AIRFLOW = """
import sys, datetime
from airflow.utils import db
db.initdb()
from airflow.dag_processing.dagbag import DagBag
run = DagBag(sys.argv[1]).dags["forecast"].test(run_conf={"cutoff": sys.argv[2]})
print("STATE", run.state, {one.task_id: one.try_number for one in run.get_task_instances()})
"""


def all_of(shops: list[Deployment], server: Server | None, names: list[str]) -> list[dict]:
    """The faults of these names, each on the shops that it concerns."""
    found = []
    for name in names:
        about, fault, only = FAULTS[name]
        for shop in [one for one in shops if only in (None, one.kind)]:
            try:
                told, problems = fault(shop, server)
            except (AssertionError, TimeoutError, ForecastingError) as error:
                told, problems = "", [str(error)]
            found.append({"name": f"{about} ({shop.kind})", "found": told, "problems": problems})
            print(f"{about} ({shop.kind}): {'; '.join(problems) or told}", flush=True)
    return found


def _refused(child: Child) -> list[str]:
    """An exit code above zero and a sentence, not a traceback, unless the machine itself has ended the process."""
    code = child.wait()
    said = child.said()
    if code < 0:
        return []
    if code == 0:
        return ["it did not fail"]
    return [] if SENTENCE.search(said) else [f"no clear message: {said[-600:]}"]


def _told(child: Child) -> str:
    found = SENTENCE.search(child.said())
    if found:
        return found[0][:160]
    return f"ended by {signal.Signals(-child.code).name}" if (child.code or 0) < 0 else child.said()[-160:]


@contextlib.contextmanager
def _held(server: Server, table: str) -> Iterator[sa.Connection]:
    """A table that nobody else can write to meanwhile."""
    engine = sa.create_engine(server.database("shop"), poolclass=sa.NullPool)
    connection = engine.connect()
    try:
        connection.exec_driver_sql(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        yield connection
    finally:
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            connection.close()


def _wait_for_writer(connection: sa.Connection, ended: Callable[[], bool], log: Path) -> None:
    """Until somebody waits for the table, with what it wrote before not yet committed."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"  # pg_stat_activity stands still in a transaction
    while connection.exec_driver_sql(waiting).scalar() == 0:
        assert not ended(), f"it ended before it came to the table that is held:\n{log.read_text()[-1500:]}"
        time.sleep(0.02)


def stopped_postgresql(shop: Deployment, server: Server | None) -> tuple[str, list[str]]:
    """The server crashes when the series and levels of a vintage are in, and its sums are not."""
    assert server is not None
    shop.restore("publish")
    with _held(server, "forecast_sums") as connection:
        child = shop.start("publish")
        _wait_for_writer(connection, child.ended, child.log)
        server.stop("immediate")
    child.wait()
    said = child.said()
    problems = [] if child.code != 0 and "StoreError: The warehouse" in said else [f"no clear message: {said[-600:]}"]
    server.start()
    found, more = between(shop, "publish")
    problems += more + ([] if found == "nothing written yet" else [f"written: {found}"])
    shop.do("publish")  # the same task again, as Airflow would: its shards are still there
    problems += differences(shop.tables(), shop.after["publish"])
    return "StoreError; nothing of it there after the restart; tried again: whole", problems + again(shop)


def retried_by_airflow(shop: Deployment, server: Server | None) -> tuple[str, list[str]]:
    """The same, as the task `publish_vintage` of the real DAG: it is tried again by itself."""
    assert server is not None
    shop.restore("forecast")
    home, log = shop.folder / "airflow", shop.folder / "airflow.log"
    settings = {
        "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "FORECASTING_CONF": str(shop.conf),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db", "FORECASTING_RETRY_SECONDS": "5",
        "FORECASTING_POOL": "default_pool", "PYTHONPATH": str(ROOT),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([BUNDLE]),
    }  # fmt: skip
    with _held(server, "forecast_sums") as connection, log.open("w") as output:
        command = [sys.executable, "-c", AIRFLOW, str(ROOT / "dags"), SECOND]
        process = subprocess.Popen(command, env=os.environ | settings, cwd=ROOT, stdout=output, stderr=output)
        _wait_for_writer(connection, lambda: process.poll() is not None, log)
        server.stop("immediate")
    server.start()
    try:
        process.wait(timeout=600)
    finally:
        process.kill()
    state = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("STATE")]
    problems = [] if state and "success" in state[0] and "'publish_vintage': 2" in state[0] else [
        f"not retried: {state or log.read_text(errors='replace')[-1500:]}"
    ]  # fmt: skip
    problems += differences(shop.tables(), shop.after["forecast"])
    return f"{state[0] if state else ''}; the vintage is whole", problems + again(shop)


def two_runs(shop: Deployment, server: Server | None) -> tuple[str, list[str]]:
    """Two whole nights of the same cutoff, started together."""
    shop.restore("extract")
    children = [shop.start("run", "--cutoff", SECOND, log=f"run-{number}.log") for number in (1, 2)]
    problems, told = [], []
    for child in children:
        code = child.wait()
        told.append("done" if code == 0 else _told(child))
        if code != 0:
            problems += _refused(child)
    problems += differences(shop.tables(), shop.whole) if "done" in told else []
    return "; ".join(told), problems + again(shop)


def _short(shop: Deployment, rooms: tuple[int, ...], unit: str, lacking: Callable[[int], Any]) -> tuple[str, list[str]]:
    """Every step with so much room and no more. lacking: a context that gives what a child calls to have it so."""
    problems, told = [], []
    for step in ("extract", "train", "forecast", "publish", "monitor"):
        for room in rooms:
            shop.restore(step)
            with lacking(room) as limit:
                if limit is None:
                    return "this machine gives no such limit: not tried", []
                child = shop.start(step, *(() if step == "publish" else ("--cutoff", SECOND)), before=limit)
                if child.wait() == 0:
                    continue
                problems += [f"{step}, {room} {unit}: {one}" for one in _refused(child)]
                told.append(f"{step} with {room} {unit}: {_told(child)}")
                problems += [f"{step}, {room} {unit}: {one}" for one in between(shop, step)[1]]
    problems += [] if told else [f"no step wanted more than {rooms[0]} {unit}: nothing was tried"]
    return "; ".join(told), problems + again(shop)


def full_disk(shop: Deployment, server: Server | None) -> tuple[str, list[str]]:
    """Every step on a disk with room for a little more, where one can be mounted, and with no file beyond a size."""
    return _short(shop, (8, 64, 300), "kB", partial(_disk, shop.shop))


@contextlib.contextmanager
def _disk(place: Path, room: int) -> Iterator[Callable[[], None]]:
    """The folder on a disk of its own with so many kB free; without the right to mount, a limit for files."""
    kept = place.with_name("kept")
    mounted = False
    if os.geteuid() == 0:
        place.rename(kept)
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(place)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        if not mounted:
            place.rmdir()
            kept.rename(place)
    if not mounted:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room * 1000, room * 1000))
        return
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", str(place)], check=True)
        there = os.statvfs(place)
        size = (there.f_blocks - there.f_bfree) * there.f_frsize // 1024 + room
        subprocess.run(["mount", "-o", f"remount,size={size}k", str(place)], check=True)
        yield lambda: None
    finally:
        subprocess.run(["mount", "-o", "remount,size=1g", str(place)], check=True)
        subprocess.run(["rm", "-rf", str(kept)], check=True)
        subprocess.run(["cp", "-a", f"{place}/.", str(kept)], check=True)
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
        kept.rename(place)


def no_memory(shop: Deployment, server: Server | None) -> tuple[str, list[str]]:
    """Every step in a control group with a few MB, where the kernel ends what wants more, as it does in a container."""
    return _short(shop, (8, 40, 120), "MB", _group)


@contextlib.contextmanager
def _group(room: int) -> Iterator[Callable[[], None] | None]:
    """What a process calls to have so many MB and no more; None where this machine gives no group."""
    root = Path("/sys/fs/cgroup")
    old = (root / "memory").is_dir()  # version 1
    place = (root / "memory" if old else root) / f"chaos-{os.getpid()}"
    limit = place / ("memory.limit_in_bytes" if old else "memory.max")
    try:
        place.mkdir()
        limit.write_text(str(room << 20))
    except OSError:
        yield None
        return
    try:
        yield lambda: (place / "cgroup.procs").write_text(str(os.getpid())) and None
    finally:
        place.rmdir()


def hanging_source(shop: Deployment, server: Server | None) -> tuple[str, list[str]]:
    """A server that takes the call and never answers."""
    shop.restore("extract")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://reader@127.0.0.1:{silent.getsockname()[1]}/shop"
        changes = ("--set", f"sources.shop.url='{url}'", "--set", "sources.shop.timeout_seconds=2")
        child = shop.start("extract", "--cutoff", SECOND, *changes)
        child.wait(60)
    problems = _refused(child) + between(shop, "extract")[1]
    return _told(child), problems + again(shop)


def mlflow_gone(shop: Deployment, server: Server | None) -> tuple[str, list[str]]:
    """A tracking server that dies while a training is at work."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    for _ in range(5):
        shop.restore("train")
        tracking = _tracking(shop, port)
        try:
            changes = ("--set", f"mlflow.tracking_uri='{uri}'")
            child = shop.start("train", "--cutoff", SECOND, *changes, before=_impatient)
            time.sleep(min(1.0, shop.seconds["train"] / 3))
        finally:
            os.killpg(tracking.pid, signal.SIGKILL)
            tracking.wait()
        if child.wait() != 0:
            break
    problems = _refused(child) + between(shop, "train")[1]
    return _told(child), problems + again(shop)


def _impatient() -> None:
    """MLflow's client tries 7 times over 4 minutes; here once."""
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"


def _tracking(shop: Deployment, port: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", shop.settings.mlflow.tracking_uri, "--artifacts-destination", f"{shop.shop}/artifacts",
    ]  # fmt: skip
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(
        command, env=os.environ | quiet, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(1200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            time.sleep(0.5)
            return process
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    raise TimeoutError("the tracking server did not come up")


Fault = Callable[[Deployment, Server | None], tuple[str, list[str]]]
FAULTS: dict[str, tuple[str, Fault, str | None]] = {  # what it is called, what is done, on which warehouse alone
    "stopped_postgresql": ("PostgreSQL stopped in the middle of a publish", stopped_postgresql, "postgresql"),
    "two_runs": ("two runs of a cutoff at once", two_runs, None),
    "full_disk": ("the disk full", full_disk, "sqlite"),
    "no_memory": ("the memory limit hit", no_memory, "sqlite"),
    "hanging_source": ("a source that hangs", hanging_source, "sqlite"),
    "mlflow_gone": ("MLflow gone in a training", mlflow_gone, "sqlite"),
    "retried_by_airflow": ("PostgreSQL stopped under the DAG forecast", retried_by_airflow, "postgresql"),
}
