"""Order proposals through real nights of a small shop, on SQLite and PostgreSQL, and where each term comes from."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.__main__ import main
from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import PlanningSettings, WarehouseSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import PlanningError, PublishError
from forecasting.planning.order_terms import terms_of
from forecasting.planning.overrides import Override
from forecasting.steps.forecast import overrides
from forecasting.steps.forecast.replenish import replenish
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.run import Run
from forecasting.steps.train.train import train
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import REPLENISHMENT
from forecasting.tables.views import REPLENISHMENT_LATEST
from forecasting.tables.warehouse import FORECAST_SUMS, FORECASTS, RUNS
from tests.steps.test_night import forecast, night
from tests.support.panels import panel_of
from tests.support.shops import small_shop

FIRST = date(2026, 6, 30)
CHEAP = {"train__models": ["seasonal_mean"], "train__blend": False, "train__folds": 1}


@pytest.fixture
def settings(tmp_path: Path, warehouse_settings: WarehouseSettings) -> Settings:
    path = small_shop(tmp_path, **CHEAP)
    return configuration.load(path).model_copy(update={"warehouse": warehouse_settings})


def test_a_night_proposes_orders_from_its_stock_and_twice_is_once(settings):
    extract(settings, tonight(settings), Run("night"))
    with pytest.raises(PublishError, match="no vintage of 2026-06-30 to order by"):
        replenish(settings, FIRST, Run("night"))
    train(settings, FIRST, Run("night"))
    forecast(settings, FIRST)
    facts = replenish(settings, FIRST, Run("night"))
    warehouse = Warehouse(settings.warehouse)
    rows = warehouse.view(REPLENISHMENT_LATEST)
    stock = _stock(settings)
    assert len(rows) == facts["series"] == 10
    known = rows.set_index("unique_id").loc[stock.index]
    assert known["on_hand"].tolist() == stock["on_hand"].tolist()
    assert known["lead_time"].tolist() == stock["lead_time"].tolist()
    assert known["pack_size"].tolist() == stock["pack_size"].tolist()
    assert set(known["status"]) == {"ok"}
    unknown = rows[~rows["unique_id"].isin(stock.index)]
    assert set(unknown["status"]) == {"unknown"}
    assert unknown["order"].isna().all()
    assert unknown["why"].str.contains("Stock on hand is not known, so nothing is proposed").all()
    position = known["on_hand"] + known["on_order"]
    short = position < known["reorder_point"]
    assert (known.loc[~short, "order"] == 0).all()
    packs = known["order"] / known["pack_size"]
    assert (packs == packs.round()).all()
    assert (position + known["order"] >= known["order_up_to"] - 1e-6)[short].all()
    assert (rows["demand_quantile"] >= rows["demand_mean"]).mean() > 0.5
    first = warehouse.read(REPLENISHMENT)
    replenish(settings, FIRST, Run("night"))
    pd.testing.assert_frame_equal(warehouse.read(REPLENISHMENT), first)
    run = warehouse.read(RUNS, step="replenish")
    said = f"{facts['orders']} orders of {facts['units']:,.0f} units in all; of {len(unknown)} series the stock on hand"
    assert run["message"].tolist() == [f"{said} is not known"]


def _stock(settings: Settings) -> pd.DataFrame:
    """What the shop's database says, by series."""
    engine = sa.create_engine(settings.sources["shop"].url)
    with engine.connect() as connection:
        rows = pd.read_sql(sa.text("SELECT * FROM stock_positions"), connection)
    engine.dispose()
    return rows.set_index(rows["sku"] + "_" + rows["shop"]).sort_index()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    path = small_shop(tmp_path_factory.mktemp("replenish"), **CHEAP)
    settings = configuration.load(path)
    night(settings, tonight(settings))
    replenish(settings, FIRST, Run("night"))
    return path, settings


def table(settings: Settings, run: str = "again", **planning: object) -> pd.DataFrame:
    """Proposed once more with other settings."""
    rules = settings.planning.model_copy(update=planning)
    replenish(settings.model_copy(update={"planning": rules}), FIRST, Run(run))
    return Warehouse(settings.warehouse).read(REPLENISHMENT, cutoff=FIRST).set_index("unique_id")


