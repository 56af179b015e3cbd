"""An MLflow server of our own: HTTP in front of its own database, artifacts served by it too."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from forecasting.launcher.server import QUIET, free_ports, start, stop, tail
from forecasting.sections import MlflowSettings

PATIENCE = 120  # seconds until it must answer


@dataclass(frozen=True)
class MlflowServer:
    """A running server: its address, and the folder that it keeps artifacts in."""

    address: str
    kept: Path

    def folder(self, settings: MlflowSettings, version: str) -> Path:
        """Where, at the server, the model of a registered version lies."""
        from mlflow import MlflowClient

        client = MlflowClient(self.address, registry_uri=self.address)
        uri = client.get_model_version_download_uri(settings.model, version)
        return self.kept / uri.removeprefix("mlflow-artifacts:/") / "artifacts" / "model"


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    """Start one on a free port; its whole family of processes is ended afterwards."""
    (port,), kept, log = free_ports(1), folder / "kept", folder / "server.log"
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(kept),
    ]  # fmt: skip
    environment = os.environ | QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("wb") as output:
        process = start(command, environment, output)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the MLflow server did not start:\n{tail(log, 30)}")
            time.sleep(0.25)
        yield MlflowServer(address, kept)
    finally:
        stop(process)
