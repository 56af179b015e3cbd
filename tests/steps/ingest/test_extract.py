"""A night of a small shop with real files, a real lake and a real warehouse: what goes in, what stops, what stays."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.core.config.settings import Settings
from forecasting.core.errors import DataQualityError, SourceError
from forecasting.panel.observed.absence_codes import QUARANTINED
from forecasting.steps.ingest.extract import extract
from forecasting.steps.run import Run
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import QUALITY, QUARANTINE, RUNS

CUTOFF = date(2026, 6, 28)  # a Sunday
DAYS = 28
ITEMS, STORES = ("milk", "bread"), ("north", "south")


class Shop:
    """Files of one shop: two lines a day, item and store, until the cutoff; each test changes what it is about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines = pd.DataFrame(
            [
                {"line": f"{day}-{store}-{item}-{half}", "item": item, "store": store,
                 "ds": f"{CUTOFF - timedelta(days=day)} 1{half}:30:00", "y": str(2 + half), "price": "1.50"}
                for day in range(DAYS) for store in STORES for item in ITEMS for half in (0, 1)
            ]
        )  # fmt: skip
        self.items = pd.DataFrame({"item": ITEMS, "category": ["dairy", "bakery"]})
        self.stores = pd.DataFrame({"store": STORES, "region": ["N", "S"]})

    def settings(self, **screen: object) -> Settings:
        for name in ("lines", "items", "stores"):
            getattr(self, name).to_csv(self.folder / f"{name}.csv", index=False)
        tables = {name: {"source": "files", "path": f"{name}.csv"} for name in ("items", "stores")}
        sales = {"source": "files", "path": "lines.csv", "grain": "transactions"}
        return Settings.model_validate(
            {
                "sources": {"files": {"kind": "files", "path": str(self.folder)}},
                "extract": {"sales": sales, "correction_days": 14} | tables,
                "screen": screen,
                "panel": {"horizon": 7},
                "lake": {"path": str(self.folder / "lake")},
                "warehouse": {"url": f"sqlite:///{self.folder / 'warehouse.db'}"},
            }
        )

    def add(self, **changes: object) -> None:
        """One more line: a good one but for the changes."""
        good = {"line": f"more-{len(self.lines)}", "item": "milk", "store": "north", "ds": f"{CUTOFF} 12:00:00",
                "y": "1", "price": "1.50"}  # fmt: skip
        self.lines = pd.concat([self.lines, pd.DataFrame([good | changes])], ignore_index=True)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def night(settings: Settings, cutoff: date = CUTOFF, run: str = "night") -> dict:
    return extract(settings, cutoff, Run(run))


def quarantine(settings: Settings) -> list[tuple[str, str]]:
    rows = Warehouse(settings.warehouse).read(QUARANTINE)
    return list(zip(rows["rule"], rows["reason"], strict=True))


def test_a_night_by_hand(shop: Shop) -> None:
    settings = shop.settings()
    result = night(settings)
    assert json.loads(json.dumps(result)) == result
    assert {name: result[name] for name in ("cutoff", "snapshot", "read", "clean", "quarantined", "series")} == {
        "cutoff": "2026-06-28", "snapshot": "sales@0", "read": 224, "clean": 224, "quarantined": 0, "series": 4,
    }  # fmt: skip
    panel = Lake(settings.lake).read_panel(CUTOFF)
    assert panel.unique_ids.tolist() == ["bread_north", "bread_south", "milk_north", "milk_south"]
    assert panel.series["category"].tolist() == ["bakery", "bakery", "dairy", "dairy"]
    assert panel.snapshot == result["snapshot"]
    assert panel.y.shape == (4, DAYS)
    assert (panel.y == 5).all()  # two lines a day, of 2 and 3 units
    runs = Warehouse(settings.warehouse).read(RUNS)
    assert runs[["run_id", "step", "snapshot", "rows", "outcome"]].to_dict("records") == [
        {"run_id": "night", "step": "extract", "snapshot": "sales@0", "rows": 224, "outcome": "done"}
    ]


