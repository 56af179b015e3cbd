"""Features as releases before named events and yearly seasons made them, for the models that they saved.

A champion forecasts until the first training after an upgrade; nothing here is changed, for its trees know no other.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from forecasting.features import history, known
from forecasting.features.history import Vector
from forecasting.panel.observed.closing_days import is_calendar
from forecasting.panel.panel import Matrix, Panel

Rows = NDArray[np.intp]
YEAR = {"D": 364, "W": 52, "M": 12}
WINDOWS = {"D": (7, 28, 91, 364), "W": (4, 13, 26, 52), "M": (3, 6, 12, 24)}
SEASONS = {"D": (4, 12), "W": (1, 2), "M": (1, 2)}
NEAR_EVENT, EVENT_CODES = 14, 2003


def at_cutoff(part: Panel) -> tuple[dict[str, Vector], Vector]:
    """What each series was like at the cutoff, (n_used,) each, and its scale, (n_used,) units."""
    means = {width: history.window_mean(part.y, width) for width in WINDOWS[part.frequency.code[0]]}
    level = _scale(part, means)
    return dict(_at_cutoff(part, level, means)), level


def _scale(part: Panel, means: Mapping[int, Vector]) -> Vector:
    """Recent level of each series, drawn to its longer past where it sold little: (n_series,) units, above 0.

    means: by width, of the newest periods.
    """
    _, middle, long, year = WINDOWS[part.frequency.code[0]]
    wide = np.nan_to_num(means[long])
    level = 0.8 * np.where(np.isfinite(means[middle]), means[middle], wide) + 0.2 * wide
    return np.maximum(level, 1 / year).astype(np.float32)


def _at_cutoff(part: Panel, level: Vector, means: Mapping[int, Vector]) -> Iterator[tuple[str, Vector]]:
    """What each series was like at the cutoff: (n_used,) each."""
    y = part.y
    short, middle, long, year = WINDOWS[part.frequency.code[0]]
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
        yield "promotion_lift", known.promotion_lift(y, part.known["promotion"], 182)
    for name, values in part.past.items():
        newest = np.broadcast_to(values, (len(y), values.shape[1]))
        yield f"{name}_last", newest[:, -1].astype(np.float32)
        yield f"{name}_mean_{short}", history.window_mean(newest, short)


def by_step(part: Panel, horizon: int, level: Matrix) -> Iterator[tuple[str, Matrix]]:
    """What each series was like at the target's place in the season: (n_used, horizon) each, relative to its level."""
    code = part.frequency.code[0]
    for seasons in SEASONS[code]:
        yield f"season_{seasons}", history.same_season(part.y, horizon, part.frequency.season, seasons) / level
    if code == "D":
        yield "last_year", history.last_year(part.y, horizon, YEAR[code], around=3) / level
        before = history.window_mean(part.y, WINDOWS[code][1], end=YEAR[code])
        yield "last_year_level", np.repeat(before[:, None] / level, horizon, axis=1)


def covariates(part: Panel, rows: Rows, steps: Rows) -> dict[str, Vector]:
    """What is known ahead about each row's target but the calendar, (n_rows,) each."""
    periods = len(part.periods)
    at = periods - 1 + steps
    columns: dict[str, Vector] = {}
    for name, values in part.known.items():
        if name == "price":
            columns |= known.price(values, periods, rows, at, (28, 364))
        elif name == "event":
            until, since = known.event_distance(values[0], NEAR_EVENT)
            columns |= {"event": values[0, at], "event_until": until[at], "event_since": since[at]}
            if part.events is not None:
                columns["event_id"] = _codes(part, values.shape[1])[at]
        elif not is_calendar(name, values):
            columns[name] = known.pick(values, rows, at)
    return columns


def _codes(part: Panel, width: int) -> Vector:
    """(width,) code of the name of each period's first event, 0 without one."""
    code = np.zeros(width, dtype=np.float32)
    if part.events is not None:
        first = part.events.cells[part.events.cells[:, 0] == part.events.cells[:, 0].min(initial=0)]
        for _, name, period in first[::-1]:  # rising by name: the first one is written last
            if 0 <= period < width:
                code[period] = zlib.crc32(part.events.names[name].encode()) % EVENT_CODES + 1
    return code
