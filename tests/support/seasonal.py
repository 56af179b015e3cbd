"""Generated years of items that sell before Christmas or before Easter only, beside others that sell all year."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from forecasting.core.frequency import Frequency
from forecasting.features.moving_holidays import easter
from forecasting.panel.covariates.events import Events
from forecasting.panel.panel import Panel
from tests.support.panels import panel_of

CHRISTMAS, EASTER, ALWAYS = "christmas", "easter", "always"
BEFORE_CHRISTMAS, BEFORE_EASTER = 40, 42  # days that a season lasts
WEEK = np.array([0.9, 0.8, 0.8, 0.9, 1.3, 1.5, 0.8])


def days_of_easter(first: int, last: int) -> list[date]:
    return [date.fromisoformat(easter(year)) for year in range(first, last + 1)]


def demand(kinds: list[str], days: pd.DatetimeIndex, seed: int) -> np.ndarray:
    """(n, n_days) Poisson demand: a plateau of some weeks before the day, none otherwise; level grows 5 % a year."""
    random = np.random.default_rng(seed)
    y = np.zeros((len(kinds), len(days)))
    years = (np.asarray(days, "datetime64[D]") - np.asarray(days, "datetime64[D]")[0]).astype(float) / 365.25
    for row, kind in enumerate(kinds):
        level = random.uniform(4, 40)
        season = np.ones(len(days))
        if kind != ALWAYS:
            season[:] = 0
            for year in range(days[0].year, days[-1].year + 2):
                end = date(year, 12, 24) if kind == CHRISTMAS else date.fromisoformat(easter(year))
                last, length = pd.Timestamp(end), BEFORE_CHRISTMAS if kind == CHRISTMAS else BEFORE_EASTER
                season[(days <= last) & (days > last - pd.Timedelta(days=length))] = 1
        y[row] = random.poisson(level * season * WEEK[days.day_of_week] * 1.05**years)
    return y


def seasonal(
    cutoff: str,
    horizon: int,
    seed: int = 1,
    *,
    frequency: str = "D",
    counts: tuple[int, int, int] = (4, 4, 12),
    years: float = 3.5,
    events: bool = False,
) -> tuple[Panel, np.ndarray]:
    """The panel at the cutoff and (n, horizon) actuals; attributes: item, store, kind. events: Christmas and Easter."""
    code = Frequency.parse(frequency)
    kinds = [CHRISTMAS] * counts[0] + [EASTER] * counts[1] + [ALWAYS] * counts[2]
    last = code.last_complete(date.fromisoformat(cutoff))
    ahead = code.range(last, horizon + 1)
    whole = code.starts(pd.DatetimeIndex([pd.Timestamp(code.end(last)) - pd.Timedelta(days=int(365.25 * years))]))[0]
    days = pd.date_range(whole, code.end(ahead[-1]))
    daily = demand(kinds, days, seed)
    starts = code.starts(days)
    periods = pd.DatetimeIndex(np.unique(starts))
    y = np.zeros((len(kinds), len(periods)), dtype=np.float32)
    np.add.at(y, (slice(None), periods.get_indexer(starts)), daily)
    known = int(periods.searchsorted(last)) + 1
    base = panel_of([[0.0]])
    names = [f"{kind}-{number:02d}" for number, kind in enumerate(kinds)]
    series = pd.DataFrame({"unique_id": names, "item": names, "store": "S1"})
    # Nothing is known of an item before its first sale.
    seen = np.maximum.accumulate(y > 0, axis=1)
    y = np.where(seen, y, np.nan).astype(np.float32)
    panel = replace(base, y=y[:, :known], periods=periods[:known], series=series, frequency=code, levels=())
    if events:
        named = {"Easter": days_of_easter(days[0].year, days[-1].year + 1)}
        named["Christmas"] = [date(year, 12, 25) for year in range(days[0].year, days[-1].year + 1)]
        cells = [
            (0, number, place)
            for number, name in enumerate(sorted(named))
            for day in named[name]
            if (place := _place(code, periods, day)) >= 0
        ]
        calendars = np.zeros(len(kinds), dtype=np.int32)
        panel = replace(
            panel, events=Events(tuple(sorted(named)), np.array(sorted(cells), np.int32), calendars, horizon + 63)
        )
    return panel, y[:, known : known + horizon]


def _place(code: Frequency, periods: pd.DatetimeIndex, day: date) -> int:
    start = code.starts(pd.DatetimeIndex([pd.Timestamp(day)]))[0]
    if start < periods[0]:
        return -1
    return len(code.range(periods[0], 2000)) - len(code.range(periods[0], 2000)[code.range(periods[0], 2000) >= start])
