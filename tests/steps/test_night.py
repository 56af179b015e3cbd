"""The steps after `extract`, on SQLite and on PostgreSQL: run twice, in parts, and all or nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from forecasting import settings as configuration
from forecasting.data.tables import (
    BACKTESTS,
    FORECAST_LEVELS,
    FORECAST_SUMS,
    FORECASTS,
    LOST_DEMAND,
    RUNS,
    SCORES,
    SERIES_SCORES,
)
from forecasting.errors import PublishError, SettingsError
from forecasting.sections import WarehouseSettings
from forecasting.settings import Settings
from forecasting.steps import forecast as forecasting_step
from forecasting.steps import vintage
from forecasting.steps.demo import tonight
from forecasting.steps.extract import extract
from forecasting.steps.monitor import monitor
from forecasting.steps.run import Run
from forecasting.steps.train import due, train
from forecasting.stores.warehouse import Warehouse
from tests.shops import small_shop


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


def test_levels_and_sums_add_up_to_the_series(settings: Settings) -> None:
    night(settings, tonight(settings))
    tables = contents(settings)
    series, levels, sums = tables["forecasts"], tables["forecast_levels"], tables["forecast_sums"]
    assert levels["level"].unique().tolist() == ["category", "region", "store", "total"]
    series["store"] = series["unique_id"].str[-3:]
    by_store = series.groupby(["store", "ds"])["mean"].sum()
    found = levels[levels["level"] == "store"].set_index(["name", "ds"])["mean"]
    pd.testing.assert_series_equal(found, by_store, check_names=False, rtol=1e-5)
    total = series.groupby("horizon")["mean"].sum().cumsum()
    whole = sums[sums["level"] == "total"].set_index("periods")["mean"]
    assert whole.index.tolist() == [2, 4, 6, 7]
    pd.testing.assert_series_equal(whole, total.loc[[2, 4, 6, 7]], check_names=False, rtol=1e-5)
    assert set(sums["level"]) == {"series", *levels["level"]}
    names = ["p05", "p10", "p25", "p50", "p75", "p90", "p95"]
    for table in (levels, sums):
        assert (table[names].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_shards_and_parts_leave_what_the_whole_would(settings: Settings) -> None:
    cutoff = tonight(settings)
    night(settings, cutoff)
    whole = contents(settings)["forecasts"]
    small = settings.model_copy(update={"forecast": settings.forecast.model_copy(update={"shard_series": 5})})
    assert len(forecasting_step.plan(small, cutoff)) > 1
    forecast(small, cutoff)
    pd.testing.assert_frame_equal(contents(settings)["forecasts"], whole)
    some = settings.model_copy(update={"forecast": settings.forecast.model_copy(update={"series": ("*_S02",)})})
    forecast(some, cutoff, "again")
    parts = contents(settings)["forecasts"]
    pd.testing.assert_frame_equal(parts.drop(columns="run_id"), whole.drop(columns="run_id"))
    assert parts.groupby("run_id")["unique_id"].unique().map(lambda names: {name[-3:] for name in names}).to_dict() == {
        "night": {"S01"}, "again": {"S02"},
    }  # fmt: skip


def test_shards_of_any_size_give_the_same_tables(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    cutoff = tonight(settings)
    night(settings, cutoff)
    whole = contents(settings)
    monkeypatch.setattr(vintage, "SERIES", 2)
    for size in (1, 3, 7):
        shards = settings.forecast.model_copy(update={"shard_series": size})
        forecast(settings.model_copy(update={"forecast": shards}), cutoff)
        same(contents(settings), whole)


def test_a_vintage_that_lacks_a_shard_is_not_published(settings: Settings) -> None:
    cutoff = tonight(settings)
    night(settings, cutoff)
    before = contents(settings)["forecasts"]
    small = settings.model_copy(update={"forecast": settings.forecast.model_copy(update={"shard_series": 5})})
    for shard in forecasting_step.plan(small, cutoff)[1:]:
        forecasting_step.predict(small, cutoff, shard, Run("lame"))
    with pytest.raises(PublishError, match="5 series lack forecast rows and nothing is published"):
        forecasting_step.publish(small, cutoff, Run("lame"))
    pd.testing.assert_frame_equal(contents(settings)["forecasts"], before)
    runs = Warehouse(settings.warehouse).read(RUNS)
    lame = runs[runs["run_id"] == "lame"].iloc[0]
    assert (lame["step"], lame["outcome"]) == ("forecast", "failed")
    assert "lack forecast rows" in lame["message"]


def test_without_a_champion_or_such_series_it_says_what_to_do(settings: Settings) -> None:
    cutoff = tonight(settings)
    extract(settings, cutoff, Run("night"))
    with pytest.raises(PublishError, match="run train for this cutoff first"):
        forecasting_step.plan(settings, cutoff)
    unknown = settings.model_copy(update={"forecast": settings.forecast.model_copy(update={"series": ("CAKE*",)})})
    with pytest.raises(SettingsError, match="no such series; there are"):
        forecasting_step.plan(unknown, cutoff)
