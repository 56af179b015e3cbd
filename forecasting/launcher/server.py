"""A whole Airflow (standalone, LocalExecutor, SQLite) on free ports of this machine, and its certain end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import IO

import psutil
import requests

from forecasting.core.errors import ForecastingError

USER = "admin"
PACKAGE = Path(__file__).parents[1]  # what is started imports the code that starts it
NOBODY_ELSE: Mapping[str, str] = MappingProxyType({})
QUIET = {
    # Nothing that runs here tells anybody outside about it.
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SCARF_ANALYTICS": "false",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}


class LauncherError(ForecastingError):
    """Airflow did not start, or the night did not end well."""


@dataclass(frozen=True)
class Airflow:
    """A running Airflow: its address, login and process."""

    url: str
    user: str
    password: str
    home: Path
    process: subprocess.Popen[bytes]

    def check_alive(self) -> None:
        """Raise LauncherError with the end of the log where the process has died."""
        if self.process.poll() is not None:
            raise LauncherError(f"Airflow ended by itself (exit code {self.process.returncode}):\n{tail(self.log, 30)}")

    @property
    def log(self) -> Path:
        """What all of its parts print."""
        return self.home / "standalone.log"


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Refuse a second Airflow over the same home. Raises LauncherError."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LauncherError(
                f"Another Airflow is running over {home} (make run or make ui): wait for it or stop it with Ctrl-C."
            ) from None
        yield


@contextlib.contextmanager
def airflow(
    home: Path, conf: Path, clock: bool, patience: float = 180, users: Mapping[str, str] = NOBODY_ELSE
) -> Iterator[Airflow]:
    """Start Airflow over `home` for the configuration, wait until it is healthy, stop it at the end whatever happens.

    clock: whether nights also start by their schedule. users: role (viewer, user, op, admin) by name, beside the
    administrator; their passwords are in passwords.json. Raises LauncherError where it does not become healthy.
    """
    with only_one(home):
        api, worker_logs, trigger_logs = free_ports(3)
        passwords = _passwords(home, [USER, *users])
        url = f"http://127.0.0.1:{api}"
        environment = os.environ | QUIET | _settings(home, url, (api, worker_logs, trigger_logs))
        roles = ",".join(f"{name}:{role}" for name, role in {USER: "admin", **users}.items())
        environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = roles
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"  # standalone asks it
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PACKAGE.parent), environment.get("PYTHONPATH")]))
        environment |= {"FORECASTING_CONF": str(conf.resolve()), "FORECASTING_SCHEDULE": "on" if clock else "off"}
        with (home / "standalone.log").open("wb") as log:
            process = start([str(Path(sys.executable).with_name("airflow")), "standalone"], environment, log)
        running = Airflow(url, USER, passwords[USER], home, process)
        try:
            _wait_healthy(running, patience)
            yield running
        finally:
            stop(process)


def start(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own that hears Ctrl-C only from us."""
    return subprocess.Popen(
        list(command), env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        start_new_session=True, preexec_fn=_hear_interrupts,  # noqa: PLW1509 (no threads are running yet)
    )  # fmt: skip


def _hear_interrupts() -> None:
    """A child of a background shell would ignore SIGINT, which is how Airflow stops in order."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def stop(process: subprocess.Popen[bytes], patience: float = 15) -> None:
    """Ask the process to end, then end whatever is left of its session."""
    family = _session(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    left = [one for one in {*family, *_session(process.pid)} if one.is_running()]
    for one in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    _, stubborn = psutil.wait_procs(left, timeout=3)
    for one in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(stubborn, timeout=5)
    process.wait(5)


def _session(leader: int) -> list[psutil.Process]:
    """All processes of the session, children that were adopted by others too."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.Error, PermissionError):
            if os.getsid(one.pid) == leader:
                found.append(one)
    return found


def tail(file: Path, lines: int) -> str:
    """The end of a text file."""
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


def _passwords(home: Path, users: Sequence[str]) -> dict[str, str]:
    """A password for each: made at the first start, readable for the owner of the file alone."""
    file = home / "passwords.json"
    known: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    missing = [name for name in users if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(12) for name in missing}
        file.touch(mode=0o600)
        file.write_text(json.dumps(known), encoding="utf-8")
    return known


def _dags() -> Path:
    """The folder of the DAG files: of the checkout, or in the working directory where the package was installed."""
    places = (Path(__file__).parents[2] / "dags", Path("dags").resolve())
    for place in places:
        if (place / "extract.py").is_file():
            return place
    raise LauncherError(
        f"No DAG files at {places[0]} nor {places[1]}. Start it where the folder dags of the source archive lies."
    )


def _plugins() -> dict[str, str]:
    """Where the planner's page is found, in an environment that was built before it had its entry point."""
    if any(one.name == "forecasts" for one in entry_points(group="airflow.plugins")):
        return {}
    return {"AIRFLOW__CORE__PLUGINS_FOLDER": str(PACKAGE / "web" / "airflow_plugins")}


def _settings(home: Path, url: str, ports: tuple[int, int, int]) -> dict[str, str]:
    """Airflow's configuration as environment."""
    bundle = {
        "name": "dags",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(_dags())},
    }
    return {
        "AIRFLOW_HOME": str(home.resolve()),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str((home / "passwords.json").resolve()),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home.resolve()}/airflow.db",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(ports[0]),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports[1]),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports[2]),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        # Idle OpenMP threads that spin make two trainings on two cores five times slower.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONWARNINGS": "ignore",
    } | _plugins()


def _wait_healthy(running: Airflow, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        running.check_alive()
        with contextlib.suppress(requests.RequestException, ValueError):
            health = requests.get(f"{running.url}/api/v2/monitor/health", timeout=5).json()
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            if all(health.get(part, {}).get("status") == "healthy" for part in parts):
                return
        time.sleep(0.5)
    raise LauncherError(f"Airflow was not healthy after {patience:.0f} s:\n{tail(running.log, 30)}")
