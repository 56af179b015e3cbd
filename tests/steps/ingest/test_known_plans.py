"""Nights of a small shop with promotions: planned, not planned, a week ahead, moved, dated by the source."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.core.config.settings import Settings
from forecasting.core.errors import DataQualityError
from forecasting.steps.forecast import forecast as step
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.alerts import findings
from forecasting.steps.run import Run
from forecasting.steps.train.train import due, train
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import BACKTESTS, FORECASTS, JUDGEMENTS, QUALITY
from tests.support.shops import _empty_registry

CUTOFF, DAYS, HORIZON = date(2026, 6, 28), 168, 14


class Shop:
    """Eight items that sell 10 a day and 40 on promotion: three days in fourteen, each item at its own time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "mlflow.db").write_bytes(_empty_registry())
        self.days = pd.date_range(CUTOFF - timedelta(days=DAYS - 1), periods=DAYS + 60)
        self.on = np.array([(np.arange(len(self.days)) + 5 * item) % 14 < 3 for item in range(8)])

    def write(self, cutoff: date, planned: int, **columns: object) -> None:
        """Sales to the cutoff, and promotions to `planned` days after it."""
        items = np.repeat([f"I{n}" for n in range(8)], len(self.days))
        random = np.random.default_rng(1)
        sold = random.poisson(np.where(self.on, 40, 10)).ravel()
        frame = pd.DataFrame({"item": items, "ds": np.tile(self.days, 8), "y": sold, "on": self.on.ravel()})
        end = pd.Timestamp(cutoff)
        frame.loc[frame["ds"] <= end, ["item", "ds", "y"]].to_csv(self.folder / "sales.csv", index=False)
        plans = frame.loc[frame["on"] & (frame["ds"] <= end + pd.Timedelta(days=planned)), ["item", "ds"]]
        plans.assign(**columns).to_csv(self.folder / "promotions.csv", index=False)

    def settings(self, events: bool = False, **screen: object) -> Settings:
        trees = {"rows": 4000, "trees": 40, "leaves": 7, "min_rows_leaf": 10, "origins": 12, "bags": 1}
        return Settings.model_validate(
            {
                "sources": {"files": {"kind": "files", "path": str(self.folder)}},
                "extract": {
                    "sales": {"source": "files", "path": "sales.csv"},
                    "promotions": {"source": "files", "path": "promotions.csv"},
                }
                | ({"events": {"source": "files", "path": "events.csv"}} if events else {}),
                "screen": screen,
                "panel": {"horizon": HORIZON, "unique_id": "{item}"},
                "train": {"models": ["seasonal_mean", "lightgbm"], "lightgbm": trees},
                "lake": {"path": str(self.folder / "lake")},
                "warehouse": {"url": f"sqlite:///{self.folder / 'warehouse.db'}"},
                "mlflow": {
                    "tracking_uri": f"sqlite:///{self.folder / 'mlflow.db'}",
                    "artifacts": str(self.folder / "artifacts"),
                },
            }
        )

    def truth(self, cutoff: date) -> np.ndarray:
        start = int(self.days.get_loc(pd.Timestamp(cutoff))) + 1
        return np.where(self.on[:, start : start + HORIZON], 40, 10)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def coverage(settings: Settings, cutoff: date) -> pd.Series:
    return Warehouse(settings.warehouse).read(QUALITY, cutoff=pd.Timestamp(cutoff), rule="horizon_coverage").iloc[0]


def published(settings: Settings, cutoff: date) -> np.ndarray:
    for shard in step.plan(settings, cutoff):
        step.predict(settings, cutoff, shard, Run("night"))
    step.publish(settings, cutoff, Run("night"))
    rows = Warehouse(settings.warehouse).read(FORECASTS, cutoff=pd.Timestamp(cutoff))
    return rows.pivot(index="unique_id", columns="ds", values="mean").to_numpy()


def test_a_night_whose_plans_are_missing_is_told_and_learns_without(shop: Shop) -> None:
    settings, planned = shop.settings(), 60
    shop.write(CUTOFF, planned)
    extract(settings, CUTOFF, Run("1"))
    assert coverage(settings, CUTOFF)["passed"]
    train(settings, CUTOFF, Run("1"))
    mean, truth = published(settings, CUTOFF), shop.truth(CUTOFF)
    assert np.abs(mean - truth).sum() / truth.sum() < 0.25
    night = CUTOFF + timedelta(days=1)
    shop.write(night, 0)
    extract(settings, night, Run("2"))
    row = coverage(settings, night)
    assert (row["severity"], bool(row["passed"]), row["read"]) == ("warn", False, 0)
    assert "Check that the source has the plan of promotions" in row["message"]
    assert any(one.subject == "promotions: horizon_coverage" for one in findings(settings, night))
    assert due(settings, night) == (
        True, "what is planned ahead has changed: promotions (quality rule horizon_coverage)",
    )  # fmt: skip
    made = train(settings, night, Run("2"))
    assert made["decision"] == "promoted"
    assert made["reason"].startswith("champion 1 with the plans of now, fitted again at 5 folds: wrmsse ")
    mean, truth = published(settings, night), shop.truth(night)
    assert abs(mean.sum() / truth.sum() - 1) < 0.1  # 10 in place of 16.4 a day, -39 %, by a model that waits for plans
    got = np.abs(mean - truth).sum() / truth.sum()
    scores = Warehouse(settings.warehouse).read(
        BACKTESTS, cutoff=pd.Timestamp(night), metric="wape", level="series", champion=True
    )
    assert scores["value"].mean() == pytest.approx(got, rel=0.25)


