"""Features of named days: the distance to each event that matters, and how much its past days sold above the usual.

Which names matter is found once, when a model is trained; a name that it has not met is no event to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.features import moving_holidays
from forecasting.features.history import Vector
from forecasting.panel.covariates.events import Events, unnamed
from forecasting.panel.panel import Matrix, Panel

Places = NDArray[np.intp]
Logs = NDArray[np.float64]
OWN = 4  # names with a column of their own; the rest share one distance
NEWEST = 8  # days of a name that its uplift is measured on
NEIGHBOURS = {"H": 168, "D": 7, "W": 1, "M": 1, "Q": 1}  # periods from an event to those that say what is usual
OFFSETS = {"D": (-2, -1, 0, 1)}  # periods around an event that may sell more or less; elsewhere the event's own
MOST_UPLIFT = 20.0
DOUBT = 0.1  # log of an uplift that is taken for chance, besides its standard error
SAMPLE, CALENDARS = 500, 20  # series and calendars at most by which the names are ranked


@dataclass(frozen=True)
class Names:
    """Event names that a model was trained with.

    own: the most influential. rest: all others. far: the one of `own` that comes once a year and moves, whose distance
    is counted from nine weeks before.
    """

    own: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    far: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        """Every name."""
        return (*self.own, *self.rest)


def of(panel: Panel) -> Events | None:
    """The panel's events; where an older version wrote it, one event without its names."""
    if panel.events is not None or "event" not in panel.known:
        return panel.events
    flag = panel.known["event"]
    return unnamed(flag[:1], len(panel.y), flag.shape[1] - len(panel.periods))


def rank(panel: Panel) -> Names:
    """Names met in the panel's history, those first whose days have sold most above or below the usual.

    By the sum over series of the mean distance, in standard errors; a name met once has no column of its own.
    """
    events = of(panel)
    if events is None:
        return Names()
    counts = events.known_by(len(panel.periods))
    met = [name for name in events.names if counts[name]]
    often = [name for name in met if counts[name] >= 2]
    rows = np.unique(np.linspace(0, len(panel.y) - 1, min(SAMPLE, len(panel.y))).astype(np.intp))
    part = panel.take(rows)
    own = often
    if len(often) > OWN:
        score = dict(zip(often, _influence(part, events.take(rows), often), strict=True))
        own = sorted(often, key=lambda name: (-score[name], name))[:OWN]
    far = next(
        (name for name in own if moving_holidays.moving(_only(events, name), panel.frequency, len(panel.periods))), ""
    )
    return Names(tuple(sorted(own)), tuple(sorted(set(met) - set(own))), far)


def _only(events: Events, name: str) -> Events:
    cells = events.cells[events.cells[:, 1] == events.names.index(name)].copy()
    cells[:, 1] = 0
    return Events((name,), cells, events.calendars, events.ahead)


@dataclass(frozen=True)
class Ahead:
    """columns: by feature, (n, horizon) each. uplift: (n, horizon) factor of the scale, 1 where nothing is known."""

    columns: Mapping[str, Matrix]
    uplift: Matrix | None


def ahead(panel: Panel, names: Names, horizon: int, size: Vector) -> Ahead:
    """Events of the `horizon` periods after the cutoff. size: (n,) units of a usual period with sales."""
    events = of(panel)
    if not names.all:
        return Ahead({}, None)
    if events is None:
        events = Events((), np.zeros((0, 3), np.int32), np.zeros(len(panel.y), np.int32), 0)
    columns = _distances(events, names, panel, horizon)
    columns["event_uplift"], firm = _lift(panel, events, names.all, horizon, size)
    return Ahead(columns, firm)


def _influence(panel: Panel, events: Events, names: Sequence[str]) -> Vector:
    """(n_names,) over the calendars that most series live by."""
    total, offsets = np.zeros(len(names)), OFFSETS.get(panel.frequency.code[0], (0,))
    flags = events.flags(tuple(names), 0, len(panel.periods))
    for calendar in np.argsort(-np.bincount(events.calendars), kind="stable")[:CALENDARS]:
        rows = np.flatnonzero(events.calendars == calendar)
        uplift = _Uplift(panel, flags[calendar], rows, np.ones(len(rows), dtype=np.float32))
        total += [uplift.influence(number, offsets) for number in range(len(names))]
    return total.astype(np.float32)


