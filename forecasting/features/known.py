"""Features of a target period that are known ahead: calendar, events, price, promotion and declared signals.

`at` is the (m,) column of each row's target in the panel's known covariates, `rows` its (m,) series.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.features.history import TINY, Vector, window_mean
from forecasting.panel import totals
from forecasting.panel.hierarchy import Level
from forecasting.panel.panel import Matrix, Panel


def calendar(periods: pd.DatetimeIndex, code: str) -> dict[str, Vector]:
    """Position of each period in week (from Monday, 0), month and year (ISO 8601's weeks): (n_periods,) each.

    In whole days, for pandas takes 6 ms for the weeks of a few periods, and a training asks thousands of times.
    """
    days = periods.to_numpy().astype("datetime64[D]")
    months, weekday = days.astype("datetime64[M]"), (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    thursday = days + (3 - weekday)  # in whose year the week lies
    columns = {
        "month": months.astype(np.int64) % 12 + 1,
        "week": (thursday - thursday.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) // 7 + 1,
    }
    if code == "H":
        columns |= {"hour": periods.hour.to_numpy(), "weekday": weekday}
    elif code == "D":
        columns |= {"weekday": weekday, "monthday": (days - months.astype("datetime64[D]")).astype(np.int64) + 1}
    return {name: values.astype(np.float32) for name, values in columns.items()}


def event_distance(event: Vector, near: int) -> tuple[Vector, Vector]:
    """Periods until the next event and since the last one, at most `near`: (n_periods,) each."""
    places, on = np.arange(len(event)), event > 0
    last = np.maximum.accumulate(np.where(on, places, -near))
    following = np.minimum.accumulate(np.where(on, places, len(event) + near)[::-1])[::-1]
    until, since = (np.minimum(gap, near).astype(np.float32) for gap in (following - places, places - last))
    return until, since


def pick(values: Matrix, rows: NDArray[np.intp], at: NDArray[np.intp]) -> Vector:
    """Cells of a covariate that has one row for all series, or one each."""
    return values[0, at] if len(values) == 1 else values[rows, at]


def price(
    values: Matrix, periods: int, rows: NDArray[np.intp], at: NDArray[np.intp], windows: tuple[int, int]
) -> dict[str, Vector]:
    """The target's price against the series' own past: change from the cutoff, from a month's and a year's mean.

    windows: periods of a month and of a year.
    """
    target = pick(values, rows, at)
    past = values[:, :periods]
    month, year = (window_mean(past, width) for width in windows)
    here = np.zeros(len(rows), dtype=np.intp) if len(values) == 1 else rows
    return {
        "price": target,
        "price_change": target / np.maximum(past[here, -1], TINY),
        "price_month": target / np.maximum(month[here], TINY),
        "price_year": target / np.maximum(year[here], TINY),
    }


def price_position(panel: Panel, level: Level, used: NDArray[np.intp]) -> Vector:
    """Price at the cutoff relative to the mean of the series' group, (n_used,)."""
    values, newest = panel.known["price"], len(panel.periods) - 1
    if len(values) == 1:
        return np.ones(len(used), dtype=np.float32)
    mean = totals.mean(panel, level, "price", ahead=False)[:, newest]
    position: Vector = (values[used, newest] / np.maximum(mean[level.codes[used]], TINY)).astype(np.float32)
    return position


def promotion_lift(y: Matrix, promotion: Matrix, newest: int) -> Vector:
    """Mean demand on promotion over mean demand off promotion in the `newest` periods, half a year: (n_series,)."""
    width = min(newest, y.shape[1])
    demand = y[:, -width:]
    on = np.broadcast_to(promotion[:, y.shape[1] - width : y.shape[1]] > 0, demand.shape)
    with_it = window_mean(np.where(on, demand, np.nan).astype(np.float32), width)
    without = window_mean(np.where(on, np.nan, demand).astype(np.float32), width)
    return np.where(without > TINY, with_it / np.maximum(without, TINY), np.nan).astype(np.float32)
