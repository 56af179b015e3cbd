"""From a panel that ends at the cutoff to one row of features a series and target period.

The horizon is a feature itself, so one model serves every period ahead and nothing needs a model's own predictions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.features import events, history, known, legacy, market, rest_days, seasons
from forecasting.features.events import Names
from forecasting.features.history import Vector
from forecasting.panel.observed.closing_days import is_calendar
from forecasting.panel.panel import Matrix, Panel

Rows = NDArray[np.intp]
MAX_CATEGORIES = 300
MOST = 0.8  # of the series, from which on those that are not asked for are measured too
VERSION, OWN, REST, FAR = "#features", "#events", "#events_rest", "#events_far"  # of a vocabulary, beside attributes
CURRENT = "3"  # the version of the features; 2: the scale of a day of rest is that of any day


@dataclass(frozen=True)
class Features:
    """One row a series and target: values (n_rows, n_features) float32 with NaN for unknown; scale (n_rows,) units.

    scale is the level that the target is measured in, so that demand / scale has about the same size in every series:
    the recent one, and where last year's season or an event says otherwise that of the target's own period; next to
    nothing on a weekday or hour at which the series never sells (see rest_days.py).
    """

    values: Matrix
    names: tuple[str, ...]
    categorical: tuple[str, ...]
    scale: Vector

    def only(self, names: Sequence[str]) -> Features:
        """These features, in this order."""
        values = self.values[:, [self.names.index(name) for name in names]]
        return Features(values, tuple(names), tuple(name for name in names if name in self.categorical), self.scale)


Vocabulary = Mapping[str, Sequence[str]]


def vocabulary(panel: Panel) -> dict[str, list[str]]:
    """Attributes and events that a model may learn from, with the values it knows: a value's code is its place here.

    Attributes with one value say nothing, those with more than MAX_CATEGORIES are names rather than kinds, and one that
    splits the series as an earlier one does (a store of one item, a code and its name) says the same twice: the trees
    would draw from it twice as often. Beside them the version of the features and the names of events, under keys that
    begin with #.
    """
    words: dict[str, list[str]] = {}
    splits: set[bytes] = set()
    for name in panel.series.columns.drop("unique_id"):
        codes, found = pd.factorize(panel.series[name])
        if 1 < len(found) <= MAX_CATEGORIES and codes.tobytes() not in splits:
            splits.add(codes.tobytes())
            words[name] = sorted(found)
    names = events.rank(panel)
    marks = {VERSION: [CURRENT], OWN: list(names.own), REST: list(names.rest), FAR: [names.far] if names.far else []}
    return words | marks


@dataclass(frozen=True)
class Kinds:
    """The vocabulary that a model was trained with, and by attribute each series' place in it: once for many cutoffs.

    codes: (n_series,) each; NaN for a value that the vocabulary does not know, or no such attribute. names: of events.
    old: of a release before named events and yearly seasons, whose features are made as they were. rests: a place in
    the season at which a series never sells has a scale of its own (version 3).
    """

    words: Vocabulary
    codes: Mapping[str, Vector]
    names: Names = field(default_factory=Names)
    old: bool = False
    rests: bool = True

    @classmethod
    def of(cls, panel: Panel, words: Vocabulary) -> Self:
        """Of the panel's series, whatever its cutoff."""
        unknown = np.full(len(panel.series), np.nan, dtype=np.float32)
        plain = {name: values for name, values in words.items() if not name.startswith("#")}
        codes = {
            name: _places(panel.series[name], values) if name in panel.series else unknown
            for name, values in plain.items()
            if name != "event_id"
        }
        names = Names(tuple(words.get(OWN, ())), tuple(words.get(REST, ())), "".join(words.get(FAR, ())))
        return cls(plain, codes, names, VERSION not in words, list(words.get(VERSION, ())) == [CURRENT])


def build(panel: Panel, rows: Rows, steps: Rows, kinds: Kinds, alone: bool = False) -> Features:
    """Features of series `rows` (n_rows,) for the periods `steps` (n_rows,) ahead of the panel's cutoff, from 1.

    Sees nothing of `panel` but what was known at its cutoff; `kinds` of the same series.
    alone: without what is measured on other series too, and without the horizon: for one period ahead.
    """
    used, inverse = np.unique(rows, return_inverse=True)
    if len(used) >= MOST * len(panel.y):  # to copy the history of nearly all series takes longer than to measure all
        used, inverse = np.arange(len(panel.y)), rows
    part = panel.take(used) if len(used) < len(panel.y) else panel
    columns: dict[str, Vector] = {} if alone else {"horizon": steps.astype(np.float32)}
    others = {} if alone else {name: values[inverse] for name, values in market.among_others(panel, used, kinds.old)}
    own, scale = (_old if kinds.old else _own)(part, inverse, steps, kinds, others)
    columns |= own
    for name, known_values in kinds.words.items():
        if name == "event_id" and name in columns:
            columns[name] = _places(columns[name], [float(code) for code in known_values])
        elif name in kinds.codes:
            columns[name] = kinds.codes[name][rows]
    values = np.empty((len(rows), len(columns)), dtype=np.float32)
    for index, column in enumerate(columns.values()):
        values[:, index] = column
    categorical = tuple(name for name in columns if name in kinds.words)
    return Features(values, tuple(columns), categorical, scale)


