"""Facts of the demo retailer: names, seasons and holidays that no chance touches, tables of its shops and items."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Days = NDArray[np.int64]  # ordinals

CATEGORIES = ("bakery", "dairy", "drinks", "fruit", "household", "snacks")
BRANDS = ("Alba", "Borealis", "Corsa", "Delta", "Own")
CITIES = (
    "Northport",
    "Millbrook",
    "Easton",
    "Lakeside",
    "Westbury",
    "Oakham",
    "Harrow",
    "Kingsley",
    "Ashford",
    "Dover",
)
REGIONS = ("north", "east", "west")
# Mon..Sun: a neighbourhood shop, one among offices, one beside a motorway.
WEEKS = np.array(
    [
        [0.85, 0.82, 0.88, 0.95, 1.20, 1.50, 0.80],
        [1.15, 1.15, 1.20, 1.20, 1.25, 0.65, 0.40],
        [0.80, 0.75, 0.80, 0.90, 1.25, 1.35, 1.15],
    ]
)
# Share of the mean by which a category swings over the year, and the day of the year of its peak.
YEAR = {"bakery": (0.08, 340), "dairy": (0.06, 20), "drinks": (0.40, 200), "fruit": (0.25, 185)}
YEAR |= {"household": (0.10, 100), "snacks": (0.15, 345)}
WARMTH = {"drinks": 0.030, "fruit": 0.012, "bakery": -0.010}  # log demand a degree above the season's mean


def holidays(year: int) -> dict[date, tuple[str, float, float, int]]:
    """Named days of a year: name, factor of the day itself, factor of the days before it, how many those are."""
    easter = _easter(year)
    return {
        date(year, 1, 1): ("New Year's Day", 0.55, 1.25, 2),
        easter - timedelta(days=2): ("Good Friday", 0.80, 1.35, 2),
        easter + timedelta(days=1): ("Easter Monday", 0.70, 1.30, 2),
        date(year, 5, 1): ("Labour Day", 0.65, 1.20, 1),
        date(year, 8, 15): ("Summer Fair", 1.45, 1.05, 1),
        date(year, 10, 3): ("Founders' Day", 0.70, 1.20, 1),
        date(year, 12, 24): ("Christmas Eve", 1.35, 1.45, 6),
        date(year, 12, 25): ("Christmas Day", 0.0, 1.0, 0),
        date(year, 12, 26): ("Boxing Day", 0.75, 1.0, 0),
    }


def _easter(year: int) -> date:
    """Easter Sunday (Gauss's rule, valid for the years 1900..2099)."""
    moon = (19 * (year % 19) + 24) % 30
    week = (2 * (year % 4) + 4 * (year % 7) + 6 * moon + 5) % 7
    day = moon + week - (7 if week == 6 and (moon == 29 or (moon == 28 and year % 19 > 10)) else 0)
    return date(year, 3, 22) + timedelta(days=day)


def named_days(start: int, end: int) -> Iterator[tuple[date, str]]:
    """Holidays from start to end, both included (ordinals)."""
    for year in range(date.fromordinal(start).year, date.fromordinal(end).year + 1):
        for day, (name, *_) in holidays(year).items():
            if start <= day.toordinal() <= end:
                yield day, name


def holiday_factor(days: Days) -> Numbers:
    """(days,) factor of demand on and before holidays, 0 where shops are closed."""
    factor = np.ones(len(days))
    for year in range(date.fromordinal(int(days[0])).year, date.fromordinal(int(days[-1])).year + 2):
        for day, (_, itself, before, count) in holidays(year).items():
            ahead = day.toordinal() - days
            factor = np.where((ahead > 0) & (ahead <= count), np.maximum(factor, before), factor)
            factor = np.where(ahead == 0, itself, factor)
    return factor


def shops_table(count: int, draw: np.random.Generator) -> pd.DataFrame:
    """Shop, city, region, opened."""
    rows = np.arange(count)
    cities = [CITIES[row % len(CITIES)] for row in rows]
    regions = [REGIONS[row % len(REGIONS)] for row in rows]
    return pd.DataFrame({"shop": [f"S{row + 1:02d}" for row in rows], "city": cities, "region": regions}).assign(
        opened=[date(2000 + int(year), 3, 1) for year in draw.integers(0, 18, count)]
    )


def items_table(count: int, draw: np.random.Generator) -> pd.DataFrame:
    """Sku, category, brand, list price."""
    rows = np.arange(count)
    category = [CATEGORIES[row % len(CATEGORIES)] for row in rows]
    return pd.DataFrame(
        {
            "sku": [f"{name[:3].upper()}-{row + 1:03d}" for row, name in enumerate(category)],
            "category": category,
            "brand": [BRANDS[row] for row in draw.integers(0, len(BRANDS), count)],
            "list_price": np.round(np.exp(draw.normal(1.1, 0.6, count)), 1) + 0.09,
        }
    )


def lives(count: int, first: int, cutoff: int, draw: np.random.Generator) -> tuple[Days, Days]:
    """(items,) first day on sale, first day no longer: one in ten is launched later, one in twenty delisted."""
    launched = first - draw.integers(30, 1500, count)
    delisted = np.full(count, date.max.toordinal())
    order = draw.permutation(count)
    new = order[: max(count // 10, 1)]
    launched[new] = draw.integers(first + (cutoff - first) // 4, cutoff - 10, len(new))
    soon = order[len(new) : len(new) + 1]
    launched[soon] = cutoff + 6
    old = order[len(new) + 1 : len(new) + 1 + max(count // 20, 1)]
    delisted[old] = draw.integers(first + (cutoff - first) // 2, cutoff - 20, len(old))
    return launched.astype(np.int64), delisted.astype(np.int64)
