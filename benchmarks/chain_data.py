"""A made-up chain of stores by day whose demand is known, for part `chain`. Nothing but pandas and numpy.

Multiplicative weekday pattern, a promotion every other week, closed Sundays, fixed and movable holidays, some of them
in a part of the stores only, half a year closed for a tenth of the stores, noise.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
from dateutil.easter import easter

from benchmarks.data import Array
from benchmarks.small import Small

FIRST, LAST = date(2024, 1, 1), date(2026, 6, 30)
STORES, HORIZON = 300, 42
FIXED = ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26))
MOVABLE = (-2, 1, 39, 50)  # days from Easter: Good Friday, Easter Monday, Ascension, Whit Monday
REGIONAL_FIXED, REGIONAL_MOVABLE = ((1, 6), (11, 1)), (60,)  # in a third of the stores
NOISE, SHARED_NOISE = 0.09, 0.03
REFURBISHED, CLOSED_DAYS = 0.1, 182


def chain(seed: int) -> Small:
    """Sales, NaN on days that a store was closed (0 on Sundays), and promotions; the last 3 x 42 days are cutoffs."""
    random = np.random.default_rng(seed)
    days = pd.date_range(FIRST, LAST)
    ahead = pd.date_range(FIRST, LAST + timedelta(days=HORIZON))
    expected, promotion = _expected(random, ahead)
    closed = _closed(random, days)
    noise = random.normal(0, NOISE, (STORES, len(days))) + random.normal(0, SHARED_NOISE, len(days))
    y = np.round(expected[:, : len(days)] * np.exp(noise))
    y[closed] = np.nan
    y[:, days.weekday == 6] = 0
    names = [f"store{number:03d}" for number in range(STORES)]
    cutoffs = tuple(len(days) - HORIZON * back for back in (3, 2, 1))
    return Small(y, days, pd.DataFrame({"unique_id": names}), "D", 7, HORIZON, cutoffs, {"promotion": promotion})


def truth(seed: int) -> Array:
    """(STORES, n_days) mean demand on a day on which the store is open."""
    expected, _ = _expected(np.random.default_rng(seed), pd.date_range(FIRST, LAST + timedelta(days=HORIZON)))
    return expected * np.exp((NOISE**2 + SHARED_NOISE**2) / 2)


def _expected(random: np.random.Generator, days: pd.DatetimeIndex) -> tuple[Array, Array]:
    """(STORES, n_days) mean demand of an open store, and its promotion, 0 or 1."""
    level = random.lognormal(np.log(3000), 0.5, STORES)[:, None]
    week = np.array([1.2, 1.0, 0.95, 0.95, 1.05, 1.1, 0.0]) * random.normal(1, 0.06, (STORES, 7))
    number = (np.arange(len(days)) + days[0].weekday()) // 7
    group = random.integers(0, 2, STORES)[:, None]
    weekday = np.asarray(days.weekday)
    promotion = (((number + group) % 2 == 0) & (weekday < 5)).astype(np.float64)
    lift = 1 + promotion * random.normal(0.4, 0.06, STORES)[:, None]
    angle = 2 * np.pi * np.asarray(days.dayofyear) / 365
    year = 1 + 0.06 * np.sin(angle) + 0.25 * np.asarray((days.month == 12) & (days.day < 25))
    trend = np.exp(random.normal(0, 0.05, STORES)[:, None] * np.arange(len(days)) / 365)
    return level * week[:, weekday] * lift * year * trend, promotion


def _closed(random: np.random.Generator, days: pd.DatetimeIndex) -> np.ndarray:
    """(STORES, n_days) holidays and refurbishments."""
    dates = [day.date() for day in days]

    def holidays(fixed: tuple[tuple[int, int], ...], movable: tuple[int, ...]) -> np.ndarray:
        return np.array([(d.month, d.day) in fixed or (d - easter(d.year)).days in movable for d in dates])

    regional = random.random(STORES) < 1 / 3
    closed = np.broadcast_to(holidays(FIXED, MOVABLE), (STORES, len(days))).copy()
    closed[regional] |= holidays(REGIONAL_FIXED, REGIONAL_MOVABLE)
    for row in np.flatnonzero(random.random(STORES) < REFURBISHED):
        start = random.integers(150, len(days) - 200)
        closed[row, start : start + CLOSED_DAYS] = True
    return closed
