"""Hours of the clock on the wall, where summer time ends and begins."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecasting.core.config.sections import SalesTable, Screen
from forecasting.core.daylight_saving import left_out, twice
from forecasting.core.frequency import Frequency
from forecasting.panel.grid import Grid
from forecasting.quality.parse import hours
from forecasting.quality.screening import Known, screen_sales

BERLIN = "Europe/Berlin"
AUTUMN = pd.Timestamp("2026-10-25 02:00")  # comes twice there


def test_one_hour_comes_twice_and_one_never() -> None:
    first, last = pd.Timestamp("2026-10-24"), pd.Timestamp("2026-10-26")
    assert list(twice(first, last, BERLIN)) == [AUTUMN]
    assert len(twice(first, last, "UTC")) == 0
    spring = pd.date_range("2026-03-29", periods=24, freq="h")
    assert np.flatnonzero(left_out(spring, BERLIN)).tolist() == [2]
    assert not left_out(spring, "UTC").any()


def test_hours_are_read_from_text_dates_and_instants() -> None:
    text = pd.Series(["2026-07-01 14:05", "2026-07-01T23", "2026-07-01", "2026-07-01 25:00", "no", None])
    wanted = ["2026-07-01 14:00", "2026-07-01 23:00", "2026-07-01 00:00", "NaT", "NaT", "NaT"]
    assert hours(text).equals(pd.Series(pd.to_datetime(wanted)).astype("datetime64[s]"))
    assert hours(text.astype("category")).equals(hours(text))
    assert hours(pd.Series(pd.to_datetime(["2026-07-01 14:59:59"])))[0] == pd.Timestamp("2026-07-01 14:00")


def test_the_hour_that_comes_twice_may_be_there_twice_and_no_other() -> None:
    days = [AUTUMN, AUTUMN, AUTUMN, AUTUMN + pd.Timedelta(hours=1), AUTUMN + pd.Timedelta(hours=1)]
    raw = pd.DataFrame({"item": "A", "ds": days, "y": [1.0, 2, 3, 4, 5]})
    table = SalesTable(source="files", path="sales.csv", grain="periods")
    found = screen_sales(raw, table, Screen(), Known(AUTUMN.date(), twice=pd.DatetimeIndex([AUTUMN])))
    assert found.clean["y"].tolist() == [1, 2, 4]
    assert found.quarantined["rule"].tolist() == ["duplicate", "duplicate"]


def test_quarters_of_an_hour_are_parts_of_it() -> None:
    raw = pd.DataFrame({"item": "A", "ds": [f"2026-07-01 14:{minute}" for minute in ("00", "15", "30", "30", "59")]})
    table = SalesTable(source="files", path="sales.csv", grain="periods")
    known = Known(AUTUMN.date(), twice=pd.DatetimeIndex([]))
    found = screen_sales(raw.assign(y=1.0), table, Screen(), known)
    assert len(found.clean) == 3
    assert (found.clean["ds"] == pd.Timestamp("2026-07-01 14:00")).all()
    assert found.quarantined["row"].tolist() == [3, 4]  # the same quarter twice; the hour by its last minute


def test_what_is_dated_by_day_holds_for_its_hours() -> None:
    frequency = Frequency.parse("H")
    series = pd.DataFrame({"item": ["A"], "store": ["N"]})
    grid = Grid.of(series, frequency.range(pd.Timestamp("2026-07-01 06:00"), 18), frequency, 24)
    rows = grid.by_day(pd.DataFrame({"item": ["A"], "ds": pd.to_datetime(["2026-07-01"])}))
    columns = grid.cells(rows)[1]
    assert sorted(columns[columns >= 0]) == list(range(18))
    assert (
        grid.columns(pd.Series(pd.to_datetime(["2026-07-01 05:00", "2026-07-02 23:00", "2026-07-03 00:00"])))[1] == 41
    )
