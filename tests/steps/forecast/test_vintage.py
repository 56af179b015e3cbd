"""A vintage in shards, in parts, and all or nothing, on SQLite and on PostgreSQL: one night, forecast again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pandas as pd
import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import PublishError
from forecasting.steps.forecast import forecast as forecasting_step
from forecasting.steps.forecast import vintage
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.run import Run
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import RUNS
from tests.steps.test_night import contents, forecast, night, same
from tests.support.servers.postgres import empty_warehouse
from tests.support.shops import small_shop


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, date]]:
    """After its first night, and its cutoff."""
    folder = tmp_path_factory.mktemp("vintage")
    path = small_shop(folder, train__models=["seasonal_naive", "seasonal_mean"])
    with empty_warehouse(request, folder) as warehouse:
        settings = configuration.load(path).model_copy(update={"warehouse": warehouse})
        cutoff = tonight(settings)
        night(settings, cutoff)
        yield settings, cutoff


def test_levels_and_sums_add_up_to_the_series(shop: tuple[Settings, date]) -> None:
    tables = contents(shop[0])
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


def test_shards_and_parts_leave_what_the_whole_would(shop: tuple[Settings, date]) -> None:
    settings, cutoff = shop
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
    forecast(settings, cutoff)  # as the other tests expect it


def test_shards_of_any_size_give_the_same_tables(shop: tuple[Settings, date], monkeypatch: pytest.MonkeyPatch) -> None:
    settings, cutoff = shop
    whole = contents(settings)
    monkeypatch.setattr(vintage, "SERIES", 2)
    for size in (1, 3, 7):
        shards = settings.forecast.model_copy(update={"shard_series": size})
        forecast(settings.model_copy(update={"forecast": shards}), cutoff)
        same(contents(settings), whole)


def test_a_vintage_that_lacks_a_shard_is_not_published(shop: tuple[Settings, date]) -> None:
    settings, cutoff = shop
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