def test_a_challenger_that_is_no_better_with_the_plans_of_now_does_not_take_over(shop: Shop) -> None:
    settings = shop.settings()
    settings = settings.model_copy(update={"train": settings.train.model_copy(update={"models": ("seasonal_mean",)})})
    shop.write(CUTOFF, 60)
    extract(settings, CUTOFF, Run("1"))
    train(settings, CUTOFF, Run("1"))
    night = CUTOFF + timedelta(days=1)
    shop.write(night, 0)
    extract(settings, night, Run("2"))
    assert due(settings, night)[0]
    made = train(settings, night, Run("2"))
    assert made["accuracy"] < made["baseline"]  # no worse than naive, but the same as the champion
    assert made["decision"] == "kept"
    assert "failed: better than the champion (all)" in made["reason"]
    rows = Warehouse(settings.warehouse).read(JUDGEMENTS, version=made["version"])
    row = rows[rows["rule"] == "better than the champion"].iloc[0]
    assert row["challenger"] == row["champion"]
    assert row["periods"] == 84  # six folds of a horizon each


def test_a_night_without_plans_can_be_stopped(shop: Shop) -> None:
    settings = shop.settings(horizon_coverage="stop")
    shop.write(CUTOFF, 0)
    with pytest.raises(DataQualityError, match=r"promotions, rule horizon_coverage: 0\.00%"):
        extract(settings, CUTOFF, Run("1"))
    shop.write(CUTOFF, 60)
    assert extract(settings, CUTOFF, Run("2"))["series"] == 8


def test_plans_a_week_ahead_are_seen_a_week_ahead(shop: Shop) -> None:
    settings = shop.settings()
    for number in range(3):
        night = CUTOFF + timedelta(days=number)
        shop.write(night, 7)
        extract(settings, night, Run(str(number)))
        panel = Lake(settings.lake).read_panel(night)
        for origin in (100, DAYS - 3, len(panel.periods) - 1):
            ahead = panel.first(origin).known["promotion"][:, origin:]
            np.testing.assert_array_equal(ahead[:, :6], shop.on[:, origin : origin + 6])
            assert not ahead[:, 7:].any()


def test_a_plan_that_moves_by_a_week_was_not_known_before(shop: Shop) -> None:
    settings, ahead = shop.settings(), DAYS + 4
    shop.on[0, DAYS:] = False
    shop.on[0, ahead] = True
    shop.write(CUTOFF, 60)
    extract(settings, CUTOFF, Run("1"))
    night = CUTOFF + timedelta(days=2)
    shop.on[0, ahead], shop.on[0, ahead + 7] = False, True
    shop.write(night, 60)
    extract(settings, night, Run("2"))
    lake = Lake(settings.lake)
    row = np.flatnonzero(lake.read_panel(night).unique_ids == "I0")[0]
    panel = lake.read_panel(night)
    assert panel.known["promotion"][row, DAYS:].nonzero()[0].tolist() == [11]
    assert not panel.first(DAYS).known["promotion"][row, DAYS:].any()
    record = lake.read(lake.snapshot(night).id, "vintages")
    moved = record[record["item"] == "I0"].set_index("ds")
    assert moved.loc[shop.days[ahead], "withdrawn"].date() == night
    assert moved.loc[shop.days[ahead + 7], "known_since"].date() == night
    before = lake.snapshot(night).digest
    extract(settings, night, Run("again"))
    assert lake.snapshot(night).digest == before


def test_a_named_day_beyond_the_horizon_is_known_since_the_night_that_saw_it(shop: Shop) -> None:
    """Models look 63 days further ahead than the horizon of 14 for named days."""
    settings, days = shop.settings(events=True), [DAYS - 30, DAYS + 39, DAYS + 44]
    events = pd.DataFrame({"ds": shop.days[days], "event": "Fair"})
    for number, seen in ((0, 2), (1, 3)):
        night = CUTOFF + timedelta(days=number)
        shop.write(night, 60)
        events[:seen].to_csv(shop.folder / "events.csv", index=False)
        extract(settings, night, Run(str(number)))
    panel = Lake(settings.lake).read_panel(night)
    assert panel.events.cells[:, 2].tolist() == days
    assert panel.events.since.tolist() == [0, 0, DAYS + 1]
    assert panel.first(DAYS).events.cells[:, 2].tolist() == days[:2]


def test_the_source_says_since_when(shop: Shop) -> None:
    settings = shop.settings()
    shop.write(CUTOFF, 60)
    path = shop.folder / "promotions.csv"
    plans = pd.read_csv(path, parse_dates=["ds"])
    plans["known_since"] = plans["ds"] - pd.Timedelta(days=5)
    plans.to_csv(path, index=False)
    extract(settings, CUTOFF, Run("1"))
    panel = Lake(settings.lake).read_panel(CUTOFF)
    for origin in (60, DAYS):
        ahead = panel.first(origin).known["promotion"][:, origin:]
        np.testing.assert_array_equal(ahead[:, :5], shop.on[:, origin : origin + 5])
        assert not ahead[:, 5:].any()