def _distances(events: Events, names: Names, panel: Panel, horizon: int) -> dict[str, Matrix]:
    """Of each own name one column: 0 far away, rising to the event, below 0 after it; of the rest, as one, two."""
    frequency, periods = panel.frequency, len(panel.periods)
    near, far = max(1, frequency.near_event), max(1, frequency.before_event)
    start = max(0, periods - near)
    stop = periods + horizon + far
    flags = events.flags(names.all, start, stop)
    here = slice(periods - start, periods - start + horizon)
    columns: dict[str, Matrix] = {}
    for number, name in enumerate(names.own):
        until, since = _gaps(flags[:, number])
        reach = far if name == names.far else near
        closeness = np.where(until[:, here] < reach, reach - until[:, here], 0)
        after = since[:, here]
        value = np.where((after > 0) & (after < near), after - near, closeness)
        # On its day and shortly before, the event to come counts; after it, what is over.
        columns[f"event_{name}"] = np.where(until[:, here] <= np.minimum(after, 2), closeness, value)
    if names.rest:
        until, since = _gaps(np.asarray(flags[:, len(names.own) :].any(axis=1)))
        columns["event_until"], columns["event_since"] = (
            np.minimum(gap[:, here], near).astype(np.float32) for gap in (until, since)
        )
    each = events.calendars
    return {name: values.astype(np.float32)[each] for name, values in columns.items()}


