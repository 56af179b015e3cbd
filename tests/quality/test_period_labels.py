"""How ready periods are dated: one day of theirs, two of them, or rows that are parts of a period."""

from __future__ import annotations

import pandas as pd
import pytest

from forecasting.core.config.sections import SalesTable, Screen
from forecasting.core.frequency import Frequency
from forecasting.quality.gates import gates
from forecasting.quality.period_labels import Labels
from forecasting.quality.screening import Known, screen_sales

MONTHS = [f"2026-{month:02d}" for month in range(1, 7)]
TABLE = SalesTable(source="files", path="sales.csv", grain="periods")


def rows(*days: str, item: str = "A", y: float = 10) -> pd.DataFrame:
    return pd.DataFrame({"item": item, "store": "N", "ds": pd.to_datetime(list(days)), "y": y})


def starts() -> list[str]:
    return [f"{month}-01" for month in MONTHS]


def ends() -> list[str]:
    return [str((pd.Period(month) + 0).end_time.date()) for month in MONTHS]


def screened(raw: pd.DataFrame, frequency: str, **declared: str) -> tuple[pd.DataFrame, pd.DataFrame, Labels]:
    labels = Labels.of(raw, Frequency.parse(frequency), **declared)
    known = Known(raw["ds"].max().date(), labels=labels)
    found = screen_sales(raw, TABLE, Screen(), known)
    return found.clean, found.quarantined, labels


@pytest.mark.parametrize(("first", "second"), [("2026-05-01", "2026-05-31"), ("2026-05-31", "2026-05-01")])
def test_a_month_under_two_dates_is_one_month(first: str, second: str) -> None:
    others = [day for day in starts() if day != "2026-05-01"]
    clean, aside, labels = screened(rows(*others, first, second), "M")
    assert len(clean) == 6
    assert list(aside["rule"]) == ["duplicate"]
    assert "2026-05-01" in clean["ds"].astype(str).tolist()  # the label that is usual here
    assert labels.name == "start"
    assert "dated 2026-05-31: the period from 2026-05-01 on is already there" in aside["reason"].iloc[0]


def test_two_exports_with_other_dates_overlap() -> None:
    both = pd.concat([rows(*starts()[:5]), rows(*ends()[3:])], ignore_index=True)
    clean, aside, _ = screened(both, "M")
    assert len(clean) == 6
    assert len(aside) == 2


def test_days_of_a_month_are_parts_of_it() -> None:
    clean, aside, labels = screened(rows(*map(str, pd.date_range("2026-01-01", "2026-06-30").date)), "M")
    assert len(clean) == 181
    assert aside.empty
    assert labels.name == "parts"


def test_weeks_are_parts_of_a_month_and_weekdays_of_a_week() -> None:
    for frequency, freq in (("M", "W-MON"), ("W-MON", "B")):
        days = pd.date_range("2026-01-01", "2026-06-30", freq=freq)
        clean, aside, labels = screened(rows(*map(str, days.date)), frequency)
        assert (len(clean), len(aside), labels.name) == (len(days), 0, "parts")


def test_a_series_with_two_different_rows_in_every_month_is_summed_and_others_are_not() -> None:
    twice = pd.concat([rows(*starts(), item="Z", y=3), rows(*ends(), item="Z", y=4)])
    raw = pd.concat([rows(*starts()), rows("2026-05-31"), twice], ignore_index=True)
    clean, aside, labels = screened(raw, "M")
    assert len(aside) == 1
    assert (clean["item"] == "Z").sum() == 12
    assert "1 series have several rows a period, which are summed" in labels.message


def test_what_was_taken_in_before_says_what_two_rows_of_tonight_are() -> None:
    tonight = pd.concat([rows("2026-05-31", y=7), rows("2026-05-01", y=8)], ignore_index=True)
    history = rows(*starts()[:4])
    frequency = Frequency.parse("M")
    assert len(Labels.of(tonight, frequency).summed) == 1  # nothing else is known: parts
    assert len(Labels.of(tonight, frequency, history=history).summed) == 0


def test_a_declared_label_is_the_one_that_stays_or_it_is_refused() -> None:
    raw = pd.concat([rows(*ends()), rows("2026-05-01", y=3)], ignore_index=True)
    clean, _, labels = screened(raw, "M", declared="end")
    assert (labels.fails, clean["y"].tolist()) == ("", [10.0] * 6)
    weeks = rows(*map(str, pd.date_range("2026-01-04", periods=20, freq="7D").date))  # Sundays
    fails = Labels.of(weeks, Frequency.parse("W-SUN"), "end").fails
    assert "Weeks that end on SUN are W-MON here." in fails
    assert not Labels.of(weeks, Frequency.parse("W-MON"), "end").fails
    assert Labels.of(weeks, Frequency.parse("W-MON"), "parts").name == "parts"


def test_weeks_named_by_their_last_day_are_noticed_where_they_are_taken_for_the_first() -> None:
    weeks = rows(*map(str, pd.date_range("2026-01-04", periods=20, freq="7D").date))
    asked = pd.Timestamp("2026-05-17")  # the newest Sunday
    wrong = Labels.of(weeks, Frequency.parse("W-SUN")).report(weeks, asked).iloc[0]
    assert (wrong["severity"], wrong["passed"]) == ("warn", False)
    assert "panel.frequency is W-MON" in wrong["message"]
    right = Labels.of(weeks, Frequency.parse("W-MON")).report(weeks, asked).iloc[0]
    assert (right["severity"], right["message"]) == ("info", "periods are named by their last day")


def test_copies_of_a_period_do_not_stop_the_night_and_contradictions_do() -> None:
    for second, passed in ((10.0, True), (12.0, False)):
        raw = pd.concat([rows(*starts()[3:]), rows(*ends()[4:], y=second)], ignore_index=True)
        labels = Labels.of(raw, Frequency.parse("M"), history=rows(*starts()[:3]))
        known = Known(pd.Timestamp("2026-06-30").date(), labels=labels)
        found = screen_sales(raw, TABLE, Screen(), known)
        report = gates(found, TABLE, "M", Screen(), known).set_index("rule")
        assert len(found.quarantined) == 2
        assert bool(report.at["max_quarantined", "passed"]) is passed
