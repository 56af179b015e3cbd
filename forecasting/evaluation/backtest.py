"""Rolling-origin backtest: every candidate forecasts the same past cutoffs, each time from what was known then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from forecasting.data.panel import Matrix, Panel
from forecasting.errors import CutoffError
from forecasting.models.base import Forecaster

SMALL_PANEL = 200_000  # series x periods, up to which refitting costly models at each fold is cheap


@dataclass(frozen=True)
class Plan:
    """folds: cutoffs as counts of known periods, oldest first. refit: fit anew at each fold."""

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


def plan(panel: Panel, horizon: int, folds: int, step: int | None, refit: str) -> Plan:
    """Cutoffs that leave a whole horizon after the newest and history before the oldest.

    The step is the horizon, less where history is short. Raises CutoffError where there is none for `folds` cutoffs.
    """
    periods = len(panel.periods)
    newest = periods - horizon
    least = max(2 * min(panel.frequency.season, 13), horizon // 2, 8)
    room = newest - least
    if room < folds - 1:
        raise CutoffError(
            f"A backtest of {folds} folds over {horizon} periods needs at least {least + horizon + folds - 1} periods "
            f"of history, the panel has {periods}. Shorten panel.horizon or wait for more history."
        )
    stride = min(step or horizon, room // max(folds - 1, 1))
    stride -= stride % panel.frequency.a_day if stride >= panel.frequency.a_day else 0  # hours: folds end with a day
    again = refit == "always" or (refit == "auto" and panel.y.size <= SMALL_PANEL)
    return Plan(tuple(newest - stride * back for back in reversed(range(folds))), horizon, again)


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
        result.means.append(candidate.predict(known, chosen.horizon).mean)
        tell(f"{candidate.name}: fold {number + 1} of {len(chosen.folds)}, cutoff {known.cutoff}")
    result.seconds = time.perf_counter() - began
    return result
