"""Airflow's REST API, as far as a night needs it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from forecasting.launcher.server import Airflow, LauncherError


@dataclass(frozen=True)
class TaskState:
    """One task of one DAG run, as a person reads it."""

    dag: str
    run: str
    task: str
    state: str
    seconds: float
    tries: int
    index: int

    @property
    def label(self) -> str:
        """`forecast.forecast_series [3]`."""
        return f"{self.dag}.{self.task}" + (f" [{self.index}]" if self.index >= 0 else "")


class Client:
    """Calls as the administrator of a running Airflow."""

    def __init__(self, airflow: Airflow) -> None:
        self._airflow = airflow
        self._session = requests.Session()
        # A busy machine takes long to answer, and SQLite may be locked for a moment: what only reads is asked again.
        retry = Retry(total=5, backoff_factor=0.5, status_forcelist=[500], allowed_methods=["GET"])
        self._session.mount(airflow.url, HTTPAdapter(max_retries=retry))
        login = {"username": airflow.user, "password": airflow.password}
        answer = requests.post(f"{airflow.url}/auth/token", json=login, timeout=30)
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def wait_for(self, dags: tuple[str, ...], patience: float = 90) -> None:
        """Wait until the DAGs can be triggered. Raises LauncherError naming what their files say."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            self._airflow.check_alive()
            there = {dag["dag_id"] for dag in self._get("dags")["dags"]}
            if there.issuperset(dags):
                return
            broken = self._get("importErrors")["import_errors"]
            if broken:
                raise LauncherError(f"{broken[0]['filename']} cannot be imported:\n{broken[0]['stack_trace'][-2000:]}")
            time.sleep(0.5)
        raise LauncherError(f"Airflow has not found the DAGs {', '.join(dags)} within {patience:.0f} s.")

    def make_pool(self, name: str, slots: int) -> None:
        """Create a pool where there is none of this name."""
        if name not in {pool["name"] for pool in self._get("pools")["pools"]}:
            self._call("POST", "pools", {"name": name, "slots": slots, "include_deferred": False})

    def trigger(self, dag: str, conf: dict[str, Any]) -> str:
        """Start a run; its id."""
        return str(self._call("POST", f"dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def runs(self, dag: str, since: datetime) -> list[dict[str, Any]]:
        """Runs that were queued from a moment on, oldest first."""
        found = self._get(f"dags/{dag}/dagRuns", order_by="-id", limit=20)["dag_runs"]
        fresh = [run for run in found if run["queued_at"] and datetime.fromisoformat(run["queued_at"]) >= since]
        return fresh[::-1]

    def tasks(self, dag: str, run: str) -> list[TaskState]:
        """All task instances of a run."""
        found = self._get(f"dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances", limit=200)
        return [
            TaskState(
                dag, run, one["task_id"], one["state"] or "waiting", _seconds(one), one["try_number"], one["map_index"]
            )
            for one in found["task_instances"]
        ]

    def log(self, task: TaskState) -> str:
        """What a task's last try printed."""
        run = quote(task.run, safe="")
        path = f"dags/{task.dag}/dagRuns/{run}/taskInstances/{task.task}/logs/{max(task.tries, 1)}"
        content = self._get(path, map_index=task.index, full_content="true")["content"]
        return "\n".join(line for part in content for line in _lines(part))

    def _get(self, path: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer = self._session.get(f"{self._airflow.url}/api/v2/{path}", params=parameters, timeout=30)
            answer.raise_for_status()
        except (requests.ConnectionError, requests.exceptions.RetryError) as error:
            self._airflow.check_alive()
            raise LauncherError(f"Airflow did not answer GET {path}; its log is {self._airflow.log}: {error}") from None
        content: dict[str, Any] = answer.json()
        return content

    def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._session.request(method, f"{self._airflow.url}/api/v2/{path}", json=body, timeout=30)
        if not answer.ok:
            raise LauncherError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:500]}")
        content: dict[str, Any] = answer.json()
        return content


def _seconds(instance: dict[str, Any]) -> float:
    if instance["duration"]:
        return float(instance["duration"])
    with contextlib.suppress(TypeError, ValueError):
        return (datetime.now(UTC) - datetime.fromisoformat(instance["start_date"])).total_seconds()
    return 0.0


def _lines(part: Any) -> list[str]:
    """A log entry of any of the API's shapes as text, an error with its traceback."""
    if not isinstance(part, dict):
        return [str(part)]
    lines = [str(part.get("event", ""))]
    for error in part.get("error_detail") or []:
        lines += [f"  {frame['filename']}:{frame['lineno']} {frame['name']}" for frame in error.get("frames", [])[-6:]]
        lines.append(f"{error.get('exc_type')}: {error.get('exc_value')}")
    return lines
