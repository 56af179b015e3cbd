"""Groups of series for classical models: which, what they sold, and when a forecast of one is not believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecasting.models.baselines import SeasonalMean
from forecasting.models.groups import finest, gather, insane, share_out, totals
from forecasting.panel.hierarchy import group
from forecasting.panel.panel import Panel
from tests.support.panels import panel_of

NAN = float("nan")


def shops(rows: list[list[float]], levels: tuple[str, ...] = ("state", "kind")) -> Panel:
    """Series of states X, X, Y, Y, ... and kinds a, b, a, b, ..."""
    count = range(len(rows))
    series = pd.DataFrame(
        {
            "unique_id": [f"s{number}" for number in count],
            "state": [f"{'XYZ'[number // 2]}" for number in count],
            "kind": ["ab"[number % 2] for number in count],
        }
    )
    return panel_of(rows, series=series, levels=levels)


# ---------------------------------------------------------------- the level


@pytest.mark.parametrize(
    ("most", "level", "groups"),
    [(6, "series", 6), (5, "state", 3), (3, "state", 3), (2, "kind", 2), (1, "total", 1)],
)
def test_the_finest_level_that_fits_is_taken(most: int, level: str, groups: int) -> None:
    found = finest(shops([[1.0]] * 6), most)
    assert (found.name, len(found.labels)) == (level, groups)


def test_pairs_of_declared_attributes_are_levels_too() -> None:
    panel = shops([[1.0]] * 6)
    double = panel.take(np.array([0, 0, 1, 2, 3, 4, 5]))
    assert finest(double, 6).name == "state|kind"
    assert finest(replace(double, levels=("state",)), 6).name == "state"
    assert finest(replace(double, levels=()), 6).name == "total"


def test_totals_fill_a_member_that_was_not_observed_and_leave_gaps_where_none_was() -> None:
    week = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    open_ = [10.0] * 7 + [10.0, NAN, 10.0, 10.0, 10.0, 10.0, 10.0]
    sold_out = [*week, 1.0, NAN, 3.0, NAN, 5.0, 6.0, 7.0]
    not_yet = [NAN] * 12 + [100.0, 100.0]
    panel = panel_of([open_, sold_out, not_yet], levels=())
    found = totals(panel, group(panel.series, "total"), history=7)
    np.testing.assert_array_equal(found, [[11, NAN, 13, 14, 15, 116, 117]])
    found = totals(panel, group(panel.series, "total"), history=14)
    np.testing.assert_array_equal(found[0], [11, 12, 13, 14, 15, 16, 17, 11, NAN, 13, 14, 15, 116, 117])


# ---------------------------------------------------------------- covariates and sharing


def test_covariates_are_means_over_the_members_and_prices_are_left_out() -> None:
    promotion = np.array([[0, 1, 1], [0, 0, 1], [1, 0, 0]], dtype=np.float32)
    known = {"promotion": promotion, "price": promotion + 1, "event": np.array([[0, 1, 0]], dtype=np.float32)}
    panel = panel_of([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], known=known)
    found = gather(panel, group(panel.series, "store"), 2, 1)
    assert set(found.known) == {"promotion", "event"}
    np.testing.assert_array_equal(found.known_of(0)["promotion"], [0.5, 0.5, 0.5])
    np.testing.assert_array_equal(found.known_of(1)["promotion"], [0, 0, 1])
    np.testing.assert_array_equal(found.known_of(1)["event"], [0, 1, 0])
    np.testing.assert_array_equal(found.y, [[6, 8], [3, 4]])
    assert gather(panel, group(panel.series, "store"), 2, 5).known == {}  # not known so far ahead


def test_a_total_is_shared_by_recent_demand_and_a_group_without_one_says_so() -> None:
    panel = panel_of([[3.0] * 14, [7.0] * 14, [1.0] * 14, [8.0] * 14])
    level = group(panel.series, "store")
    found = share_out(panel, level, np.array([[8.0], [45.0]]), np.array(["", "no"], dtype=object), None)
    np.testing.assert_allclose(found.mean, [[6], [7], [2], [8]], rtol=1e-6)
    assert found.status.tolist() == ["ok", "fallback", "ok", "fallback"]
    assert found.reason.tolist() == ["", "no", "", "no"]
    np.testing.assert_array_equal(found.mean[1::2], SeasonalMean().predict(panel, 1).mean[1::2])
    part = share_out(panel, level, np.array([[8.0], [45.0]]), np.array(["", "no"], dtype=object), np.array([2]))
    np.testing.assert_array_equal(part.mean, found.mean[2:3])


# ---------------------------------------------------------------- the guard


@pytest.mark.parametrize(
    ("mean", "message"),
    [
        ([10, 11, 12], ""),
        ([0.0, 0.5, 30], ""),
        ([10, NAN, 12], "not finite"),
        ([10, 11, 61], "forecast 61, more than 3 times the highest value 20"),
        ([-1, -2, 3], "less than nothing"),
        ([50, 50, 50], "a level of 50, recent ones lay between 10 and 10"),
        ([1, 1, 1], "a level of 1, recent ones lay between 10 and 10"),
    ],
)
def test_the_guard(mean: list[float], message: str) -> None:
    found = insane(np.array(mean, dtype=np.float64), np.tile([0.0, 10.0, 20.0], 20), season=3)
    assert message in found
    assert bool(found) == bool(message)
