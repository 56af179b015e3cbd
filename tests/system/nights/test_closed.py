"""Shops that close, for good or for months: whole nights, the sales in files, a cheap model."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import DataQualityError
from forecasting.steps.forecast.replenish import replenish
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.alerts import watch
from forecasting.steps.run import Run
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import REPLENISHMENT
from forecasting.tables.warehouse import ALERTS, FORECAST_SUMS, FORECASTS, QUALITY
from tests.steps.test_night import night

CUTOFF = date(2026, 6, 30)
LEVELS = {"north": 10, "south": 20, "west": 30}
CONF = """
name = "closed"
[sources.files]
kind = "files"
path = "{place}"
[extract.sales]
source = "files"
path = "sales.csv"
grain = "periods"
columns = {{ {columns}, ds = "day", y = "units" }}
[extract.inventory]
source = "files"
path = "stock.csv"
columns = {{ {columns}, ds = "day", on_hand = "on_hand" }}
[planning]
lead_time = 2
[panel]
horizon = 7
unique_id = "{name}"
[train]
models = ["seasonal_mean"]
blend = false
folds = 1
[lake]
path = "{place}/lake"
[warehouse]
url = "sqlite:///{place}/warehouse.db"
[mlflow]
tracking_uri = "sqlite:///{place}/mlflow.db"
artifacts = "{place}/artifacts"
[report]
enabled = false
"""
MAPPED = {
    "stores with items": ('item = "item", store = "store"', "{item}_{store}", ("a", "b")),
    "items are stores": ('item = "store"', "{item}", ("a",)),
}


def shop(place: Path, mapped: str, shut: dict[str, tuple[date, date]], cutoff: date = CUTOFF) -> Settings:
    """Shops that sell the same every day for 20 months, but from one day to another."""
    columns, name, items = MAPPED[mapped]
    days = pd.date_range(cutoff - timedelta(days=600), cutoff)
    rows = [
        (day.date(), store, item, level + number + day.weekday() % 2)
        for store, level in LEVELS.items()
        for number, item in enumerate(items)
        for day in days
        if store not in shut or not shut[store][0] <= day.date() <= shut[store][1]
    ]
    pd.DataFrame(rows, columns=["day", "store", "item", "units"]).to_csv(place / "sales.csv", index=False)
    stock = [(cutoff, store, item, 0) for store in LEVELS for item in items]
    pd.DataFrame(stock, columns=["day", "store", "item", "on_hand"]).to_csv(place / "stock.csv", index=False)
    conf = place / "conf.toml"
    conf.write_text(CONF.format(place=place, columns=columns, name=name))
    return configuration.load(conf)


def published(settings: Settings, cutoff: date = CUTOFF) -> pd.DataFrame:
    table = Warehouse(settings.warehouse).read(FORECASTS, cutoff=pd.Timestamp(cutoff))
    return table.groupby("unique_id").agg({"mean": "mean", "p95": "max", "status": "first", "reason": "first"})


@pytest.mark.parametrize("mapped", list(MAPPED))
def test_a_shop_that_closed_for_good_and_one_that_opened_again(tmp_path: Path, mapped: str) -> None:
    closed, opened = date(2026, 5, 5), (date(2025, 10, 1), date(2026, 4, 10))
    settings = shop(tmp_path, mapped, {"south": (closed, CUTOFF), "west": opened})
    night(settings, CUTOFF)
    replenish(settings, CUTOFF, Run("night"))
    watch(settings, CUTOFF, Run("night"))
    warehouse, found = Warehouse(settings.warehouse), published(settings)
    gone = found[found.index.str.contains("south")]
    assert (gone[["mean", "p95"]] == 0).all(axis=None)
    assert set(gone["status"]) == {"discontinued"}
    assert gone["reason"].str.contains("south: last sale on 2026-05-04").all()
    sums = warehouse.read(FORECAST_SUMS)
    assert (sums.loc[sums["name"].isin(gone.index), ["mean", "p95"]] == 0).all(axis=None)
    others = found.drop(gone.index)
    assert set(others["status"]) == {"ok"}
    level = others.index.str.contains("west") * 20 + 10 + others.index.str.startswith("b") * 1.0 + 0.5
    np.testing.assert_allclose(others["mean"], level, atol=0.3)
    orders = warehouse.read(REPLENISHMENT).set_index("unique_id")["order"]
    assert (orders[gone.index] == 0).all()
    assert (orders[others.index] > 0).all()
    alert = warehouse.read(ALERTS, subject="sales: closed")
    assert alert["message"].tolist()[0].count("south") == 1
    assert not warehouse.read(QUALITY, rule="closed")["passed"].any()


def test_it_sells_again_and_is_as_before(tmp_path: Path) -> None:
    before = date(2026, 5, 5)
    settings = shop(tmp_path, "items are stores", {"south": (before, CUTOFF)})
    night(settings, CUTOFF)
    later = CUTOFF + timedelta(days=1)
    shop(tmp_path, "items are stores", {"south": (before, CUTOFF)}, later)
    night(settings, later)
    watch(settings, later, Run("night"))
    found = published(settings, later)
    assert found.loc["south", "status"] == "ok"
    assert found.loc["south", "mean"] == pytest.approx(20.5, abs=1)
    assert Warehouse(settings.warehouse).read(QUALITY, rule="closed", cutoff=pd.Timestamp(later))["passed"].all()


def test_a_chain_of_which_nothing_came_is_no_closed_chain(tmp_path: Path) -> None:
    settings = shop(tmp_path, "items are stores", dict.fromkeys(LEVELS, (date(2026, 6, 27), CUTOFF)))
    with pytest.raises(DataQualityError, match="rule freshness"):
        extract(settings, CUTOFF, Run("night"))


def test_a_closure_within_the_bound_changes_nothing(tmp_path: Path) -> None:
    settings = shop(tmp_path, "items are stores", {"south": (date(2026, 6, 10), CUTOFF)})
    night(settings, CUTOFF)
    found = published(settings)
    assert found.loc["south", "status"] == "ok"
    assert found.loc["south", "mean"] == pytest.approx(20.5, abs=1)
