"""Forecasts of groups of series, for classical models: which groups, what they sold, and how a total is shared out.

Classical models are strong where demand is smooth: on totals. Where there are few series, each is its own group.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.models.base import Forecast
from forecasting.models.baselines import SeasonalMean
from forecasting.models.cold_start import cold_start
from forecasting.panel import totals as kept
from forecasting.panel.hierarchy import SERIES, TOTAL, Level, group
from forecasting.panel.memory import blocks, release
from forecasting.panel.observed.closing_days import is_calendar
from forecasting.panel.panel import Panel

Vector = NDArray[np.float64]
APART = ("price", "event_id")  # known covariates that mean nothing as a mean over a group
MOST_KNOWN = 4
HIGH, SHIFT = 3.0, 3.0  # guard: times the highest value, times the highest and lowest recent level


@dataclass(frozen=True)
class Groups:
    """What the groups of one level sold, and what is known ahead of them.

    y: (n_groups, n) units, NaN for missing. days: (n + horizon,) first days of the periods. known: covariates by name,
    (n_groups | 1, n + horizon), means over the members.
    """

    level: Level
    y: Vector
    days: NDArray[np.datetime64]
    known: Mapping[str, Vector]

    def known_of(self, number: int) -> dict[str, Vector]:
        """The covariates of one group, (n + horizon,) each."""
        return {name: values[number % len(values)] for name, values in self.known.items()}


def finest(panel: Panel, most: int) -> Level:
    """The series themselves, or the level, or pair of levels' attributes, with most groups but no more than `most`."""
    if len(panel.y) <= most:
        return group(panel.series, SERIES)
    single = dict.fromkeys(part for name in panel.levels for part in name.split("|") if part not in (TOTAL, SERIES))
    joined = ("|".join(pair) for pair in itertools.combinations(single, 2))
    names = dict.fromkeys([*(name for name in panel.levels if name not in (TOTAL, SERIES)), *single, *joined])
    found = [kept.level_of(panel, name) for name in (TOTAL, *names)]
    return max((level for level in found if len(level.labels) <= most), key=lambda level: len(level.labels))


def totals(panel: Panel, level: Level, history: int) -> Vector:
    """(n_groups, newest periods) demand; NaN where no member that is on sale was observed.

    A member that was not observed while others were counts with its newest value at that place in the season.
    """
    if level.name == SERIES:
        return panel.y[:, -history:].astype(np.float64)
    return kept.filled(panel, level, history).astype(np.float64)


def gather(panel: Panel, level: Level, history: int, horizon: int) -> Groups:
    """The newest periods of every group, with the covariates that are known for the whole horizon.

    horizon: 0 to fit on; then covariates that are not planned as far ahead as the panel reaches are no regressors.
    """
    hourly = panel.frequency.code == "H"
    # Eight weeks of hours at least, as the season is a week: `history` is meant for days, weeks and months.
    y = totals(panel, level, max(history, 8 * panel.frequency.season) if hourly else history)
    periods, count = len(panel.periods), y.shape[1]
    ahead = panel.frequency.range(panel.periods[-count], count + horizon)
    days = np.asarray(ahead, dtype="datetime64[h]" if hourly else "datetime64[D]")
    known: dict[str, Vector] = {}
    known_ahead = [name for name, one in panel.known.items() if name not in APART and not is_calendar(name, one)]
    for name in known_ahead[:MOST_KNOWN]:
        alone = len(panel.known[name]) == 1 or level.name == SERIES
        values = panel.known[name] if alone else np.nan_to_num(kept.mean(panel, level, name))
        values = values[:, periods - count : periods + horizon]
        if values.shape[1] == len(days) and (horizon or panel.planned(name)):
            known[name] = values.astype(np.float64)
    return Groups(level, y, days, known)


def share_out(
    panel: Panel, level: Level, mean: Vector, reasons: NDArray[np.object_], rows: NDArray[np.intp] | None
) -> Forecast:
    """The forecast of the series (`rows` of them) from that of their groups.

    mean: (n_groups, horizon) units. reasons: (n_groups,) why a group has no forecast, empty where it has one; its
    members get their seasonal mean, and their rows say so.
    """
    wanted = np.arange(len(panel.y)) if rows is None else rows
    seasonal = _seasonal(panel, mean.shape[1])
    shared, own = _shares(panel, level, seasonal, mean, wanted)
    why = reasons[level.codes[wanted]]
    fell = why != ""
    shared[fell] = own[fell]
    status = np.where(fell, "fallback", "ok").astype(object)
    return cold_start(panel, Forecast(shared.astype(np.float32), None, status, why), rows)


def _seasonal(panel: Panel, horizon: int) -> Callable[[NDArray[np.intp]], Vector]:
    """What gives the seasonal means of some rows, (n_rows, horizon) units; 0 for series that were never observed."""
    model = SeasonalMean()
    if panel.frequency.kind in ("D", "H"):
        week = panel.frequency.season
        return lambda rows: np.maximum(np.nan_to_num(model.daily(panel.y[rows], horizon, week)), 0).astype(np.float64)
    whole = model.yearly(panel, horizon, np.arange(len(panel.y)))
    return lambda rows: np.maximum(np.nan_to_num(whole[rows]), 0).astype(np.float64)


def _shares(
    panel: Panel, level: Level, seasonal: Callable[[NDArray[np.intp]], Vector], mean: Vector, wanted: NDArray[np.intp]
) -> tuple[Vector, Vector]:
    """Of the series `wanted`: their group's total, shared by the seasonal means of its observed members, and these.

    The whole panel is gone through a block at a time, so that a shard takes the memory of a shard.
    """
    own = seasonal(wanted)
    if level.name == SERIES:
        return mean[wanted].copy(), own

    ended = panel.ended_now() >= 0

    def weight(rows: NDArray[np.intp], values: Vector) -> Vector:
        observed = np.isfinite(panel.y[rows]).any(axis=1, keepdims=True) & ~ended[rows, None]
        return np.where(observed, values + 1e-9, 0)  # where all are zero, all get the same

    whole, add = kept.adder([level], mean.shape[1])
    for part in blocks(len(panel.y)):
        rows = np.arange(part.start, part.stop)
        add(part, weight(rows, seasonal(rows)))
        release(panel.y)
    share = weight(wanted, own) / np.maximum(whole[0], 1e-30)[level.codes[wanted]]
    return share * mean[level.codes[wanted]], own


def insane(mean: Vector, history: Vector, season: int) -> str:
    """What is wrong with a forecast, given the (n,) history; empty where nothing is. Units as in the history."""
    if not np.isfinite(mean).all():
        return "gave numbers that are not finite"
    seen = history[np.isfinite(history)]
    if not len(seen):
        return "has nothing to start from"
    top = float(seen.max())
    if mean.max() > HIGH * max(top, 1.0):
        return f"forecast {mean.max():.4g}, more than {HIGH:g} times the highest value {top:.4g}"
    if (mean < 0).mean() > 0.5:
        return "forecast less than nothing"
    width = min(season, len(seen))
    levels = np.convolve(seen[-4 * max(season, len(mean)) :], np.full(width, 1 / width), mode="valid")
    expected = float(np.maximum(mean, 0).mean())
    if expected > SHIFT * levels.max() + 1 or expected < levels.min() / SHIFT - 1:
        return f"forecast a level of {expected:.4g}, recent ones lay between {levels.min():.4g} and {levels.max():.4g}"
    return ""
