"""What the shifts do to the demo retailer's database."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import SettingsError, SourceError
from forecasting.sources.demo import database
from forecasting.sources.demo.shifts import Shift, apply
from tests.support.shops import small_shop

LAST = date(2026, 6, 30)
FIRST = LAST + timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = configuration.load(small_shop(tmp_path))
    database.create(settings)
    return settings


def live(settings: Settings, *shifts: Shift, nights: int = 2) -> dict[str, pd.DataFrame]:
    """The shop's tables after some nights with these shifts; lines only of these nights."""
    for number in range(1, nights + 1):
        day = LAST + timedelta(days=number)
        for _ in range(2):  # a night that is repeated
            database.advance(settings, day)
            apply(settings, day, shifts)
    with sa.create_engine(database.shop_url(settings)).connect() as connection:
        tables = {
            name: pd.read_sql(sa.text(f"SELECT * FROM {name}"), connection) for name in ("transactions", "prices")
        }
    lines = tables["transactions"]
    return tables | {"transactions": lines[lines["recorded_at"] >= FIRST.isoformat()]}


def test_doubled_and_lost_only_where_and_since_when_they_should(settings: Settings) -> None:
    before = live(settings)["transactions"].groupby(["shop", "sku"])["quantity"].sum()
    after = live(settings, Shift("doubled", "fruit", FIRST), Shift("lost_store", "S02", FIRST))["transactions"]
    after = after.groupby(["shop", "sku"])["quantity"].sum()
    assert set(after.index.get_level_values("shop")) == {"S01"}
    expected = before.loc[["S01"]]
    fruit = expected.index.get_level_values("sku").str.startswith("FRU")
    assert fruit.any()
    pd.testing.assert_series_equal(after, expected.where(~fruit, 2 * expected))
    later = live(settings, Shift("doubled", "fruit", FIRST + timedelta(days=9)))["transactions"]
    pd.testing.assert_series_equal(later.groupby(["shop", "sku"])["quantity"].sum(), before)


def test_a_price_regime_holds_for_planned_prices_too(settings: Settings) -> None:
    keys = ["sku", "shop", "valid_from"]
    before = live(settings)["prices"].set_index(keys)["price"]
    after = live(settings, Shift("price", "all", FIRST))["prices"]
    assert not after.duplicated(keys).any()
    new = after[after["valid_from"] >= FIRST.isoformat()].set_index(keys)["price"]
    planned = before[before.index.get_level_values("valid_from") > FIRST.isoformat()]
    assert len(planned)
    pd.testing.assert_series_equal(new.loc[planned.index], planned * 1.25, atol=0.006)
    begin = new[new.index.get_level_values("valid_from") == FIRST.isoformat()]
    assert len(begin) == 12
    held = before[before.index.get_level_values("valid_from") <= FIRST.isoformat()].groupby(["sku", "shop"]).last()
    both = pd.concat({"new": begin.droplevel("valid_from"), "held": held}, axis=1, join="inner")
    assert (both["new"] / both["held"]).between(1.22, 1.28).all()
    old = after[after["valid_from"] < FIRST.isoformat()].set_index(keys)["price"]
    pd.testing.assert_series_equal(old, before[before.index.get_level_values("valid_from") < FIRST.isoformat()])


def test_shifts_are_read_from_text_and_what_is_wrong_is_said(settings: Settings) -> None:
    assert Shift.parse("doubled:dairy@2026-07-01") == Shift("doubled", "dairy", FIRST)
    for text in ("doubled", "tripled:dairy@2026-07-01", "doubled:dairy", "price:@2026-07-01"):
        with pytest.raises(SettingsError, match="write kind:target@YYYY-MM-DD"):
            Shift.parse(text)
    with pytest.raises(SettingsError, match="is no date"):
        Shift.parse("doubled:dairy@soon")
    with pytest.raises(SourceError, match="no 'cheese'; there are bakery"):
        apply(settings, FIRST, [Shift("doubled", "cheese", FIRST)])
