"""Rolling-origin backtest: every candidate forecasts the same past cutoffs, each time from what was known then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from forecasting.core.errors import ModelError
from forecasting.models.base import Forecaster
from forecasting.panel.panel import Matrix, Panel

SMALL_PANEL = 200_000  # series x periods, up to which refitting costly models at each fold is cheap
FOLDS, MOST_FOLDS = 3, 6
CHEAP_PANEL = 50_000  # series x periods, up to which more than FOLDS folds are cheap


@dataclass(frozen=True)
class Plan:
    """folds: cutoffs as counts of known periods, oldest first. refit: fit anew at each fold.

    A fold that is nearer to the end of the history than the horizon is scored on the periods that are known.
    """

    folds: tuple[int, ...]
    horizon: int
    refit: bool


@dataclass
class Backtest:
    """One candidate's forecasts of every fold: means[k] is (n_series, horizon), made at cutoffs[k]."""

    model: str
    cutoffs: tuple[date, ...]
    means: list[Matrix] = field(default_factory=list)
    seconds: float = 0.0


def plan(panel: Panel, horizon: int, folds: int | None, step: int | None, refit: str) -> Plan:
    """Cutoffs that leave a whole horizon after the newest and history before the oldest.

    folds: None = FOLDS, and up to MOST_FOLDS of a small panel (CHEAP_PANEL), in the newer half of its history. The step
    is the horizon, less where history is short. Where it is shorter still, folds come nearer to the end than the
    horizon, and are scored on what is known; of two periods one is a fold, of one none.
    """
    periods = len(panel.periods)
    newest = periods - horizon
    least = max(2 * min(panel.frequency.season, 13), horizon // 2, 8)
    room = newest - least
    wanted = folds or FOLDS
    again = refit == "always" or (refit == "auto" and panel.y.size <= SMALL_PANEL)
    day = panel.frequency.a_day  # hours: folds end with a day
    if room < (wanted - 1) * day:
        found = _shortened(periods // day, horizon // day, -(-least // day), wanted)
        return Plan(tuple(periods - day * back for back in found), horizon, again)
    if folds is None and panel.y.size <= CHEAP_PANEL:
        spare = newest - max(least, periods // 2)
        wanted = int(np.clip(1 + spare // (step or horizon), wanted, MOST_FOLDS))
    stride = min(step or horizon, room // max(wanted - 1, 1))
    stride = max(stride - stride % day, day)
    return Plan(tuple(newest - stride * back for back in reversed(range(wanted))), horizon, again)


def _shortened(periods: int, horizon: int, least: int, wanted: int) -> tuple[int, ...]:
    """Periods after each cutoff, in the newer half of a short history: half of the room after the newest one."""
    room = periods - max(1, min(least, periods // 2))
    if room < 1:
        return ()
    ahead = max(1, min(horizon, room // 2))
    count = min(wanted, room - ahead + 1)
    stride = (room - ahead) // max(count - 1, 1)
    return tuple(ahead + stride * back for back in reversed(range(count)))


def backtest(
    panel: Panel, candidate: Forecaster, chosen: Plan, tell: Callable[[str], None] = lambda _: None
) -> Backtest:
    """Forecast every fold from `panel.first(fold)`, the same door that live forecasts go through.

    Where the plan does not refit, the candidate learns once, at the oldest fold, and forecasts the later ones from
    what was known there.
    """
    began = time.perf_counter()
    result = Backtest(candidate.name, tuple(panel.first(fold).cutoff for fold in chosen.folds))
    for number, fold in enumerate(chosen.folds):
        known = panel.first(fold)
        if number == 0 or chosen.refit:
            candidate.fit(known, chosen.horizon)
        mean = candidate.predict(known, chosen.horizon).mean
        if not np.isfinite(mean).all():
            raise ModelError(f"{candidate.name} gave no finite forecast of some series at {known.cutoff}.")
        result.means.append(mean)
        tell(f"{candidate.name}: fold {number + 1} of {len(chosen.folds)}, cutoff {known.cutoff}")
    result.seconds = time.perf_counter() - began
    return result
