"""Nights that are late, repeated, made up for or corrected: every vintage stays as of its own night."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.sources.demo import database
from forecasting.steps.forecast import forecast as forecasting_step
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.monitor import monitor
from forecasting.steps.run import Run
from forecasting.steps.train.train import due, train
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, SCORES
from tests.support.shops import small_shop

LAST = date(2026, 6, 30)  # a Tuesday
CHEAP = {"models": ["seasonal_naive"], "blend": False, "folds": 1, "every_days": 7}


def shop(folder: Path, **changes: object) -> Settings:
    cheap = {f"train__{name}": value for name, value in CHEAP.items()}
    settings = configuration.load(small_shop(folder, **cheap | changes))
    database.create(settings)
    return settings


def night(settings: Settings, cutoff: date) -> None:
    run = Run(f"night-{cutoff}")
    extract(settings, cutoff, run)
    if due(settings, cutoff)[0]:
        train(settings, cutoff, run)
    for shard in forecasting_step.plan(settings, cutoff):
        forecasting_step.predict(settings, cutoff, shard, run)
    forecasting_step.publish(settings, cutoff, run)
    monitor(settings, cutoff, run)


def vintages(settings: Settings) -> pd.DataFrame:
    return Warehouse(settings.warehouse).read(FORECASTS).drop(columns="run_id")


def vintage(settings: Settings, cutoff: date) -> pd.DataFrame:
    """Its rows without what numbers the order that nights ran in."""
    rows = Warehouse(settings.warehouse).read(FORECASTS, cutoff=pd.Timestamp(cutoff))
    return rows.drop(columns=["run_id", "model_version", "snapshot"])


def test_a_backfill_is_as_of_each_night_in_whatever_order_it_is_done(tmp_path: Path) -> None:
    """The newest night first, then the past from its end: no vintage knows more than its own night knew."""
    (tmp_path / "live").mkdir()
    (tmp_path / "late").mkdir()
    days = [LAST - timedelta(days=10 * back) for back in range(4)]
    live, late = shop(tmp_path / "live"), shop(tmp_path / "late")
    for cutoff in sorted(days):
        night(live, cutoff)
    for cutoff in days:
        night(late, cutoff)
    registry = Registry(late.mlflow)
    trained = {one.version: one.cutoff for one in registry.versions()}
    rows = vintages(late).drop_duplicates(["cutoff", "model_version"])
    assert len(rows) == len(days)
    assert all(trained[row.model_version] <= row.cutoff.date() for row in rows.itertuples())
    assert registry.champion().cutoff == LAST, "today's champion is left alone"
    for cutoff in days:  # trained at its own night or at the one before: the numbers of this model are the same
        pd.testing.assert_frame_equal(
            vintage(late, cutoff)[["unique_id", "ds", "mean"]], vintage(live, cutoff)[["unique_id", "ds", "mean"]]
        )


def test_nights_that_did_not_run_are_made_up_for_without_losing_a_day(tmp_path: Path) -> None:
    """Straight to the newest, or one by one: the newest panel is the same, whichever."""
    panels = {}
    for how in ("newest", "in order"):
        folder = tmp_path / how.replace(" ", "-")
        folder.mkdir()
        settings = shop(folder, extract__correction_days=3)
        night(settings, LAST)
        for missed in range(1, 6):  # the shop went on, the system did not
            database.advance(settings, LAST + timedelta(days=missed))
        for missed in range(1, 6) if how == "in order" else [5]:
            night(settings, LAST + timedelta(days=missed))
        panels[how] = Lake(settings.lake).read_panel(LAST + timedelta(days=5))
        count = vintages(settings)["cutoff"].nunique()
        assert count == (6 if how == "in order" else 2)
    pd.testing.assert_frame_equal(
        pd.DataFrame(panels["newest"].y, panels["newest"].unique_ids),
        pd.DataFrame(panels["in order"].y, panels["in order"].unique_ids),
    )


def test_a_late_correction_is_a_new_version_and_changes_scores_but_no_vintage(tmp_path: Path) -> None:
    settings = shop(tmp_path)
    night(settings, LAST)
    for day in (1, 2):
        database.advance(settings, LAST + timedelta(days=day))
    night(settings, LAST + timedelta(days=1))
    before = vintages(settings)
    scores = Warehouse(settings.warehouse).read(SCORES, cutoff=pd.Timestamp(LAST), level="total", metric="bias")
    snapshot = Lake(settings.lake).snapshot(LAST + timedelta(days=1))
    old = Lake(settings.lake).read(snapshot.id, "sales")
    engine = sa.create_engine(settings.sources["shop"].url)
    with engine.begin() as connection:  # a till sends its day again, with ten times the units
        changed = connection.exec_driver_sql(
            f"UPDATE transactions SET quantity = quantity * 10 WHERE date(sold_at) = '{LAST + timedelta(days=1)}'"
        )
        assert changed.rowcount > 0
    night(settings, LAST + timedelta(days=2))
    after = vintages(settings)
    pd.testing.assert_frame_equal(after[after["cutoff"] < after["cutoff"].max()].reset_index(drop=True), before)
    corrected = Warehouse(settings.warehouse).read(SCORES, cutoff=pd.Timestamp(LAST), level="total", metric="bias")
    assert corrected["value"].iloc[0] < scores["value"].iloc[0], "much more was sold than had been forecast"
    pd.testing.assert_frame_equal(Lake(settings.lake).read(snapshot.id, "sales"), old)


@pytest.mark.parametrize("anchor", ["W-WED", "W-MON"])
def test_weeks_begin_on_their_day_and_a_week_has_one_vintage(tmp_path: Path, anchor: str) -> None:
    settings = shop(tmp_path, panel__frequency=anchor, panel__horizon=3, demo__days=250)
    begins = {"W-WED": 2, "W-MON": 0}[anchor]
    cutoffs = []
    for day in range(1, 8):
        database.advance(settings, LAST + timedelta(days=day))
    for day in (0, 1, 4, 7):
        cutoff = LAST + timedelta(days=day)
        night(settings, cutoff)
        rows = Warehouse(settings.warehouse).latest()
        cutoffs.append(rows["cutoff"].iloc[0].date())
        assert set(rows["ds"].dt.day_of_week) == {begins}
        assert rows["ds"].min().date() == cutoffs[-1] + timedelta(days=1)
        assert cutoff - timedelta(days=7) < cutoffs[-1] <= cutoff
    assert len(set(cutoffs)) == 2
    assert vintages(settings)["cutoff"].nunique() == 2
