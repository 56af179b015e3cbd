"""Trends of groups: what was not observed is no zero."""

from __future__ import annotations

import dataclasses

import numpy as np

from forecasting import features
from tests.support.panels import panel_of

NONE = features.Kinds({}, {})
NAN = float("nan")


def trends(rows: list[list[float]], words: features.Kinds = NONE) -> dict[str, list[float]]:
    panel = panel_of(rows)
    built = features.build(panel, np.arange(len(rows)), np.ones(len(rows), dtype=np.intp), words)
    return {name: built.values[:, built.names.index(f"trend_{name}")].tolist() for name in ("total", "store")}


def test_a_group_does_not_fall_when_a_member_is_not_observed() -> None:
    steady, gone = [10.0] * 42, [10.0] * 35 + [NAN] * 7
    assert trends([steady, steady, gone]) == {"total": [1, 1, 1], "store": [1, 1, 1]}
    # As if nothing had been sold, it would be 20 a day against 10 + 10 + 3/4 x 10.
    old = dataclasses.replace(NONE, old=True)
    np.testing.assert_allclose(trends([steady, steady, gone], old)["total"], 20 / 27.5, rtol=1e-6)
    # A zero that was observed is one: 20 in the newest week, 27.5 in four.
    np.testing.assert_allclose(trends([steady, steady, [10.0] * 35 + [0.0] * 7])["total"], 20 / 27.5, rtol=1e-6)


def test_a_day_on_which_no_member_was_observed_does_not_count() -> None:
    closed = ([10.0] * 6 + [NAN]) * 6  # S1 is shut on Sundays, and was on the newest Wednesday
    closed[-5] = NAN
    assert trends([closed, [5.0] * 42])["store"] == [1, 1]
    nothing = [NAN] * 42
    assert np.isnan(trends([nothing, [5.0] * 42])["store"][0])
