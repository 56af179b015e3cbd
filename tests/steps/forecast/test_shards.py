"""Through the real steps: any number of shards and models by partition leave the same tables, bit for bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting import models
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.models.blend import Blend
from forecasting.models.intervals.levels import Calibrations
from forecasting.models.lightgbm.partitioned import Partitioned
from forecasting.steps.forecast import forecast
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.run import Run
from forecasting.steps.train.champion import loaded
from forecasting.steps.train.train import train
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry
from forecasting.storage.registry.tracking import Card
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECAST_LEVELS, FORECAST_SUMS, FORECASTS
from tests.support.shops import small_shop

PARTS = ("lightgbm", "arima", "ets")


def registered(settings: Settings) -> None:
    """A champion of all kinds of models in equal parts: per series, by partition, shared out from groups."""
    tonight_ = tonight(settings)
    extract(settings, tonight_, Run("night"))
    panel, horizon = Lake(settings.lake).read_panel(tonight_), settings.panel.horizon
    known = panel.first(len(panel.periods) - horizon)
    blend = Blend({name: models.create(name, settings) for name in PARTS}, dict.fromkeys(PARTS, 1 / len(PARTS)))
    mean = blend.fit(known, horizon).predict(known, horizon).mean
    blend.calibrations = Calibrations.fit([(known, panel.after(known.cutoff, horizon), mean)])
    assert isinstance(blend.parts["lightgbm"], Partitioned)
    assert len(blend.parts["lightgbm"].parts) == 2
    digest = Lake(settings.lake).snapshot(tonight_).digest
    with tempfile.TemporaryDirectory() as place:
        models.save(blend, Path(place) / "model")
        version = Registry(settings.mlflow).log(
            Path(place) / "model", Card(panel.cutoff, panel.snapshot, digest, tags={"name": blend.label})
        )
    Registry(settings.mlflow).promote(version.version, "the one there is")


def vintage(settings: Settings, shards: int) -> list[pd.DataFrame]:
    """Published by so many shards, the last one first."""
    cutoff = Lake(settings.lake).newest_cutoff()
    assert cutoff is not None
    whole = forecast.plan(settings, cutoff)[0]
    parts = np.array_split(np.arange(whole["stop"]), shards)
    for number, part in reversed([*enumerate(parts)]):
        shard = whole | {"shard": number, "start": int(part[0]), "stop": int(part[-1]) + 1}
        forecast.predict(settings, cutoff, shard, Run("night"))
    forecast.publish(settings, cutoff, Run("night"))
    return [
        Warehouse(settings.warehouse).read(table).sort_values(list(table.key), ignore_index=True)
        for table in (FORECASTS, FORECAST_LEVELS, FORECAST_SUMS)
    ]


def test_one_three_and_seven_shards_leave_the_same_forecasts_levels_and_sums(tmp_path: Path) -> None:
    path = small_shop(tmp_path, train__partition_by="store", train__partition_rows=1, train__partition_series=2)
    settings = configuration.load(path, ["train.arima.seconds=2", "train.lightgbm.bags=1"])
    registered(settings)
    whole = vintage(settings, 1)
    assert len(whole[0]) > 0
    assert (whole[0]["mean"] > 0).any()
    for shards in (3, 7):
        for one, other in zip(vintage(settings, shards), whole, strict=True):
            pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize(("rows", "parts"), [(1, 2), (10**9, 0)])
def test_a_training_splits_large_panels_by_itself_and_registers_one_version(
    tmp_path: Path, rows: int, parts: int
) -> None:
    path = small_shop(tmp_path, train__partition_by="store", train__partition_rows=rows, train__partition_series=2)
    settings = configuration.load(path, ['train.models=["lightgbm"]', "train.folds=1", "train.blend=false"])
    cutoff = tonight(settings)
    extract(settings, cutoff, Run("night"))
    told = train(settings, cutoff, Run("night"))
    assert told["model"] == "lightgbm"
    registry = Registry(settings.mlflow)
    assert [one.version for one in registry.versions()] == [told["version"]]
    part = loaded(registry, told["version"]).parts["lightgbm"]  # type: ignore[attr-defined]
    assert (len(part.parts) if isinstance(part, Partitioned) else 0) == parts
    assert told["promoted"]
