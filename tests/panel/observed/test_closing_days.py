"""The calendar of closed days, by hand."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from forecasting.panel.build import build_panel
from forecasting.panel.observed import closing_days
from forecasting.panel.panel import Panel
from tests.panel.test_build import settings

EASTER_MONDAYS = [date(2024, 4, 1), date(2025, 4, 21), date(2026, 4, 6)]
CHRISTMAS = [date(2023, 12, 25), date(2024, 12, 25), date(2025, 12, 25)]


def panel(cutoff: date, shut: list[date], stores: str = "abc", first: date = date(2023, 6, 1), **more: object) -> Panel:
    """Shops that sell every day but Sundays and these."""
    days = pd.date_range(first, cutoff)
    open_ = [day for day in days if day.weekday() != 6 and day.date() not in shut]
    rows = [(store, "x", day, 20.0 + day.weekday() + len(store)) for store in stores for day in open_]
    columns = ["item", "store", "ds", "y"] if not more.get("mapped") else ["store", "item", "ds", "y"]
    tables = {"sales": pd.DataFrame(rows, columns=columns)} | more.get("tables", {})  # type: ignore[operator]
    return build_panel(tables, settings(more.get("extract"), horizon=28), cutoff, "s")  # type: ignore[arg-type]


def expected(found: Panel, row: int = 0) -> list[date]:
    """Days after the cutoff that are expected to be closed."""
    flags = closing_days.ahead(found, 28)[row]
    return [day.date() for day, flag in zip(found.future(28), flags, strict=True) if flag]


@pytest.mark.parametrize("mapped", [False, True])
def test_a_fixed_date_and_easter_monday_are_expected_again(mapped: bool) -> None:
    shut = [*EASTER_MONDAYS, *CHRISTMAS]
    assert expected(panel(date(2025, 12, 10), shut, mapped=mapped)) == [CHRISTMAS[2]]
    assert expected(panel(date(2026, 3, 20), shut, mapped=mapped)) == [EASTER_MONDAYS[2]]
    assert expected(panel(date(2025, 9, 1), shut, mapped=mapped)) == []
    only_one_year = panel(date(2026, 3, 20), shut, first=date(2025, 3, 1), mapped=mapped)
    assert expected(only_one_year) == [EASTER_MONDAYS[2]]  # and not the date of last year's Easter Monday
    assert expected(panel(date(2026, 4, 10), shut, first=date(2025, 2, 1), mapped=mapped)) == []


def test_a_day_on_which_it_was_open_once_is_not_expected_to_be_closed() -> None:
    assert expected(panel(date(2025, 12, 10), CHRISTMAS[1:2])) == []  # open in 2023
    on_a_sunday = [date(2024, 12, 26), date(2023, 12, 26)]  # 2021's would be a Sunday: not a day of trading
    assert expected(panel(date(2025, 12, 10), on_a_sunday)) == [date(2025, 12, 26)]


def test_a_shop_alone_among_many_and_a_long_closure_are_expected_only_when_they_repeat() -> None:
    found = panel(date(2025, 2, 20), [], "abc")
    y = found.y.copy()
    assert not np.isnan(y[:, 300:]).any()
    weeks = [date(2025, 2, 24) + timedelta(days=k) for k in range(40)]
    assert expected(panel(date(2026, 2, 20), weeks)) == []


def test_a_named_event_moves_as_its_table_says() -> None:
    fairs = [date(2024, 6, 12), date(2025, 9, 17), date(2026, 3, 25)]
    events = pd.DataFrame({"ds": pd.to_datetime(fairs), "event": "Fair"})
    found = panel(date(2026, 3, 10), fairs, tables={"events": events}, extract={"events": {}})
    assert expected(found) == [fairs[2]]


def test_the_calendar_of_an_earlier_cutoff_is_the_same() -> None:
    shut = [*EASTER_MONDAYS, *CHRISTMAS, date(2025, 10, 3), date(2024, 10, 3)]
    whole = panel(date(2026, 4, 20), shut)
    for cutoff in (date(2025, 12, 10), date(2025, 9, 25), date(2026, 3, 20)):
        part, early = panel(cutoff, shut), whole.until(cutoff)
        np.testing.assert_array_equal(closing_days.ahead(early, 28), closing_days.ahead(part, 28))
        np.testing.assert_array_equal(early.y, part.y)


def test_a_signal_of_that_name_is_the_user_s_own() -> None:
    signals = [{"name": "closed", "known": "ahead", "source": "s", "table": "t", "fill": "zero"}]
    table = pd.DataFrame({"signal": ["closed"], "item": [""], "store": [""], "group": [""], "value": [1.0]})
    table["ds"] = pd.Timestamp(2026, 3, 25)
    found = panel(date(2026, 3, 20), CHRISTMAS, tables={"signals": table}, extract={"signals": signals})
    assert closing_days.of(found) is None
    assert found.known["closed"].sum() == 1
    assert expected(found) == []


def test_a_closure_of_an_event_is_expected_only_by_those_who_knew_its_day() -> None:
    days = [date(2024, 6, 12), date(2025, 9, 17), date(2026, 3, 25)]
    table = pd.DataFrame({"ds": pd.to_datetime(days), "event": "Strike"})
    told = table.assign(known_since=pd.to_datetime([day - timedelta(days=2) for day in days]))
    night, both = date(2026, 3, 24), {"extract": {"events": {}}}
    ever, late = (panel(night, days, tables={"events": one}, **both) for one in (table, told))
    assert expected(ever) == expected(late) == [days[2]]  # tonight it is known
    fold = [expected(one.until(date(2025, 9, 10))) for one in (ever, late)]
    assert fold == [[days[1]], []]
