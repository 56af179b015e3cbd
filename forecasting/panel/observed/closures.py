"""Which days a store or a series was closed on, and since when it has been closed for good.

A day without any sale was closed where that is very improbable for what usually sells on such a day: for a store by
its units and by the number of its items that sell, for a series by its own units, for many series at once by how many
of them are silent together. A closure lasts `panel.closed_periods` days at most. After that, a series that had traded
long enough before has ended: nothing more is expected of it until it sells again, and the time between is never learned
from; any other silence is demand of zero, as that of an item out of season.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.panel.memory import release
from forecasting.panel.observed.silence import WEEK, Flags, Positions, Rates, Runs, Vector
from forecasting.panel.panel import Matrix

IMPROBABLE, IMPROBABLE_STORE = 1e-4, 1e-3  # probability of a day without a sale, at most, for it to have been closed
LEAST, LEAST_STORE = 8, 4  # same weekdays seen before, at least
USUAL = 0.2  # share of the same weekdays without a sale, at most
TOGETHER, TOGETHER_LEAST = 0.1, 5  # probability that one of a silent group was open; series of a group at least
LIKELY = 0.5  # probability of a day without a sale from which on it is a day off
ITEM_BOUND = 7  # days that an item may be missing in a store that trades, before its zeros count


@dataclass(frozen=True)
class Closures:
    """Closed days of stores and series.

    store: (n_series,) code of its store; one for all where each store has one series. stores: (n_stores, n_periods)
    closed. cells: sorted flat positions of the series that were closed by themselves. sold: (n_stores, n_periods)
    whether a store sold anything. ended: (k, 4) row, period of the last sale, first period, period after the last one:
    where a series was closed for longer than the bound, by row and period.
    """

    store: Positions
    stores: Flags
    cells: Positions
    sold: Flags
    ended: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 4), dtype=np.int64))

    @classmethod
    def none(cls, count: int, periods: int) -> Closures:
        """Nothing is ever closed."""
        nothing = np.zeros((1, periods), dtype=bool)
        return cls(np.zeros(count, dtype=np.intp), nothing, np.empty(0, dtype=np.intp), nothing)

    def closed(self, part: slice) -> Flags:
        """(rows of the part, n_periods): closed, for no longer than the bound."""
        found, periods = self.stores[self.store[part]], self.stores.shape[1]
        first, last = np.searchsorted(self.cells, [part.start * periods, part.stop * periods])
        found.reshape(-1)[self.cells[first:last] - part.start * periods] = True
        return found

    def over(self, part: slice) -> Flags:
        """(rows of the part, n_periods): closed for longer than the bound, until the next sale."""
        found = np.zeros((len(self.store[part]), self.stores.shape[1]), dtype=bool)
        first, last = np.searchsorted(self.ended[:, 0], [part.start, part.stop])
        for row, _, start, stop in self.ended[first:last]:
            found[row - part.start, start:stop] = True
        return found


@dataclass(frozen=True)
class Sold:
    """What was sold, and where nothing could be seen.

    by_period: (n_periods, n_series) units. started: (n_series,) first period on sale. stores: (n_series,) names.
    hidden: sorted flat positions (series x periods) of cells that were not observed for another reason. unread: those
    of them that have a row of unknown quantity: the series, and so its store, traded.
    """

    by_period: Matrix
    started: Positions
    stores: pd.Series
    hidden: Positions
    unread: Positions = field(default_factory=lambda: np.empty(0, dtype=np.intp))


def find(sold: Sold, bound: int) -> Closures:
    """Closed days and stays of daily data. bound: days that a closure may last.

    One pass over the days, each compared with those before it only; memory of a few vectors of (n_series,).
    """
    return _Search(sold, bound).run()


def _by_day(cells: Positions, periods: int) -> list[Positions]:
    """The series of flat positions (series x periods) by day."""
    days = cells % periods
    order = np.argsort(days, kind="stable")
    return np.split(cells[order] // periods, np.searchsorted(days[order], np.arange(1, periods)))


class _Search:
    """The days one after another: n series, then the units of the stores, then the number of their items that sold."""

    def __init__(self, sold: Sold, bound: int) -> None:
        self.sold, self.periods, self.count = sold, len(sold.by_period), len(sold.started)
        codes, names = pd.factorize(sold.stores)
        if len(names) == self.count:  # a chain is the same whether it is mapped as stores or as items
            codes, names = np.zeros(self.count, dtype=np.intp), names[:1]
        self.store, self.shops = np.asarray(codes, dtype=np.intp), len(names)
        self.opened = np.full(self.shops, self.periods)
        np.minimum.at(self.opened, self.store, sold.started)
        self.rates = Rates(np.arange(self.count + 2 * self.shops) >= self.count + self.shops)
        # An item that is missing where the rest of its store sells is no closed shop; without stores it may be one.
        items = np.bincount(self.store, minlength=self.shops)
        inside = (items[self.store] > 1) & (self.shops > 1)
        self.ends = ~inside
        self.runs = Runs(np.where(inside, min(ITEM_BOUND, bound), bound).astype(np.int64))
        self.shop_runs = Runs(np.full(self.shops, bound))
        self.stores = np.zeros((self.shops, self.periods), dtype=bool)
        self.traded = np.zeros((self.shops, self.periods), dtype=bool)
        self.cells: list[Positions] = []
        self._since, self._sale = np.full(self.count, -1), np.full(self.count, -1)
        self._stays: list[NDArray[np.intp]] = []
        self._hidden, self._unread = (_by_day(cells, self.periods) for cells in (sold.hidden, sold.unread))

    def run(self) -> Closures:
        for day in range(self.periods):
            self._day(day)
            if day % 64 == 0:
                release(self.sold.by_period)
        release(self.sold.by_period)
        cells = np.sort(np.concatenate(self.cells)) if self.cells else np.empty(0, dtype=np.intp)
        self._leave(self.periods, self._since >= 0)
        stays = np.concatenate(self._stays).astype(np.int64)
        return Closures(self.store, self.stores, cells, self.traded, stays[np.lexsort((stays[:, 2], stays[:, 0]))])

    def _day(self, day: int) -> None:
        n, shops, weekday = self.count, self.shops, day % WEEK
        units = self.sold.by_period[day].copy()
        begun = self.sold.started <= day
        seen = begun.copy()
        seen[self._hidden[day]] = False
        unread = np.zeros(n, dtype=bool)
        unread[self._unread[day]] = True
        lost = np.bincount(self.store, weights=unread, minlength=shops) > 0
        units[~begun] = 0
        total = np.bincount(self.store, weights=units, minlength=shops)
        kinds = np.bincount(self.store, weights=units > 0, minlength=shops)
        self.traded[:, day] = (total > 0) | lost
        # Where half of such days are without a sale, one more says nothing.
        silent = np.flatnonzero(seen & (units <= 0) & (self.rates.silent_share[weekday, :n] <= LIKELY))
        chance = np.ones(n, dtype=np.float32)
        chance[silent] = self.rates.silence(weekday, silent)
        shut = self._shut(day, (self.opened <= day) & ~self.traded[:, day])
        alone, together = self._silent(day, silent, chance, seen & ~shut[self.store])
        closed = np.asarray(alone | together)
        self.stores[:, day] = shut
        self.cells.append(np.flatnonzero(closed) * self.periods + day)
        shops_over = self.shop_runs.over(day) & ~self.traded[:, day]
        over = self._over(day, np.where(unread, 1, units), shops_over)
        # Days on which many were closed, or one for long, say nothing about what it usually does; single ones do.
        counted = seen & ~shut[self.store] & ~together & ~over
        trading = (self.opened <= day) & ~shops_over & ~lost  # a part of a total says nothing about the whole
        one = counted & ~(closed & self.runs.long(day))
        shop = trading & ~(shut & self.shop_runs.long(day))
        both = np.concatenate([units, total, kinds]).astype(np.float32)
        self.rates.count_silence(weekday, both <= 0, np.concatenate([one, shop, shop]))
        self.rates.learn(weekday, both, np.concatenate([counted & ~closed, trading & ~shut, trading & ~shut]))
        self.runs.sold(day, (units > 0) | unread)
        self.shop_runs.sold(day, self.traded[:, day])

    def _shut(self, day: int, silent: Flags) -> Flags:
        """(n_shops,) stores without a sale that would have sold, had they been open."""
        shut = np.zeros(self.shops, dtype=bool)
        which, weekday = np.flatnonzero(silent), day % WEEK
        if not len(which):
            return shut
        places = self.count + which
        chance = np.minimum(
            self.rates.silence(weekday, places), self.rates.silence(weekday, places + self.shops)
        )  # fmt: skip
        usual = (self.rates.silent_share[weekday, places] <= USUAL) & (self.rates.days[weekday, places] >= LEAST_STORE)
        self.shop_runs.compare(day, self.traded.T)
        closed = usual & (chance < IMPROBABLE_STORE) & self.shop_runs.may_be_closed(day, which)
        shut[which[closed]] = True
        self.shop_runs.closed_once |= shut
        return shut

    def _silent(self, day: int, silent: Positions, chance: Vector, seen: Flags) -> tuple[Flags, Flags]:
        """(n_series,) series that were closed by themselves, and together with others."""
        weekday, n = day % WEEK, self.count
        days, share = self.rates.days[weekday, :n], self.rates.silent_share[weekday, :n]
        self.runs.compare(day, self.sold.by_period)
        may = np.zeros(n, dtype=bool)
        may[silent] = self.runs.may_be_closed(day, silent)
        may &= seen
        alone = may & (share <= USUAL) & (days >= LEAST) & (chance < IMPROBABLE)
        together = self._together(day, seen, chance, may)
        self.runs.closed_once |= alone | together
        return np.asarray(alone & ~together), together

    def _together(self, day: int, seen: Flags, chance: Vector, may: Flags) -> Flags:
        """Series of a group that is silent together.

        Of the series that usually sell, as many as are silent beyond what is expected were closed: by Bayes' rule a
        silent one was open with odds of chance x (1 - share) / share.
        """
        weekday, n = day % WEEK, self.count
        days, share = self.rates.days[weekday, :n], self.rates.silent_share[weekday, :n]
        usual = np.flatnonzero(seen & (days >= LEAST_STORE) & (share <= USUAL))
        quiet = may[usual]
        none = np.zeros(n, dtype=bool)
        if quiet.sum() < max(TOGETHER_LEAST, 3 * share[usual].sum()):
            return none
        expected = float(self.rates.silence(weekday, usual).sum())
        closed = float(quiet.sum()) - expected
        if closed < TOGETHER_LEAST + 6 * np.sqrt(expected):
            return none
        part = min(closed / len(usual), 1 - 1e-3)
        return np.asarray(may & (chance < LIKELY) & (chance * (1 - part) / part < TOGETHER))

    def _over(self, day: int, units: Vector, shops: Flags) -> Flags:
        """(n_series,) ended as of this day. shops: (n_shops,) those of them that have. Keeps account of their stays."""
        by_shop = shops[self.store] & (self.sold.started <= day)
        over = np.asarray((self.runs.over(day) & self.ends & (units <= 0)) | by_shop)
        begin = over & (self._since < 0)
        self._since[begin] = day
        self._sale[begin] = np.where(by_shop, self.shop_runs.last_sale[self.store], self.runs.last_sale)[begin]
        self._leave(day, ~over & (self._since >= 0))
        return over

    def _leave(self, day: int, which: Flags) -> None:
        rows = np.flatnonzero(which)
        self._stays.append(np.stack([rows, self._sale[rows], self._since[rows], np.full(len(rows), day)], axis=1))
        self._since[rows] = -1