def _gaps(on: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Periods until the next True and since the last one along the rows; very many where there is none."""
    width, never = on.shape[1], 1 << 20
    places = np.arange(width)
    last = np.maximum.accumulate(np.where(on, places, -never), axis=1)
    following = np.minimum.accumulate(np.where(on, places, never)[:, ::-1], axis=1)[:, ::-1]
    return following - places, places - last


class _Uplift:
    """Demand on past days of each name over what is usual beside them, by the series of one calendar.

    What is usual is the mean of the same weekdays one and two weeks before and after that have no event of their own.
    A day with several events says little of each: where a name has days of its own, only those count; where it has
    none, what the others are known to add is taken off.
    """

    def __init__(self, panel: Panel, flags: NDArray[np.bool_], rows: Places, size: Vector) -> None:
        """flags: (n_names, n_periods or more) of the calendar. size: (n_rows,) units of a usual period with sales."""
        self.y, self.rows, self.size = panel.y, rows, size
        self.past = flags[:, : len(panel.periods)]
        self.several = self.past.sum(axis=0)
        self.step = NEIGHBOURS[panel.frequency.code[0]]
        self._kept: dict[tuple[int, int], tuple[Logs, Logs]] = {}

    def influence(self, name: int, offsets: Sequence[int]) -> float:
        """How far the name's days lie from the usual: the sum over series of their distance in standard errors."""
        total = 0.0
        for offset in offsets:
            sold, usual, count, spread = self._sums(self._days(name, offset)[0])
            each = np.maximum(usual / np.maximum(count, 1), 1e-9)
            error = np.sqrt(np.maximum(spread, 0.01 * each**2) * np.maximum(count, 1))
            total += float((np.abs(sold - usual) / error)[count > 0].sum())
        return total

    def log(self, name: int, offset: int) -> tuple[Logs, Logs]:
        """(n_rows,) logs of the uplift: as measured, and as far as it is no chance."""
        if (name, offset) not in self._kept:
            days, alone = self._days(name, offset)
            raw, sure = self._measured(days)
            shares = self.past[:, days].mean(axis=1) if len(days) and not alone else np.zeros(len(self.past))
            shares[name] = 0
            for other in np.flatnonzero(shares):
                if self._days(int(other), 0)[1]:
                    theirs = self.log(int(other), 0)
                    raw, sure = raw - shares[other] * theirs[0], sure - shares[other] * theirs[1]
            self._kept[name, offset] = raw, sure
        return self._kept[name, offset]

    def _days(self, name: int, offset: int) -> tuple[Places, bool]:
        """Periods that the name is measured on, newest last, and whether they are its own."""
        days = np.flatnonzero(self.past[name]) + offset
        days = days[(days >= 0) & (days < self.past.shape[1])]
        if offset:  # of an event of several days, one of them is not the day before another
            days = days[~self.past[name, days]]
        alone = days[self.several[days] - self.past[name, days] == 0]
        own = len(alone) >= 2 or len(alone) == len(days)
        return (alone if own else days)[-NEWEST:], own

    def _measured(self, days: Places) -> tuple[Logs, Logs]:
        sold, usual, count, spread = self._sums(days)
        each, unit = usual / np.maximum(count, 1), np.minimum(self.size, 1)
        doubt = each + 0.5 * unit
        there = (count > 0) & (usual > 0)
        log = np.log(np.where(there, (sold + doubt) / np.maximum(usual + doubt, 1e-9), 1))
        # Of as many days as it has, and of the four that each is compared with; counts spread no less than Poisson's.
        variance = np.maximum(spread, each * unit) * np.maximum(count, 1) * 1.25
        error = np.sqrt(variance) / np.maximum(usual + doubt, 1e-9)
        return log, np.where(count >= 2, np.sign(log) * np.maximum(np.abs(log) - DOUBT - error, 0), 0)

    def _sums(self, days: Places) -> tuple[Logs, Logs, NDArray[np.int64], Logs]:
        """(n_rows,) units on the observed of these days, what was usual beside them, their number, a day's variance."""
        periods = self.past.shape[1]
        beside = days[:, None] + self.step * np.array([-2, -1, 1, 2])
        inside = (beside >= 0) & (beside < periods)
        beside = np.clip(beside, 0, periods - 1)
        free = inside & (self.several[beside] == 0)
        free = np.where(free.any(axis=1)[:, None], free, inside)
        around = np.where(free, self.y[self.rows[:, None, None], beside], np.nan)
        seen = np.isfinite(around)
        usual = np.where(seen, around, 0).sum(axis=2) / np.maximum(seen.sum(axis=2), 1)
        sold = self.y[self.rows[:, None], days]
        both = np.isfinite(sold) & seen.any(axis=2)
        apart = np.where(seen, around - usual[:, :, None], 0).astype(np.float64)
        free_days = np.maximum(seen.sum(axis=(1, 2)) - both.sum(axis=1), 1)  # a mean of each four is taken off
        spread = (apart**2).sum(axis=(1, 2)) / free_days
        total = np.where(both, sold, 0).sum(axis=1, dtype=np.float64)
        return total, np.where(both, usual, 0).sum(axis=1, dtype=np.float64), both.sum(axis=1), spread


def _lift(panel: Panel, events: Events, names: Sequence[str], horizon: int, size: Vector) -> tuple[Matrix, Matrix]:
    """(n, horizon) uplift of the periods ahead, as measured and as far as it is no chance: the product over names."""
    periods, offsets = len(panel.periods), OFFSETS.get(panel.frequency.code[0], (0,))
    raw, firm = (np.zeros((len(panel.y), horizon)) for _ in range(2))
    reach = max(abs(offset) for offset in offsets)
    flags = events.flags(tuple(names), 0, periods + horizon + reach)
    coming = np.asarray(flags[:, :, max(0, periods - reach) :].any(axis=2) & flags[:, :, :periods].any(axis=2))
    for calendar in np.flatnonzero(coming.any(axis=1)):
        rows = np.flatnonzero(events.calendars == calendar)
        if not len(rows):
            continue
        uplift = _Uplift(panel, flags[calendar], rows, size[rows])
        done: set[tuple[int, bytes]] = set()
        for name in np.flatnonzero(coming[calendar]):
            for offset in offsets:
                steps = np.flatnonzero(flags[calendar, name]) + offset - periods
                steps = steps[(steps >= 0) & (steps < horizon)]
                if offset:
                    steps = steps[~flags[calendar, name, periods + steps]]
                same = (offset, flags[calendar, name].tobytes())
                if len(steps) and same not in done:  # two names for the same days are one event
                    done.add(same)
                    for into, log in zip((raw, firm), uplift.log(int(name), offset), strict=True):
                        into[np.ix_(rows, steps)] += log[:, None]
    most = np.log(MOST_UPLIFT)
    first, second = (np.exp(np.clip(one, -most, most)).astype(np.float32) for one in (raw, firm))
    return first, second
