"""Settings of LightGBM, tried on a later cutoff than they learn from, within a time budget (Optuna's TPE sampler).

Source: Bergstra et al. (2011), Algorithms for hyper-parameter optimization.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import optuna
from numpy.typing import NDArray

from forecasting.core.config.sections import LightgbmSettings
from forecasting.core.config.settings import Settings
from forecasting.models.lightgbm.base import MULTIPLIED
from forecasting.models.lightgbm.direct import DirectLightgbm
from forecasting.models.lightgbm.training_rows import Rows
from forecasting.panel.panel import Panel

ROWS = 200_000  # of a trial: fewer rank the settings the same and leave time for more trials
MOST_TREES, PATIENCE = 800, 30  # early stopping: rounds without a better error at the later cutoff
MOST_TRIALS = 60
ABSOLUTE = ("wape", "mase")  # metrics of the choice that absolute errors serve best
OBJECTIVES = ("tweedie", "poisson", "regression")


@dataclass(frozen=True)
class Tuned:
    """The best settings found, their error and that of the settings as they were (lower is better), and the trials."""

    settings: LightgbmSettings
    error: float
    before: float
    trials: int


def tune(panel: Panel, horizon: int, settings: Settings) -> Tuned:
    """Learn from targets up to a horizon before the panel's end, and compare on the horizon that follows.

    The settings as they are come first and are kept where nothing is better, so tuning never does harm on that cutoff;
    the number of trees follows from early stopping. Ends after `train.tuning.seconds`, or MOST_TRIALS. Raises
    ModelError where the panel is too short to learn from.
    """
    given, absolute = settings.train.lightgbm, settings.train.metric in ABSOLUTE
    began, seconds = time.perf_counter(), settings.train.tuning.seconds
    rows = min(given.rows, ROWS)
    plain = DirectLightgbm(given.model_copy(update={"rows": rows}), settings.runtime.threads, settings.train.seed)
    learnt, later = plain.sampled(panel, horizon)
    found: dict[int, LightgbmSettings] = {}

    def attempt(trial: optuna.Trial) -> float:
        changed = given.model_copy(update=_proposed(trial, absolute))
        error, trees = _error(DirectLightgbm(changed, plain.threads, plain.seed), learnt, later, absolute)
        # More rows in the real training carry somewhat more trees than the trial's.
        found[trial.number] = changed.model_copy(update={"trees": max(10, trees)})
        return error

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=settings.train.seed))
    before, _ = _error(DirectLightgbm(given, plain.threads, plain.seed), learnt, later, absolute, fixed=given.trees)
    left = seconds - (time.perf_counter() - began)
    if left > 0:
        study.optimize(attempt, n_trials=MOST_TRIALS, timeout=left, gc_after_trial=True)
    if not found or study.best_value >= before:
        return Tuned(given, before, before, len(found))
    return Tuned(found[study.best_trial.number], float(study.best_value), before, len(found))


def _proposed(trial: optuna.Trial, absolute: bool) -> dict[str, Any]:
    losses = (*OBJECTIVES, "regression_l1") if absolute else OBJECTIVES
    return {
        "objective": trial.suggest_categorical("objective", losses),
        "leaves": trial.suggest_int("leaves", 8, 255, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.2, log=True),
        "min_rows_leaf": trial.suggest_int("min_rows_leaf", 10, 500, log=True),
    }


def _error(model: DirectLightgbm, learnt: Rows, later: Rows, absolute: bool, fixed: int = 0) -> tuple[float, int]:
    """Error at the later cutoff and the trees that it took; fixed: that many trees, without early stopping."""
    parameters = model.parameters(len(learnt.target), bag=0)
    train = model.dataset(learnt, parameters)
    valid = model.dataset(later, parameters, reference=train)
    stop: list[Callable[..., Any]] = [] if fixed else [lgb.early_stopping(PATIENCE, verbose=False)]
    booster = lgb.train(parameters, train, fixed or MOST_TREES, valid_sets=[valid], callbacks=stop)
    raw = np.asarray(booster.predict(later.values, raw_score=True, num_threads=model.threads))
    share = np.exp(raw) if model.settings.objective in MULTIPLIED else np.maximum(raw, 0)
    miss: NDArray[np.float64] = share * later.scale - later.target
    # Squared errors by the level, which is about their variance: large series count more, but do not decide alone.
    error = np.abs(miss).sum() if absolute else (miss**2 / np.maximum(later.scale, 1e-3)).sum()
    return float(error / max(float(later.target.sum()), 1e-9)), int(
        booster.best_iteration or booster.current_iteration()
    )
