"""From a panel that ends at the cutoff to one row of features a series and target period.

The horizon is a feature itself, so one model serves every period ahead and nothing needs a model's own predictions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.data import totals
from forecasting.data.closing_days import is_calendar
from forecasting.data.hierarchy import TOTAL
from forecasting.data.panel import Matrix, Panel
from forecasting.features import history, known
from forecasting.features.history import Vector

Rows = NDArray[np.intp]
MAX_CATEGORIES = 300


@dataclass(frozen=True)
class Features:
    """One row a series and target: values (n_rows, n_features) float32 with NaN for unknown; scale (n_rows,) units.

    scale is the recent level that the target is measured in: demand / scale has about the same size in every series.
    """

    values: Matrix
    names: tuple[str, ...]
    categorical: tuple[str, ...]
    scale: Vector


Vocabulary = Mapping[str, Sequence[str]]


def vocabulary(panel: Panel) -> dict[str, list[str]]:
    """Attributes and events that a model may learn from, with the values it knows: a value's code is its place here.

    Those with one value say nothing, those with more than MAX_CATEGORIES are names rather than kinds.
    """
    values = {name: sorted(set(panel.series[name])) for name in panel.series.columns if name != "unique_id"}
    words = {name: found for name, found in values.items() if 1 < len(found) <= MAX_CATEGORIES}
    if "event_id" in panel.known:
        words["event_id"] = [f"{code:g}" for code in np.unique(panel.known["event_id"])]
    return words


@dataclass(frozen=True)
class Kinds:
    """The vocabulary that a model was trained with, and by attribute each series' place in it: once for many cutoffs.

    codes: (n_series,) each; NaN for a value that the vocabulary does not know, or no such attribute.
    """

    words: Vocabulary
    codes: Mapping[str, Vector]

    @classmethod
    def of(cls, panel: Panel, words: Vocabulary) -> Self:
        """Of the panel's series, whatever its cutoff."""
        unknown = np.full(len(panel.series), np.nan, dtype=np.float32)
        codes = {
            name: _places(panel.series[name], values) if name in panel.series else unknown
            for name, values in words.items()
            if name not in panel.known
        }
        return cls(words, codes)


def build(panel: Panel, rows: Rows, steps: Rows, kinds: Kinds, alone: bool = False) -> Features:
    """Features of series `rows` (n_rows,) for the periods `steps` (n_rows,) ahead of the panel's cutoff, from 1.

    Sees nothing of `panel` but what was known at its cutoff; `kinds` of the same series.
    alone: without what is measured on other series too, and without the horizon: for one period ahead.
    """
    used, inverse = np.unique(rows, return_inverse=True)
    part = panel.take(used) if len(used) < len(panel.y) else panel
    horizon = int(steps.max())
    columns: dict[str, Vector] = {} if alone else {"horizon": steps.astype(np.float32)}
    means = {width: history.window_mean(part.y, width) for width in part.frequency.windows}
    level = _scale(part, means)
    for name, values in _at_cutoff(part, level, means):
        columns[name] = values[inverse]
    if not alone:
        for name, values in _among_others(panel, used):
            columns[name] = values[inverse]
    for name, matrix in _by_step(part, horizon, level[:, None]):
        columns[name] = matrix[inverse, steps - 1]
    columns |= _known(part, inverse, steps)
    for name, known_values in kinds.words.items():
        if name in part.known:
            columns[name] = _places(columns[name], [float(code) for code in known_values])
        else:
            columns[name] = kinds.codes[name][rows]
    values = np.empty((len(rows), len(columns)), dtype=np.float32)
    for index, column in enumerate(columns.values()):
        values[:, index] = column
    categorical = tuple(name for name in columns if name in kinds.words)
    return Features(values, tuple(columns), categorical, level[inverse])


def _scale(part: Panel, means: Mapping[int, Vector]) -> Vector:
    """Recent level of each series, drawn to its longer past where it sold little: (n_series,) units, above 0.

    means: by width, of the newest periods.
    """
    _, middle, long, year = part.frequency.windows
    wide = np.nan_to_num(means[long])
    level = 0.8 * np.where(np.isfinite(means[middle]), means[middle], wide) + 0.2 * wide
    return np.maximum(level, 1 / year).astype(np.float32)


