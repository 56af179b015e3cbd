"""An MLflow server of our own: HTTP in front of its own database, artifacts served by it too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from forecasting.core.config.sections import MlflowSettings
from forecasting.launcher.mlflow import served


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
    kept = folder / "kept"
    with served(f"sqlite:///{folder}/server.db", folder / "server.log", artifacts=kept) as address:
        yield MlflowServer(address, kept)
