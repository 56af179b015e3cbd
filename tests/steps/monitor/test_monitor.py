"""Scores of published vintages by real nights of a small shop: what counts, what does not, and what changes later."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from forecasting.core.config.settings import Settings
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.monitor import monitor
from forecasting.steps.run import Run
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, QUALITY, SCORE_TRENDS, SCORES, SERIES_SCORES
from tests.steps.ingest.test_extract import CUTOFF, DAYS, Shop

VINTAGE = CUTOFF - timedelta(days=3)
TABLES = (SCORES, SERIES_SCORES, SCORE_TRENDS)


class Monitored(Shop):
    """The shop sells 5 of each of four series a day; the forecasts say 6, and 5 of milk in the north."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.stock = pd.DataFrame({"item": ["tea"], "store": ["north"], "ds": [f"{CUTOFF}"], "on_hand": ["0"]})

    def settings(self, **screen: object) -> Settings:
        content = super().settings(**screen).model_dump(mode="json", by_alias=True, exclude_unset=True)
        self.stock.to_csv(self.folder / "stock.csv", index=False)
        content["extract"]["stock"] = {"source": "files", "path": "stock.csv"}
        return Settings.model_validate(content)

    def day_later(self, days: int = 1) -> date:
        """Lines as on every day, dated so many days after the cutoff; gives that day."""
        newest = CUTOFF + timedelta(days=days)
        lines = self.lines[self.lines["line"].str.startswith("5-")].copy()
        lines["ds"] = f"{newest}" + lines["ds"].str[10:]
        lines["line"] = f"new{days}" + lines["line"]
        self.lines = pd.concat([self.lines, lines], ignore_index=True)
        return newest

    def sold(self, day: date, item: str, store: str, y: str) -> None:
        """Another quantity on the second line of this day."""
        line = f"{(CUTOFF - day).days}-{store}-{item}-1"
        assert (self.lines["line"] == line).any()
        self.lines.loc[self.lines["line"] == line, "y"] = y


@pytest.fixture
def shop(tmp_path: Path) -> Monitored:
    return Monitored(tmp_path)


def publish(settings: Settings, vintage: date, off: float = 1.0) -> None:
    names = ["bread_north", "bread_south", "milk_north", "milk_south"]
    rows = [
        {"unique_id": name, "horizon": ahead, "ds": pd.Timestamp(vintage) + pd.Timedelta(days=ahead),
         "mean": 5.0 if name == "milk_north" else 5.0 + off}
        for name in names for ahead in range(1, 8)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    for column in ("p05", "p10", "p25", "p50", "p75", "p90", "p95"):
        frame[column] = frame["mean"]
    origin = {"model": "hand", "model_version": "7", "snapshot": "s", "run_id": "hand", "status": "ok"}
    frame = frame.assign(cutoff=pd.Timestamp(vintage), **origin)
    Warehouse(settings.warehouse).replace(FORECASTS, frame, cutoff=pd.Timestamp(vintage))


def night(shop: Monitored, cutoff: date = CUTOFF, *vintages: date) -> Settings:
    settings = shop.settings()
    extract(settings, cutoff, Run("night"))
    for vintage in vintages or (VINTAGE,):
        publish(settings, vintage)
    monitor(settings, cutoff, Run("night"))
    return settings


def score(settings: Settings, metric: str, level: str = "total", group: str = "all", vintage: date = VINTAGE) -> tuple:
    """Value and periods."""
    where = {"cutoff": pd.Timestamp(vintage), "level": level, "group": group, "metric": metric, "bucket": "all"}
    rows = Warehouse(settings.warehouse).read(SCORES, **where)
    assert len(rows) == 1
    return rows["value"].iat[0], rows["periods"].iat[0]


def test_groups_segments_and_series_by_hand(shop: Monitored) -> None:
    settings = night(shop)
    assert score(settings, "wape") == (pytest.approx(9 / 60), 12)  # nine of twelve say one too much of 5
    assert score(settings, "bias")[0] == pytest.approx(9 / 60)
    assert score(settings, "coverage")[0] == pytest.approx(3 / 12)
    assert score(settings, "naive_wape")[0] == 0
    warehouse = Warehouse(settings.warehouse)
    scores = warehouse.read(SCORES)
    assert set(scores["level"]) == {"total", "demand_class", "volume_class"}
    assert set(scores.loc[scores["level"] == "demand_class", "group"]) == {"smooth"}
    assert set(scores.loc[scores["level"] == "volume_class", "group"]) == {"A"}
    assert set(scores["bucket"]) == {"1-7", "all"}
    series = warehouse.read(SERIES_SCORES).set_index("unique_id")
    assert len(series) == 4
    assert series["periods"].tolist() == [3] * 4
    assert series["wape"].to_dict() == pytest.approx(
        {"bread_north": 0.2, "bread_south": 0.2, "milk_north": 0, "milk_south": 0.2}
    )
    assert series.loc[["bread_north", "milk_north"], "tracking_signal"].tolist() == pytest.approx([3, 0])
    assert set(series["demand_class"]) == {"smooth"}


def test_days_without_stock_do_not_count(shop: Monitored) -> None:
    shop.stock.loc[0] = ["bread", "north", f"{CUTOFF - timedelta(days=1)}", "0"]
    assert score(night(shop), "wape") == (pytest.approx(8 / 55), 11)


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({"y": "lots"}, 11), ({"y": "1e12"}, 11), ({"price": "-3"}, 11), ({"y": ""}, 11),
        ({"store": ""}, 12), ({"item": "tea"}, 12), ({"line": "1-north-milk-0"}, 12), ({"ds": "soon"}, 12),
    ],
)  # fmt: skip
def test_days_with_a_row_set_aside_do_not_count(shop: Monitored, changes: dict[str, str], counted: int) -> None:
    shop.add(**({"ds": f"{CUTOFF - timedelta(days=1)} 09:00:00"} | changes))
    assert score(night(shop), "wape")[1] == counted


