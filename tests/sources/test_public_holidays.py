"""Public holidays as rows of the events table."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from pydantic import ValidationError

from forecasting.core.config.sections import HolidayTable
from forecasting.core.errors import SettingsError
from forecasting.sources import public_holidays

CUTOFF, LAST = date(2026, 3, 31), date(2026, 6, 30)
STORES = pd.DataFrame({"store": ["A", "B", "C", "D"], "land": ["DE", "DE", "US", ""], "state": ["BY", "BE", "", ""]})


def rows(**settings: str) -> pd.DataFrame:
    return public_holidays.rows(HolidayTable(**settings), STORES, CUTOFF, LAST)


def test_one_country_holds_for_all_stores_in_english() -> None:
    found = rows(country="DE")
    assert set(found["store"]) == {""}
    assert "Good Friday" in set(found["event"])
    assert found["ds"].min() == pd.Timestamp("2014-01-01")
    assert found["ds"].max() <= pd.Timestamp(LAST)
    assert "Epiphany" not in set(found["event"])


def test_each_store_has_those_of_its_country_and_region() -> None:
    found = rows(country_by="land", subdivision_by="state")
    names = {store: set(own["event"]) for store, own in found.groupby("store")}
    assert set(names) == {"A", "B", "C"}
    assert "Epiphany" in names["A"]
    assert "Epiphany" not in names["B"]
    assert "Memorial Day" in names["C"]


def test_names_in_the_countrys_own_language() -> None:
    assert "Karfreitag" in set(rows(country="DE", language="de")["event"])


def test_what_the_calendar_says_too_counts_once() -> None:
    own = rows(country="DE")
    declared = own.head(2).assign(event=["Fair", own["event"].iloc[1]])
    both = public_holidays.merged(declared, own)
    assert len(both) == len(own) + 1
    assert public_holidays.merged(None, own) is own


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"country": "ZZ"}, "no country 'ZZ'"),
        ({"country": "DE", "subdivision": "XX"}, "DE has no region 'XX'; allowed are: BB, BE"),
        ({"country_by": "nation"}, "no column 'nation'; they have: store, land, state"),
    ],
)
def test_what_there_is_not_is_named(settings: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        rows(**settings)


@pytest.mark.parametrize(
    "settings",
    [{}, {"country": "DE", "country_by": "land"}, {"country": "DE", "subdivision": "BY", "subdivision_by": "state"}],
)
def test_one_way_to_say_it(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        HolidayTable(**settings)
