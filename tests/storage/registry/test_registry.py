import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from mlflow import MlflowClient

from forecasting import models
from forecasting.core.config.sections import MlflowSettings
from forecasting.core.errors import ArtifactError, StoreError
from forecasting.core.frequency import Frequency
from forecasting.models.baselines import SeasonalNaive
from forecasting.panel.panel import Panel
from forecasting.storage.registry.registry import Card, Registry

PERIODS = pd.date_range("2026-06-01", periods=28, unit="s")
WEEK = np.arange(1.0, 8.0)


@pytest.fixture(scope="module")
def created(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A new tracking database, in a folder that was not there and with a space, and what its making printed."""
    database = tmp_path_factory.mktemp("ml flow") / "deep" / "mlflow.db"
    code = (
        "import sys; from forecasting.core.config.settings import MlflowSettings;"
        "from forecasting.storage.registry.registry import Registry;"
        "print(Registry(MlflowSettings(tracking_uri=sys.argv[1])).champion())"
    )
    command = [sys.executable, "-c", code, f"sqlite:///{database}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    shutil.copy(database, database.with_name("empty.db"))
    return database, done


@pytest.fixture(scope="module")
def embedded(created) -> MlflowSettings:
    """The new database, with its artifacts beside it."""
    database, _ = created
    return MlflowSettings(tracking_uri=f"sqlite:///{database}", artifacts=str(database.parent / "artifacts"))


@pytest.fixture
def settings(embedded, request) -> MlflowSettings:
    """The same database, with an experiment and a model of the test's own: making a database takes seconds."""
    return embedded.model_copy(update={"experiment": request.node.name, "model": request.node.name})


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """Seasonal naive, fitted on four weeks that each go 1, 2, ... 7."""
    panel = Panel(
        y=np.tile(WEEK, 4)[None, :].astype(np.float32),
        periods=PERIODS,
        series=pd.DataFrame({"unique_id": ["a_1"]}),
        frequency=Frequency("D"),
        snapshot="sales@12",
    )
    folder = tmp_path_factory.mktemp("model") / "fitted"
    models.save(SeasonalNaive().fit(panel, 28), folder)
    return folder


def card(cutoff: str = "2026-06-28", name: str = "seasonal_naive", **changes) -> Card:
    return Card(
        cutoff=date.fromisoformat(cutoff),
        snapshot="sales@12",
        snapshot_digest="ab" * 32,
        tags={"name": name, "code": "0.1.0+abc", "settings": "d1"},
        **changes,
    )


def test_a_logged_version_can_be_promoted_found_and_fetched(settings, model_folder):
    registry = Registry(settings)
    assert registry.champion() is None
    made = registry.log(model_folder, card(metrics={"backtest_wrmsse": 0.7}))
    assert (made.version, made.cutoff, made.name) == ("1", date(2026, 6, 28), "seasonal_naive")
    assert registry.champion() is None, "logged is not promoted"
    registry.promote("1", "first champion")
    champion = registry.champion()
    assert (champion.version, champion.metrics, champion.promoted) == ("1", {"backtest_wrmsse": 0.7}, True)
    assert champion.tags["promoted_reason"] == "first champion"
    fetched = registry.fetch("1")
    assert (fetched / "model.json").read_text() == (model_folder / "model.json").read_text()
    assert isinstance(models.load(fetched), SeasonalNaive)
    assert not (model_folder / "manifest.json").exists(), "the caller's folder is left as it was"


def test_a_run_keeps_what_was_said_of_it(settings, model_folder, tmp_path):
    figure = Figure()
    figure.subplots().plot([1, 2])
    many = {f"p{i}": i for i in range(150)}
    said = card(
        params={"train": {"seed": 7, "lightgbm": {"trees": 400}}, "long": "x" * 7000, "many": many},
        metrics={"wape_state|department": 0.25},
        tables={"backtest": pd.DataFrame({"fold": ["2026-05-31"], "value": [0.7]})},
        figures={"importance": figure},
    )
    Registry(settings).log(model_folder, said)
    client = MlflowClient(settings.tracking_uri)
    experiment = client.get_experiment_by_name(settings.experiment)
    assert experiment.artifact_location.startswith(Path(settings.artifacts).as_uri())
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["train.lightgbm.trees"] == "400"
    assert run.data.params["many.p149"] == "149"
    assert len(run.data.params["long"]) == 6000
    assert run.data.metrics == {"wape_state_department": 0.25}
    assert {"cutoff": "2026-06-28", "snapshot": "sales@12", "code": "0.1.0+abc"}.items() <= run.data.tags.items()
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("sales@12", ("ab" * 32)[:36])
    assert {entry.path for entry in client.list_artifacts(run.info.run_id, "figures")} == {"figures/importance.png"}
    table = client.download_artifacts(run.info.run_id, "tables/backtest.csv", str(tmp_path))
    assert pd.read_csv(table).to_dict("records") == [{"fold": "2026-05-31", "value": 0.7}]


@pytest.mark.parametrize("kind", ["sqlite", "server"])
def test_data_set_run_model_and_version_lead_to_each_other(settings, model_folder, kind, request, own_cache):
    if kind == "server":
        server = request.getfixturevalue("mlflow_server")
        settings = settings.model_copy(update={"tracking_uri": server.address, "experiment": "linked"})
    said = card(source="s3://lake/sales", params={"train": {"seed": 7}}, metrics={"backtest_wrmsse": 0.7})
    Registry(settings).log(model_folder, said)
    client = MlflowClient(settings.tracking_uri, registry_uri=settings.tracking_uri)
    version = client.get_model_version(settings.model, "1")
    assert version.source.startswith("models:/m-")  # what MLflow's page of a version links to its model by
    run, model = client.get_run(version.run_id), client.get_logged_model(version.source.removeprefix("models:/"))
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("sales@12", ("ab" * 32)[:36])
    assert {tag.key: tag.value for tag in data.tags} == {"mlflow.data.context": "training"}
    source = mlflow.data.get_source(data.dataset)  # as any client of MLflow finds the table
    assert source.to_dict() == {"path": "s3://lake/sales", "delta_table_version": 12}
    assert json.loads(data.dataset.source)["sha256"] == "ab" * 32
    assert [column["name"] for column in json.loads(data.dataset.schema)["mlflow_colspec"]] == [
        "item", "store", "ds", "y"
    ]  # fmt: skip
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert model.source_run_id == run.info.run_id
    assert model.params["train.seed"] == "7"
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": settings.model, "version": 1}]
    told = {(one.key, one.value, one.dataset_name, one.dataset_digest, one.run_id) for one in model.metrics}
    assert told == {("backtest_wrmsse", 0.7, "sales@12", data.dataset.digest, run.info.run_id)}
    assert run.data.metrics == {"backtest_wrmsse": 0.7}
    found = client.search_logged_models(
        [run.info.experiment_id], datasets=[{"dataset_name": "sales@12", "dataset_digest": data.dataset.digest}]
    )
    assert [one.model_id for one in found] == [model.model_id]


def test_a_past_cutoff_finds_the_version_of_its_time(settings, model_folder):
    registry = Registry(settings)
    for cutoff in ("2026-06-07", "2026-06-21", "2026-06-14", "2026-06-28"):
        registry.log(model_folder, card(cutoff))
    for version in ("1", "2", "3"):
        registry.promote(version, "better")
    found = {day: registry.champion(date(2026, 6, day)) for day in (6, 7, 13, 14, 20, 21, 30)}
    assert {day: version and version.version for day, version in found.items()} == {
        6: None,
        7: "1",
        13: "1",
        14: "3",
        20: "3",
        21: "2",
        30: "2",
    }
    assert registry.champion().version == "2", "promoting the older-trained version 3 leaves today's champion alone"
    assert [version.version for version in registry.versions()] == ["4", "3", "2", "1"]


def test_of_two_trained_at_the_same_cutoff_the_later_version_counts(settings, model_folder):
    registry = Registry(settings)
    for version in ("1", "2"):
        registry.log(model_folder, card())
        registry.promote(version, "better")
    assert registry.champion(date(2026, 6, 28)).version == registry.champion().version == "2"


def test_no_file_of_a_version_is_a_pickle(settings, model_folder):
    registry = Registry(settings)
    registry.log(model_folder, card())
    version_folder = registry.fetch("1").parent.parent
    names = [path.relative_to(version_folder).as_posix() for path in version_folder.rglob("*") if path.is_file()]
    assert {
        "MLmodel",
        "mlflow_pyfunc.py",
        "artifacts/model/manifest.json",
        "code/forecasting/models/baselines.py",
    } <= set(names)
    assert [name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".pyc"))] == []
    described = yaml.safe_load((version_folder / "MLmodel").read_text())["flavors"]["python_function"]
    assert Path(described["model_code_path"]).name == "mlflow_pyfunc.py"
    assert "python_model" not in described, "no serialized object"