def test_a_corrected_sale_moves_the_score_and_a_repaired_row_counts_again(shop: Monitored) -> None:
    shop.sold(CUTOFF, "bread", "south", "a few")
    settings = night(shop)
    assert score(settings, "wape") == (pytest.approx(8 / 55), 11)
    shop.sold(CUTOFF, "bread", "south", "3")
    shop.sold(CUTOFF, "milk", "north", "13")  # 15 that day, and 5 were expected
    later = shop.day_later()
    night(shop, later)
    assert score(settings, "wape") == (pytest.approx((12 + 10) / 90), 16)
    scores = Warehouse(settings.warehouse).read(SCORES, cutoff=pd.Timestamp(VINTAGE))
    assert set(scores["scored_at"]) == {pd.Timestamp(later)}
    assert Warehouse(settings.warehouse).distinct(SERIES_SCORES, ["scored_at"])["scored_at"].dt.date.tolist() == [
        CUTOFF, later,
    ]  # fmt: skip


def test_a_row_set_aside_before_the_days_that_are_read_again_stays_aside(shop: Monitored) -> None:
    old = CUTOFF - timedelta(days=20)
    shop.sold(old + timedelta(days=2), "milk", "south", "lots")
    settings = night(shop, CUTOFF, old)
    assert score(settings, "wape", vintage=old)[1] == 27
    night(shop, shop.day_later(), old)
    assert score(settings, "wape", vintage=old)[1] == 27


def test_nothing_of_a_night_that_was_stopped_is_held_against_a_day(shop: Monitored) -> None:
    settings = night(shop)
    quality = Warehouse(settings.warehouse).read(QUALITY)
    later = shop.day_later()
    stopped = quality.assign(cutoff=pd.Timestamp(later), snapshot="", run_id="stopped")
    Warehouse(settings.warehouse).replace(QUALITY, stopped, cutoff=pd.Timestamp(later))
    monitor(settings, CUTOFF, Run("night"))
    assert score(settings, "wape")[1] == 12


def test_many_vintages_twice_are_once_and_have_a_trend(shop: Monitored) -> None:
    vintages = [CUTOFF - timedelta(days=age) for age in range(1, 23)]  # 16 of them have passed as a whole
    settings = night(shop, CUTOFF, *vintages)
    for vintage in vintages[6:13]:
        publish(settings, vintage, off=2)
    monitor(settings, CUTOFF, Run("night"))
    warehouse = Warehouse(settings.warehouse)
    once = {table.name: warehouse.read(table) for table in TABLES}
    trend = once["score_trends"].set_index(["level", "group", "bucket"]).loc[("total", "all", "1-7")]
    assert trend["vintages"] == 16
    assert trend[["wape", "wape_before", "change"]].tolist() == pytest.approx([6 / 20, 3 / 20, 1])
    series = once["series_scores"].set_index("unique_id")
    assert series["vintages"].tolist() == [22] * 4
    assert series["wape_trend"].to_dict() == pytest.approx(
        {"bread_north": 0.2, "bread_south": 0.2, "milk_north": 0, "milk_south": 0.2}
    )
    monitor(settings, CUTOFF, Run("night"))
    for table in TABLES:
        pd.testing.assert_frame_equal(warehouse.read(table), once[table.name])
    fewer = settings.model_copy(update={"monitor": settings.monitor.model_copy(update={"vintages": 3})})
    monitor(fewer, CUTOFF, Run("night"))  # the trend goes on with what was scored before
    pd.testing.assert_frame_equal(warehouse.read(SCORE_TRENDS), once["score_trends"])
    assert len(Lake(settings.lake).read_panel(CUTOFF).periods) == DAYS
