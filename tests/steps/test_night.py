"""The steps after `extract`, on SQLite and on PostgreSQL: run twice, with one model, and without any."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import PublishError, SettingsError
from forecasting.steps.forecast import forecast as forecasting_step
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.monitor import monitor
from forecasting.steps.run import Run
from forecasting.steps.train.train import due, train
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import (
    BACKTESTS,
    FORECAST_LEVELS,
    FORECAST_SUMS,
    FORECASTS,
    LOST_DEMAND,
    RUNS,
    SCORES,
    SERIES_SCORES,
)
from tests.support.shops import small_shop


@pytest.fixture
def settings(tmp_path: Path, warehouse_settings: WarehouseSettings) -> Settings:
    path = small_shop(tmp_path, train__models=["seasonal_naive", "seasonal_mean"])
    return configuration.load(path).model_copy(update={"warehouse": warehouse_settings})


def forecast(settings: Settings, cutoff: date, run: str = "night") -> dict:
    for shard in forecasting_step.plan(settings, cutoff):
        forecasting_step.predict(settings, cutoff, shard, Run(run))
    return forecasting_step.publish(settings, cutoff, Run(run))


def night(settings: Settings, cutoff: date, run: str = "night") -> None:
    extract(settings, cutoff, Run(run))
    if due(settings, cutoff)[0]:
        train(settings, cutoff, Run(run))
    forecast(settings, cutoff, run)
    monitor(settings, cutoff, Run(run))


def contents(settings: Settings) -> dict[str, pd.DataFrame]:
    warehouse = Warehouse(settings.warehouse)
    return {
        table.name: warehouse.read(table).sort_values(list(table.key), ignore_index=True)
        for table in (FORECASTS, FORECAST_LEVELS, FORECAST_SUMS, BACKTESTS, SCORES, SERIES_SCORES, LOST_DEMAND)
    }


def test_nights_twice_are_nights_once(settings: Settings) -> None:
    first = tonight(settings)
    night(settings, first)
    once = contents(settings)
    night(settings, first)
    same(contents(settings), once)
    second = tonight(settings)
    assert (second - first).days == 1
    night(settings, second)
    once = contents(settings)
    assert once["forecasts"]["cutoff"].nunique() == 2
    assert once["scores"]["cutoff"].unique().tolist() == [pd.Timestamp(first)]
    night(settings, second)
    same(contents(settings), once)
    runs = Warehouse(settings.warehouse).read(RUNS)
    assert (runs["outcome"] == "done").all()


def test_one_model_and_one_fold_are_a_training_with_quantiles(settings: Settings) -> None:
    """Nothing to choose, so one horizon is held back to calibrate on; the next training is judged as any other."""
    alone = {"models": ("seasonal_mean",), "blend": False, "folds": 1, "force": True}
    settings = settings.model_copy(update={"train": settings.train.model_copy(update=alone)})
    first = tonight(settings)
    night(settings, first)
    found = Warehouse(settings.warehouse)
    published = found.read(FORECASTS)
    assert (published["p05"] <= published["p95"]).all()
    assert (published["p05"] < published["p95"]).any()
    assert found.read(BACKTESTS)["fold"].nunique() == 1
    night(settings, tonight(settings))
    assert (found.read(RUNS)["outcome"] == "done").all()
    assert found.read(FORECASTS)["cutoff"].nunique() == 2


def same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame)


def test_without_a_champion_or_such_series_it_says_what_to_do(settings: Settings) -> None:
    cutoff = tonight(settings)
    extract(settings, cutoff, Run("night"))
    with pytest.raises(PublishError, match="run train for this cutoff first"):
        forecasting_step.plan(settings, cutoff)
    unknown = settings.model_copy(update={"forecast": settings.forecast.model_copy(update={"series": ("CAKE*",)})})
    with pytest.raises(SettingsError, match="no such series; there are"):
        forecasting_step.plan(unknown, cutoff)
