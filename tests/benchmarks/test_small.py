"""What the peers are handed and what is done with what they leave open."""

import numpy as np
import pandas as pd

from benchmarks.small import fill, short_histories


def test_a_gap_takes_the_value_of_the_season_before_else_the_newest():
    nan = np.nan
    np.testing.assert_array_equal(fill(np.array([[nan, 1.0, 2.0, nan, nan]]), 2), [[0.0, 1.0, 2.0, 1.0, 2.0]])
    np.testing.assert_array_equal(fill(np.array([[5.0, nan, nan]]), 4), [[5.0, 5.0, 5.0]])


def test_where_a_peer_gives_nothing_the_newest_value_stands():
    history = pd.DataFrame({"unique_id": ["a", "a", "b"], "ds": [1, 2, 2], "y": [3.0, 4.0, 7.0]})
    forecast = pd.DataFrame({"unique_id": ["a", "b", "b"], "ds": [3, 3, 4], "mean": [np.nan, 1.0, np.nan]})
    assert short_histories(forecast, history)["mean"].tolist() == [4.0, 1.0, 7.0]
