"""A small version of benchmarks/choice.py: seasonal naive, which knows December only, is not chosen for May."""

from __future__ import annotations

import numpy as np

from benchmarks.choice import compare, one, settings, shop


def test_naive_is_not_chosen_for_may_because_of_december() -> None:
    chosen = settings(("seasonal_naive", "seasonal_mean", "ets"), None, trees=1)
    found = [one(chosen, *shop(seed, items=24)) for seed in range(3)]
    assert not any("seasonal_naive" in label for label, _ in found)
    assert np.mean([compare(scores["wape"]) for _, scores in found]) < 1.03
