"""The panel from its tables, by hand: what is zero, what was not observed, and what lies ahead."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from forecasting.core.config.settings import Settings
from forecasting.core.errors import CutoffError, SettingsError
from forecasting.panel.build import build_panel
from forecasting.panel.memory import Scratch
from tests.panel.test_totals import same

START = date(2026, 1, 5)  # a Monday
NAN = np.nan


def settings(extract: dict | None = None, **panel: object) -> Settings:
    place = {"source": "s", "table": "t"}
    return Settings.model_validate(
        {
            "sources": {"s": {"kind": "sql", "url": "sqlite://"}},
            "extract": {"sales": place | {"grain": "transactions"}}
            | {name: place | more for name, more in (extract or {}).items() if isinstance(more, dict)}
            | {name: more for name, more in (extract or {}).items() if isinstance(more, list)},
            "panel": {"horizon": 2} | panel,
        }
    )


def sales(*rows: tuple[str, str, int, float]) -> pd.DataFrame:
    """item, store, day from START, units."""
    frame = pd.DataFrame(rows, columns=["item", "store", "day", "y"])
    frame["ds"] = pd.Timestamp(START) + pd.to_timedelta(frame.pop("day"), unit="D")
    return frame


def day(number: int) -> date:
    return START + timedelta(days=number)


def test_zero_after_the_first_sale_and_unknown_before_it() -> None:
    tables = {"sales": sales(("A", "S1", 0, 3), ("A", "S1", 2, 1), ("B", "S1", 1, 2))}
    panel = build_panel(tables, settings(closed="never"), day(3), "sales@0")
    assert panel.unique_ids.tolist() == ["A_S1", "B_S1"]
    np.testing.assert_array_equal(panel.y, [[3, 0, 1, 0], [NAN, 2, 0, 0]])
    assert panel.cutoff == day(3)
    assert panel.snapshot == "sales@0"


def test_nothing_after_the_cutoff_is_in_the_panel() -> None:
    tables = {"sales": sales(("A", "S1", 0, 3), ("A", "S1", 5, 9), ("C", "S1", 5, 9))}
    panel = build_panel(tables, settings(), day(1), "s")
    assert panel.unique_ids.tolist() == ["A_S1"]
    np.testing.assert_array_equal(panel.y, [[3, 0]])
    with pytest.raises(CutoffError, match="Nothing was sold at or before 2026-01-04"):
        build_panel(tables, settings(), day(-1), "s")


def test_all_items_times_all_stores_where_asked_for() -> None:
    tables = {
        "sales": sales(("A", "S1", 0, 3)),
        "items": pd.DataFrame({"item": ["A", "B"], "brand": ["x", "y"]}),
        "stores": pd.DataFrame({"store": ["S1", "S2"], "region": ["n", "s"]}),
    }
    panel = build_panel(tables, settings(universe="cross", levels=("region",)), day(0), "s")
    assert panel.unique_ids.tolist() == ["A_S1", "A_S2", "B_S1", "B_S2"]
    assert panel.series["brand"].tolist() == ["x", "x", "y", "y"]
    assert panel.series["region"].tolist() == ["n", "s", "n", "s"]
    np.testing.assert_array_equal(panel.y[:, 0], [3, NAN, NAN, NAN])


def test_what_was_sold_is_in_the_panel_even_where_no_table_lists_it() -> None:
    tables = {"sales": sales(("A", "S1", 0, 3), ("Z", "S1", 0, 1)), "items": pd.DataFrame({"item": ["A", "B"]})}
    panel = build_panel(tables, settings(universe="cross"), day(0), "s")
    assert panel.unique_ids.tolist() == ["A_S1", "B_S1", "Z_S1"]


def test_an_attribute_that_the_series_lack_is_named() -> None:
    tables = {"sales": sales(("A", "S1", 0, 3))}
    with pytest.raises(SettingsError, match=r"panel\.levels: the series have no attribute region; they have: item"):
        build_panel(tables, settings(levels=("store", "region")), day(0), "s")
    signals = [{"name": "weather", "known": "afterwards", "source": "s", "table": "t", "by": "region"}]
    with pytest.raises(SettingsError, match=r"extract\.signals\.by of weather: the series have no attribute region"):
        build_panel(tables, settings({"signals": signals}), day(0), "s")


def test_a_name_that_two_series_would_share_is_refused() -> None:
    tables = {"sales": sales(("A", "S1", 0, 3), ("A", "S2", 0, 3))}
    with pytest.raises(SettingsError, match=r"gives the same name to several series: A\. Use both"):
        build_panel(tables, settings(unique_id="{item}"), day(0), "s")


def test_a_closed_day_is_not_observed_and_a_regular_day_off_is_zero() -> None:
    """The shop never sells on Sundays; on Wednesday of week 10 it was shut."""
    rows = [("A", "S1", number, 2.0) for number in range(14 * 7) if number % 7 != 6 and number != 72]
    panel = build_panel({"sales": sales(*rows)}, settings(), day(14 * 7 - 1), "s")
    assert np.flatnonzero(np.isnan(panel.y[0])).tolist() == [72]
    assert panel.y[0, 6] == 0


@given(st.sets(st.integers(0, 97), max_size=12), st.integers(20, 97))
def test_whether_a_day_was_closed_does_not_depend_on_what_came_later(shut: set[int], cut: int) -> None:
    tables = {"sales": sales(("A", "S1", 0, 1.0), *[("A", "S1", d, 2.0) for d in range(1, 98) if d not in shut])}
    whole = build_panel(tables, settings(), day(97), "s")
    part = build_panel(tables, settings(), day(cut), "s")
    np.testing.assert_array_equal(whole.until(day(cut)).y, part.y)


def test_days_without_stock_are_not_observed() -> None:
    tables = {
        "sales": sales(("A", "S1", 0, 3), ("A", "S1", 2, 1), ("A", "S2", 0, 1)),
        "stock": pd.DataFrame({"item": ["A"], "store": ["S1"], "ds": [pd.Timestamp(day(1))], "in_stock": [False]}),
    }
    panel = build_panel(tables, settings({"stock": {}}, closed="never"), day(2), "s")
    np.testing.assert_array_equal(panel.y, [[3, NAN, 1], [1, 0, 0]])


def test_prices_hold_until_the_next_row_and_reach_ahead() -> None:
    prices = pd.DataFrame({"item": ["A", "A"], "store": ["", "S2"], "ds": [day(1), day(3)], "price": [5.0, 4.0]})
    tables = {
        "sales": sales(("A", "S1", 0, 1), ("A", "S2", 0, 1)),
        "prices": prices.assign(ds=pd.to_datetime(prices["ds"])),
    }
    panel = build_panel(tables, settings({"prices": {}}), day(2), "s")
    np.testing.assert_array_equal(panel.known["price"], [[NAN, 5, 5, 5, 5], [NAN, 5, 5, 4, 4]])


def test_promotions_events_and_signals() -> None:
    signals = [
        {"name": "weather", "known": "afterwards", "source": "s", "table": "t", "by": "region"},
        {"name": "visits", "known": "ahead", "source": "s", "table": "t", "fill": "zero"},
        {"name": "size", "known": "static", "source": "s", "table": "t"},
    ]
    dated = [("weather", "", "", "n", 0, 7.0), ("weather", "", "", "n", 3, 9.0), ("visits", "", "", "", 3, 4.0)]
    columns = ["signal", "item", "store", "group", "d", "value"]
    rows = pd.DataFrame([*dated, ("size", "A", "", "", 0, 2.0)], columns=columns)
    tables = {
        "sales": sales(("A", "S1", 0, 1), ("A", "S2", 0, 1)),
        "stores": pd.DataFrame({"store": ["S1", "S2"], "region": ["n", "s"]}),
        "promotions": pd.DataFrame({"item": ["A"], "store": ["S2"], "ds": [pd.Timestamp(day(3))], "value": [0.2]}),
        "events": pd.DataFrame({"ds": [pd.Timestamp(day(2))], "event": ["Carnival"]}),
        "signals": rows.assign(ds=pd.Timestamp(START) + pd.to_timedelta(rows["d"], unit="D")),
    }
    wanted = settings({"promotions": {}, "events": {}, "stores": {}, "signals": signals})
    panel = build_panel(tables, wanted, day(2), "s")
    np.testing.assert_allclose(panel.known["promotion"], [[0] * 5, [0, 0, 0, 0.2, 0]])
    assert panel.known["event"].tolist() == [[0, 0, 1, 0, 0]]
    assert panel.events is not None
    assert panel.events.names == ("Carnival",)
    assert panel.events.cells.tolist() == [[0, 0, 2]]
    np.testing.assert_array_equal(panel.known["visits"], [[0, 0, 0, 4, 0]])
    np.testing.assert_array_equal(panel.past["weather"], [[7, 7, 7], [NAN, NAN, NAN]])
    assert panel.series["size"].tolist() == ["2", "2"]


def test_events_hold_for_a_store_or_for_a_value_of_an_attribute() -> None:
    rows = [(0, "Feast", "", ""), (1, "North fair", "", "n"), (2, "Opening", "S2", ""), (1, "Feast", "", "")]
    events = pd.DataFrame(
        [(pd.Timestamp(day(d)), *rest) for d, *rest in rows], columns=["ds", "event", "store", "group"]
    )
    tables = {
        "sales": sales(("A", "S1", 0, 1), ("A", "S2", 0, 1), ("B", "S2", 0, 1)),
        "stores": pd.DataFrame({"store": ["S1", "S2"], "region": ["n", "s"]}),
        "events": events,
    }
    panel = build_panel(tables, settings({"events": {"by": "region"}, "stores": {}}), day(2), "s")
    assert panel.events is not None
    flags = panel.events.flags(("Feast", "North fair", "Opening"), 0, 3)[panel.events.calendars]
    assert flags[0].astype(int).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert flags[1].astype(int).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert panel.events.calendars.tolist() == [0, 1, 1]
    assert panel.known["event"][:, :3].tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 1]]


def test_stores_with_the_same_holidays_share_a_calendar() -> None:
    events = pd.DataFrame({"ds": [pd.Timestamp(day(1))] * 2, "event": ["Feast"] * 2, "store": ["S1", "S2"]})
    tables = {"sales": sales(("A", "S1", 0, 1), ("A", "S2", 0, 1)), "events": events}
    panel = build_panel(tables, settings({"events": {}}), day(2), "s")
    assert panel.events is not None
    assert panel.events.count == 1
    assert len(panel.known["event"]) == 1


def test_an_attribute_that_events_are_keyed_by_must_be_there() -> None:
    events = pd.DataFrame({"ds": [pd.Timestamp(day(1))], "event": ["Feast"], "group": ["n"]})
    tables = {"sales": sales(("A", "S1", 0, 1)), "events": events}
    with pytest.raises(SettingsError, match=r"extract.events.by: the series have no attribute region"):
        build_panel(tables, settings({"events": {"by": "region"}}), day(2), "s")


def test_events_are_kept_for_a_season_after_the_horizon() -> None:
    events = pd.DataFrame({"ds": [pd.Timestamp(day(d)) for d in (3, 60, 90)], "event": ["A", "B", "C"]})
    panel = build_panel({"sales": sales(("A", "S1", 0, 1)), "events": events}, settings({"events": {}}), day(2), "s")
    assert panel.events is not None
    assert panel.events.cells[:, 2].tolist() == [3, 60]
    assert panel.first(1).events.cells[:, 2].tolist() == [3, 60]


def test_weeks_and_months_are_summed_and_the_open_one_is_left_out() -> None:
    tables = {"sales": sales(*[("A", "S1", number, 1.0) for number in range(20)])}
    weeks = build_panel(tables, settings(frequency="W-MON"), day(19), "s")
    np.testing.assert_array_equal(weeks.y, [[7, 7]])
    assert weeks.cutoff == day(13)
    months = {"sales": sales(*[("A", "S1", number, 1.0) for number in range(70)])}
    panel = build_panel(months, settings(frequency="M"), day(69), "s")
    np.testing.assert_array_equal(panel.y, [[27, 28]])


def test_only_the_newest_history_is_kept_where_asked_for() -> None:
    tables = {"sales": sales(("A", "S1", 0, 5.0), ("A", "S1", 40, 1.0))}
    panel = build_panel(tables, settings(history=30, closed="never"), day(40), "s")
    np.testing.assert_array_equal(panel.y, [[0.0] * 29 + [1.0]])


ROWS = st.lists(
    st.tuples(st.sampled_from("AB"), st.sampled_from(["S1", "S2"]), st.integers(0, 99), st.integers(0, 9).map(float)),
    min_size=1,
)


@given(ROWS, st.integers(0, 100), st.sampled_from(["auto", "never"]))
def test_a_panel_of_an_earlier_cutoff_is_the_later_one_cut(rows: list, cut: int, closed: str) -> None:
    """Whatever was sold after a cutoff changes nothing before it."""
    first = min(row[2] for row in rows)
    early = day(max(cut, first))
    tables = {"sales": sales(*rows)}
    whole = build_panel(tables, settings(closed=closed), day(100), "s")
    part = build_panel(tables, settings(closed=closed), early, "s")
    there = pd.Index(whole.unique_ids).get_indexer(part.unique_ids)
    np.testing.assert_array_equal(whole.until(early).y[there], part.y)


@trials(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.sampled_from(["D", "W-MON"]), st.booleans())
def test_pieces_of_any_size_and_matrices_in_files_are_the_panel_from_whole_tables(
    size: int, frequency: str, on_disk: bool
) -> None:
    random = np.random.default_rng(size)
    rows = [("AB"[k % 2], "S12"[k % 3], k // 2, float(random.poisson(1))) for k in range(90)]
    prices = sales(*[(item, "S1", n, n % 5 + 1.0) for item in "AB" for n in range(0, 60, 9)]).rename(
        columns={"y": "price"}
    )
    prices.loc[3, "store"] = ""  # of all stores, and on the same days as the other's
    stock = sales(("A", "S1", 20, 0)).assign(in_stock=False)
    tables = {"sales": sales(*rows), "prices": prices, "stock": stock}
    cut = {
        name: lambda table=tables[name]: (table.iloc[k : k + size] for k in range(0, len(table), size))
        for name in ("sales", "prices")
    }
    wanted = settings({"prices": {}, "stock": {}}, frequency=frequency, levels=("store",))
    whole = build_panel(tables, wanted, day(41), "s")
    with TemporaryDirectory() as place:
        scratch = Scratch(Path(place)) if on_disk else Scratch()
        same(build_panel(tables | cut, wanted, day(41), "s", scratch), whole)


def test_events_are_one_by_any_spelling_of_their_name_and_of_the_shop() -> None:
    names = pd.DataFrame(
        {"ds": [day(1), day(3), day(5)], "event": ["Straßen Fest", "STRASSEN  FEST", "Other"], "store": "köln"}
    )
    names["ds"] = pd.to_datetime(names["ds"])
    tables = {"sales": sales(("A", "Köln", 0, 3), ("A", "Bonn", 9, 3)), "events": names}
    found = build_panel(tables, settings({"events": {}}), day(9), "s").events
    assert found is not None
    assert found.names == ("Other", "Straßen Fest")
    assert found.flags(found.names, 0, 10).sum(axis=2)[found.calendars].tolist() == [[0, 0], [1, 2]]
