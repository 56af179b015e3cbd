"""Demand lost to stock-outs: by hand, and by nights of the demo retailer, whose true demand is known."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import LakeSettings
from forecasting.core.config.settings import Settings
from forecasting.sources.demo import database
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.monitor.lost_demand import Stockouts
from forecasting.steps.monitor.monitor import monitor
from forecasting.steps.run import Run
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, LOST_DEMAND
from tests.steps.test_night import night
from tests.support.panels import panel_of
from tests.support.shops import small_shop


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return configuration.load(small_shop(tmp_path, train__models=["seasonal_mean"], demo__items=40, demo__stores=8))


def test_expected_less_sold_by_the_newest_vintage_before(tmp_path: Path, settings: Settings) -> None:
    rows = [[5, 5, 5, 5, 5, np.nan, 5, np.nan], [2, 2, 2, 2, 2, 2, np.nan, 2]]
    panel = panel_of(rows, start="2026-01-05")  # A in S1, B in S2; the last day is the 12th
    day = panel.periods
    sales = pd.DataFrame({"item": ["A", "A", "B"], "store": ["S1", "S1", "S2"], "ds": day[[4, 5, 6]], "y": [5, 1, 9]})
    out = {"item": ["A", "A", "A", "B"], "store": ["S1", "S1", "S1", "S2"], "ds": day[[2, 5, 7, 6]]}
    stock = pd.DataFrame(out).assign(in_stock=False)
    lake = Lake(LakeSettings(path=str(tmp_path / "own")))
    snapshot = lake.commit(date(2026, 1, 12), sales, None, {"stock": stock})
    panel = panel_of(rows, start="2026-01-05", snapshot=snapshot.id)
    older, newer = date(2026, 1, 9), date(2026, 1, 11)  # five days known, and seven
    stockouts = Stockouts.of(lake, settings, panel, older)
    mean = np.array([[6, 7, 8], [3, 4, np.nan]], dtype=np.float32)
    first = stockouts.lost(older, newer, mean)  # the 10th and 11th; the stock-out of the 7th was before any vintage
    assert first["unique_id"].tolist() == ["A", "B"]
    assert first["ds"].tolist() == [day[5], day[6]]
    assert first[["sold", "expected", "lost"]].to_numpy().tolist() == [[1, 6, 5], [9, 4, 0]]
    second = stockouts.lost(newer, None, mean)
    assert second[["unique_id", "sold", "expected", "lost"]].to_numpy().tolist() == [["A", 0, 6, 6]]
    assert stockouts.lost(newer, None, np.full_like(mean, np.nan)).empty


def test_without_a_stock_table_nothing_is_known_to_be_lost(tmp_path: Path, settings: Settings) -> None:
    lake = Lake(LakeSettings(path=str(tmp_path / "own")))
    panel = panel_of([[1, 2, 3]])
    sales = pd.DataFrame({"item": ["A"], "store": ["S1"], "ds": panel.periods[:1], "y": [1]})
    panel = panel_of([[1, 2, 3]], snapshot=lake.commit(panel.cutoff, sales, None, {}).id)
    assert Stockouts.of(lake, settings, panel, date(2026, 1, 5)).lost(date(2026, 1, 5), None, panel.y).empty


def test_nights_count_what_the_demo_retailer_could_not_sell(settings: Settings) -> None:
    first = tonight(settings)
    night(settings, first)
    night(settings, tonight(settings))
    last = first + timedelta(days=5)  # two vintages, of which the second has four days to show
    database.advance(settings, last)
    night(settings, last)
    warehouse = Warehouse(settings.warehouse)
    table = warehouse.read(LOST_DEMAND).sort_values(["unique_id", "ds"], ignore_index=True)
    with sa.create_engine(str(settings.sources["shop"].url)).connect() as connection:
        stock = pd.read_sql(sa.text("SELECT sku, shop, day FROM stock_levels WHERE on_hand <= 0"), connection)
    ds = pd.to_datetime(stock["day"])
    recent = (ds > pd.Timestamp(first)) & (ds <= pd.Timestamp(last))
    there = {f"{sku}_{shop}" for sku, shop in zip(stock["sku"][recent], stock["shop"][recent], strict=True)}
    assert set(table["unique_id"]) <= there
    assert len(table) >= 3
    assert set(table["cutoff"]) == {pd.Timestamp(first), pd.Timestamp(first) + pd.Timedelta(days=1)}
    forecasts = warehouse.read(FORECASTS, ["cutoff", "unique_id", "ds", "mean"])
    both = table.merge(forecasts, on=["cutoff", "unique_id", "ds"], validate="one_to_one")
    np.testing.assert_allclose(both["expected"], both["mean"])
    np.testing.assert_allclose(table["lost"], (table["expected"] - table["sold"]).clip(lower=0))
    assert not table.duplicated(["unique_id", "ds"]).any()
    monitor(settings, last, Run("again"))
    again = warehouse.read(LOST_DEMAND).sort_values(["unique_id", "ds"], ignore_index=True)
    pd.testing.assert_frame_equal(again.drop(columns="run_id"), table.drop(columns="run_id"))