@pytest.mark.parametrize("harm", ["alter", "truncate", "remove", "add", "drop a pickle", "rewrite the manifest"])
def test_a_tampered_version_is_not_loaded(settings, model_folder, harm):
    registry = Registry(settings)
    registry.log(model_folder, card())
    folder = registry.fetch("1")
    path = folder / "model.json"
    if harm == "alter":
        path.write_text(path.read_text().replace("naive", "nasty"))
    elif harm == "truncate":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "remove":
        path.unlink()
    elif harm == "add":
        (folder / "more.json").write_text("{}")
    elif harm == "drop a pickle":
        (folder.parent.parent / "python_model.pkl").write_bytes(b"\x80\x04.")
    else:
        path.write_text("{}")
        from forecasting.storage.registry.manifest import write_manifest

        write_manifest(folder)
    with pytest.raises(ArtifactError, match="Nothing was loaded"):
        registry.fetch("1")


def test_a_folder_with_a_pickle_is_not_registered(settings, tmp_path):
    (tmp_path / "model.pkl").write_text("x")
    with pytest.raises(ArtifactError, match=r"model\.pkl"):
        Registry(settings).log(tmp_path, card())
    assert Registry(settings).versions() == []


def test_a_version_that_is_not_there_is_named(settings, model_folder):
    Registry(settings).log(model_folder, card())
    with pytest.raises(StoreError, match="7"):
        Registry(settings).promote("7", "no reason")
    with pytest.raises(StoreError, match="7"):
        Registry(settings).fetch("7")