def test_read_is_clean_plus_quarantined_by_table_and_rule(shop: Shop) -> None:
    shop.add(y="-1")  # a return, subtracted
    shop.add(item="chewing gum")
    shop.add(store="west")
    shop.add(price="-3")
    shop.add(ds="soon")
    shop.add(line="0-north-milk-0")
    shop.add(ds=f"{CUTOFF + timedelta(days=400)}")
    settings = shop.settings()
    result = night(settings)
    assert (result["read"], result["clean"], result["quarantined"]) == (231, 225, 6)
    quality = Warehouse(settings.warehouse).read(QUALITY)
    assert (quality["read"] == quality["clean"] + quality["quarantined"]).all()
    sales = quality[(quality["table"] == "sales") & (quality["severity"] == "quarantine")].set_index("rule")
    assert sales.loc[sales["quarantined"] > 0, "quarantined"].to_dict() == {
        "duplicate": 1, "future": 1, "range": 1, "type": 1, "unknown_item": 1, "unknown_store": 1,
    }  # fmt: skip
    rows = Warehouse(settings.warehouse).read(QUARANTINE)
    assert set(rows["snapshot"]) == {result["snapshot"]}
    gum = json.loads(rows.loc[rows["rule"] == "unknown_item", "content"].iat[0])
    assert (gum["item"], gum["store"], gum["y"]) == ("chewing gum", "north", "1")
    panel = Lake(settings.lake).read_panel(CUTOFF)
    assert panel.unique_ids[2] == "milk_north"  # its newest day lacks the line with a price below zero
    assert np.isnan(panel.y[2, -1])
    assert panel.absence[2, -1] == QUARANTINED
    assert (panel.absence > 0).sum() == 1


def test_the_same_night_twice_is_the_same_night(shop: Shop) -> None:
    shop.add(item="chewing gum", ds="2026-06-02")  # before the window of corrections
    settings = shop.settings()
    first, tables = night(settings), {}
    for table in (QUALITY, QUARANTINE):
        tables[table.name] = Warehouse(settings.warehouse).read(table)
    assert night(settings) == first
    for table in (QUALITY, QUARANTINE):
        pd.testing.assert_frame_equal(Warehouse(settings.warehouse).read(table), tables[table.name])
    assert len(Warehouse(settings.warehouse).read(RUNS)) == 1


def test_the_next_night_reads_what_is_new_and_late_corrections(shop: Shop) -> None:
    before = CUTOFF - timedelta(days=1)
    settings = shop.settings()
    first = night(settings, before)
    shop.add(ds="2026-06-20", y="10")  # late, within the window
    shop.add(ds="2026-06-02", y="10")  # too late
    settings = shop.settings()
    second = night(settings)
    assert first["read"] == 8 * 27
    assert second["read"] == 8 * 15 + 1  # 14 days of corrections, the new day, the late line
    assert second["snapshot"] != first["snapshot"]
    panel = Lake(settings.lake).read_panel(CUTOFF)
    changed = {str(panel.periods[day].date()): float(panel.y[2, day]) for day in range(DAYS) if panel.y[2, day] != 5}
    assert changed == {"2026-06-20": 15}
    lake = Lake(settings.lake)
    assert lake.read(first["snapshot"], "sales")["ds"].max() == pd.Timestamp(before)  # still readable
    assert lake.read(second["snapshot"], "sales")["ds"].max() == pd.Timestamp(CUTOFF)


def test_an_earlier_night_again_leaves_the_later_days_alone(shop: Shop) -> None:
    settings = shop.settings()
    before = CUTOFF - timedelta(days=3)
    night(settings)
    again = night(settings, before)
    lake = Lake(settings.lake)
    assert lake.read_panel(before).cutoff == before
    assert lake.read(again["snapshot"], "sales")["ds"].max() == pd.Timestamp(CUTOFF)
    assert lake.newest_cutoff() == CUTOFF
    assert night(settings, before) == again


