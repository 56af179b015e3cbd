"""What a step that did not come to its end leaves behind, and how the next one goes on from there."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import SourceError
from forecasting.sources.demo import database
from forecasting.steps.ingest.extract import extract
from forecasting.steps.run import Run, record
from forecasting.steps.train.train import due, train
from forecasting.storage.registry.registry import Card, Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import BACKTESTS, MODEL_PROMOTIONS
from tests.support.shops import small_shop

FIRST = date(2026, 6, 30)


@pytest.mark.parametrize("how_far", ["registered", "half promoted"])
def test_a_training_that_was_killed_after_its_model_was_registered_is_done_again(tmp_path: Path, how_far: str) -> None:
    cheap = {"train__models": ["seasonal_naive"], "train__blend": False, "train__folds": 1, "train__every_days": 7}
    settings = configuration.load(small_shop(tmp_path, **cheap))
    database.create(settings)
    extract(settings, FIRST, Run("first"))
    train(settings, FIRST, Run("first"))
    second, registry = FIRST + timedelta(days=7), Registry(settings.mlflow)
    for day in range(1, 8):
        database.advance(settings, FIRST + timedelta(days=day))
    facts = extract(settings, second, Run("second"))
    left = registry.log(registry.fetch("1"), Card(second, facts["snapshot"], "d" * 64, tags={"name": "left"}))
    if how_far == "half promoted":
        client = MlflowClient(settings.mlflow.tracking_uri)
        client.set_model_version_tag(settings.mlflow.model, left.version, "promoted", "2026-07-08T03:00:00+00:00")
        client.set_registered_model_alias(settings.mlflow.model, "champion", left.version)
    assert due(settings, second)[0], "a training without an end does not count"
    again = train(settings, second, Run("again"))
    states = {one.version: (one.state, one.promoted) for one in registry.versions()}
    assert states[left.version] == ("rejected", False)
    assert states[again["version"]][0] != ""
    assert registry.champion().version != left.version
    assert registry.champion().version == registry.champion(second).version
    warehouse = Warehouse(settings.warehouse)
    assert left.version not in set(warehouse.read(MODEL_PROMOTIONS)["version"])
    assert set(warehouse.read(BACKTESTS, cutoff=second)["model_version"]) == {again["version"]}
    assert not due(settings, second)[0]


def test_the_error_that_came_first_is_told_where_runs_cannot_be_written_either(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = configuration.load(small_shop(tmp_path))
    (tmp_path / "file").write_text("no folder")
    gone = settings.model_copy(update={"warehouse": WarehouseSettings(url=f"sqlite:///{tmp_path}/file/warehouse.db")})
    with pytest.raises(SourceError, match="the first one"), record(gone, Run("night"), "extract", FIRST):
        raise SourceError("the first one")
    assert "has no row in `runs`" in caplog.text