def test_a_whole_horizon_is_planned_by_the_published_sum(shop):
    _, settings = shop
    lake = Lake(settings.lake)
    panel = lake.read_panel(FIRST)
    for level, column in ((0.9, "p90"), (0.95, "p95"), (0.5, "p50")):
        found = table(settings, classes={}, service_level=level)
        sums = Warehouse(settings.warehouse).read(FORECAST_SUMS, level="series", cutoff=FIRST)
        whole = sums[sums["periods"] == 6].set_index("name")
        mine = found[found["lead_time"] + found["review"] == 6]
        assert len(mine) > 0
        assert mine["demand_mean"].tolist() == pytest.approx(whole.loc[mine.index, "mean"].tolist(), rel=1e-5)
        assert mine["demand_quantile"].tolist() == pytest.approx(whole.loc[mine.index, column].tolist(), rel=1e-4)
    assert panel.snapshot


def test_costs_are_a_service_level_and_classes_go_before_all(shop):
    _, settings = shop
    found = table(settings, classes={}, service_level=None, holding=0.2, shortage=1.0)
    assert found["service_level"].tolist() == pytest.approx([5 / 6] * 10)
    by_class = {"A": {"service_level": 0.99}, "CZ": {"service_level": 0.5}}
    planning = PlanningSettings.model_validate({"lead_time": 3, "classes": by_class})
    found = table(settings, classes=planning.classes, service_level=0.9)
    expected = np.where(found["abc"] == "A", 0.99, np.where((found["abc"] + found["xyz"]) == "CZ", 0.5, 0.9))
    assert found["service_level"].tolist() == expected.tolist()
    assert {0.5, 0.9, 0.99} == set(found["service_level"])


def test_what_people_said_is_what_is_ordered_by(shop):
    _, settings = shop
    before = table(settings)
    name = before.index[(before["status"] == "ok").argmax()]
    first, last = FIRST + timedelta(days=1), FIRST + timedelta(days=7)
    made = overrides.submit(settings, Override("series", name, first, last, "percent", 100.0, "fair", "ann"))
    after = table(settings)
    assert after.loc[name, "demand_mean"] == pytest.approx(2 * before.loc[name, "demand_mean"], rel=1e-5)
    assert after.loc[name, "reorder_point"] > before.loc[name, "reorder_point"]
    assert "as changed by people" in after.loc[name, "why"]
    others = after.index != name
    assert (after.loc[others, "order_up_to"] == before.loc[others, "order_up_to"]).all()
    overrides.withdraw(settings, made["id"], "ann", "over")
    pd.testing.assert_frame_equal(table(settings), before)


def test_where_demand_is_lost_the_level_follows_from_what_is_there(shop):
    _, settings = shop
    waits = table(settings, classes={}, service_level=0.9)
    assert waits["lost"].isna().all()
    found = table(settings, classes={}, service_level=0.9, unmet="lost")
    known = found[found["status"] == "ok"]
    position = known["on_hand"] + known["on_order"].fillna(0)
    assert (known["target"] == "service").all()
    assert (known["lost"] >= 0).all()
    # What is lost is not owed, and nothing more than before is needed to serve the same share of cycles.
    ahead = known["demand_mean"] * known["lead_time"] / (known["lead_time"] + known["review"])
    assert (known["order"] <= waits.loc[known.index, "order"] + 1e-6).mean() > 0.5
    assert known.loc[position < ahead / 2, "lost"].gt(0).all()
    short = known[(known["lost"] >= 0.05) & (known["order"] > 0)]
    said = f"{short['lost'].iloc[0]:,.1f} will be missing before an order arrives"
    assert said in short["why"].iloc[0]
    # What is left at the arrival: all that is there, less demand until then, but for the part of it that is lost.
    mean = Warehouse(settings.warehouse).read(FORECASTS, ["unique_id", "horizon", "mean"], cutoff=FIRST)
    until = mean[mean["horizon"] <= mean["unique_id"].map(known["lead_time"])].groupby("unique_id")["mean"].sum()
    left = position - until.reindex(known.index).fillna(0) + known["lost"]
    assert known["projected_stock"].tolist() == pytest.approx(left.clip(lower=0).tolist(), rel=1e-4, abs=1e-3)
    unknown = found["status"] == "unknown"
    assert found.loc[unknown, "lost"].isna().all()
    assert found.loc[unknown, "reorder_point"].tolist() == waits.loc[unknown, "reorder_point"].tolist()
    costs = table(settings, classes={}, service_level=None, holding=0.2, shortage=1.0, unmet="lost")
    assert (costs["target"] == "costs").all()
    assert costs["service_level"].tolist() == pytest.approx((1 / (1 + 0.2 * costs["review"])).tolist())