def stopped(shop: Shop, **screen: object) -> str:
    """The message of a night that is stopped, after a look that nothing of it can be seen but why."""
    settings = shop.settings(**screen)
    with pytest.raises(DataQualityError) as error:
        night(settings)
    assert Lake(settings.lake).newest_cutoff() is None
    warehouse = Warehouse(settings.warehouse)
    quality = warehouse.read(QUALITY)
    assert not quality.loc[quality["severity"] == "stop", "passed"].all()
    assert warehouse.read(RUNS)["outcome"].tolist() == ["failed"]
    return str(error.value)


def test_a_missing_column(shop: Shop) -> None:
    shop.lines = shop.lines.rename(columns={"y": "qty"})
    with pytest.raises(SourceError, match=r"no column 'y'.*It has: line, item, store, ds, qty, price"):
        night(shop.settings())


def test_text_in_a_number(shop: Shop) -> None:
    shop.lines["y"] = "many"
    message = stopped(shop)
    assert "sales, rule empty: no usable sales row: 224 were read, all in quarantine (224 type)" in message
    assert "such as: y 'many' cannot be read" in message


def test_of_a_stopped_night_examples_are_kept_and_all_rows_counted(shop: Shop) -> None:
    shop.lines = pd.concat([shop.lines.assign(y="many")] * 6, ignore_index=True)
    stopped(shop)
    warehouse = Warehouse(shop.settings().warehouse)
    assert len(warehouse.read(QUARANTINE)) == 1_000
    assert warehouse.read(QUALITY, rule="type", table="sales")["quarantined"].tolist() == [6 * 224]


def test_text_in_one_number_costs_that_row_only(shop: Shop) -> None:
    shop.add(y="many")
    settings = shop.settings()
    assert night(settings)["quarantined"] == 1
    assert quarantine(settings) == [("type", "y 'many' cannot be read")]


def test_an_empty_file(shop: Shop) -> None:
    shop.lines = shop.lines.head(0)
    assert "rule empty: no usable sales row: 0 were read" in stopped(shop)


def test_duplicate_keys(shop: Shop) -> None:
    shop.lines = pd.concat([shop.lines, shop.lines], ignore_index=True)
    message = stopped(shop)
    assert "rule max_quarantined: 50.0% of 448 rows are in quarantine, allowed are 20%" in message
    assert "most for 'duplicate' (224), such as: line '0-north-milk-0' is there more than once" in message


def test_all_dates_in_the_future(shop: Shop) -> None:
    shop.lines["ds"] = "2031-01-01"
    message = stopped(shop)
    assert "rule empty: no usable sales row: 224 were read, all in quarantine (224 future)" in message
    assert "dated 2031-01-01, after 2026-06-29" in message


def test_a_store_gone_silent(shop: Shop) -> None:
    silent = shop.lines["store"].eq("south") & shop.lines["ds"].str.startswith(str(CUTOFF))
    shop.lines = shop.lines[~silent]
    assert "sales, rule silent_store: sold nothing on 2026-06-28: south" in stopped(shop, silent_store="stop")


def test_a_silent_store_only_warns_where_that_is_asked_for(shop: Shop) -> None:
    silent = shop.lines["store"].eq("south") & shop.lines["ds"].str.startswith(str(CUTOFF))
    shop.lines = shop.lines[~silent]
    settings = shop.settings(silent_store="warn")
    night(settings)
    quality = Warehouse(settings.warehouse).read(QUALITY, rule="silent_store")
    assert quality[["severity", "passed", "message"]].to_dict("records") == [
        {"severity": "warn", "passed": False, "message": "sold nothing on 2026-06-28: south"}
    ]


