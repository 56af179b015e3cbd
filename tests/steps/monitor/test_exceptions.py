"""The few series to look at first: ranked by the units at stake, each once, and why their numbers are what they are."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config import settings as configuration
from forecasting.planning.overrides import Override
from forecasting.reporting.messages.languages import Words
from forecasting.sources.demo import database
from forecasting.steps.forecast import overrides
from forecasting.steps.forecast.replenish import replenish
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.monitor import exceptions
from forecasting.steps.run import Run
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import REPLENISHMENT
from forecasting.tables.warehouse import EXCEPTIONS, EXPLANATIONS, FORECASTS, SERIES_SCORES
from tests.steps.test_night import forecast, night
from tests.support.shops import small_shop

FIRST = date(2026, 6, 30)


def test_exceptions_are_ranked_by_what_is_at_stake_and_explained(tmp_path: Path) -> None:
    settings = configuration.load(small_shop(tmp_path))
    first = tonight(settings)
    second = first + timedelta(days=1)
    night(settings, first, "first")
    database.advance(settings, second)
    night(settings, second, "second")
    warehouse, day = Warehouse(settings.warehouse), pd.Timestamp(second)
    forecasts = warehouse.read(FORECASTS, cutoff=day)
    jumps, low, *_ = forecasts["unique_id"].unique()
    # The last vintage said 30 units a day more for one series; another one was forecast too low again and again.
    before = warehouse.read(FORECASTS, cutoff=pd.Timestamp(first))
    before.loc[before["unique_id"] == jumps, "mean"] += 30
    warehouse.replace(FORECASTS, before, cutoff=pd.Timestamp(first))
    scores = warehouse.read(SERIES_SCORES, scored_at=day)
    scores["tracking_signal"], scores["naive_wape"] = 0.0, 10.0
    mine = scores["unique_id"] == low
    scores.loc[mine, "tracking_signal"], scores.loc[mine, "bias"] = -6.0, -0.5
    warehouse.replace(SERIES_SCORES, scores, scored_at=day)

    for _ in range(2):  # twice is once
        facts = exceptions.find(settings, second, Run("again"))
    found = warehouse.read(EXCEPTIONS, cutoff=day).set_index("unique_id")
    assert facts["exceptions"] == len(found)
    assert sorted(found["rank"]) == list(range(1, len(found) + 1))
    assert found.sort_values("rank")["stake"].is_monotonic_decreasing
    assert found.loc[jumps, "reason"] == "jump"
    days = settings.panel.horizon - 1  # periods that both vintages have
    assert found.loc[jumps, "stake"] == pytest.approx(30 * days, rel=0.2)
    assert f"in the vintage of {first}" in found.loc[jumps, "message"]
    assert found.loc[low, "reason"] == "bias"
    units = forecasts.loc[forecasts["unique_id"] == low, "mean"].sum()
    assert found.loc[low, "stake"] == pytest.approx(0.5 * units)
    assert found.loc[low, "message"] == "forecast too low again and again: 50% (tracking signal -6.0)"

    why = warehouse.read(EXPLANATIONS, cutoff=day)
    assert set(why["unique_id"]) == set(found.index)
    told = why.groupby(["unique_id", "ds"])["units"].sum()
    published = forecasts.set_index(["unique_id", "ds"])["mean"].loc[told.index]
    np.testing.assert_allclose(told, published, rtol=1e-4, atol=1e-4)


def test_only_so_many_and_none_in_the_first_night(tmp_path: Path) -> None:
    settings = configuration.load(small_shop(tmp_path, train__models=["seasonal_mean"], monitor__exceptions=2))
    first = tonight(settings)
    night(settings, first, "first")
    assert exceptions.find(settings, first, Run("x"))["exceptions"] == 0
    warehouse = Warehouse(settings.warehouse)
    forecasts = warehouse.read(FORECASTS, cutoff=pd.Timestamp(first))
    warehouse.replace(
        FORECASTS, forecasts.assign(status="fallback", reason="champion 1 is refused (test)"),
        cutoff=pd.Timestamp(first),
    )  # fmt: skip
    assert exceptions.find(settings, first, Run("x"))["exceptions"] == 2
    found = warehouse.read(EXCEPTIONS, cutoff=pd.Timestamp(first))
    assert set(found["reason"]) == {"fallback"}
    assert found["message"].str.contains("a fallback stands in for").all()


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[configuration.Settings, str]:
    """Of a shop in which one series has nothing on hand or on order, the others have plenty."""
    path = small_shop(tmp_path_factory.mktemp("shop"), train__models=["seasonal_mean"], train__blend=False)
    settings = configuration.load(path)
    tonight(settings)
    engine = sa.create_engine(settings.sources["shop"].url)
    with engine.begin() as connection:
        sku, shop = connection.execute(sa.text("SELECT sku, shop FROM stock_positions ORDER BY sku, shop")).first()
        connection.execute(sa.text("UPDATE stock_positions SET on_hand = 100000, on_order = 0"))
        empty = "UPDATE stock_positions SET on_hand = 0 WHERE sku = :sku AND shop = :shop"
        connection.execute(sa.text(empty), {"sku": sku, "shop": shop})
    engine.dispose()
    night(settings, FIRST, "first")
    return settings, f"{sku}_{shop}"


@pytest.fixture
def empty_shelf(first_night: tuple[configuration.Settings, str], tmp_path: Path) -> tuple[configuration.Settings, str]:
    """The same, with tables of the test's own."""
    settings, name = first_night
    shutil.copy(settings.warehouse.url.removeprefix("sqlite:///"), tmp_path / "warehouse.db")
    own = settings.warehouse.model_copy(update={"url": f"sqlite:///{tmp_path}/warehouse.db"})
    return settings.model_copy(update={"warehouse": own}), name


