"""The choice where the older folds lie in December: benchmarks/choice.py with ten seeds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.choice import CANDIDATES, compare, one, settings, shop


@pytest.mark.parametrize("blend", [True, False])
def test_the_champion_is_within_three_percent_of_the_best_candidate(blend: bool) -> None:
    chosen = settings(CANDIDATES, None, trees=60)
    chosen = chosen.model_copy(update={"train": chosen.train.model_copy(update={"blend": blend})})
    found = [one(chosen, *shop(seed)) for seed in range(10)]
    for metric in ("wape", "wrmsse"):
        assert np.mean([compare(scores[metric]) for _, scores in found]) < 1.03
