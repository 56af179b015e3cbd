"""What one training leaves in MLflow: parameters, metrics, tables, figures, data, and the model as a pyfunc folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import Model, ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS
from mlflow.utils.validation import MAX_DATASET_DIGEST_SIZE, MAX_PARAM_VAL_LENGTH, MAX_PARAMS_TAGS_PER_BATCH

import forecasting
from forecasting.core.config.sections import MlflowSettings
from forecasting.storage.lake.commits import version_of
from forecasting.storage.registry.manifest import write_manifest
from forecasting.tables.lake import SALES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL_FOLDER = "artifacts/model"  # where, in a version's folder, the model itself lies
PACKAGE = Path(forecasting.__file__).parent
SCRIPT = PACKAGE / "steps" / "train" / "mlflow_pyfunc.py"
REQUIREMENTS = ("lightgbm", "mlflow", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "statsmodels")
NUMBERS = ("mean", "p05", "p10", "p25", "p50", "p75", "p90", "p95")


@dataclass(frozen=True)
class Card:
    """What a training says of its model.

    cutoff: last day that it learnt from. snapshot, snapshot_digest: the data's version and SHA-256. source: address of
    the table that it is a version of. params: settings, nested as they like. metrics: by name. tables and figures: kept
    beside the run as CSV and PNG, by name without suffix. tags: `name` is what people call the model.
    """

    cutoff: date
    snapshot: str
    snapshot_digest: str
    source: str = "sales"
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call the model."""
        return self.tags.get("name", "model")


def experiment(client: MlflowClient, settings: MlflowSettings) -> str:
    """Id of the experiment, made where it is missing; an embedded store's artifacts go to the folder set."""
    name, place = settings.experiment, settings.artifacts
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    if settings.tracking_uri.startswith(("http://", "https://")) or place is None:
        return str(client.create_experiment(name))
    return str(client.create_experiment(name, place if "://" in place else Path(place).absolute().as_uri()))


def remove(client: MlflowClient, made: ModelVersion) -> None:
    """Delete what a version leaves once it is out of the registry: the logged model, the run, and their files.

    MLflow keeps the rows of both, marked as deleted, until `mlflow gc`.
    """
    if not made.run_id:
        return
    run = client.get_run(made.run_id)
    models = [one.model_id for one in run.outputs.model_outputs] if run.outputs else []
    places = [client.get_logged_model(model).artifact_location for model in models]
    for place in [*places, run.info.artifact_uri]:
        get_artifact_repository(place, tracking_uri=client.tracking_uri).delete_artifacts()  # type: ignore[no-untyped-call]
    for model in models:
        client.delete_logged_model(model)
    client.delete_run(made.run_id)


def describe(client: MlflowClient, run_id: str, card: Card) -> None:
    """Log everything of the card but the model and its metrics."""
    params = [Param(key, value) for key, value in _flat(card.params)]
    for start in range(0, len(params), MAX_PARAMS_TAGS_PER_BATCH):
        client.log_batch(run_id, params=params[start : start + MAX_PARAMS_TAGS_PER_BATCH])
    tags = {**card.tags, "cutoff": card.cutoff.isoformat(), "snapshot": card.snapshot}
    client.log_batch(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])
    client.log_inputs(run_id, [DatasetInput(_dataset(card), [InputTag("mlflow.data.context", "training")])])
    for name, figure in card.figures.items():
        client.log_figure(run_id, figure, f"figures/{name}.png")
    with tempfile.TemporaryDirectory(prefix="tables-") as place:
        for name, table in card.tables.items():
            path = Path(place) / f"{name}.csv"
            table.to_csv(path, index=False)
            client.log_artifact(run_id, str(path), "tables")


def log_model(client: MlflowClient, run_id: str, folder: Path, card: Card) -> tuple[LoggedModel, str]:
    """Log the folder as a pyfunc of the run; returns the logged model and the digest of its manifest.

    The pyfunc is made of a script and this package's code ("models from code"), never of a serialized object.
    """
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(
        experiment, name="model", source_run_id=run_id, model_type="forecaster", params=dict(_flat(card.params))
    )
    _log_metrics(client, run_id, logged.model_id, card)
    with tempfile.TemporaryDirectory(prefix="pyfunc-") as place:
        source, package, target = Path(place) / "model", Path(place) / "forecasting", Path(place) / "pyfunc"
        shutil.copytree(folder, source)
        digest = write_manifest(source)
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        _save_pyfunc(
            path=target,
            python_model=str(SCRIPT),
            artifacts={"model": str(source)},
            code_paths=[str(package)],
            signature=_signature(),
            pip_requirements=[f"{name}=={installed(name)}" for name in REQUIREMENTS],
            model_config=_defaults(card),
            mlflow_model=Model(run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id),
        )
        client.log_model_artifacts(logged.model_id, str(target))
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY), digest


