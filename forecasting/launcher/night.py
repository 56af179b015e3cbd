"""One night through a running Airflow: triggered, watched task by task, and told about at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from forecasting.launcher.client import Client, TaskState
from forecasting.launcher.server import Airflow, LauncherError

CHAIN = ("extract", "train", "forecast", "monitor")
COLOURS = {"success": "green", "running": "cyan", "failed": "red", "upstream_failed": "red", "up_for_retry": "yellow"}
SHOWN_LINES = 30
FAILED = ("failed", "upstream_failed")


class Watch:
    """Task states as lines: in place on a terminal, one a change elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[tuple[str, str, str, int], str] = {}
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw while the night runs."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=4) as self._live:
            yield

    def update(self, tasks: list[TaskState]) -> None:
        """Show what has changed."""
        visible = [task for task in tasks if task.state not in ("waiting", "skipped")]
        if self._live is not None:
            self._live.update(Group(*(self._line(task) for task in visible)))
            return
        for task in visible:
            key = (task.dag, task.run, task.task, task.index)
            if self._seen.get(key) != task.state and task.state in ("running", "success", "up_for_retry", *FAILED):
                self._console.print(self._line(task), soft_wrap=True)
            self._seen[key] = task.state

    def _line(self, task: TaskState) -> Text:
        line = Text(f"  {task.label:<36} ")
        line.append(f"{task.state:<12}", style=COLOURS.get(task.state, "default"))
        line.append(f"{task.seconds:7.1f} s" if task.seconds else "")
        return line


def run_night(airflow: Airflow, cutoff: date, console: Console, timeout: float) -> None:
    """Trigger `extract` for a cutoff and wait until the DAGs of the chain have ended.

    Raises LauncherError naming the failed task with the end of its log, or what was still under way at the timeout.
    """
    client = Client(airflow)
    client.wait_for(CHAIN)
    client.make_pool("training", 1)
    since = datetime.now(UTC) - timedelta(seconds=1)
    client.trigger("extract", {"cutoff": cutoff.isoformat()})
    watch = Watch(console)
    deadline = time.monotonic() + timeout
    with watch.shown():
        while True:
            airflow.check_alive()
            runs = [(dag, run) for dag in CHAIN for run in client.runs(dag, since)]
            tasks = [task for dag, run in runs for task in client.tasks(dag, run["dag_run_id"])]
            watch.update(tasks)
            _raise_failures(client, runs, tasks)
            if ended(runs):
                return
            if time.monotonic() > deadline:
                busy = ", ".join(task.label for task in tasks if task.state == "running") or "none"
                raise LauncherError(f"The night did not end within {timeout:.0f} s; tasks under way: {busy}.")
            time.sleep(0.5)


def ended(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> bool:
    """Whether the last DAG has done its work, and no other one is still at its own, as at orders beside it."""
    states = {dag: {run["state"] for name, run in runs if name == dag} for dag in CHAIN}
    return "success" in states[CHAIN[-1]] and not any({"queued", "running"} & found for found in states.values())


def _raise_failures(client: Client, runs: list[tuple[str, dict[str, str]]], tasks: list[TaskState]) -> None:
    """A run that has failed fails the night; the task that began it is named."""
    for dag, run in runs:
        if run["state"] != "failed":
            continue
        mine = [task for task in tasks if task.dag == dag and task.run == run["dag_run_id"] and task.state == "failed"]
        first = min(mine, key=lambda task: task.task == "report_failed_training", default=None)
        if first is None:
            raise LauncherError(f"The run of {dag} has failed, and no task of it says why.")
        log = "\n".join(client.log(first).splitlines()[-SHOWN_LINES:])
        raise LauncherError(f"The task {first.label} failed. The end of its log:\n\n{log}")
