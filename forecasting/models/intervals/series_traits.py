"""How a series sells at a cutoff: its level, how it varies, the unit it sells in, and the class of like series.

All of it follows from the series' own newest periods and has no unit of its own: selling in grams instead of kilograms
changes no class, and adding a series changes nothing of another. Class limits are fixed numbers for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.core.frequency import Frequency
from forecasting.models.accidents import without_accidents
from forecasting.panel.panel import Matrix, Panel

Numbers = NDArray[np.float64]
WINDOW = {"D": 91, "W": 52, "M": 36}  # newest periods that the traits are measured on
COLD, YOUNG, SEASONAL, RARE, KINDS = 0, 1, 5, 8, 20  # from RARE on, sales are rare
ZEROS = (0.15, 0.45, 0.8, 0.93)  # limits of the share of periods without a sale
SIZES = (0.2, 0.6)  # limits of the variation coefficient of what is sold in a period with a sale
CHANCE = 1.0  # sales more that rare ones might as well have been
FEWEST = 11  # kind from which on sales are so rare that twice the window is looked at
STEPS = 12  # the smallest sale is at most so many units, for the unit to matter
PAUSE = 0.01  # probability of a pause as long as the present one, from which on rare sales go on
CHANGES = 12  # that are known, for their size to say how demand varies
STEADY = 0.005  # of the level: least standard deviation
SHUT = 6  # observed periods without a sale, for a weekday to be closed
PARENT = np.array([0, 1, *[2] * 6, *(3 + np.arange(12) // 3)])  # of each kind: cold, young, a class of zeros
YEARLY = 0.6  # variance of yearly differences over that about the mean, below which demand has a season of the year
NONE, FEW, SOME = 0, 1, 2  # bins of the forecast beside the level
BINS, LOW, MIDDLE = 3, 0.02, 0.3


@dataclass(frozen=True)
class Traits:
    """(n_series,) each. level: mean units a period; kind: class of like series, COLD where nothing was sold.

    linear, square: variance of a period at the level, the part that grows with the mean and the part that grows with
    its square. more: units a period that the level of rare sales may well be higher, by the number of them. unit: units
    that sales are multiples of, 0 where there is none. shut: (n_series, 7) weekdays, from the one after the cutoff on,
    on which it never sells. sells: share of the other periods with a sale. pausing: whether sales are rare, and the
    time since the last one no longer than such sales may well pause.
    """

    level: Numbers
    linear: Numbers
    square: Numbers
    more: Numbers
    unit: Numbers
    kind: NDArray[np.intp]
    shut: NDArray[np.bool_]
    sells: Numbers
    pausing: NDArray[np.bool_]

    @classmethod
    def of(cls, panel: Panel, rows: NDArray[np.intp] | slice = slice(None)) -> Traits:
        """At the panel's cutoff, of all series or some: where sales are very rare, over twice the window."""
        width, season = window(panel.frequency), panel.frequency.season
        found = cls._over(panel.y[rows, -(width + season) :], width, season)
        few = np.flatnonzero((found.kind >= FEWEST) | (found.kind == COLD))
        if len(few) and panel.y.shape[1] > width:
            y = panel.y[rows][few] if isinstance(rows, slice) else panel.y[rows[few]]
            wider = cls._over(y[:, -(2 * width + season) :], 2 * width, season)
            for name, values in vars(found).items():
                values[few] = getattr(wider, name)
        return found

    @classmethod
    def _over(cls, newest_: Matrix, width: int, season: int) -> Traits:
        """Over the newest `width` periods; those before them are for differences to the season before."""
        y = without_accidents(newest_.astype(np.float64))
        newest = y[:, -width:]
        seen = np.isfinite(newest)
        count, filled = seen.sum(axis=1), np.where(seen, newest, 0.0)
        level = filled.sum(axis=1) / np.maximum(count, 1)
        weekly = season == 7  # days: their weekdays are known
        profile, shut = _profile(filled, seen) if weekly else (np.ones((len(y), 1)) * level[:, None], None)
        sold = filled > 0
        open_ = seen & ~_tiled(shut, seen.shape[1]) if shut is not None else seen
        share = 1 - sold.sum(axis=1) / np.maximum(open_.sum(axis=1), 1)
        yearly = np.zeros(len(y), dtype=bool)
        frequent = share < ZEROS[0]
        if weekly:
            variance = _variance(newest, profile)
        else:
            variance, yearly = _lesser(y, newest, level, season, frequent)
        variance = np.where(frequent, np.minimum(variance, _of_changes(newest, season if weekly else 1)), variance)
        unit = _unit(np.where(sold, newest_[:, -width:], 0.0).astype(np.float64), sold)
        safe = np.where(level > 0, level, 1.0)
        young = count < max(6, min(14, width // 6))
        variance = np.maximum(variance, (STEADY * level) ** 2)
        variance = np.where(young, np.maximum(variance, np.maximum(unit * level, (0.3 * level) ** 2)), variance)
        unit = np.where((share < ZEROS[0]) & (unit > np.sqrt(variance)), 0.0, unit)
        rare = (share >= ZEROS[0]) & ~young
        linear = np.where(rare, variance, np.minimum(variance, unit * level))
        more = np.where(rare, CHANCE * level / np.maximum(sold.sum(axis=1), 1), 0.0)
        square = (variance - linear) / np.maximum(((profile / safe[:, None]) ** 2).mean(axis=1), 1e-12)
        zeros = np.searchsorted(ZEROS, share, side="right")
        kind = np.where(zeros > 0, RARE + 3 * (zeros - 1), np.where(yearly, SEASONAL, 2)) + _sizes(filled, sold)
        kind = np.where(level > 0, np.where(young, YOUNG, kind), COLD).astype(np.intp)
        shut = np.zeros((len(y), 7), dtype=bool) if shut is None else shut
        since = (open_ & ~np.maximum.accumulate(sold[:, ::-1], axis=1)[:, ::-1]).sum(axis=1)
        pausing = (kind >= RARE) & seen[:, -season:].any(axis=1) & (share**since >= PAUSE)
        return cls(level, linear, square, more, unit, kind, shut, 1 - share, pausing)

    @property
    def rare(self) -> NDArray[np.bool_]:
        """Whether many periods pass without a sale."""
        return np.asarray(self.kind >= RARE)

    @property
    def alike(self) -> NDArray[np.bool_]:
        """Whether sales are rare and nearly of one size."""
        return np.asarray(self.rare & ((self.kind - RARE) % 3 == 0))

    @property
    def erratic(self) -> NDArray[np.bool_]:
        """Whether sales are rare, or frequent and of very different sizes (Syntetos, Boylan and Croston, 2005)."""
        return np.asarray(self.rare | ((self.kind > YOUNG) & ((self.kind - YOUNG - 1) % 3 == 2)))

    @property
    def cold(self) -> NDArray[np.bool_]:
        """Whether nothing was sold in the window."""
        return np.asarray(self.kind == COLD)

    def centre(self, mean: Numbers, trust: Numbers) -> Numbers:
        """(n_series, n) means that quantiles are taken about: of rare sales part of the way from level to forecast.

        trust: (n_series,) that part. What a method makes of a handful of sales is mostly chance.
        """
        level = self.level[:, None]
        drawn = level + trust[:, None] * (mean - level)
        moved = (self.rare & ~self.over(mean)[:, 0])[:, None]
        found: Numbers = np.where(moved, np.maximum(drawn, 0.0), mean)
        return found

    def over(self, mean: Numbers) -> NDArray[np.bool_]:
        """(n_series, 1) whether a forecast of zero throughout says that demand has ended, or not begun.

        For rare sales it may be that the last season had none by chance.
        """
        return np.asarray((mean <= 0).all(axis=1) & ~self.pausing)[:, None]

    def relative(self, mean: Numbers) -> NDArray[np.intp]:
        """(n_series, n) bins of mean forecasts beside the level: next to nothing, little, or of its size."""
        beside = mean / np.where(self.level > 0, self.level, 1.0)[:, None]
        found = np.searchsorted((LOW, MIDDLE), beside, side="right")
        return np.where(self.cold[:, None], SOME, found)

    def variance(self, mean: Numbers) -> Numbers:
        """(n_series, n) variance of a period's demand about a mean forecast, by the series' own history.

        Poisson-like demand grows with the mean, the rest of the variance with its square, as in a negative binomial
        distribution. A forecast of next to nothing spreads as the level does; without a level, by the mean itself.
        """
        beside = mean / np.where(self.level > 0, self.level, 1.0)[:, None]
        least = np.where(self.rare, MIDDLE, LOW)[:, None]
        beside = np.where(beside < LOW, 1.0, np.maximum(beside, least))
        beside = beside + (self.more / np.where(self.level > 0, self.level, 1.0))[:, None]
        found: Numbers = self.linear[:, None] * beside + self.square[:, None] * beside**2
        return np.where(self.cold[:, None], mean**2, found)

    def rounded(self, quantiles: Numbers) -> Numbers:
        """Quantiles (n_series, ...) as multiples of the unit, where there is one."""
        unit = self.unit.reshape(-1, *(1,) * (quantiles.ndim - 1))
        some = np.where(unit > 0, unit, 1.0)
        found: Numbers = np.where(unit > 0, np.round(quantiles / some) * some, quantiles)
        return found

    def still(self, quantiles: Numbers, mean: Numbers) -> Numbers:
        """Quantiles (n_series, n, n_levels); of a series without any variation the mean, where they are STEADY near.

        Its spread is an assumption: 25.02 of 5 a day would be one unit, or a pack, too much in an order.
        """
        constant = (self.linear + self.square <= 1.01 * (STEADY * self.level) ** 2) & (self.level > 0)
        near = np.abs(quantiles - mean[..., None]) <= STEADY * mean[..., None]
        return np.where(constant[:, None, None] & near, mean[..., None], quantiles)


def window(frequency: Frequency) -> int:
    """Newest periods that traits are measured on."""
    return WINDOW.get(frequency.code[0], 4 * frequency.season)


def _profile(filled: Numbers, seen: NDArray[np.bool_]) -> tuple[Numbers, NDArray[np.bool_]]:
    """(n, width) mean of each period's weekday, and (n, 7) weekdays from the first after the cutoff that never sell.

    A weekday never sells where it had SHUT chances, and the others sell in at least half of theirs.
    """
    places = (np.arange(filled.shape[1]) - filled.shape[1]) % 7
    total, count, sales = (np.zeros((len(filled), 7)) for _ in range(3))
    for place in range(7):
        mine = places == place
        total[:, place], count[:, place] = filled[:, mine].sum(axis=1), seen[:, mine].sum(axis=1)
        sales[:, place] = (filled[:, mine] > 0).sum(axis=1)
    mean = total / np.maximum(count, 1)
    idle = (sales == 0) & (count >= SHUT)
    others = np.where(idle, 0, count).sum(axis=1)
    regular = sales.sum(axis=1) >= 0.5 * np.maximum(others, 1)
    return mean[:, places], idle & regular[:, None]


def _tiled(shut: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    return shut[:, (np.arange(width) - width) % 7]


def _variance(newest: Numbers, profile: Numbers) -> Numbers:
    """(n,) of demand about its weekdays' means, by the observed periods less those that the means cost."""
    error = newest - profile
    seen = np.isfinite(error)
    left = np.maximum(seen.sum(axis=1) - 7, 1)
    found: Numbers = (np.where(seen, error, 0.0) ** 2).sum(axis=1) / left
    return found


def _of_changes(newest: Numbers, after: int) -> Numbers:
    """(n,) half the mean squared change `after` periods on, as a variance; infinite where few changes are known.

    A level that has moved counts once, not as a difference from the mean in every period (von Neumann, 1941).
    """
    if newest.shape[1] <= after:
        return np.full(len(newest), np.inf)
    change = newest[:, after:] - newest[:, :-after]
    known = np.isfinite(change)
    count = known.sum(axis=1)
    half = (np.where(known, change, 0.0) ** 2).sum(axis=1) / np.maximum(2 * count, 1)
    return np.where(count >= CHANGES, half, np.inf)


def _lesser(
    y: Numbers, newest: Numbers, level: Numbers, season: int, frequent: NDArray[np.bool_]
) -> tuple[Numbers, NDArray[np.bool_]]:
    """(n,) variance about the mean, or that of half the differences from a season before, if it is less and known.

    And whether it is less by far.

    Of frequent sales only: where most periods have none, nothing differs from nothing.
    """
    seen = np.isfinite(newest)
    about = np.where(seen, newest - level[:, None], 0.0)
    plain = (about**2).sum(axis=1) / np.maximum(seen.sum(axis=1) - 1, 1)
    change = y[:, season:] - y[:, :-season] if y.shape[1] > season else np.full((len(y), 1), np.nan)
    known = np.isfinite(change)
    enough = known.sum(axis=1) >= max(6, season // 2)
    yearly = (np.where(known, change, 0.0) ** 2).sum(axis=1) / np.maximum(2 * known.sum(axis=1), 1)
    taken = enough & frequent
    return np.where(taken, np.minimum(plain, yearly), plain), taken & (yearly < YEARLY * plain)


def _unit(filled: Numbers, sold: NDArray[np.bool_]) -> Numbers:
    """(n,) largest number that all sales are multiples of, at least a STEPS-th of the smallest one; else 0."""
    found = np.zeros(len(filled))
    least = np.where(sold, filled, np.inf).min(axis=1, initial=np.inf)
    open_ = np.flatnonzero(np.isfinite(least))
    for steps in range(1, STEPS + 1):
        if not len(open_):
            break
        counted = filled[open_] * (steps / least[open_])[:, None]
        whole = (np.abs(counted - np.round(counted)) < 1e-3).all(axis=1)
        found[open_[whole]] = least[open_[whole]] / steps
        open_ = open_[~whole]
    return found


def _sizes(filled: Numbers, sold: NDArray[np.bool_]) -> NDArray[np.intp]:
    count = np.maximum(sold.sum(axis=1), 1)
    mean = filled.sum(axis=1) / count
    spread = np.sqrt((np.where(sold, filled - mean[:, None], 0.0) ** 2).sum(axis=1) / count)
    found: NDArray[np.intp] = np.searchsorted(SIZES, spread / np.maximum(mean, 1e-300), side="right")
    return found


def matrix(mean: Matrix) -> Numbers:
    """Means as numbers of double precision, none below 0."""
    return np.maximum(mean, 0).astype(np.float64)
