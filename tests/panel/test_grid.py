"""Where rows of a table lie: the same cells however they are looked up, from the pairs that there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from forecasting.core.frequency import Frequency
from forecasting.panel import grid as locate
from forecasting.panel.grid import Grid

PERIODS = Frequency.parse("D").range(pd.Timestamp("2026-01-05"), 5)
keys = st.tuples(st.sampled_from(["A", "B", "C", "?", ""]), st.sampled_from(["S", "T", "U", "?", ""]))


def grid(pairs: list[tuple[str, str]]) -> Grid:
    series = pd.DataFrame(pairs, columns=["item", "store"])
    return Grid.of(series, PERIODS, Frequency.parse("D"), 2)


@trials(deadline=None, max_examples=60)
@given(
    st.sets(st.tuples(st.sampled_from("ABC"), st.sampled_from("STU")), min_size=1),
    st.lists(keys, max_size=12),
    st.integers(1, 9),
    st.sampled_from([0, 100]),
)
def test_cells_are_those_of_every_series_whose_item_and_store_fit(pairs, rows, most: int, dense: int) -> None:
    table = pd.DataFrame(rows, columns=["item", "store"], dtype="str")
    table["ds"] = PERIODS[np.arange(len(rows)) % 5]
    listed = sorted(pairs)
    right = sorted(
        (series, number % 5, number)
        for number, (item, store) in enumerate(rows)
        for series, pair in enumerate(listed)
        if item in ("", pair[0]) and store in ("", pair[1])
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locate, "DENSE", dense)
        looked_up = grid(listed)
        assert sorted(zip(*(part.tolist() for part in looked_up.cells(table)), strict=True)) == right
        chunks = [zip(*(part.tolist() for part in one), strict=True) for one in looked_up.chunks(table, most)]
        assert sorted(cell for one in chunks for cell in one) == right


def test_a_table_without_a_store_takes_no_more_memory_than_the_pairs_that_there_are() -> None:
    """2,000 stores with an item of their own, half of the days on promotion: 32 GB where it was items x stores."""
    names = [f"s{number}" for number in range(2000)]
    looked_up = grid([(name, name) for name in names])
    rows = pd.DataFrame({"item": np.repeat(names, 500), "ds": PERIODS[0]})
    series, columns, taken = looked_up.cells(rows)
    assert len(series) == len(columns) == len(taken) == len(rows)
    np.testing.assert_array_equal(series, np.repeat(np.arange(2000), 500))
