"""The best peer is chosen on the cutoffs that both sides ran at."""

import pytest

from benchmarks.duel import best


def wape(facts):
    return facts["wape"]


def test_the_best_peer_on_the_same_cutoffs():
    runs = {
        "d1 ours": {"wape": 0.4}, "d2 ours": {"wape": 0.6}, "d1 a.x": {"wape": 0.5}, "d2 a.x": {"wape": 0.7},
        "d1 b.y": {"wape": 0.1}, "d1 baseline.z": {"wape": 0.0}, "d2 baseline.z": {"wape": 0.0},
        "d1 c.q": {}, "d3 a.x": {"wape": 0.0},
    }  # fmt: skip
    # b.y ran at one cutoff only, c.q has no such score, d3 is a window that ours did not run at.
    peer, ours, theirs, count = best(runs, wape)
    assert (peer, count) == ("a.x", 2)
    assert ours == pytest.approx(0.5)
    assert theirs == pytest.approx(0.6)


def test_no_peer_beside_ours():
    assert best({"d1 ours": {"wape": 1.0}, "d2 a.x": {"wape": 1.0}}, wape) is None
