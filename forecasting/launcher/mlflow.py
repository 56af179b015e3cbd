"""An MLflow server over the tracking store of this deployment, or the address of the one that there is."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from forecasting.core.config.settings import Settings
from forecasting.launcher.server import QUIET, LauncherError, free_ports, start, stop, tail


@contextlib.contextmanager
def mlflow_server(settings: Settings, home: Path, patience: float = 120) -> Iterator[str]:
    """Serve an embedded store on a free port; its address. A store that has a server of its own is only named."""
    store = settings.mlflow.tracking_uri
    if store.startswith("http"):
        yield store
        return
    with served(store, home / "mlflow.log", patience) as url:
        yield url


@contextlib.contextmanager
def served(store: str, log: Path, patience: float = 120, artifacts: Path | None = None) -> Iterator[str]:
    """An MLflow server in front of a database, on a free port; artifacts: where it keeps those of its clients.

    Its address. Raises LauncherError with the end of its log where it does not answer.
    """
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    kept = ["--artifacts-destination", str(artifacts)] if artifacts else []
    command = [
        str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", store, "--workers", "1", *kept,
    ]  # fmt: skip
    environment = os.environ | QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("wb") as file:
        process = start(command, environment, file)
    try:
        deadline = time.monotonic() + patience
        while True:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{url}/health", timeout=5).ok:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise LauncherError(f"The MLflow server did not start:\n{tail(log, 20)}")
            time.sleep(0.5)
        yield url
    finally:
        stop(process)
