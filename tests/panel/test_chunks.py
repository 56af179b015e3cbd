"""What one reading of the pieces tells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.panel.chunks import DENSE, Pairs


@pytest.mark.parametrize("most", [DENSE, 0])
def test_pairs_are_those_that_the_pieces_hold(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pairs a piece may have, and whether its names come as text or as categories of its own."""
    monkeypatch.setattr("forecasting.panel.chunks.DENSE", most)
    random = np.random.default_rng(3)
    days = pd.date_range("2024-03-01", periods=400)
    sold = {"item": random.choice(list("ABCDEFG"), 400), "store": random.choice(["S1", "S2", "S3"], 400), "ds": days}
    rows = pd.DataFrame(sold).astype({"item": "str", "store": "str"}).query("item != 'C' or store == 'S2'")
    pairs = Pairs()
    for start in range(len(rows), -7, -7):  # the newest first, and an empty one
        piece = rows.iloc[max(start, 0) : start + 7]
        pairs.add(piece.astype({"item": "category"}) if start % 2 else piece)
    there = rows[["item", "store"]].drop_duplicates().sort_values(["item", "store"], ignore_index=True)
    found = pairs.frame().sort_values(["item", "store"], ignore_index=True)
    pd.testing.assert_frame_equal(found, there)
    assert pairs.first == rows["ds"].min()
