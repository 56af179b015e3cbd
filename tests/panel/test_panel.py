"""The panel and its one door, on two series by six days that a reader can hold in mind."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.core.errors import CutoffError
from forecasting.core.frequency import Frequency
from forecasting.panel.panel import Panel

NAN = np.nan


def small(code: str = "D", start: str = "2026-07-01", periods: int = 6, horizon: int = 2) -> Panel:
    """Series A sells 0, 1, 2, ...; series B sells ten times that, and was closed in the third period."""
    frequency = Frequency.parse(code)
    y = np.outer([1, 10], np.arange(periods)).astype(np.float32)
    y[1, 2] = NAN
    ahead = np.arange(periods + horizon, dtype=np.float32)
    return Panel(
        y=y,
        periods=frequency.range(pd.Timestamp(start), periods),
        series=pd.DataFrame({"unique_id": ["A", "B"], "store": ["north", "south"]}),
        frequency=frequency,
        snapshot="sales@3",
        known={"event": ahead[None, :], "price": np.stack([ahead, 100 + ahead])},
        past={"weather": np.arange(periods, dtype=np.float32)[None, :]},
        levels=("store",),
    )


def test_the_cutoff_is_the_last_day_of_the_last_period():
    assert small().cutoff == date(2026, 7, 6)
    assert small("W-MON", "2026-06-29").cutoff == date(2026, 8, 9)
    assert small("M", "2026-01-01").cutoff == date(2026, 6, 30)


def test_until_shows_what_was_known_and_nothing_else():
    then = small().until(date(2026, 7, 4))
    assert then.y.tolist() == [[0, 1, 2, 3], pytest.approx([0, 10, NAN, 30], nan_ok=True)]
    assert then.cutoff == date(2026, 7, 4)
    assert then.past["weather"].tolist() == [[0, 1, 2, 3]]
    # Known ahead means: the four days and the horizon of two, seen from there.
    assert then.known["event"].tolist() == [[0, 1, 2, 3, 4, 5]]
    assert then.known["price"][1].tolist() == [100, 101, 102, 103, 104, 105]
    assert (then.snapshot, then.levels, list(then.unique_ids)) == ("sales@3", ("store",), ["A", "B"])


def test_until_the_panel_s_own_cutoff_is_the_panel():
    panel = small()
    assert panel.until(panel.cutoff) is panel


def test_until_copies_nothing():
    panel = small()
    then = panel.until(date(2026, 7, 3))
    assert np.shares_memory(then.y, panel.y)
    assert np.shares_memory(then.known["price"], panel.known["price"])


def test_a_week_is_known_when_it_is_over():
    panel = small("W-MON", "2026-06-29")
    assert len(panel.until(date(2026, 7, 12)).periods) == 2
    assert len(panel.until(date(2026, 7, 11)).periods) == 1
    with pytest.raises(CutoffError, match="2026-07-04"):
        panel.until(date(2026, 7, 4))


@pytest.mark.parametrize("cutoff", [date(2026, 6, 30), date(2026, 7, 7), date(2030, 1, 1)])
def test_a_cutoff_outside_the_panel_is_refused(cutoff):
    with pytest.raises(CutoffError) as error:
        small().until(cutoff)
    assert str(cutoff) in str(error.value)
    assert "from 2026-07-01 to 2026-07-06" in str(error.value)


def test_after_gives_the_actuals_and_nan_where_they_are_not_known_yet():
    actual = small().after(date(2026, 7, 2), 2)
    assert actual.tolist() == [[2, 3], pytest.approx([NAN, 30], nan_ok=True)]
    assert small().after(date(2026, 7, 5), 3)[0].tolist() == pytest.approx([5, NAN, NAN], nan_ok=True)
    assert np.isnan(small().after(date(2026, 7, 6), 2)).all()


def test_the_periods_to_forecast_follow_the_cutoff():
    assert [str(day.date()) for day in small().future(2)] == ["2026-07-07", "2026-07-08"]
    assert [str(day.date()) for day in small("M", "2026-01-01").future(1)] == ["2026-07-01"]


def test_take_picks_series_in_the_order_asked():
    taken = small().take(np.array([1, 0]))
    assert list(taken.unique_ids) == ["B", "A"]
    assert taken.series["store"].tolist() == ["south", "north"]
    assert taken.series.index.tolist() == [0, 1]
    assert taken.y[1].tolist() == [0, 1, 2, 3, 4, 5]
    assert taken.known["price"][:, 0].tolist() == [100, 0]
    # A covariate that all series share stays one row.
    assert taken.known["event"].shape == (1, 8)
    assert taken.past["weather"].shape == (1, 6)


def test_take_of_nothing_is_an_empty_panel():
    empty = small().take(np.array([], dtype=np.intp))
    assert empty.y.shape == (0, 6)
    assert empty.cutoff == small().cutoff


@given(first=st.integers(1, 6), second=st.integers(1, 6))
def test_going_back_twice_is_going_back_once(first, second):
    panel = small()
    near, far = max(first, second), min(first, second)
    once, twice = panel.first(far), panel.first(near).first(far)
    np.testing.assert_array_equal(once.y, twice.y)
    np.testing.assert_array_equal(once.known["price"], twice.known["price"])
    assert list(once.periods) == list(twice.periods)


@given(periods=st.integers(1, 6), horizon=st.integers(1, 8), code=st.sampled_from(["D", "W-SUN", "M"]))
def test_past_and_future_of_a_cutoff_make_up_the_panel(periods, horizon, code):
    panel = small(code)
    cutoff = panel.first(periods).cutoff
    both = np.hstack([panel.until(cutoff).y, panel.after(cutoff, horizon)])[:, : panel.y.shape[1]]
    np.testing.assert_array_equal(both, panel.y[:, : both.shape[1]])
