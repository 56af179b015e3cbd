"""What the demo retailer has on its shelves and under way at the end of a day, and the terms on which it orders.

Every shop gets each item once a week. The numbers are of that day alone and change no sale: stock-outs are part of the
world (`World.stockouts`), and where one is, nothing is on hand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecasting.sources.demo.facts import Numbers
from forecasting.sources.demo.world import STOCK, World, generator

WEEK = 7
PACKS = np.array([1, 1, 6, 12, 24])  # units, by how fast an item sells
SPEEDS = np.array([0.5, 2.0, 6.0, 15.0])  # units a day between them
SAFETY = 1.5  # days of demand that are there when a delivery comes
LEAD = (2, 5)  # days from order to delivery, first and last


def stock(world: World, day: int) -> pd.DataFrame:
    """Rows of shop and sku (positions): on_hand, on_order, lead_time (days), pack_size, minimum_order, in units.

    Only what is on sale on that day.
    """
    fixed, draw = generator(world.seed, STOCK), generator(world.seed, STOCK, day)
    lead = fixed.integers(LEAD[0], LEAD[1] + 1, world.shape[1])
    delivery = fixed.integers(0, WEEK, world.shape)  # weekday of each shop's delivery of each item
    noise = np.exp(draw.normal(0, 0.25, world.shape))
    expected = world.expected(np.arange(day + 1, day + WEEK + 1))
    weekly, today = expected.sum(axis=0), world.expected(np.array([day]))[0] > 0
    pack = PACKS[np.searchsorted(SPEEDS, weekly.mean(axis=0) / WEEK)]
    wait = (delivery - day) % WEEK + 1  # days until the next delivery
    out = world.stockouts(np.array([day]))[1][0]
    left: Numbers = weekly / WEEK * (wait + SAFETY) * noise
    on_hand = np.where(out, 0, np.round(left))
    ordered = (wait <= lead) | out
    on_order = np.where(ordered, np.ceil(weekly / pack) * pack, 0)
    shop, item = np.nonzero(today)
    return pd.DataFrame(
        {
            "shop": shop,
            "sku": item,
            "on_hand": on_hand[shop, item].astype(int),
            "on_order": on_order[shop, item].astype(int),
            "lead_time": lead[item],
            "pack_size": pack[item],
            "minimum_order": pack[item],
        }
    )
