"""Drift on nights of the demo retailer: what was done to it is found, and nothing else; a training is then due."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.config.settings import Settings
from forecasting.sources.demo import database
from forecasting.sources.demo.shifts import Shift, apply
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.drift import detect, newly
from forecasting.steps.run import Run
from forecasting.steps.train.train import due, train
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import DRIFT, FORECAST_LEVELS, FORECASTS, RUNS
from tests.support.shops import small_shop

SIZE = {"demo__stores": 4, "demo__items": 24, "demo__days": 460, "train__models": ["seasonal_mean"]}
FIRST = date(2026, 6, 30)
WITHIN = 4


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a shop with its first night extracted."""
    folder = tmp_path_factory.mktemp("shop")
    settings = of(folder)
    database.create(settings)
    extract(settings, FIRST, Run("first"))
    return folder


def of(folder: Path) -> Settings:
    return configuration.load(small_shop(folder, **SIZE))


@pytest.fixture
def settings(shop: Path, tmp_path: Path) -> Settings:
    """A copy of the shop, to live on its own."""
    shutil.copytree(shop, tmp_path / "copy")
    return of(tmp_path / "copy")


def night(settings: Settings, number: int, *shifts: Shift) -> pd.DataFrame:
    """The night so many days after the first; what it marks."""
    day = FIRST + timedelta(days=number)
    database.advance(settings, day)
    apply(settings, day, shifts)
    extract(settings, day, Run(f"night {number}"))
    detect(settings, day, Run(f"night {number}"))
    return Warehouse(settings.warehouse).read(DRIFT, cutoff=pd.Timestamp(day), drifted=True)


@pytest.mark.parametrize(
    ("kind", "target", "found"),
    [
        ("doubled", "household", ("level", "category=household")),
        ("lost_store", "S02", ("missing", "store=S02")),
        ("price", "all", ("covariate", "price")),
    ],
)
def test_a_shift_is_found_within_days(settings: Settings, kind: str, target: str, found: tuple[str, str]) -> None:
    shift = Shift(kind, target, FIRST + timedelta(days=1))
    for number in range(1, WITHIN + 1):
        marked = night(settings, number, shift)
        if found in set(marked[["kind", "subject"]].itertuples(index=False, name=None)):
            break
    else:
        pytest.fail(f"{kind} {target} was not found within {WITHIN} nights")
    run = Warehouse(settings.warehouse).read(RUNS, step="drift").iloc[-1]
    assert run["outcome"] == "done"
    assert f"{found[0]} of {found[1]}: " in run["message"]


def test_ordinary_nights_are_not_marked_and_twice_is_once(settings: Settings) -> None:
    assert [len(night(settings, number)) for number in range(1, WITHIN + 1)] == [0] * WITHIN
    warehouse, last = Warehouse(settings.warehouse), FIRST + timedelta(days=WITHIN)
    table = warehouse.read(DRIFT)
    assert set(table["kind"]) == {"covariate", "level", "mix", "missing", "series"}
    assert (table["value"].abs() <= table["threshold"]).all()
    detect(settings, last, Run("again"))
    again = warehouse.read(DRIFT)
    pd.testing.assert_frame_equal(again.drop(columns="run_id"), table.drop(columns="run_id"))
    off = settings.model_copy(update={"drift": settings.drift.model_copy(update={"enabled": False})})
    assert detect(off, FIRST, Run("off")) == {"cutoff": "2026-06-30", "measured": 0, "drifted": 0, "message": ""}
    assert FIRST not in set(warehouse.read(DRIFT)["cutoff"].dt.date)


def vintages(settings: Settings, wrong: int) -> None:
    """Some vintages as they were published, exact but for noise; the newest ones expect half of dairy."""
    panel, random = Lake(settings.lake).read_panel(FIRST), np.random.default_rng(1)
    known = panel.totals["category"]
    changes = {"model": "m", "model_version": "1", "snapshot": panel.snapshot, "run_id": "r"}
    warehouse = Warehouse(settings.warehouse)
    for back in range(45, 0, -1):
        cutoff, column = pd.Timestamp(FIRST - timedelta(days=back)), len(panel.periods) - back
        actual = known.filled[:, column].astype(float)
        mean = actual * np.exp(random.normal(0, 0.1, len(actual)))
        mean[list(known.level.labels).index("dairy")] *= 0.5 if back <= wrong else 1
        rows = pd.DataFrame({"name": known.level.labels.astype(str), "mean": mean})
        rows = rows.assign(cutoff=cutoff, level="category", ds=panel.periods[column], horizon=1, **changes)
        rows = rows.assign(**{name: rows["mean"] for name in FORECAST_LEVELS.columns if name.startswith("p")})
        warehouse.replace(FORECAST_LEVELS, rows, cutoff=cutoff)
        one = {"unique_id": "one", "status": "ok", "reason": ""}
        series = rows.head(1).drop(columns=["level", "name"]).assign(**one)
        warehouse.replace(FORECASTS, series, cutoff=cutoff)


@pytest.mark.parametrize(("wrong", "expected"), [(0, []), (4, ["category=dairy"])])
def test_residuals_of_published_vintages_are_watched(settings: Settings, wrong: int, expected: list[str]) -> None:
    vintages(settings, wrong)
    detect(settings, FIRST, Run("now"))
    table = Warehouse(settings.warehouse).read(DRIFT, kind="residual")
    assert len(table) == 6
    assert table.loc[table["drifted"], "subject"].tolist() == expected


# ---------------------------------------------------------------- a training is due


def told(settings: Settings, day: date, *subjects: str) -> None:
    """The night's table, in which these subjects have drifted."""
    rows = pd.DataFrame({"subject": ["total", *subjects]}).assign(
        cutoff=pd.Timestamp(day), kind="level", statistic="change", threshold=0.3, message="sold more", run_id="r"
    )
    rows["drifted"] = rows["subject"] != "total"
    rows["value"] = np.where(rows["drifted"], 0.7, 0.0)
    Warehouse(settings.warehouse).replace(DRIFT, rows, cutoff=pd.Timestamp(day))


DAYS = [FIRST + timedelta(days=number) for number in range(10)]


def test_new_is_what_was_not_marked_when_the_model_was_trained(
    warehouse_settings: WarehouseSettings, shop: Path
) -> None:
    settings = of(shop).model_copy(update={"warehouse": warehouse_settings})
    assert newly(settings, DAYS[4], FIRST) == []
    told(settings, DAYS[0], "store=S01")
    told(settings, DAYS[1], "store=S01")
    told(settings, DAYS[2], "store=S01", "category=dairy")
    told(settings, DAYS[3], "category=dairy")
    assert newly(settings, DAYS[2], FIRST) == []  # a night does not know what it will find itself
    assert newly(settings, DAYS[4], FIRST) == ["level of category=dairy: sold more"]
    assert newly(settings, DAYS[4], DAYS[2]) == []


def test_new_drift_makes_a_training_due(settings: Settings) -> None:
    train(settings, FIRST, Run("first"))
    told(settings, DAYS[0])
    told(settings, DAYS[1], "category=dairy")
    assert not due(settings, DAYS[2])[0]  # drift.train_days
    assert due(settings, DAYS[4]) == (True, "drift: level of category=dairy: sold more")
    off = settings.model_copy(update={"drift": settings.drift.model_copy(update={"train": False})})
    assert not due(off, DAYS[4])[0]
    assert due(off, DAYS[7])[1].startswith("the newest training is 7 days old")
