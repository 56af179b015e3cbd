"""A stack of containers of its own: name, ports, secrets, a small shop; and a person who speaks REST to it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import requests

from forecasting.launcher.server import free_ports
from tests.support.shops import ROOT, small_shop

PROJECT, IMAGE = "forecasting-test", "forecasting"
EXPORT = Path(__file__).with_name("export.py")
CHAIN = ("extract", "train", "forecast", "monitor")
PATIENCE = float(os.environ.get("FORECASTING_COMPOSE_PATIENCE", "1200"))  # seconds for one night
# The same numbers wherever they are made: one thread, and no model that gives up when a busy machine takes long.
SHOP = {
    "train__every_days": 1,
    "train__models": ["seasonal_naive", "seasonal_mean", "lightgbm", "arima"],
    "train__arima": {"seconds": 100_000, "max_series": 20},
    "runtime": {"threads": 1},
}


def need_docker() -> None:
    """End the session where there is no Docker: a compose-test that tests nothing must not look green."""
    if shutil.which("docker") is None:
        pytest.exit("make compose-test needs Docker with Compose 2.20 or later; `docker` is not on PATH.", returncode=2)
    for words in (["docker", "info"], ["docker", "compose", "version"]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.exit(f"make compose-test: `{' '.join(words)}` says: {done.stderr.strip()}", returncode=2)


class Stack:
    """The stack, and what is done to it. `env`: its file of secrets. `conf`: folder of its configuration.

    Made with the text of another configuration than the small shop's, and with other variables, where they are given.
    """

    def __init__(self, folder: Path, conf: str = "", **environ: str) -> None:
        self.folder, self.env, self.conf = folder, folder / "stack.env", folder / "conf"
        self.conf.mkdir()
        shop = conf or small_shop(folder, **SHOP).read_text().replace(f"{folder}/", "/app/var/")
        (self.conf / "demo.toml").write_text(shop)
        self.conf.chmod(0o755)
        airflow, mlflow = free_ports(2)
        self.url = f"http://127.0.0.1:{airflow}"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("FORECASTING")} | {
            "COMPOSE_PROJECT_NAME": PROJECT, "COMPOSE_PROFILES": "demo,worker-2",
            "FORECASTING_CONF_FOLDER": str(self.conf), "AIRFLOW_PORT": str(airflow),
            "MLFLOW_PORT": str(mlflow), "FORECASTING_RETRY_SECONDS": "5", **environ,
        }  # fmt: skip

    def make(self, *words: str) -> str:
        """docker/stack.py, which `make up`, `make backup` and their like call; what it printed."""
        command = [sys.executable, str(ROOT / "docker" / "stack.py"), *words, "--env", str(self.env)]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False, timeout=3600)
        assert done.returncode == 0, f"{words}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}\n{self.state()}"
        return done.stdout

    def compose(self, *words: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """`docker compose` on this stack."""
        command = ["docker", "compose", "--project-directory", str(ROOT), "--env-file", str(self.env), *words]
        done = subprocess.run(
            command, env=self.environ, input=stdin, capture_output=True, text=True, check=False, timeout=1800
        )
        assert not check or done.returncode == 0, f"{words}: {done.stderr[-3000:]}"
        return done

    def state(self) -> str:
        """Which containers there are, and the last words of those that are not well."""
        shown = self.compose("ps", "-a", "--format", "{{.Service}} {{.Status}}", check=False).stdout
        ill = [line.split()[0] for line in shown.splitlines() if "unhealthy" in line or "Restarting" in line]
        return shown + "".join(self.compose("logs", "--tail", "30", name, check=False).stdout for name in ill)

    def remove(self) -> None:
        """All of it, its data too; what an earlier session has left as well, whose secrets nobody has any more."""
        # By the project's name, away from its file: that asks for the secrets.
        command = ["docker", "compose", "-p", PROJECT, "down", "--volumes", "--remove-orphans", "--timeout", "5"]
        subprocess.run(command, cwd=self.folder, capture_output=True, check=True, timeout=600)

    def secrets(self) -> dict[str, str]:
        """What nobody may find anywhere."""
        lines = self.env.read_text().splitlines()
        pairs = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        return {name: value for name, value in pairs.items() if len(value) > 15}

    def containers(self, *words: str) -> list[str]:
        """Ids of this stack's containers; -a: those that have ended too."""
        command = [
            "docker",
            "ps",
            "-q",
            "--no-trunc",
            *words,
            "--filter",
            f"label=com.docker.compose.project={PROJECT}",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def psql(
        self, statement: str, user: str = "postgres", database: str = "warehouse"
    ) -> subprocess.CompletedProcess[str]:
        """A statement over TCP, with the user's password."""
        name = "POSTGRES_PASSWORD" if user == "postgres" else f"{user.upper()}_DB_PASSWORD"
        words = ("-h", "127.0.0.1", "-U", user, "-d", database, "-AtXqc", statement)
        return self.compose(
            "exec", "-T", "-e", f"PGPASSWORD={self.secrets()[name]}", "postgres", "psql", *words, check=False
        )

    def tables(self) -> dict[str, list[str]]:
        """The output tables, as `export.py` has them."""
        done = self.compose("exec", "-T", "airflow-api", "python", "-", stdin=EXPORT.read_text())
        return json.loads(done.stdout)

    def single_machine(self, nights: list[str]) -> dict[str, list[str]]:
        """The same nights by the command line of the same image: SQLite, folders, one container without a network."""
        steps = ["python -m forecasting demo >&2"]
        for number, cutoff in enumerate(nights):
            steps += ["python -m forecasting demo --days 1 >&2"] if number else []
            steps.append(f"python -m forecasting run --cutoff {cutoff} >&2")
        script = " && ".join([*steps, "python -"])
        mounts = ["-v", f"{self.conf}:/app/conf:ro", "--tmpfs", "/app/var:uid=1000,gid=1000,mode=0700"]
        command = ["docker", "run", "--rm", "-i", "--network", "none", *mounts, IMAGE, "sh", "-euc", script]
        done = subprocess.run(command, input=EXPORT.read_text(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout)


class Planner:
    """Somebody who is logged in as `planner`, and waits while servers are away."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._token = stack, ""

    def ask(self, method: str, path: str, **words: object) -> dict:
        """One call of Airflow's REST API; again and again while the server is away or has no database."""
        deadline = time.monotonic() + 300
        while True:
            with contextlib.suppress(requests.RequestException):
                if not self._token:
                    login = {"username": "planner", "password": self._stack.secrets()["AIRFLOW_PLANNER_PASSWORD"]}
                    answer = requests.post(f"{self._stack.url}/auth/token", json=login, timeout=30)
                    self._token = answer.json().get("access_token", "") if answer.ok else ""
                headers = {"Authorization": f"Bearer {self._token}"}
                answer = requests.request(
                    method, f"{self._stack.url}/api/v2/{path}", headers=headers, timeout=30, **words
                )
                if answer.status_code < 500:
                    assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
                    return answer.json()
            assert time.monotonic() < deadline, f"{method} {path}: no answer\n{self._stack.state()}"
            time.sleep(1)

    def trigger(self, dag: str = "extract", **conf: str) -> datetime:
        """A run, of `extract` the demo's next night; when it was queued."""
        run = self.ask("POST", f"dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf})
        return datetime.fromisoformat(run["queued_at"])

    def tasks(self, since: datetime) -> dict[str, dict]:
        """Task instances of the night, by `dag.task`; of mapped ones the last."""
        found = {}
        for dag in CHAIN:
            for run in self.ask("GET", f"dags/{dag}/dagRuns", params={"order_by": "-id", "limit": 3})["dag_runs"]:
                if run["queued_at"] and datetime.fromisoformat(run["queued_at"]) >= since:
                    there = self.ask("GET", f"dags/{dag}/dagRuns/{run['dag_run_id']}/taskInstances")
                    found |= {f"{dag}.{one['task_id']}": one | {"run": run} for one in there["task_instances"]}
        return found

    def until(self, since: datetime, what: str, there: Callable[[dict[str, dict]], object]) -> dict[str, dict]:
        """Wait for something of the night; its tasks then."""
        deadline = time.monotonic() + PATIENCE
        while True:
            tasks = self.tasks(since)
            if there(tasks):
                return tasks
            states = {name: one["state"] for name, one in tasks.items()}
            assert "failed" not in states.values(), f"{what}: {states}"
            assert time.monotonic() < deadline, f"{what}: {states}\n{self._stack.state()}"
            time.sleep(0.5)

    def until_done(self, since: datetime) -> dict[str, dict]:
        """Wait for the end of the night."""
        last = ("monitor.remove_what_is_old", "monitor.write_report")

        def over(tasks: dict[str, dict]) -> bool:
            return all(tasks.get(name, {}).get("state") == "success" for name in last)

        return self.until(since, "the night's end", over)
