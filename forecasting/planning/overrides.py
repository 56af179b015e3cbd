"""Overrides: what people say instead of the statistical forecast, spread down to the series, added up again.

Overrides apply one after the other, oldest first, each to what those before have left: a later one has the last word,
and percentages add on. The statistical forecast itself is never touched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.errors import PlanningError, SettingsError, some
from forecasting.core.frequency import Frequency
from forecasting.panel.hierarchy import SERIES, TOTAL, Level, group

ABSOLUTE, PERCENT = "absolute", "percent"
MOST_PERCENT, MOST_UNITS = 1000.0, 1e9
LONGEST = {"reason": 200, "by": 200, "note": 2000, "name": 500, "level": 200}
REQUIRED = ("level", "name", "reason", "by")
Numbers = NDArray[np.float64]
Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Override:
    """One override. Periods whose first day lies in start..end (both included) are changed.

    value: units a period of the whole group (absolute), or percent on top of the forecast. expires: last cutoff whose
    vintage it changes, None = no end. id, at: given when it is submitted.
    """

    level: str
    name: str
    start: date
    end: date
    kind: str
    value: float
    reason: str
    by: str
    expires: date | None = None
    note: str = ""
    id: str = ""
    at: datetime | None = field(default=None, compare=False)

    def holds(self, cutoff: date) -> bool:
        """Whether it changes the vintage of this cutoff, if that has any of its days."""
        return self.expires is None or cutoff <= self.expires


def check(wanted: Override, series: pd.DataFrame, cutoff: date, last: date, frequency: Frequency) -> Positions:
    """Rows of the series table that the override speaks of.

    cutoff: of the newest vintage; last: last day of its horizon. Raises PlanningError naming everything that is wrong.
    """
    problems = [*check_texts({name: getattr(wanted, name) for name in LONGEST}, REQUIRED)]
    problems += [*_numbers(wanted), *_dates(wanted, cutoff, last, frequency)]
    rows = np.empty(0, dtype=np.intp)
    try:
        rows = members(series, wanted)
    except PlanningError as error:
        problems.append(str(error))
    if problems:
        raise PlanningError("This override cannot be taken:\n" + "\n".join(f"  {one}" for one in problems))
    return rows


def check_texts(given: Mapping[str, str], required: Collection[str]) -> Iterator[str]:
    """What is wrong with texts that a person wrote, by the name of the field."""
    for name in required:
        if not given[name].strip():
            yield f"{name}: it is empty; say {'why' if name == 'reason' else 'who or what'}."
    for name, text in given.items():
        if len(text) > LONGEST[name]:
            yield f"{name}: {len(text):,} characters, allowed are {LONGEST[name]:,}."
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
            yield f"{name}: it holds control characters; write plain text."


def _numbers(wanted: Override) -> Iterator[str]:
    if wanted.kind not in (ABSOLUTE, PERCENT):
        yield f"kind: {wanted.kind!r}; allowed are {ABSOLUTE} (units a period) and {PERCENT}."
        return
    low, high = (0.0, MOST_UNITS) if wanted.kind == ABSOLUTE else (-100.0, MOST_PERCENT)
    if not (math.isfinite(wanted.value) and low <= wanted.value <= high):
        unit = "units a period" if wanted.kind == ABSOLUTE else "percent (-100 = nothing at all)"
        yield f"value: {wanted.value:g}; allowed is from {low:,.0f} to {high:,.0f} {unit}."


def _dates(wanted: Override, cutoff: date, last: date, frequency: Frequency) -> Iterator[str]:
    if wanted.end < wanted.start:
        yield f"end: {wanted.end} lies before the start, {wanted.start}."
    elif (first := frequency.next_start(wanted.start)) > pd.Timestamp(wanted.end):
        yield (
            f"start, end: no period begins from {wanted.start} to {wanted.end}, so it would change nothing; the next "
            f"one begins on {first.date()} (panel.frequency = {frequency.code})."
        )
    if wanted.end <= cutoff:
        yield f"end: {wanted.end} is over at the newest cutoff, {cutoff}; the newest forecast goes to {last}."
    if wanted.expires is None:
        return
    if wanted.expires < cutoff:
        yield f"expires: {wanted.expires} lies before the newest cutoff, {cutoff}: it would change nothing."
    elif wanted.start - last > wanted.expires - cutoff:
        yield (
            f"expires: the forecast of {wanted.expires} does not reach {wanted.start} (that of {cutoff} goes to "
            f"{last}): it would change nothing."
        )


def members(series: pd.DataFrame, override: Override) -> Positions:
    """Rows of the series table that belong to the override's series or group.

    Raises PlanningError for a level or a name that is not there, naming some that are.
    """
    try:
        level = group(series, override.level)
    except SettingsError:
        raise PlanningError(
            f"level: there is no {override.level!r}; allowed are {TOTAL}, {SERIES}, and an attribute or several joined "
            f"by |: {some([name for name in series.columns if name != 'unique_id'], 20)}."
        ) from None
    found = np.flatnonzero(level.labels[level.codes] == override.name) if len(series) else np.empty(0, dtype=np.intp)
    if not len(found):
        raise PlanningError(f"name: level {override.level} has no {override.name!r}; it has: {some(level.labels)}.")
    return found


def spread(total: float, weights: Numbers) -> Numbers:
    """Share a number out in proportion to weights (n,), none below 0; equally where all of them are 0.

    What is shared adds up to the number: the largest share takes what rounding has left over.
    """
    if not weights.sum() > 0:
        weights = np.ones(len(weights))
    shares: Numbers = total * (weights / weights.sum())
    shares[int(np.argmax(shares))] += total - math.fsum(shares)
    return shares


@dataclass(frozen=True)
class Applied:
    """What overrides make of a vintage.

    final: (n_series, horizon) units. through: (rows, columns) of the numbers that each override changed, in the order
    in which they applied; (0,) arrays for one whose days lie elsewhere.
    """

    final: Numbers
    through: tuple[tuple[Positions, Positions], ...]


def apply(
    mean: NDArray[np.floating],
    days: pd.DatetimeIndex,
    overrides: Sequence[Override],
    rows: Sequence[Positions],
    live: NDArray[np.bool_] | None = None,
) -> Applied:
    """Overrides on a vintage, in the order given.

    mean: (n_series, horizon) statistical forecast; days: (horizon,) first days of its periods; rows: the series of each
    override; live: (n_series,) series that a group's units may go to where it has no forecast to share them by.
    """
    final: Numbers = np.asarray(mean, dtype=np.float64).copy()
    through = []
    for override, mine in zip(overrides, rows, strict=True):
        columns = np.flatnonzero(
            (days >= pd.Timestamp(override.start)) & (days.normalize() <= pd.Timestamp(override.end))
        )
        if override.kind == PERCENT:
            final[np.ix_(mine, columns)] *= 1 + override.value / 100
            changed = np.repeat(mine, len(columns)), np.tile(columns, len(mine))
        else:
            here = mine if live is None or not live[mine].any() else mine[live[mine]]
            whole = final[here].sum(axis=1)
            for column in columns:
                weights = final[here, column]
                final[mine, column] = 0.0
                final[here, column] = spread(override.value, weights if weights.sum() > 0 else whole)
            changed = np.repeat(mine, len(columns)), np.tile(columns, len(mine))
        through.append(changed)
    return Applied(final, tuple(through))


def effects(
    mean: NDArray[np.floating],
    days: pd.DatetimeIndex,
    levels: Sequence[Level],
    overrides: Sequence[Override],
    applied: Applied,
) -> pd.DataFrame:
    """Every number that overrides changed, at each of the levels: level, name, ds, mean, override, id, ids.

    levels: over the same series, as (n_series,) codes. A group's number is the sum of its series' numbers.
    """
    ids = [one.id for one in overrides]
    statistical = np.asarray(mean, dtype=np.float64)
    frames = [_effects_at(level, statistical, applied, ids, days) for level in levels]
    columns = ["level", "name", "ds", "mean", "override", "id", "ids"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _effects_at(
    level: Level, mean: Numbers, applied: Applied, ids: Sequence[str], days: pd.DatetimeIndex
) -> pd.DataFrame:
    shape = len(level.labels), mean.shape[1]
    # Which overrides a number went through is one of few sequences: code 0 is none, each new one gets the next code.
    code = np.zeros(shape[0] * shape[1], dtype=np.int64)
    sequences: list[tuple[str, ...]] = [()]
    for name, (rows, columns) in zip(ids, applied.through, strict=True):
        cells = np.unique(level.codes[rows] * shape[1] + columns)
        before = code[cells]
        for old in np.unique(before).tolist():
            sequences.append((*sequences[old], name))
            code[cells[before == old]] = len(sequences) - 1
    cells = np.flatnonzero(code)
    groups, columns = np.divmod(cells, shape[1])
    went = pd.Series(code[cells])
    statistical, final = level.sum(mean), level.sum(applied.final)
    return pd.DataFrame(
        {
            "level": pd.Series(level.name, index=range(len(cells)), dtype="str"),
            "name": pd.Series(level.labels[groups].astype(str), dtype="str"),
            "ds": days[columns],
            "mean": statistical[groups, columns],
            "override": final[groups, columns],
            "id": went.map({k: one[-1] for k, one in enumerate(sequences) if one}).astype("str"),
            "ids": went.map({k: " ".join(one) for k, one in enumerate(sequences)}).astype("str"),
        }
    )
