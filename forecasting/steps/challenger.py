"""The challenger that a training makes of a panel: candidates backtested, chosen among, fitted on everything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from forecasting import models
from forecasting.data.panel import Matrix, Panel
from forecasting.errors import ModelError, some
from forecasting.evaluation.backtest import Backtest, backtest, plan
from forecasting.evaluation.selection import Choice, Contest, choose, rated
from forecasting.models.blend import Blend, ByClass
from forecasting.models.calibrations import Calibrations
from forecasting.settings import Settings

BASELINE = "seasonal_naive"
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Challenger:
    """What a training has come to. settings: as they were, or as tuning has left them.

    refit_of: the champion whose recipe (weights) it has, where it did not choose its own.
    """

    settings: Settings
    contest: Contest
    choice: Choice
    final: Blend
    refit_of: str = ""

    @property
    def baseline(self) -> float:
        """The chosen metric of seasonal naive; NaN where that could not be backtested."""
        metric, scores = self.settings.train.metric, self.choice.scores
        level = "all" if metric == "wrmsse" else "series"
        mine = (scores["model"] == BASELINE) & (scores["level"] == level) & (scores["metric"] == metric)
        return float(scores.loc[mine, "value"].mean())

    def gave_up(self) -> list[str]:
        """What the parts of the model had no time for."""
        specs = {name: getattr(part, "spec", {}) for name, part in self.final.parts.items()}
        return [f"{name}, {gone}" for name, spec in specs.items() for gone in spec.get("gave_up", ())]

    def refit(self, version: str, weights: Mapping[str, float], by_class: ByClass) -> Self:
        """The same candidates with the recipe of a champion, fitted on everything; its quantiles are calibrated anew.

        `judgement.refitted` says whether all its models are among the candidates.
        """
        choice = rated(self.contest, self.settings.train.metric, weights, by_class)
        return replace(self, choice=choice, final=_fit(self.settings, self.contest, choice), refit_of=version)


def challenger(settings: Settings, panel: Panel, tell: Tell = log.info) -> Challenger:
    """Backtest, choose, and fit on everything: the same panel and settings give the same model, byte for byte.

    Raises ModelError where no candidate could be backtested.
    """
    chosen = plan(panel, settings.panel.horizon, settings.train.folds, settings.train.step, settings.train.refit)
    # Asked of the whole panel, once: the backtest's shorter ones are split as the final one is.
    settings = models.sized(_tuned(settings, panel.first(chosen.folds[0]), tell), panel.y.size)
    tests: list[Backtest] = []
    failures: list[str] = []
    for name in dict.fromkeys((BASELINE, *settings.train.models)):
        try:
            tests.append(backtest(panel, models.create(name, settings), chosen, tell))
        except (ModelError, ValueError, ArithmeticError) as error:
            log.exception("Candidate %s dropped out of the backtest", name)
            failures.append(f"{name}: {error}")
    if not tests:
        raise ModelError(f"No candidate could be backtested: {some(failures)}")
    aside = frozenset({BASELINE} - set(settings.train.models)) if len(tests) > 1 else frozenset()
    contest = Contest(panel, chosen, tests, aside)
    choice = choose(contest, settings.train.metric, settings.train.blend)
    tell(f"chosen: {choice.label} {dict(choice.weights)}, {settings.train.metric} {choice.value:.4f}")
    made = Challenger(settings, contest, choice, _fit(settings, contest, choice))
    tell(f"fitted {made.final.label} on all {len(panel.periods)} periods")
    for name, part in made.final.parts.items():
        for partition, why in getattr(part, "small", {}).items():
            tell(f"{name}: partition {partition} has no model of its own: {why}")
    for gone in made.gave_up():
        tell(f"gave up for want of time: {gone}")
    return made


def _tuned(settings: Settings, panel: Panel, tell: Tell) -> Settings:
    """The settings with LightGBM's own sought on this panel, which ends before the folds; as they are if not asked."""
    if not settings.train.tuning.seconds:
        return settings
    from forecasting.models.tuning import tune  # Optuna takes a second to import

    tuned = tune(panel, settings.panel.horizon, settings)
    tell(f"tuned LightGBM in {tuned.trials} trials: error {tuned.before:.4f} before, {tuned.error:.4f} with the best")
    return settings.model_copy(update={"train": settings.train.model_copy(update={"lightgbm": tuned.settings})})


def _fit(settings: Settings, contest: Contest, choice: Choice) -> Blend:
    parts = {name: models.create(name, settings) for name in choice.weights}
    calibrations = Calibrations.fit(_folds(contest, choice))
    final = Blend(parts, choice.weights, calibrations, settings.panel.discontinued_after, choice.by_class)
    return final.fit(contest.panel, settings.panel.horizon)


def _folds(contest: Contest, choice: Choice) -> list[tuple[Panel, Matrix, Matrix]]:
    count = range(len(contest.plan.folds))
    return [(contest.known(k), contest.actual(k), contest.mix(choice.weights, k, choice.by_class)) for k in count]