def register(client: MlflowClient, name: str, logged: LoggedModel, tags: Mapping[str, str]) -> ModelVersion:
    """Make the logged model a version of the registered one, each leading to the other in MLflow."""
    source = f"models:/{logged.model_id}"
    with _tracking_at(client.tracking_uri):
        made = client.create_model_version(name, source, logged.source_run_id, dict(tags), model_id=logged.model_id)
    if MLFLOW_MODEL_VERSIONS not in client.get_logged_model(logged.model_id).tags:  # a server has seen to that
        versions = json.dumps([{"name": made.name, "version": int(made.version)}])
        client.set_logged_model_tags(logged.model_id, {MLFLOW_MODEL_VERSIONS: versions})
    return made


@contextmanager
def _tracking_at(uri: str) -> Iterator[None]:
    """An embedded registry looks for logged models at the address of the process, not at that of its client."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None: as if never set


def _log_metrics(client: MlflowClient, run_id: str, model_id: str, card: Card) -> None:
    """Of the run, and of the model on its data set: MLflow finds a model's data sets by its metrics."""
    data, now = _dataset(card), int(time.time() * 1000)
    metrics = [
        Metric(_key(name), float(value), now, 0, model_id, data.name, data.digest, run_id)
        for name, value in card.metrics.items()
    ]
    client.log_batch(run_id, metrics=metrics)


def _save_pyfunc(**arguments: Any) -> None:
    """MLflow's save_model, without what it warns of: a type hint of its own, and that no input example is given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(**arguments)


def _signature() -> ModelSignature:
    """Results and parameters; no inputs, since attributes and covariates are the business's own columns."""
    names = ["unique_id", "ds", *NUMBERS, "status", "reason"]
    kinds = {"ds": DataType.datetime, **dict.fromkeys(NUMBERS, DataType.double)}
    outputs = Schema([ColSpec(kinds.get(name, DataType.string), name) for name in names])
    # Empty or 0 = as the model was trained: MLflow has no optional parameter without a default.
    params = ParamSchema([ParamSpec("horizon", DataType.long, 0), ParamSpec("frequency", DataType.string, "")])
    return ModelSignature(outputs=outputs, params=params)


def _defaults(card: Card) -> dict[str, Any]:
    panel = card.params.get("panel", {})
    return {
        "horizon": panel.get("horizon", 28),
        "frequency": panel.get("frequency", "D"),
        "levels": list(panel.get("levels", ())),
        "snapshot": card.snapshot,
    }


def _dataset(card: Card) -> Dataset:
    """The snapshot: a version of a Delta table, as MLflow's own readers find it."""
    source = {
        "path": card.source, "delta_table_version": version_of(card.snapshot), "snapshot": card.snapshot,
        "cutoff": card.cutoff.isoformat(), "sha256": card.snapshot_digest,
    }  # fmt: skip
    kinds = {"text": DataType.string, "date": DataType.datetime, "number": DataType.double}
    schema = Schema([ColSpec(kinds[column.kind], name) for name, column in SALES.columns.items()])
    return Dataset(
        name=card.snapshot,
        digest=card.snapshot_digest[:MAX_DATASET_DIGEST_SIZE],
        source_type="delta_table",
        source=json.dumps(source),
        schema=json.dumps({"mlflow_colspec": schema.to_dict()}),
    )


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield _key(f"{prefix}{name}"), str(value)[:MAX_PARAM_VAL_LENGTH]


def _key(name: str) -> str:
    """A name with the characters that MLflow allows."""
    return re.sub(r"[^\w\-./: ]", "_", name)


def without_login(uri: str, message: str) -> str:
    """The message with user and password of the URI taken out."""
    parsed = urlparse(uri)
    message = message.replace(f"{parsed.netloc.rpartition('@')[0]}@", "") if "@" in parsed.netloc else message
    return message.replace(parsed.password, "***") if parsed.password else message


def local_path(uri: str) -> Path | None:
    """The path of an artifact place on this machine, None for any other."""
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path))
    return Path(uri) if not parsed.scheme else None
