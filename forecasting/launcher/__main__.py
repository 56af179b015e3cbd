"""`python -m forecasting.launcher run|ui`: what `make run` and `make ui` call."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from datetime import date
from pathlib import Path

from rich.console import Console

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ForecastingError
from forecasting.launcher.night import run_night
from forecasting.launcher.server import QUIET, LauncherError, airflow


def main(arguments: list[str] | None = None) -> int:
    """0: the night is done. 1: it is not, and why is said. 130: stopped by hand."""
    parser = argparse.ArgumentParser(prog="python -m forecasting.launcher", description=__doc__)
    parser.add_argument("command", choices=["run", "ui"])
    parser.add_argument("--conf", type=Path, default=Path("conf/demo.toml"))
    parser.add_argument("--cutoff", type=date.fromisoformat, help="last day whose sales are known")
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="section.key=value")
    parser.add_argument("--home", type=Path, default=Path("var/airflow"), help="where Airflow keeps its own state")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds until a night counts as stuck")
    chosen = parser.parse_args(arguments)
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    try:
        os.environ.update(_as_environment(chosen.changes))
        settings = configuration.load(chosen.conf)
        return run(chosen, settings, console) if chosen.command == "run" else ui(chosen, settings, console)
    except KeyboardInterrupt:
        console.print("\nStopped. Everything that was started has ended.")
        return 130
    except ForecastingError as error:
        console.print(f"\n{error}", style="red", markup=False, soft_wrap=True)
        return 1


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _as_environment(changes: list[str]) -> dict[str, str]:
    """`--set` for every process that is started: they all read the environment."""
    found = {}
    for change in changes:
        key, _, value = change.partition("=")
        found[configuration.ENVIRONMENT_PREFIX + key.strip().upper().replace(".", "__")] = value.strip()
    return found


def run(chosen: argparse.Namespace, settings: Settings, console: Console) -> int:
    """One night through Airflow."""
    from forecasting.launcher.report import tell
    from forecasting.steps.ingest.demo import tonight

    began = time.monotonic()
    if not (chosen.cutoff or settings.demo):
        raise LauncherError("Say which night to run: --cutoff YYYY-MM-DD, the last day whose sales are known.")
    cutoff = chosen.cutoff or tonight(settings, console.print)
    console.print(f"Night of {cutoff}: starting Airflow (its log: {chosen.home / 'standalone.log'})")
    with airflow(chosen.home, chosen.conf, clock=False) as running:
        console.print(f"Airflow is up after {time.monotonic() - began:.0f} s at {running.url}; DAG by DAG:")
        run_night(running, cutoff, console, chosen.timeout)
    tell(settings, cutoff, console)
    console.print(f"\nDone in {time.monotonic() - began:.0f} s; Airflow has stopped. `make ui` opens it again to look.")
    return 0


def ui(chosen: argparse.Namespace, settings: Settings, console: Console) -> int:
    """Airflow and MLflow over the same stores, until Ctrl-C."""
    from forecasting.launcher.client import Client
    from forecasting.launcher.mlflow import mlflow_server
    from forecasting.launcher.night import CHAIN

    with airflow(chosen.home, chosen.conf, clock=settings.demo is None) as running:
        client = Client(running)
        client.wait_for(CHAIN)
        client.make_pool("training", 1)
        with mlflow_server(settings, chosen.home) as mlflow:
            console.print(f"Airflow  {running.url}   login {running.user} / {running.password}")
            console.print(f"MLflow   {mlflow}")
            console.print("Ctrl-C stops both.")
            while True:
                running.check_alive()
                time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
