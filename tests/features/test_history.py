"""Features of the past, each checked by hand and against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.features import history

NAN = np.nan
DEMAND = st.one_of(st.just(NAN), st.integers(0, 50).map(float))


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_window_mean_counts_only_what_was_observed() -> None:
    y = rows([9, 2, NAN, 4], [NAN, NAN, NAN, NAN])
    assert history.window_mean(y, 3).tolist() == pytest.approx([3, NAN], nan_ok=True)
    assert history.window_mean(y, 2, end=2).tolist() == pytest.approx([5.5, NAN], nan_ok=True)


def test_recency_age_and_zeros() -> None:
    y = rows([NAN, 3, 0, 0], [NAN, NAN, NAN, NAN])
    assert history.since_sale(y).tolist() == pytest.approx([2, NAN], nan_ok=True)
    assert history.age(y).tolist() == pytest.approx([3, NAN], nan_ok=True)
    assert history.zero_share(y, 3).tolist() == pytest.approx([2 / 3, NAN], nan_ok=True)
    assert history.observed_share(y, 4).tolist() == [0.75, 0.0]


def test_same_season_looks_at_the_targets_place_in_the_season() -> None:
    y = rows([1, 2, 3, 4, 5, 6])
    assert history.same_season(y, 4, season=3, seasons=1).tolist() == [[4, 5, 6, 4]]
    assert history.same_season(y, 3, season=3, seasons=2).tolist() == [[2.5, 3.5, 4.5]]
    weighted = history.same_season(y, 1, season=3, seasons=2, decay=0.5)
    assert weighted[0, 0] == pytest.approx((4 + 0.5 * 1) / 1.5)


def test_same_season_passes_over_gaps() -> None:
    y = rows([1, 2, 3, NAN, 5, 6])
    assert history.same_season(y, 2, season=3, seasons=2).tolist() == [[1, 3.5]]


def test_last_year_is_unknown_where_history_is_short() -> None:
    y = rows([float(value) for value in range(10)])
    found = history.last_year(y, 3, year=9, around=1)
    assert found.tolist() == [pytest.approx([1, 2, 3], nan_ok=True)]
    assert np.isnan(history.last_year(y, 1, year=10, around=1)).all()


@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 40)), elements=DEMAND), st.integers(1, 20))
def test_window_mean_equals_pandas(values: np.ndarray, width: int) -> None:
    expected = pd.DataFrame(values.T).tail(width).mean().to_numpy()
    assert history.window_mean(values.astype(np.float32), width) == pytest.approx(expected, rel=1e-4, nan_ok=True)
