"""What each group of series sold by period, block by block: all that a shard needs to know of the other series.

Kept with the panel for the total and every declared level, made on demand for any other. The numbers are the same
either way, and whatever the shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from forecasting.panel.covariates.known_ahead import KnownAhead
from forecasting.panel.hierarchy import SERIES, TOTAL, Level, Totals, group
from forecasting.panel.memory import blocks, release
from forecasting.panel.observed.closing_days import is_calendar
from forecasting.panel.panel import Matrix, Panel

Block = NDArray[np.float64]
Adder = Callable[[slice, Block], None]


def level_of(panel: Panel, name: str) -> Level:
    """The level of that name. Raises SettingsError for an attribute that the series do not have."""
    return panel.totals[name].level if name in panel.totals else group(panel.series, name)


def compute(panel: Panel) -> dict[str, Totals]:
    """Totals of the whole and of every declared level, in one reading of the panel."""
    found = [group(panel.series, name) for name in dict.fromkeys((TOTAL, *panel.levels)) if name != SERIES]
    units, filled = _units(panel, found), _filled(panel, found, len(panel.periods))
    means = {
        name: _means(values, found)
        for name, values in panel.known.items()
        if len(values) == len(panel.y) and not is_calendar(name, values)
    }
    return {
        level.name: Totals(level, units[k], filled[k], {name: one[k] for name, one in means.items()})
        for k, level in enumerate(found)
    }


def units(panel: Panel, level: Level) -> Matrix:
    """(n_groups, n_periods) units sold; what was not observed counts as 0."""
    kept = panel.totals.get(level.name)
    return _units(panel, [level])[0] if kept is None else kept.units


def filled(panel: Panel, level: Level, newest: int) -> Matrix:
    """(n_groups, newest periods) demand; NaN where no member that is on sale was observed.

    A member that was not observed while others were counts with its newest value at that place in the season, if that
    is no older than a year: what was taken off the shelves for good does not count for ever.
    """
    kept = panel.totals.get(level.name)
    return _filled(panel, [level], newest)[0] if kept is None else kept.filled[:, -newest:]


def mean(panel: Panel, level: Level, name: str, ahead: bool = True) -> Matrix:
    """(n_groups, n_periods + horizon): mean of a covariate known ahead over the members that have it; NaN for none.

    ahead: whether the horizon is asked for; without it what lies there may be what was known only later.
    """
    kept = panel.totals.get(level.name)
    if kept is None:
        return _means(panel.known[name], [level])[0]
    if not ahead or name not in panel.since:
        return kept.means[name]
    # Kept are means of the present values: those ahead are made of what was known then.
    periods = panel.known.periods if isinstance(panel.known, KnownAhead) else len(panel.periods)
    return np.hstack([kept.means[name][:, :periods], _means(panel.known[name][:, periods:], [level])[0]])


def add_up(level: Level, values: Matrix) -> Matrix:
    """(n_groups, k) sums of (n_series, k); NaN counts as 0."""
    sums, add = adder([level], values.shape[1])
    for part, block in _read(values):
        add(part, np.nan_to_num(block, copy=False))
    return sums[0].astype(np.float32)


def adder(found: list[Level], width: int) -> tuple[list[Block], Adder]:
    """Zeros a level, (n_groups, width), and what adds a block of series to them."""
    sums = [np.zeros((len(level.labels), width)) for level in found]

    def add(part: slice, values: Block) -> None:
        for level, total in zip(found, sums, strict=True):
            present, place = np.unique(level.codes[part], return_inverse=True)
            ones = (np.ones(len(place)), (place, np.arange(len(place))))
            total[present] += csr_array(ones, shape=(len(present), len(place))) @ values

    return sums, add


def _units(panel: Panel, found: list[Level]) -> list[Matrix]:
    sums, add = adder(found, panel.y.shape[1])
    for part, y in _read(panel.y):
        add(part, np.nan_to_num(y, copy=False))
    return [one.astype(np.float32) for one in sums]


def _filled(panel: Panel, found: list[Level], newest: int) -> list[Matrix]:
    """The same however many of the newest periods are asked for: only as far back as a value may stand in is read."""
    season, periods = panel.frequency.season, panel.y.shape[1]
    oldest = max(1, panel.frequency.year // season)  # seasons; a value may replace missing ones for a year
    newest = min(newest, periods)
    start = max(0, periods - newest - oldest * season)
    sums, add = adder(found, newest)
    counts, count = adder(found, newest)
    for part, y in _read(panel.y[:, start:]):
        for row, _, first, stop in panel.ended[slice(*np.searchsorted(panel.ended[:, 0], [part.start, part.stop]))]:
            # What has ended is no longer expected to sell as it did a year ago.
            y[row - part.start, max(first - start, 0) : max(stop - start, 0)] = 0
        seen = np.isfinite(y)
        add(part, np.nan_to_num(_carried(y, seen, season, oldest)[:, -newest:], copy=False))
        count(part, seen[:, -newest:].astype(np.float64))
    both = zip(sums, counts, strict=True)
    return [np.where(seen > 0, total, np.nan).astype(np.float32) for total, seen in both]


def _carried(y: Block, seen: NDArray[np.bool_], season: int, oldest: int) -> Block:
    """What was not seen filled with the newest value at its place in the season, at most `oldest` seasons old."""
    if seen.all():
        return y
    padding = ((0, 0), (-y.shape[1] % season, 0))
    shape = (len(y), -1, season)
    values = np.pad(y, padding, constant_values=np.nan).reshape(shape)
    number = np.arange(values.shape[1], dtype=np.int32)[:, None]
    last = np.where(np.pad(seen, padding).reshape(shape), number, np.int32(-1))
    np.maximum.accumulate(last, axis=1, out=last)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    found[(last < 0) | (number - last > oldest)] = np.nan
    filled: Block = found.reshape(len(y), -1)[:, padding[1][0] :]
    return filled


def _means(values: Matrix, found: list[Level]) -> list[Matrix]:
    sums, add = adder(found, values.shape[1])
    counts, count = adder(found, values.shape[1])
    for part, block in _read(values):
        count(part, np.isfinite(block).astype(np.float64))
        add(part, np.nan_to_num(block, copy=False))
    both = zip(sums, counts, strict=True)
    return [np.where(seen > 0, total / np.maximum(seen, 1), np.nan).astype(np.float32) for total, seen in both]


def _read(values: Matrix) -> Iterator[tuple[slice, Block]]:
    for part in blocks(len(values)):
        yield part, values[part].astype(np.float64)
        release(values)
