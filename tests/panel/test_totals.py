"""What the groups sold: by hand, kept or made on demand, whatever the blocks, and the same for an earlier cutoff."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.panel import memory, totals
from forecasting.panel.hierarchy import group
from forecasting.panel.memory import Scratch, release
from forecasting.panel.panel import Panel
from tests.support.panels import panel_of, seasonal_panel

NAN = float("nan")


def test_units_filled_and_means_by_hand() -> None:
    week = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    price = np.array([[1.0] * 10, [3.0] * 10, [NAN] * 10], dtype=np.float32)
    panel = panel_of([[*week, NAN, 9], [*week, 8, NAN], [NAN] * 9], levels=(), known={"price": price})
    whole = totals.compute(panel)["total"]
    assert whole.units.tolist() == [[2, 4, 6, 8, 10, 12, 14, 8, 9]]
    assert whole.filled.tolist() == [[2, 4, 6, 8, 10, 12, 14, 9, 11]]
    assert whole.means["price"].tolist() == [[2.0] * 10]


def test_what_is_gone_for_more_than_a_year_does_not_count_for_ever() -> None:
    gone = [5.0] * 7 + [NAN] * 400
    panel = panel_of([gone, [1.0] * 407], levels=())
    filled = totals.filled(panel, group(panel.series, "total"), 407)
    assert filled[0, 7 + 363] == 6
    assert filled[0, 7 + 364] == 1


@pytest.mark.parametrize("periods", [140, 100, 8, 1])
def test_kept_totals_are_those_made_on_demand_at_every_cutoff(periods: int) -> None:
    panel = seasonal_panel()
    kept = replace(panel, totals=totals.compute(panel)).first(periods)
    plain = panel.first(periods)
    for name in ("total", "store"):
        level = totals.level_of(plain, name)
        assert totals.level_of(kept, name).labels.tolist() == level.labels.tolist()
        np.testing.assert_array_equal(totals.units(kept, level), totals.units(plain, level))
        np.testing.assert_array_equal(totals.filled(kept, level, 50), totals.filled(plain, level, 50))
        np.testing.assert_array_equal(totals.mean(kept, level, "price"), totals.mean(plain, level, "price"))
        np.testing.assert_allclose(totals.units(plain, level), level.sum(plain.y), rtol=1e-6)
    assert kept.take(np.array([1])).totals == {}


@given(size=st.integers(1, 9))
def test_the_size_of_a_block_does_not_matter(size: int) -> None:
    panel = seasonal_panel()
    level = totals.level_of(panel, "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totals, "blocks", lambda count: memory.blocks(count, size))
        np.testing.assert_allclose(totals.units(panel, level), level.sum(panel.y), rtol=1e-6)
        np.testing.assert_allclose(
            totals.add_up(level, panel.known["price"]), level.sum(panel.known["price"]), rtol=1e-6
        )


def test_a_matrix_in_a_file_keeps_its_content_when_its_memory_is_given_back(tmp_path: Path) -> None:
    made = Scratch(tmp_path).array((100, 3), fill=2.0)
    made[7] = [1, 2, 3]
    view = made[5:10].T
    release(view, np.zeros(3))
    assert made[7].tolist() == [1, 2, 3]
    assert made[[0, 99]].tolist() == [[2, 2, 2], [2, 2, 2]]
    assert Scratch(tmp_path).array((2, 2)).tolist() == [[0, 0], [0, 0]]


def test_blocks_cover_all_rows_once() -> None:
    assert [(part.start, part.stop) for part in memory.blocks(5, 2)] == [(0, 2), (2, 4), (4, 5)]
    assert list(memory.blocks(0)) == []


def same(one: Panel, other: Panel) -> None:
    """Two panels with the same numbers."""
    np.testing.assert_array_equal(one.y, other.y)
    assert one.series.equals(other.series)
    assert list(one.known) == list(other.known)
    for name in one.known:
        np.testing.assert_array_equal(one.known[name], other.known[name])
    assert list(one.totals) == list(other.totals)
    for name, kept in one.totals.items():
        assert kept.level.labels.tolist() == other.totals[name].level.labels.tolist()
        for what in ("units", "filled"):
            np.testing.assert_array_equal(getattr(kept, what), getattr(other.totals[name], what))
        for covariate, values in kept.means.items():
            np.testing.assert_array_equal(values, other.totals[name].means[covariate])