def _at_cutoff(part: Panel, level: Vector, means: Mapping[int, Vector]) -> Iterator[tuple[str, Vector]]:
    """What each series was like at the cutoff: (n_used,) each."""
    y = part.y
    short, middle, long, year = part.frequency.windows
    yield "level", level
    for width in (1, short, long, year):
        mean = means[width] if width in means else history.window_mean(y, width)
        yield f"mean_{width}", mean / level
    yield "trend", history.ratio(means[middle], history.window_mean(y, middle, end=middle))
    yield "variation", history.window_std(y, long) / level
    yield f"zeros_{middle}", history.zero_share(y, middle)
    yield f"zeros_{year}", history.zero_share(y, year)
    yield "since_sale", history.since_sale(y)
    yield "age", history.age(y)
    yield "observed", history.observed_share(y, middle)
    for width in (short, middle):
        yield f"peak_{width}", np.nanmax(np.nan_to_num(y[:, -width:]), axis=1) / level
    if "promotion" in part.known:
        yield "promotion_lift", known.promotion_lift(y, part.known["promotion"])
    for name, values in part.past.items():
        newest = np.broadcast_to(values, (len(y), values.shape[1]))
        yield f"{name}_last", newest[:, -1].astype(np.float32)
        yield f"{name}_mean_{short}", history.window_mean(newest, short)


def _among_others(panel: Panel, used: Rows) -> Iterator[tuple[str, Vector]]:
    """What each series' groups were like at the cutoff: (n_used,) each."""
    for name in (TOTAL, *panel.levels):
        yield f"trend_{name}", _group_trend(panel, name, used)
    if "price" in panel.known:
        finest = totals.level_of(panel, panel.levels[-1] if panel.levels else TOTAL)
        yield "price_position", known.price_position(panel, finest, used)


def _group_trend(panel: Panel, name: str, used: Rows) -> Vector:
    """Newest short window of the series' group against its longer past, (n_used,)."""
    short, middle, _, _ = panel.frequency.windows
    level = totals.level_of(panel, name)
    sold = totals.units(panel, level)
    newest, longer = (sold[:, -width:].mean(axis=1, dtype=np.float64).astype(np.float32) for width in (short, middle))
    trend = history.ratio(newest, longer)
    return trend[level.codes[used]]


def _by_step(part: Panel, horizon: int, level: Matrix) -> Iterator[tuple[str, Matrix]]:
    """What each series was like at the target's place in the season: (n_used, horizon) each, relative to its level."""
    frequency = part.frequency
    for seasons in frequency.seasons:
        yield f"season_{seasons}", history.same_season(part.y, horizon, frequency.season, seasons) / level
    for cycle in frequency.cycles[:-1]:
        for seasons in (1, 7):
            yield f"cycle_{cycle}_{seasons}", history.same_season(part.y, horizon, cycle, seasons) / level
    if frequency.code == "D":
        yield "last_year", history.last_year(part.y, horizon, frequency.year, around=3) / level
        before = history.window_mean(part.y, frequency.windows[1], end=frequency.year)
        yield "last_year_level", np.repeat(before[:, None] / level, horizon, axis=1)


def _known(part: Panel, rows: Rows, steps: Rows) -> dict[str, Vector]:
    """What is known ahead about each row's target, (n_rows,) each."""
    periods = len(part.periods)
    at = periods - 1 + steps
    ahead = part.frequency.range(part.periods[-1], int(steps.max()) + 1)
    columns = {name: values[steps] for name, values in known.calendar(ahead, part.frequency.code).items()}
    for name, values in part.known.items():
        if is_calendar(name, values):
            continue
        if name == "price":
            columns |= known.price(values, periods, rows, at)
        elif name == "event":
            until, since = known.event_distance(values[0])
            columns |= {"event": values[0, at], "event_until": until[at], "event_since": since[at]}
        else:
            columns[name] = known.pick(values, rows, at)
    return columns


def _places(found: pd.Series | Vector, values: Sequence[object]) -> Vector:
    """Of each value in the vocabulary, NaN where it is not in it."""
    codes = pd.Index(list(values)).get_indexer(pd.Index(found)).astype(np.float32)
    return np.where(codes >= 0, codes, np.nan).astype(np.float32)
