"""The benchmarks' scores, by cases that can be worked out by hand."""

import numpy as np
import pytest

from benchmarks.hierarchy import Level, add, scales
from benchmarks.m5 import weekday_means
from benchmarks.ours import leave_out
from benchmarks.quantiles import at, own_name, share
from benchmarks.scoring import (
    bias,
    coverage,
    mase,
    naive_scale,
    pinball_losses,
    rmsse,
    scaled_pinball,
    wape,
    wrmsse,
)
from benchmarks.small import fill


def level(name, codes, weight, squared=(1.0,), absolute=(1.0,)):
    labels = np.array([str(code) for code in range(len(weight))], dtype=object)
    return Level(name, np.array(codes), labels, np.array(weight), np.array(squared), np.array(absolute))


def test_scales_begin_at_the_first_sale():
    # From the first sale on: 2, 4, 1, so differences 2 and -3.
    squared, absolute = scales(np.array([[0.0, 2.0, 4.0, 1.0]]))
    assert squared[0] == pytest.approx((4 + 9) / 2)
    assert absolute[0] == pytest.approx((2 + 3) / 2)


def test_scales_are_unknown_without_sales_and_where_nothing_moves():
    squared, absolute = scales(np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 3.0]]))
    assert np.isnan(squared).all()
    assert np.isnan(absolute).all()


def test_wrmsse_of_one_total_and_two_series():
    y, f = np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([[2.0, 2.0], [2.0, 2.0]])
    total = level("total", [0, 0], [1.0], squared=[4.0])
    series = level("series", [0, 1], [0.25, 0.75], squared=[1.0, 1.0])
    found = wrmsse([total, series], y, f)
    assert found["total"] == pytest.approx(0.5)  # error 1 a day over a scale of 4
    assert found["series"] == pytest.approx(0.25)  # only the first is wrong, by 1, and weighs a quarter
    assert found["all"] == pytest.approx(0.375)


def test_pinball_is_asymmetric():
    losses = pinball_losses(np.array([[10.0]]), np.array([[[8.0, 12.0]]]), (0.9, 0.9))
    assert losses.ravel() == pytest.approx([0.9 * 2, 0.1 * 2])


def test_scaled_pinball_weighs_and_scales():
    y = np.array([[10.0], [4.0]])
    q = np.array([[[8.0]], [[4.0]]])
    found = scaled_pinball(level("series", [0, 1], [0.5, 0.5], absolute=[2.0, 1.0]), y, q, (0.5,))
    assert found == pytest.approx(0.5 * (0.5 * 2 / 2))


def test_unobserved_periods_do_not_count():
    y, f = np.array([[10.0, np.nan]]), np.array([[8.0, 500.0]])
    assert wape(y, f) == pytest.approx(0.2)
    assert bias(y, f) == pytest.approx(-0.2)
    assert mase(y, f, np.array([4.0])) == pytest.approx([0.5])
    assert rmsse(y, f, np.array([16.0])) == pytest.approx([0.5])
    assert coverage(y, np.array([[10.0, 0.0]]), np.array([[11.0, 0.0]])) == 1.0


def test_naive_scale_of_a_season_of_two():
    assert naive_scale(np.array([[1.0, 2.0, 4.0, 2.0]]), 2) == pytest.approx([(3 + 0) / 2])


def test_add_counts_a_gap_as_nothing():
    assert add(np.array([[1.0], [np.nan], [5.0]]), np.array([1, 0, 1]), 2).tolist() == [[0.0], [6.0]]


def test_quantiles_are_read_off_between_and_held_beyond():
    q = np.array([[[0.0, 10.0]]])
    assert at(q, [0.25, 0.75], (0.005, 0.25, 0.5, 0.995)).ravel() == pytest.approx([0, 0, 5, 10])


def test_names_of_quantiles_and_levels():
    assert [share(name) for name in ("p05", "p025", "p995")] == [0.05, 0.025, 0.995]
    assert [own_name(keys) for keys in ((), ("item_id", "state_id"))] == ["total", "item|state_id"]


def test_weekday_means_of_a_constant_and_of_a_newcomer():
    y = np.full((2, 56), np.nan)
    y[0], y[1, -7:] = 3.0, np.arange(7.0)
    found = weekday_means(y, 9)
    assert found[0] == pytest.approx(np.full(9, 3.0))
    assert found[1] == pytest.approx([0, 1, 2, 3, 4, 5, 6, 0, 1])


def test_a_gap_is_filled_from_the_season_before():
    assert fill(np.array([[5.0, 6.0, np.nan, np.nan]]), 2).tolist() == [[5.0, 6.0, 5.0, 6.0]]


def test_a_section_is_left_out_to_the_next_one():
    assert leave_out("a = 1\n[x.y]  # why\nb = 2\n[z]\nc = 3\n", ["x.y"]) == "a = 1\n[z]\nc = 3\n"