def test_a_store_that_cannot_be_opened_is_an_error_without_the_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = MlflowSettings(tracking_uri="http://planner:hush@127.0.0.1:1")
    with pytest.raises(StoreError, match=r"registry at http://127\.0\.0\.1:1 ") as raised:
        Registry(settings).champion()
    assert "hush" not in str(raised.value)


def test_a_new_database_says_nothing(created):
    _, done = created
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")


def test_the_pyfunc_forecasts_from_history(settings, model_folder):
    Registry(settings).log(model_folder, card())
    history = pd.DataFrame({"unique_id": "a_1", "ds": PERIODS, "y": np.tile(WEEK, 4)})
    forecast = pyfunc(settings).predict(history, params={"horizon": 9})
    assert list(forecast["mean"]) == [*WEEK, 1.0, 2.0]
    assert forecast["ds"].iloc[0] == pd.Timestamp("2026-06-29")
    assert {"p05", "p50", "p95", "status"} <= set(forecast.columns)


def test_a_real_server_serves_the_same_registry(model_folder, mlflow_server, own_cache):
    settings = MlflowSettings(tracking_uri=mlflow_server.address, experiment="served", model="served")
    registry = Registry(settings)
    registry.log(model_folder, card(tables={"backtest": pd.DataFrame({"value": [1.0]})}))
    registry.promote("1", "first champion")
    assert registry.champion(date(2026, 7, 1)).version == "1"
    first, again = registry.fetch("1"), Registry(settings).fetch("1")
    assert first == again, "downloaded once"
    assert isinstance(models.load(first), SeasonalNaive)
    (first / "model.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"altered: model\.json"):
        registry.fetch("1")


def pyfunc(settings: MlflowSettings):
    """Loaded as any client of MLflow would, without this system's registry."""
    before, path = mlflow.get_tracking_uri(), list(sys.path)
    mlflow.set_tracking_uri(settings.tracking_uri)
    try:
        return mlflow.pyfunc.load_model(f"models:/{settings.model}/1")
    finally:
        mlflow.set_tracking_uri(before)
        sys.path[:] = path
