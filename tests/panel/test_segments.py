"""Segments: a case by hand, what unobserved periods do not change, and the limits of the literature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.panel import segments
from forecasting.panel.observed.absence_codes import ENDED, OBSERVED
from tests.support.panels import panel_of

NAN = float("nan")


def test_interval_and_variation_by_hand() -> None:
    panel = panel_of([[2, 0, 0, 4, 0, 0], [3, 3, 3, 3, 3, 3], [0, 0, 0, 0, 0, 0], [NAN, NAN, 5, NAN, 0, NAN]])
    interval, variation = segments.interval_and_variation(panel)
    np.testing.assert_allclose(interval, [3, 1, np.nan, 2])
    np.testing.assert_allclose(variation, [1 / 9, 0, np.nan, 0])  # sizes 2 and 4: variance 1, mean 3


def test_the_four_classes_and_none() -> None:
    panel = panel_of([[5, 6, 5, 6], [1, 9, 1, 1], [0, 5, 0, 5], [0, 1, 0, 9], [0, 0, 0, 0], [NAN] * 4])
    assert segments.demand_class(panel).tolist() == ["smooth", "erratic", "intermittent", "lumpy", "none", "none"]


@pytest.mark.parametrize(
    ("sold", "label"),
    [(25, "intermittent"), (26, "smooth")],  # 33 periods: an interval of exactly 1.32, and one just below
)
def test_a_series_on_the_limit_is_intermittent(sold: int, label: str) -> None:
    assert segments.demand_class(panel_of([[1.0] * sold + [0.0] * (33 - sold)])).tolist() == [label]


def test_volume_classes_by_hand() -> None:
    panel = panel_of([[5], [70], [15], [8], [2], [0], [NAN]])
    # From the largest: 70 % and 85 % cross A's limit with the second; 93 % and 98 % cross B's with the fourth.
    assert segments.volume_class(panel).tolist() == ["B", "A", "A", "B", "C", "C", "C"]


def test_volume_is_money_where_prices_are_known() -> None:
    panel = panel_of([[90.0], [10.0]])
    assert segments.volume_class(panel).tolist() == ["A", "B"]
    priced = replace(panel, known={"price": np.array([[1.0, 1.0], [99.0, 1.0]], dtype=np.float32)})
    assert segments.volume_class(priced).tolist() == ["B", "A"]


def test_volume_is_of_the_newest_quarter() -> None:
    panel = panel_of([[100.0] * 10 + [0.0] * 91, [0.0] * 10 + [1.0] * 91])
    assert segments.volume_class(panel).tolist() == ["C", "A"]


def test_a_series_that_was_not_observed_throughout_is_classed_by_its_rate() -> None:
    # Of 28 days 11 units each are 308; a week of 10 is 70, beside which 308 make 81 %, but its rate 280, beside 52 %.
    assert segments.volume_class(panel_of([[10.0] * 7 + [NAN] * 21, [11.0] * 28])).tolist() == ["A", "A"]
    assert segments.volume_class(panel_of([[10.0] * 7 + [0.0] * 21, [11.0] * 28])).tolist() == ["B", "A"]


def test_a_weekday_that_is_never_open_and_what_has_ended_sell_nothing() -> None:
    days = 28
    shut = panel_of([([6.0] * 6 + [NAN]) * 4, [6.0] * days])
    np.testing.assert_array_equal(segments._unseen(shut, days), [1, 1])
    half = panel_of([[6.0] * 14 + [NAN] * 14, [6.0] * days])
    np.testing.assert_array_equal(segments._unseen(half, days), [2, 1])
    ended = replace(half, absence=np.where(np.isfinite(half.y), OBSERVED, ENDED).astype(np.uint8))
    np.testing.assert_array_equal(segments._unseen(ended, days), [1, 1])
    np.testing.assert_array_equal(segments._unseen(replace(half, ended=np.array([[0, 13, 14, 28]])), days), [1, 1])


def test_without_sales_all_are_small() -> None:
    assert segments.volume_class(panel_of([[0.0], [NAN]])).tolist() == ["C", "C"]


rows = st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0, 40.0, NAN]), min_size=6, max_size=30)


@given(row=rows, gaps=st.lists(st.integers(0, 29), max_size=8))
def test_unobserved_periods_change_no_demand_class(row: list[float], gaps: list[int]) -> None:
    with_gaps = list(row)
    for place in gaps:
        with_gaps.insert(min(place, len(with_gaps)), NAN)
    whole, gappy = (segments.interval_and_variation(panel_of([one])) for one in (row, with_gaps))
    np.testing.assert_allclose(whole, gappy)


@given(st.lists(rows.filter(lambda row: len(row) >= 10).map(lambda row: row[:10]), min_size=1, max_size=8))
def test_every_series_has_one_label_of_each_kind(many: list[list[float]]) -> None:
    panel = panel_of(many)
    demand, volume = segments.demand_class(panel), segments.volume_class(panel)
    assert set(demand) <= set(segments.DEMAND_CLASSES)
    assert set(volume) <= set(segments.VOLUME_CLASSES)
    assert [label == "none" for label in demand] == [not (np.nan_to_num(row) > 0).any() for row in panel.y]
    assert ("A" in volume) == bool((np.nan_to_num(panel.y) > 0).any())
