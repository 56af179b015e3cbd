"""What old nights leave goes by the rules, and a kept forecast can still be traced and made again."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import CutoffError, StoreError
from forecasting.sources.demo import database
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.operate import retention
from forecasting.steps.operate.reproduce import reproduce
from forecasting.steps.operate.trace import trace
from forecasting.steps.run import Run
from forecasting.steps.run import now as clock
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import (
    FORECAST_LEVELS,
    FORECAST_SUMS,
    FORECASTS,
    FORECASTS_WITHDRAWN,
    MODEL_PROMOTIONS,
    QUALITY,
    RUNS,
    SCORE_TRENDS,
    SCORES,
    SERIES_SCORES,
)
from tests.steps.test_night import night
from tests.support.shops import small_shop


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A month after the nights were written, by the clock of the cleaning."""
    monkeypatch.setattr(retention, "now", lambda: clock() + timedelta(days=31))


def four_nights(folder: Path, warehouse: WarehouseSettings | None = None) -> tuple[Settings, list[date]]:
    """Two days apart, each with a training of its own: versions 1, 1, 2 and 3 made the vintages."""
    settings = configuration.load(small_shop(folder, train__models=["seasonal_mean"]), ["train.every_days=1"])
    settings = settings.model_copy(update={"warehouse": warehouse or settings.warehouse})
    first = tonight(settings)
    days = [first + timedelta(days=2 * number) for number in range(4)]
    for day in days:
        database.advance(settings, day)
        night(settings, day, f"night {day}")
        if day in days[1:3]:  # the next night forecasts with it
            Registry(settings.mlflow).promote(Registry(settings.mlflow).versions()[0].version, "for this test")
    return settings, days


@pytest.fixture
def shop(tmp_path: Path, warehouse_settings: WarehouseSettings) -> tuple[Settings, list[date]]:
    return four_nights(tmp_path, warehouse_settings)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[date]]:
    """For tests that remove nothing but panels."""
    return four_nights(tmp_path_factory.mktemp("kept"))


def ruled(settings: Settings, **days: int) -> Settings:
    rules = settings.retention.model_copy(update=days)
    return settings.model_copy(update={"retention": rules})


def files(settings: Settings) -> int:
    return len(list(Path(settings.lake.path, "sales").rglob("*.parquet")))


def cutoffs_in(settings: Settings, *tables: object) -> dict[str, list[date]]:
    warehouse = Warehouse(settings.warehouse)
    return {table.name: list(warehouse.distinct(table, ["cutoff"])["cutoff"].dt.date) for table in tables}


@pytest.mark.usefixtures("later")
def test_by_default_all_stays_but_what_can_be_made_again(kept: tuple[Settings, list[date]]) -> None:
    settings, days = kept
    lake = Lake(settings.lake)
    lake.write_staged(days[0], "died", 0, pd.DataFrame({"unique_id": ["a"]}))
    facts = retention.clean(ruled(settings, models=1, snapshots=1, records=1), days[-1], Run("clean"))
    assert facts["vintages"] == facts["models"] == facts["snapshots"] == facts["records"] == []
    assert facts["panels"] == [f"panels/cutoff={day}" for day in days[:3]] + [f"staged/cutoff={days[0]}/run=died"]
    lake.read_panel(days[-1])
    with pytest.raises(CutoffError, match="no panel"):
        lake.read_panel(days[0])
    assert all(reproduce(settings, day)["equal"] for day in days)  # from their snapshots


@pytest.mark.usefixtures("later")
def test_old_vintages_go_with_what_only_they_needed_and_the_next_night_is_whole(
    shop: tuple[Settings, list[date]],
) -> None:
    settings, days = shop
    before, models = files(settings), len(list(Path(settings.mlflow.artifacts).rglob("MLmodel")))
    rules = ruled(settings, vintages=3, models=3, snapshots=3, records=3)
    told = retention.clean(rules, days[-1], Run("clean"), dry=True)
    assert told["vintages"] == told["records"] == [str(day) for day in days[:2]]
    assert cutoffs_in(settings, FORECASTS) == {"forecasts": days}  # told, not done

    facts = retention.clean(rules, days[-1], Run("clean"))
    assert {name: facts[name] for name in told} == told
    gone = cutoffs_in(settings, FORECASTS, FORECAST_LEVELS, FORECAST_SUMS, RUNS, QUALITY)
    assert all(there == days[2:] for there in gone.values()), gone
    assert len(Warehouse(settings.warehouse).read(MODEL_PROMOTIONS)) > 0
    assert set(cutoffs_in(settings, SCORES)["scores"]) <= set(days[2:])
    for table in (SERIES_SCORES, SCORE_TRENDS):
        scored = Warehouse(settings.warehouse).distinct(table, ["scored_at"])["scored_at"]
        assert set(scored.dt.date) <= set(days[2:])
    assert facts["models"] == ["1"]
    assert len(list(Path(settings.mlflow.artifacts).rglob("MLmodel"))) == models - 1
    with pytest.raises(StoreError, match="no version '1'"):
        Registry(settings.mlflow).version("1")
    assert len(facts["snapshots"]) == 1  # that of the second night stays: version 2 was trained on it
    assert before - files(settings) > 0
    with pytest.raises(StoreError, match=r"was removed by \[retention\]"):
        Lake(settings.lake).find(facts["snapshots"][0])
    for day in days[2:]:
        assert reproduce(settings, day, retrain=True)["equal"]
    row = Warehouse(settings.warehouse).read(FORECASTS, cutoff=pd.Timestamp(days[-1])).iloc[0]
    assert trace(settings, row["unique_id"], row["ds"].date(), days[-1])["digest"]

    again = retention.clean(rules, days[-1], Run("clean again"))
    assert (again["vintages"], again["models"], again["snapshots"], again["panels"]) == ([], [], [], [])
    following = days[-1] + timedelta(days=2)
    database.advance(settings, following)
    night(settings, following, "following")
    assert reproduce(settings, following)["equal"]
    retention.clean(rules, following, Run("clean following"))
    assert cutoffs_in(settings, FORECASTS) == {"forecasts": [days[-1], following]}
    assert reproduce(settings, days[-1])["equal"]


def test_what_was_just_written_stays(kept: tuple[Settings, list[date]]) -> None:
    """A backfill may be at work on old cutoffs: nothing that is younger than two days by the clock goes."""
    settings, days = kept
    facts = retention.clean(ruled(settings, models=1, snapshots=1), days[-1], Run("clean"), dry=True)
    assert (facts["models"], facts["snapshots"]) == ([], [])


def test_nothing_is_old_before_there_is_a_vintage(tmp_path: Path) -> None:
    settings = configuration.load(small_shop(tmp_path))
    facts = retention.clean(settings, date(2026, 6, 30), Run("clean"))
    assert not any(facts.values())
    assert Warehouse(settings.warehouse).read(FORECASTS_WITHDRAWN).empty
