"""The demo retailer's world: who buys what on which day, drawn from a seed.

Every draw belongs to a seed, a topic and a day (or a block of days), never to what was drawn before. So a day comes
out the same whether it is made as the last of two years or alone, tonight.

Days are ordinals (`date.toordinal`); arrays are (days, shops, items) unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.sections import DemoSettings
from forecasting.sources.demo.facts import (
    CATEGORIES,
    REGIONS,
    WARMTH,
    WEEKS,
    YEAR,
    Days,
    Numbers,
    holiday_factor,
    items_table,
    lives,
    shops_table,
)

BLOCK = 28  # days that promotions and stock-outs are planned in
SEASON = 91  # days between rounds of price changes
KNOT = 42  # days between the knots of the slow drift of demand
OFFER = ("item", "shop", "start", "end", "discount")
CHANGE = ("item", "day", "factor")
WORLD, DRIFT, PROMOTION, PRICE, STOCKOUT, WEATHER, DAY, STOCK = range(8)  # topics of draws


@dataclass(frozen=True)
class World:
    """What does not change from day to day. Arrays are (shops, items), (shops,) or (items,)."""

    seed: int
    first: int  # first day of history
    shops: pd.DataFrame  # shop, name, city, region, size
    items: pd.DataFrame  # sku, name, category, brand, launched, list_price
    level: Numbers  # (shops, items) units a day, or sales a day where the item is slow
    growth: Numbers  # (shops, items) log demand a year
    week: Numbers  # (shops, items, 7) factor of the weekday
    response: Numbers  # (items,) log demand a share of discount
    elasticity: Numbers  # (items,) log demand a unit of log price
    slow: NDArray[np.bool_]  # (items,) intermittent
    lump: Numbers  # (items,) units a sale of a slow item, on top of the first
    launched: Days  # (items,)
    delisted: Days  # (items,) first day no longer sold
    shop_price: Numbers  # (shops,) factor of the list price

    @classmethod
    def make(cls, demo: DemoSettings) -> World:
        """The business that a seed stands for."""
        cutoff = date.fromisoformat(demo.first_cutoff).toordinal()
        first = cutoff - demo.days + 1
        draw = generator(demo.seed, WORLD)
        shops, items = shops_table(demo.stores, draw), items_table(demo.items, draw)
        slow = np.arange(demo.items) % 3 == 2
        launched, delisted = lives(demo.items, first, cutoff, draw)
        size = np.exp(draw.normal(0, 0.35, demo.stores))[:, None]
        rate = np.where(slow, draw.uniform(0.03, 0.30, demo.items), np.exp(draw.normal(2.0, 0.6, demo.items)))
        profile = WEEKS[draw.integers(0, len(WEEKS), demo.stores)][:, None, :]
        own = np.exp(draw.normal(0, 0.06, (demo.stores, demo.items, 7)))
        return cls(
            seed=demo.seed,
            first=first,
            shops=shops.assign(size=np.where(size[:, 0] > 1, "large", "small")),
            items=items.assign(launched=[date.fromordinal(int(day)) for day in launched]),
            level=rate * np.where(slow, np.sqrt(size), size) * np.exp(draw.normal(0, 0.25, (demo.stores, demo.items))),
            growth=draw.normal(0.03, 0.10, (demo.stores, 1)) + draw.normal(0, 0.12, demo.items),
            week=profile ** draw.uniform(0.7, 1.2, (1, demo.items, 1)) * own,
            response=draw.uniform(2.0, 4.5, demo.items),
            elasticity=draw.uniform(-1.8, -0.6, demo.items),
            slow=slow,
            lump=draw.uniform(0.0, 2.0, demo.items),
            launched=launched,
            delisted=delisted,
            shop_price=draw.choice([0.97, 1.0, 1.03], demo.stores),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(shops, items)."""
        return len(self.shops), len(self.items)

    # ------------------------------------------------------------ planned ahead

    def promotions(self, start: int, end: int) -> pd.DataFrame:
        """Promotions that begin from start to end (ordinals): item, shop (position; -1 = all), start, end, discount."""
        found = [self._promotions_of(block) for block in range(start // BLOCK, end // BLOCK + 1)]
        rows = pd.concat(found, ignore_index=True)
        return rows[rows["start"].between(start, end)].reset_index(drop=True)

    def _promotions_of(self, block: int) -> pd.DataFrame:
        draw = generator(self.seed, PROMOTION, block)
        shops, items = self.shape
        chosen = np.flatnonzero(draw.random(items) < np.where(self.slow, 0.06, 0.16))
        # Promotions begin on a Thursday; ordinal 4 was one.
        start = block * BLOCK + (4 - block * BLOCK) % 7 + 7 * draw.integers(0, BLOCK // 7, items)
        length = draw.choice([7, 10, 14], items)
        shop = np.where(draw.random(items) < 0.75, -1, draw.integers(0, shops, items))
        discount = draw.choice([0.10, 0.15, 0.20, 0.25, 0.30, 0.40], items)
        rows = pd.DataFrame({"item": np.arange(items), "shop": shop, "start": start, "end": start + length - 1})
        return rows.assign(discount=discount).iloc[chosen]

    def discounts(self, days: Days) -> Numbers:
        """Share taken off the price."""
        result = np.zeros((len(days), *self.shape))
        promotions = self.promotions(int(days[0]) - 2 * BLOCK, int(days[-1]))
        for item, shop, start, end, discount in zip(*(promotions[name].tolist() for name in OFFER), strict=True):
            on = (days >= start) & (days <= end)
            shops = slice(None) if shop < 0 else shop
            result[on, shops, item] = np.maximum(result[on, shops, item], discount)
        return result

    def price_changes(self, start: int, end: int) -> pd.DataFrame:
        """Shelf prices that begin from start to end: item, shop (positions), valid_from (ordinal), price."""
        begin = np.maximum(self.launched, self.first)
        rows = [pd.DataFrame({"item": np.arange(self.shape[1]), "day": begin})]
        rows += [self._changes_of(block)[["item", "day"]] for block in self._price_blocks(end)]
        changes = pd.concat(rows, ignore_index=True)
        changes = changes[changes["day"].between(start, end) & (changes["day"].to_numpy() >= begin[changes["item"]])]
        changes = changes.drop_duplicates().merge(pd.DataFrame({"shop": np.arange(self.shape[0])}), how="cross")
        days, position = np.unique(changes["day"].to_numpy(), return_inverse=True)
        if not len(days):
            return changes.assign(price=0.0).rename(columns={"day": "valid_from"})
        return changes.assign(price=self.prices(days)[position, changes["shop"], changes["item"]]).rename(
            columns={"day": "valid_from"}
        )

    def prices(self, days: Days) -> Numbers:
        """Shelf price before promotions, money a unit."""
        factor = np.ones((len(days), self.shape[1]))
        for block in self._price_blocks(int(days[-1])):
            changes = self._changes_of(block)
            for item, day, change in zip(*(changes[name].tolist() for name in CHANGE), strict=True):
                factor[days >= day, item] *= change
        listed = self.items["list_price"].to_numpy(dtype=np.float64)
        return np.round(listed * factor[:, None, :] * self.shop_price[:, None], 2)

    def _price_blocks(self, end: int) -> range:
        return range(self.first // SEASON + 1, end // SEASON + 1)

    def _changes_of(self, block: int) -> pd.DataFrame:
        draw = generator(self.seed, PRICE, block)
        items = self.shape[1]
        rows = pd.DataFrame({"item": np.arange(items), "day": block * SEASON + draw.integers(0, SEASON, items)})
        changes = rows.assign(factor=np.round(draw.uniform(0.93, 1.10, items), 3))
        return changes[draw.random(items) < 0.4]

    # ------------------------------------------------------------ what happens

    def stockouts(self, days: Days) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """First day (something may still be sold), and any day, that a series is out of stock."""
        starts, outs = np.zeros((len(days), *self.shape), bool), np.zeros((len(days), *self.shape), bool)
        for block in range((int(days[0]) - BLOCK) // BLOCK, int(days[-1]) // BLOCK + 1):
            draw = generator(self.seed, STOCKOUT, block)
            chosen = draw.random(self.shape) < 0.07
            start = block * BLOCK + draw.integers(0, BLOCK, self.shape)
            end = start + np.minimum(draw.geometric(0.35, self.shape), 10)
            starts |= chosen & (days[:, None, None] == start)
            outs |= chosen & (days[:, None, None] >= start) & (days[:, None, None] < end)
        return starts, outs

    def warmth(self, days: Days) -> tuple[Numbers, Numbers]:
        """(days, regions): temperature in degrees Celsius, and how far it lies above the season's mean."""
        season = 11 + 9 * np.sin(2 * np.pi * (days - 110) / 365.25)
        above = np.stack([self._drawn(WEATHER, 5, 3.0, int(day), (len(REGIONS),)) for day in days])
        return season[:, None] + above + np.array([-1.5, 0.0, 1.0]), above

    def expected(self, days: Days) -> Numbers:
        """Mean demand, units a day; 0 before launch, after the delisting and where the shop is closed."""
        shops = np.searchsorted(np.sort(REGIONS), self.shops["region"].to_numpy(dtype=str))
        region = np.argsort(REGIONS)[shops]
        category = self.items["category"].to_numpy(dtype=str)
        years = (days - self.first) / 365.25
        log = years[:, None, None] * self.growth + np.stack([self._drift(int(day)) for day in days])
        log += self.response * self.discounts(days)
        log += self.elasticity * np.log(self.prices(days) / self.items["list_price"].to_numpy(dtype=np.float64))
        log += self.warmth(days)[1][:, region, None] * np.array([WARMTH.get(name, 0.0) for name in category])
        swing = np.array([YEAR[name] for name in category])
        log += np.log1p(swing[:, 0] * np.cos(2 * np.pi * (days[:, None] - swing[:, 1]) / 365.25))[:, None, :]
        # Ordinal 1 was a Monday.
        factor = np.moveaxis(self.week, 2, 0)[(days - 1) % 7] * holiday_factor(days)[:, None, None]
        age = days[:, None] - self.launched
        ramp = np.clip(0.3 + 0.7 * age / 28, 0, 1) * ((age >= 0) & (days[:, None] < self.delisted))
        return np.round(self.level * factor * ramp[:, None, :] * np.exp(log), 4)

    def _drift(self, day: int) -> Numbers:
        """(shops, items): what nobody planned: slow drift of categories, and of every series."""
        shared = self._drawn(DRIFT, KNOT, 0.08, day, (self.shape[0], len(CATEGORIES)))
        position = [CATEGORIES.index(name) for name in self.items["category"]]
        return shared[:, position] + self._drawn(DRIFT, KNOT, 0.12, day, self.shape)

    def _drawn(self, topic: int, step: int, deviation: float, day: int, shape: tuple[int, ...]) -> Numbers:
        """Normal draws at knots every `step` days, and a straight line between them."""
        knot, part = divmod(day, step)
        size = int(np.prod(shape))
        here, there = (generator(self.seed, topic, at, size).normal(0, deviation, shape) for at in (knot, knot + 1))
        return np.asarray(here + (there - here) * (part / step))

    def demand(self, day: int, expected: Numbers) -> tuple[NDArray[np.int64], np.random.Generator]:
        """Units wanted on one day, (shops, items), and the generator for everything else that happens that day."""
        draw = generator(self.seed, DAY, day)
        spread = draw.gamma(20.0, 1 / 20.0, self.shape)
        fast = draw.poisson(expected * spread)
        units = 1 + draw.poisson(np.broadcast_to(self.lump, self.shape))
        slow = draw.poisson(expected / (1 + self.lump)) * units
        return np.where(self.slow, slow, fast).astype(np.int64), draw


def generator(seed: int, *key: int) -> np.random.Generator:
    """Draws of a topic, and of a day or block of days."""
    return np.random.default_rng([seed, *key])
