"""The demo retailer: the same business from the same seed, with every fault that a real one has."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config.settings import Settings, load
from forecasting.core.errors import SourceError
from forecasting.sources import open_source
from forecasting.sources.demo import database
from forecasting.sources.demo.day import live
from forecasting.sources.demo.facts import holidays
from forecasting.sources.demo.world import World
from forecasting.tables.lake import SALES

CONF = Path(__file__).parents[3] / "conf" / "demo.toml"
LAST = date(2026, 1, 10)  # shortly after the closed day of the year
SMALL = ["demo.stores=3", "demo.items=12", "demo.days=130", f'demo.first_cutoff="{LAST}"']

Shop = Callable[..., Settings]


def described(folder: Path, *changes: str) -> Settings:
    return load(CONF, [*SMALL, f"sources.shop.url=sqlite:///{folder / 'shop.db'}", *changes], {})


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """A small retailer with a history."""
    settings = described(tmp_path)
    database.create(settings)
    return settings


def table(settings: Settings, name: str) -> pd.DataFrame:
    """A table of the shop (or the truth), rows in a fixed order."""
    metadata = database.TRUTH if name == "truth" else database.SHOP
    url = database.truth_url(settings) if name == "truth" else settings.sources["shop"].url
    engine = sa.create_engine(url)
    frame = pd.read_sql(sa.select(metadata.tables[name]), engine)
    engine.dispose()
    return frame.sort_values(list(frame.columns), ignore_index=True)


def everything(settings: Settings) -> dict[str, str]:
    """Content of every table, as text."""
    return {name: table(settings, name).to_csv() for name in (*database.SHOP.tables, "truth")}


def test_it_says_what_is_missing(tmp_path: Path):
    settings = described(tmp_path)
    assert not database.exists(settings)
    for action in (lambda: database.next_cutoff(settings), lambda: database.advance(settings, LAST)):
        with pytest.raises(SourceError, match="no database yet"):
            action()
    other = settings.model_copy(update={"demo": None})
    with pytest.raises(SourceError, match=r"no \[demo\] section"):
        database.create(other)
    assert list(tmp_path.iterdir()) == []


def test_history_ends_at_the_first_cutoff(shop: Settings):
    assert database.exists(shop)
    assert database.next_cutoff(shop) == LAST
    days = table(shop, "truth")["day"]
    assert (days.min(), days.max()) == (LAST - timedelta(days=129), LAST)


def test_the_same_seed_makes_the_same_business_and_another_one_does_not(shop: Settings, tmp_path: Path):
    again, other = described(tmp_path / "again"), described(tmp_path / "other", "demo.seed=12")
    for settings in (again, other):
        database.create(settings)
    assert everything(again) == everything(shop)
    assert everything(other)["transactions"] != everything(shop)["transactions"]


def test_nights_come_out_the_same_in_any_order_and_twice(shop: Settings, tmp_path: Path):
    before = everything(shop)
    database.advance(shop, LAST)
    database.advance(shop, LAST - timedelta(days=40))
    assert everything(shop) == before  # these nights have been

    other = described(tmp_path / "other")
    database.create(other)
    for ahead in (1, 2, 3):
        database.advance(shop, LAST + timedelta(days=ahead))
    for ahead in (3, 1, 2, 1):
        database.advance(other, LAST + timedelta(days=ahead))
    assert everything(shop) == everything(other)
    assert database.next_cutoff(shop) == LAST + timedelta(days=3)


def test_a_late_line_is_not_there_before_its_night(shop: Settings):
    lines = table(shop, "transactions")
    assert lines["recorded_at"].max().date() == LAST
    lag = (lines["recorded_at"].dt.normalize() - lines["sold_at"].dt.normalize()).dt.days
    assert set(lag[lag >= 0]) == {0, 2}


def test_what_is_planned_reaches_sixty_days_ahead_of_any_cutoff(shop: Settings):
    horizon = LAST + timedelta(days=60)
    assert table(shop, "holidays")["day"].max() > horizon
    assert table(shop, "promotions")["start"].max() > LAST
    before = len(table(shop, "promotions")) + len(table(shop, "prices"))
    for ahead in range(1, 29):
        database.advance(shop, LAST + timedelta(days=ahead))
    assert len(table(shop, "promotions")) + len(table(shop, "prices")) > before
    assert table(shop, "weather")["day"].max() == LAST + timedelta(days=28)  # known only afterwards
    assert table(shop, "stock_levels")["day"].max() <= LAST + timedelta(days=28)


def test_sales_are_the_truth_but_for_stock_outs_returns_and_broken_rows(shop: Settings):
    lines = table(shop, "transactions").drop_duplicates()
    honest = lines[(lines["unit_price"] >= 0) & (lines["sku"] != "XXX-999") & (lines["sold_at"].dt.date <= LAST)]
    assert 0 < len(lines) - len(honest) < 0.01 * len(lines)
    sold = honest[honest["quantity"] > 0].assign(day=honest["sold_at"].dt.date)
    sold = sold.groupby(["day", "shop", "sku"])["quantity"].sum()
    truth = table(shop, "truth").set_index(["day", "shop", "sku"])["demand"]
    out = pd.MultiIndex.from_frame(table(shop, "stock_levels")[["day", "shop", "sku"]])
    missing = truth.sub(sold, fill_value=0)
    assert (missing >= 0).all()
    late = (missing > 0) & ~missing.index.isin(out)
    assert set(missing[late].index.get_level_values("day")) <= {LAST, LAST - timedelta(days=1)}  # not yet recorded
    assert missing[missing.index.isin(out)].sum() > 0


def test_a_day_of_the_year_is_closed(shop: Settings):
    closed = date(2025, 12, 25)
    assert not (table(shop, "transactions")["sold_at"].dt.date == closed).any()
    assert not (table(shop, "truth")["day"] == closed).any()
    assert "Christmas Day" in set(table(shop, "holidays")["name"])


def test_easter_falls_where_the_calendar_has_it():
    for year, easter in {
        2018: date(2018, 4, 1),
        2024: date(2024, 3, 31),
        2049: date(2049, 4, 18),
        1981: date(1981, 4, 19),
    }.items():
        assert holidays(year)[easter - timedelta(days=2)][0] == "Good Friday"


@pytest.fixture(scope="module")
def world() -> World:
    """The whole retailer of conf/demo.toml, without its database."""
    settings = load(CONF, [], {})
    assert settings.demo is not None
    return World.make(settings.demo)


def test_a_day_alone_is_the_same_as_in_a_range(world: World):
    days = np.arange(world.first + 300, world.first + 330)
    alone, together = live(world, days[-1:]), live(world, days)
    for name in ("transactions", "stock_levels", "truth"):
        single, whole = getattr(alone, name), getattr(together, name)
        pd.testing.assert_frame_equal(single, whole.tail(len(single)).reset_index(drop=True))


def test_the_world_holds_every_fault_and_turn_that_was_asked_for(world: World):
    days = np.arange(world.first, world.first + 730)
    history = live(world, days)
    lines = history.transactions
    assert 200_000 < len(lines) < 500_000
    assert 0.001 < (lines["quantity"] < 0).mean() < 0.02  # returns
    repeated = lines["line_id"].duplicated()
    assert 0.0002 < repeated.mean() < 0.01
    assert lines.duplicated().sum() == repeated.sum()  # exact copies
    assert 0 < (lines["unit_price"] < 0).mean() < 0.002
    assert 0 < (lines["sku"] == "XXX-999").mean() < 0.002
    assert 0 < (lines["sold_at"].dt.year > 2030).mean() < 0.002
    assert 0 < (lines["recorded_at"].dt.normalize() > lines["sold_at"].dt.normalize()).mean() < 0.02  # late
    inside = (world.launched > days[0]) & (world.launched <= days[-1])
    assert inside.sum() >= 3  # launches
    assert (world.delisted < days[-1]).sum() >= 1
    assert (world.launched > days[-1]).sum() == 1  # one more to come
    quiet = history.truth.groupby("sku")["demand"].agg(lambda units: (units == 0).mean())
    assert 0.25 < (quiet > 0.6).mean() < 0.45  # a third of the items is intermittent
    assert 0.003 < len(history.stock_levels) / len(history.truth) < 0.02


def test_demand_can_be_learnt(world: World):
    """Last week again is far from the mean that a perfect forecaster would know; promotions lift sales."""
    days = np.arange(world.first, world.first + 730)
    expected = world.expected(days)
    demand = np.stack([world.demand(int(day), mean)[0] for day, mean in zip(days, expected, strict=True)])
    actual = demand[-28:]
    naive = np.abs(actual - np.tile(demand[-35:-28], (4, 1, 1))).sum() / actual.sum()
    perfect = np.abs(actual - expected[-28:]).sum() / actual.sum()
    assert perfect < 0.75 * naive
    on = world.discounts(days) > 0
    often = on.sum(axis=0) > 10
    assert (expected * on).sum(axis=0)[often].sum() > 1.4 * (expected.mean(axis=0) * on.sum(axis=0))[often].sum()


def test_every_table_of_the_configuration_is_read(shop: Settings):
    frames = {name: open_source(shop, name).read(None, None) for name in shop.source_tables()}
    assert {name: set(frame.columns) for name, frame in frames.items()} == {
        "sales": {*SALES.columns, "price", "line"},
        "items": {"item", "category", "brand"},
        "stores": {"store", "region", "city", "size"},
        "prices": {"item", "store", "ds", "price"},
        "promotions": {"item", "store", "start", "end", "value"},
        "events": {"ds", "event"},
        "stock": {"item", "store", "ds", "on_hand"},
        "inventory": {"item", "store", "ds", "on_hand", "on_order", "lead_time", "pack_size", "minimum_order"},
        "signal_weather": {"ds", "group", "value"},
    }
    assert all(len(frame) for frame in frames.values())


@pytest.mark.postgres
def test_a_shop_in_postgresql_has_the_same_lines(shop: Settings, tmp_path: Path, postgres_url: str):
    settings = described(tmp_path, f"sources.shop.url={postgres_url}")
    database.create(settings)
    database.advance(settings, LAST + timedelta(days=1))
    database.advance(shop, LAST + timedelta(days=1))
    for name in ("transactions", "promotions", "prices", "truth"):
        assert table(settings, name).to_csv() == table(shop, name).to_csv()