def found(settings: configuration.Settings) -> pd.DataFrame:
    exceptions.find(settings, FIRST, Run("again"))
    return Warehouse(settings.warehouse).read(EXCEPTIONS, cutoff=pd.Timestamp(FIRST)).set_index("unique_id")


def test_what_runs_out_before_an_order_arrives_is_listed_whether_orders_are_made_yet_or_not(empty_shelf) -> None:
    settings, name = empty_shelf
    warehouse = Warehouse(settings.warehouse)
    alone = found(settings)
    assert warehouse.read(REPLENISHMENT).empty  # they are made side by side with this
    assert alone["reason"].to_dict() == {name: "stockout"}
    replenish(settings, FIRST, Run("first"))
    order = warehouse.read(REPLENISHMENT, unique_id=name).iloc[0]
    mine = warehouse.read(FORECASTS, unique_id=name).sort_values("ds")
    missing = mine["mean"].head(int(order["lead_time"])).sum()
    assert alone.loc[name, "stake"] == pytest.approx(missing, rel=1e-5)
    assert order["stock_out"] == mine["ds"].iloc[0]
    arrives = FIRST + timedelta(days=int(order["lead_time"]) + 1)
    said = f"runs out before an order of now arrives on {arrives}, with a probability of {order['risk']:.0%}: "
    assert alone.loc[name, "message"] == f"{said}{missing:,.1f} units are missing"
    assert Words("pt").told(alone.loc[name, "message"]).startswith("esgota antes da chegada, em ")
    pd.testing.assert_frame_equal(found(settings), alone)

    last = FIRST + timedelta(days=settings.panel.horizon)
    overrides.submit(
        settings, Override("series", name, FIRST + timedelta(days=1), last, "percent", 100.0, "fair", "ann")
    )
    assert found(settings).loc[name, "stake"] == pytest.approx(2 * missing, rel=1e-5)


def test_orders_of_an_older_forecast_are_made_anew(empty_shelf) -> None:
    settings, name = empty_shelf
    warehouse = Warehouse(settings.warehouse)
    replenish(settings, FIRST, Run("first"))
    rows = warehouse.read(REPLENISHMENT)
    warehouse.replace(REPLENISHMENT, rows.assign(on_hand=1e6, risk=0.0), cutoff=pd.Timestamp(FIRST))
    assert found(settings).empty  # the orders say that there is plenty
    forecast(settings, FIRST, "second")
    assert found(settings)["reason"].to_dict() == {name: "stockout"}


def test_orders_that_cannot_be_made_stop_no_list(empty_shelf, caplog) -> None:
    settings, _ = empty_shelf
    wrong = settings.planning.model_copy(update={"lead_time": 30})
    assert found(settings.model_copy(update={"planning": wrong})).empty
    assert "no orders can be made" in caplog.text
    assert found(settings.model_copy(update={"planning": None})).empty


def test_a_new_item_without_sales_of_its_own_is_listed_with_all_its_units(empty_shelf) -> None:
    settings, name = empty_shelf
    warehouse = Warehouse(settings.warehouse)
    rows = warehouse.read(FORECASTS, cutoff=pd.Timestamp(FIRST))
    new = next(one for one in rows["unique_id"].unique() if one != name)
    rows.loc[rows["unique_id"] == new, "status"] = "insufficient"
    warehouse.replace(FORECASTS, rows, cutoff=pd.Timestamp(FIRST))
    listed = found(settings)
    units = rows.loc[rows["unique_id"] == new, "mean"].sum()
    assert listed.loc[new, "reason"] == "new"
    assert listed.loc[new, "stake"] == pytest.approx(units)
    assert listed.loc[new, "message"] == f"new, no sales of its own yet: {units:,.1f} units by similar series"
    assert "ainda sem vendas próprias" in Words("pt").told(listed.loc[new, "message"])
