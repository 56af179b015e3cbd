"""How wide the bands of totals are beside those of their parts.

A total's band is as wide as those of its parts together where all of them go up and down as one, and narrower where
frequent demand does not. That does not hold where demand is rare: of 20 parts that each sell on 4 % of days every p95
is 0, and that of their sum is not. So the property is asked of series that sell on nearly every day.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.test_calibration import learned, sales, shop

# Levels are calibrated by their own errors, so that few of them show a band that is too wide by chance. Seen over 150
# shops: groups of two or three series at most 1.25 times the sum of the parts' bands, larger ones at most 0.97 times.
MOST = {"two or three": 1.6, "more": 1.2}


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10**6), st.integers(2, 16), st.integers(1, 4))
def test_the_band_of_a_total_is_hardly_wider_than_those_of_its_parts_together(seed, count, stores):
    ratio, size = widths(seed, count, stores)
    assert (ratio[size == 1] <= 1 + 1e-5).all()
    assert (ratio[(size > 1) & (size < 4)] <= MOST["two or three"]).all()
    assert (ratio[size >= 4] <= MOST["more"]).all()


def widths(seed: int, count: int, stores: int) -> tuple[np.ndarray, np.ndarray]:
    """Width of p05 to p95 of each store and of the total beside the sum of its series' widths, and their number."""
    random = np.random.default_rng(seed)
    panel, means = shop([sales(("steady", "poisson")[k % 2], random) for k in range(count)])
    store = [f"S{k}" for k in random.integers(0, stores, count)]
    panel = replace(panel, series=panel.series.assign(store=store), levels=("store",))
    calibrations, panel, mean = learned((panel, means))
    ratios, sizes = [], []
    for spreads in (calibrations.by_period(panel, mean), calibrations.by_sum(panel, mean)):
        found = {one.level.name: one for one in spreads}
        own = np.ptp(found["series"].quantiles[..., [0, -1]], axis=-1)
        for level in (found["total"], found["store"]):
            groups = range(len(level.level.labels))
            together = np.stack([own[level.level.codes == group].sum(axis=0) for group in groups])
            ratio = np.ptp(level.quantiles[..., [0, -1]], axis=-1) / np.maximum(together, 1e-9)
            ratios.append(ratio.ravel())
            sizes.append(np.repeat(np.bincount(level.level.codes), ratio.shape[1]))
    return np.concatenate(ratios), np.concatenate(sizes)