def test_a_source_that_stands_still(shop: Shop) -> None:
    shop.lines = shop.lines[shop.lines["ds"] < "2026-06-20"]
    assert "rule freshness: newest sale 2026-06-19, 9 days before 2026-06-28; allowed are 1" in stopped(shop)


def test_a_stopped_night_leaves_the_last_good_one(shop: Shop) -> None:
    settings = shop.settings()
    good = night(settings, CUTOFF - timedelta(days=1))
    shop.lines["y"] = "many"
    with pytest.raises(DataQualityError, match="The night of 2026-06-28 is not worth forecasting from"):
        night(shop.settings())
    lake = Lake(settings.lake)
    assert lake.newest_cutoff() == CUTOFF - timedelta(days=1)
    assert lake.snapshot(CUTOFF - timedelta(days=1)).id == good["snapshot"]
    assert len(lake.read(good["snapshot"], "sales")) == 4 * 27


def test_an_impossible_day_that_looks_like_a_later_one_is_not_lost(shop: Shop) -> None:
    """2026-13-01 sorts after the cutoff: the reading up to the cutoff does not bring it, the one of the future does."""
    for day in ("2026-13-01", "2026-02-30", "soon", ""):
        shop.add(ds=day)
    settings = shop.settings()
    result = night(settings)
    assert (result["read"], result["clean"], result["quarantined"]) == (228, 224, 4)
    rules = sorted(quarantine(settings))
    assert [rule for rule, _ in rules] == ["missing_key", "type", "type", "type"]
    assert any("2026-13-01" in reason for _, reason in rules)


@pytest.mark.parametrize("with_ids", [True, False])
def test_a_day_that_is_delivered_twice_counts_once(shop: Shop, with_ids: bool) -> None:
    for number in range(30):  # a busy Sunday, and two equal sales that are two
        shop.add(ds=f"{CUTOFF} 09:{max(number, 1):02}:00")
    if not with_ids:
        shop.lines = shop.lines.drop(columns="line")
    settings = shop.settings(max_quarantined=0.01)
    once = night(settings)
    panel = Lake(settings.lake).read_panel(CUTOFF)
    sunday = shop.lines["ds"].str.startswith(str(CUTOFF))
    shop.lines = pd.concat([shop.lines, shop.lines[sunday], shop.lines[sunday]], ignore_index=True)
    again = night(shop.settings(max_quarantined=0.01), run="again")
    assert (again["clean"], again["quarantined"]) == (once["clean"], 2 * int(sunday.sum()))
    assert set(quarantine(settings)) == {("delivered_again", "every line of its day was delivered 3 times")}
    assert (Lake(settings.lake).read_panel(CUTOFF).y == panel.y).all()
    assert again["snapshot"] == once["snapshot"]


@pytest.mark.parametrize("half", ["by item", "by byte"])
def test_half_a_file_stops_the_night_and_the_whole_one_goes_on(shop: Shop, half: str) -> None:
    """Sorted by item, half a file has every day and store, and lacks half of what was known before."""
    shop.lines = shop.lines.sort_values(["item", "ds"], ignore_index=True)
    settings = shop.settings()
    night(settings)
    tomorrow = CUTOFF + timedelta(days=1)
    for store in STORES:
        for item in ITEMS:
            shop.add(ds=f"{tomorrow} 10:00:00", item=item, store=store)
    shop.lines = shop.lines.sort_values(["item", "ds"], ignore_index=True)
    shop.settings()
    file = shop.folder / "lines.csv"
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[: len(lines) // 2]) if half == "by item" else whole[: len(whole) // 2 + 3])
    with pytest.raises((DataQualityError, SourceError), match=r"shrunk|lines\.csv"):
        night(settings, tomorrow)
    assert Lake(settings.lake).newest_cutoff() == CUTOFF
    file.write_bytes(whole)
    assert night(settings, tomorrow)["quarantined"] == 0
    assert Lake(settings.lake).read_panel(tomorrow).y.shape == (4, DAYS + 1)