def _own(
    part: Panel, inverse: Rows, steps: Rows, kinds: Kinds, others: dict[str, Vector]
) -> tuple[dict[str, Vector], Vector]:
    """All but horizon and attributes, (n_rows,) each, in units of the row's own scale; and this scale, (n_rows,)."""
    horizon = int(steps.max())
    means = {width: history.window_mean(part.y, width) for width in {*part.frequency.windows, part.frequency.year}}
    season = seasons.measure(part, horizon, means)
    ahead = events.ahead(part, kinds.names, horizon, season.size)
    scales = season.scale if ahead.uplift is None else season.scale * ahead.uplift
    place = (inverse, steps - 1)
    scale: Vector = scales[place]
    columns = {"level": season.level[inverse]}
    for name, level in _levels(part, means):
        columns[name] = level[inverse] / scale
    for name, values in _rhythm(part, means):
        columns[name] = values[inverse]
    columns |= others
    for name, matrix in _by_step(part, horizon, season):
        columns[name] = matrix[place] / scale
    columns["growth"] = season.growth[inverse]
    columns |= {name: matrix[place] for name, matrix in ahead.columns.items()}
    if kinds.rests:
        scale = np.where(rest_days.ahead(part, horizon)[place], scale * rest_days.SHARE, scale)
    return columns | _known(part, inverse, steps), scale


def _old(
    part: Panel,
    inverse: Rows,
    steps: Rows,
    kinds: Kinds,  # noqa: ARG001
    others: dict[str, Vector],
) -> tuple[dict[str, Vector], Vector]:
    """The same for a model of an earlier release."""
    at_cutoff, level = legacy.at_cutoff(part)
    columns = {name: values[inverse] for name, values in at_cutoff.items()} | others
    for name, matrix in legacy.by_step(part, int(steps.max()), level[:, None]):
        columns[name] = matrix[inverse, steps - 1]
    return columns | _calendar(part, steps) | legacy.covariates(part, inverse, steps), level[inverse]


def _levels(part: Panel, means: Mapping[int, Vector]) -> Iterator[tuple[str, Vector]]:
    """What each series sold up to the cutoff, (n_used,) units each."""
    y = part.y
    short, middle, long, year = part.frequency.windows
    for width in (1, short, long, year):
        yield f"mean_{width}", means[width] if width in means else history.window_mean(y, width)
    yield "variation", history.window_std(y, long)
    for width in (short, middle):
        yield f"peak_{width}", np.nanmax(np.nan_to_num(y[:, -width:]), axis=1)


def _rhythm(part: Panel, means: Mapping[int, Vector]) -> Iterator[tuple[str, Vector]]:
    """How each series sold up to the cutoff, (n_used,) each, and the past of its signals."""
    y = part.y
    short, middle, _, year = part.frequency.windows
    yield "trend", history.ratio(means[middle], history.window_mean(y, middle, end=middle))
    yield f"zeros_{middle}", history.zero_share(y, middle)
    yield f"zeros_{year}", history.zero_share(y, year)
    yield "since_sale", history.since_sale(y)
    yield "age", history.age(y)
    yield "observed", history.observed_share(y, middle)
    if "promotion" in part.known:
        yield "promotion_lift", known.promotion_lift(y, part.known["promotion"], part.frequency.year // 2)
    for name, values in part.past.items():
        newest = np.broadcast_to(values, (len(y), values.shape[1]))
        yield f"{name}_last", newest[:, -1].astype(np.float32)
        yield f"{name}_mean_{short}", history.window_mean(newest, short)


def _by_step(part: Panel, horizon: int, season: seasons.Season) -> Iterator[tuple[str, Matrix]]:
    """What each series sold at the target's place in the season, (n_used, horizon) units each."""
    frequency = part.frequency
    for count in frequency.seasons:
        yield f"season_{count}", history.same_season(part.y, horizon, frequency.season, count)
    for cycle in frequency.cycles[:-1]:
        for count in (1, 7):
            yield f"cycle_{cycle}_{count}", history.same_season(part.y, horizon, cycle, count)
    yield "last_year", season.near
    yield "last_year_grown", season.expected
    yield "last_year_level", np.repeat(season.before[:, None], horizon, axis=1)


def _known(part: Panel, rows: Rows, steps: Rows) -> dict[str, Vector]:
    """What is known ahead about each row's target, (n_rows,) each."""
    periods, frequency = len(part.periods), part.frequency
    at = periods - 1 + steps
    columns = _calendar(part, steps)
    for name, values in part.known.items():
        if is_calendar(name, values):
            continue
        if name == "price":
            columns |= known.price(values, periods, rows, at, (frequency.month, frequency.year))
        elif name not in ("event", "event_id"):  # see events.py
            columns[name] = known.pick(values, rows, at)
    return columns


def _calendar(part: Panel, steps: Rows) -> dict[str, Vector]:
    ahead = part.frequency.range(part.periods[-1], int(steps.max()) + 1)
    return {name: values[steps] for name, values in known.calendar(ahead, part.frequency.code).items()}


def _places(found: pd.Series | Vector, values: Sequence[object]) -> Vector:
    """Of each value in the vocabulary, NaN where it is not in it."""
    codes = pd.Index(list(values)).get_indexer(pd.Index(found)).astype(np.float32)
    return np.where(codes >= 0, codes, np.nan).astype(np.float32)