def test_a_wait_beyond_the_horizon_is_said(shop):
    _, settings = shop
    with pytest.raises(PlanningError, match=r"planning.lead_time 6 \+ planning.review 2 reach beyond panel.horizon 7"):
        table(settings, lead_time=6)
    found = table(settings, review=4)  # items have lead times of their own, of 2 to 5 days
    beyond = found["lead_time"] + found["review"] > 7
    known = found["on_hand"].notna()
    assert set(found.loc[beyond & known, "status"]) == {"horizon"}
    assert found.loc[beyond, "order"].isna().all()
    assert found.loc[beyond & known, "why"].str.contains("reach beyond the forecast").all()


def test_old_stock_is_not_known(shop):
    _, settings = shop
    from forecasting.steps.forecast.replenish import _own

    lake = Lake(settings.lake)
    panel = lake.read_panel(FIRST)
    own = _own(lake, panel)
    own["ds"] = own["ds"] - pd.Timedelta(days=4)
    none = np.full(len(panel.y), "A", dtype=object), np.full(len(panel.y), "X", dtype=object)
    assert terms_of(settings.planning, panel, none, own)["on_hand"].isna().all()
    longer = settings.planning.model_copy(update={"stock_days": 4})
    assert terms_of(longer, panel, none, own)["on_hand"].notna().any()


def test_on_the_command_line(shop, capsys):
    path, settings = shop
    assert main(["replenish", "--conf", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["series"] == 10
    bare = path.with_name("bare.toml")
    bare.write_text(path.read_text().replace("[planning]", "[nothing]").split("[nothing]")[0])
    assert main(["replenish", "--conf", str(bare)]) == 2
    assert "has no section [planning]" in capsys.readouterr().err
    skipped = replenish(settings.model_copy(update={"planning": None}), FIRST, Run("without"))
    assert skipped["series"] == 0


# ---------------------------------------------------------------- terms


def rules(**changes: object) -> PlanningSettings:
    return PlanningSettings.model_validate({"lead_time": 2, "service_level": 0.9} | changes)


CLASSES = np.array(["A", "B"], dtype=object), np.array(["X", "Z"], dtype=object)


def test_the_nearest_place_says_a_term():
    panel = panel_of([[1.0], [2.0]])
    series = panel.series.assign(days=["5", ""], case=["6", "12"])
    own = pd.DataFrame({"lead_time": [np.nan, 9.0]})
    asked = rules(attributes={"lead_time": "days", "pack_size": "case"}, classes={"Z": {"service_level": 0.8}})
    found = terms_of(asked, replace(panel, series=series), CLASSES, own)
    assert found["lead_time"].tolist() == [5, 9]  # the item's attribute; the stock table
    assert found["pack_size"].tolist() == [6.0, 12.0]
    assert found["service_level"].tolist() == [0.9, 0.8]
    assert found["on_hand"].isna().all()


@pytest.mark.parametrize(
    ("asked", "attributes", "said"),
    [
        ({"pack_size": "box"}, {}, "planning.attributes.pack_size: the series have no attribute 'box'"),
        ({"pack_size": "case"}, {"case": ["six", "12"]}, "attribute case: no number: six"),
        ({"pack_size": "case"}, {"case": ["0", "12"]}, "pack_size of A: 0.0; allowed are numbers from 1e-09"),
        (
            {"service_level": "goal"},
            {"goal": ["95", "0.9"]},
            "service_level of A: 95.0; allowed are numbers from 1e-09 to 1",
        ),
        ({"lead_time": "days"}, {"days": ["1.5", "2"]}, "lead_time of A: 1.5; allowed are whole numbers from 0"),
    ],
)
def test_terms_that_cannot_be_are_said(asked, attributes, said):
    panel = panel_of([[1.0], [2.0]])
    series = panel.series.assign(**attributes)
    with pytest.raises(PlanningError, match=said):
        terms_of(rules(attributes=asked), replace(panel, series=series), CLASSES, pd.DataFrame(index=range(2)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"holding": 1.0}, "holding and shortage belong together"),
        ({"holding": 1.0, "shortage": 2.0}, "say service_level, or holding and shortage, not both"),
        ({"classes": {"D": {}}}, "write A, B, C, X, Y, Z or two of them"),
        ({"attributes": {"colour": "x"}}, "only lead_time, review"),
        ({"service_level": 1.0}, "less than or equal to 0.995"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        rules(**wrong)
