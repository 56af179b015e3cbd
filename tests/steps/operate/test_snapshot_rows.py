"""The rows behind a series, on tables small enough to read: its own and everybody's, and nothing that came later."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.panel.build import build_panel
from forecasting.steps.operate import snapshot_rows
from forecasting.storage.lake.lake import Lake
from tests.support.shops import small_shop

CUTOFF = date(2026, 6, 3)
DAYS = pd.to_datetime(["2026-06-01", "2026-06-02", "2026-06-03"])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    path = small_shop(tmp_path_factory.mktemp("behind"), panel__horizon=2, panel__universe="cross")
    return configuration.load(path)


@pytest.fixture(scope="module")
def lake(settings: Settings) -> Lake:
    made = Lake(settings.lake)
    both = ["A", "B"]
    tables = {
        "items": pd.DataFrame({"item": both, "category": ["bread", "cake"]}),
        "stores": pd.DataFrame({"store": ["S", "T"], "region": ["north", "south"]}),
        "prices": rows(
            "item store ds price",
            "A S 2026-05-01 2.0", "A T 2026-05-01 3.0", "A  2026-06-05 2.5", "B S 2026-05-01 9.0",
        ),
        "promotions": rows("item store ds value", "A  2026-06-04 0.1", "A  2026-06-09 0.2", " S 2026-06-02 0.3"),
        "stock": rows("item store ds in_stock", "A S 2026-06-02 0", "A S 2026-06-05 0", "B S 2026-06-02 0").astype(
            {"in_stock": bool}
        ),
        "signals": rows(
            "signal item store group ds value",
            "weather   north 2026-06-03 10.0", "weather   north 2026-06-04 11.0", "weather   south 2026-06-03 20.0",
        ),
    }  # fmt: skip
    sold = pd.DataFrame({"item": "A", "store": "S", "ds": DAYS, "y": [1.0, 2.0, 0.5]})
    other = pd.DataFrame({"item": ["B", "A"], "store": ["S", "T"], "ds": DAYS[1], "y": 5.0})
    made.commit(CUTOFF, pd.concat([sold, other]), None, tables)
    return made


def rows(names: str, *lines: str) -> pd.DataFrame:
    """A table from words with one space between them (two: an empty one); the last column is a number."""
    table = pd.DataFrame([line.split(" ") for line in lines], columns=names.split())
    return table.assign(ds=pd.to_datetime(table["ds"])).astype({names.rsplit(maxsplit=1)[-1]: float})


@pytest.fixture(scope="module")
def panel(settings: Settings, lake: Lake):
    snapshot = lake.snapshot(CUTOFF)
    tables = {name: lake.read(snapshot.id, name) for name in ("sales", *snapshot.versions)}
    return build_panel(tables, settings, CUTOFF, snapshot.id)


def test_sales_are_the_series_own_with_the_groups_that_it_is_compared_with(lake, panel) -> None:
    found = snapshot_rows.sales(lake, panel, panel.unique_ids.tolist().index("A_S"))
    assert found["rows"] == [
        {"ds": date(2026, 6, 1), "y": 1.0}, {"ds": date(2026, 6, 2), "y": 2.0}, {"ds": date(2026, 6, 3), "y": 0.5}
    ]  # fmt: skip
    assert (found["count"], found["units"], found["unobserved_periods"]) == (3, 3.5, 1)  # no stock on the 2nd
    assert (found["first"], found["last"]) == (date(2026, 6, 1), CUTOFF)
    assert found["groups"] == {"total": "all", "store": "S", "region": "north", "category": "bread"}


def test_other_tables_give_what_holds_for_the_series_and_could_be_known(lake, settings, panel) -> None:
    found = snapshot_rows.tables(lake, settings, panel, panel.unique_ids.tolist().index("A_S"))
    kept = {name: [tuple(map(str, row.values())) for row in table["rows"]] for name, table in found.items()}
    assert kept == {
        "items": [("A", "bread")],
        "stores": [("S", "north")],
        "prices": [("A", "S", "2026-05-01", "2.0"), ("A", "", "2026-06-05", "2.5")],  # the horizon ends on the 5th
        "promotions": [("", "S", "2026-06-02", "0.3"), ("A", "", "2026-06-04", "0.1")],
        "stock": [("A", "S", "2026-06-02", "False")],
        "signals": [("weather", "", "", "north", "2026-06-03", "10.0")],  # known afterwards only
    }
    snapshot = lake.snapshot(CUTOFF)
    for name, table in found.items():
        assert (table["version"], table["digest"]) == (snapshot.versions[name], snapshot.digests[name])
        assert table["rows_digest"] == snapshot_rows.digest(table["rows"])


def test_a_series_that_never_sold_has_no_rows(lake, settings, panel) -> None:
    where = panel.unique_ids.tolist().index("B_T")
    found = snapshot_rows.sales(lake, panel, where)
    assert (found["rows"], found["count"], found["units"], found["first"]) == ([], 0, 0.0, None)
    assert not np.isfinite(panel.y[where]).any()
    assert snapshot_rows.tables(lake, settings, panel, where)["prices"]["rows"] == []
