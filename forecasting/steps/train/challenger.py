"""The challenger that a training makes of a panel: candidates backtested, chosen among, fitted on everything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from forecasting import models
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ModelError, some
from forecasting.evaluation.backtest import Backtest, Plan, backtest, plan
from forecasting.evaluation.relative import BASELINE
from forecasting.evaluation.selection import DEFAULT, Choice, Contest, choose, default, rated
from forecasting.models.blend import Blend, ByClass
from forecasting.models.intervals.levels import Calibrations
from forecasting.models.short_history import too_short, with_assumed
from forecasting.panel.panel import Matrix, Panel

# What a model may raise over a panel that is too short, too sparse or too odd for it.
UNFIT = (ModelError, ValueError, ArithmeticError, LookupError, RuntimeError, TypeError)
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Challenger:
    """What a training has come to. settings: as they were, or as tuning has left them.

    refit_of: the champion whose recipe (weights) it has, where it did not choose its own. dropped: candidates that
    could not be backtested or fitted, each with its reason.
    """

    settings: Settings
    contest: Contest
    choice: Choice
    final: Blend
    refit_of: str = ""
    dropped: tuple[str, ...] = ()

    @property
    def baseline(self) -> float:
        """The chosen metric of seasonal naive; NaN where no fold defines it."""
        metric, scores = self.settings.train.metric, self.choice.scores
        level = "all" if metric == "wrmsse" else "series"
        mine = (scores["model"] == BASELINE) & (scores["level"] == level) & (scores["metric"] == metric)
        return float(scores.loc[mine, "value"].mean())

    def gave_up(self) -> list[str]:
        """Candidates that dropped out, and what the parts of the model had no time for."""
        specs = {name: getattr(part, "spec", {}) for name, part in self.final.parts.items()}
        late = [f"{name}, {gone}" for name, spec in specs.items() for gone in spec.get("gave_up", ())]
        return [*self.dropped, *late]

    def refit(self, version: str, weights: Mapping[str, float], by_class: ByClass) -> Self:
        """The same candidates with the recipe of a champion, fitted on everything; its quantiles are calibrated anew.

        `judgement.refitted` says whether all its models are among the candidates.
        """
        choice = rated(self.contest, self.settings.train.metric, weights, by_class)
        return replace(self, choice=choice, final=_fit(self.settings, self.contest, choice), refit_of=version)


def challenger(settings: Settings, panel: Panel, tell: Tell = log.info) -> Challenger:
    """Backtest, choose, and fit on everything: the same panel and settings give the same model, byte for byte.

    A candidate that cannot be fitted drops out with its reason; seasonal naive and, where no other is left, seasonal
    mean always remain. A history that is too short to choose by gets seasonal mean. Raises ModelError where not even
    that can be fitted.
    """
    rules, horizon = settings.train, settings.panel.horizon
    chosen = plan(panel, horizon, rules.folds, rules.step, rules.refit)
    short = too_short(panel, horizon)
    if not short:
        settings = _tuned(settings, panel.first(chosen.folds[0]), tell)
    # Asked of the whole panel, once: the backtest's shorter ones are split as the final one is.
    settings = models.sized(settings, panel.y.size)
    tests, failures = _tested(settings, panel, chosen, (DEFAULT,) if short else rules.models, tell)
    while True:
        contest = _contest(panel, chosen, tests, rules.models)
        choice = default(contest, rules.metric) if short else choose(contest, rules.metric, rules.blend)
        tell(f"chosen: {choice.label} {dict(choice.weights)}, {rules.metric} {choice.value:.4f}; {short}".rstrip("; "))
        try:
            final = _fit(settings, contest, choice)
            break
        except UNFIT as error:  # one that could be fitted to less history: rare, and no reason to have no model
            tests, failures = _without(settings, panel, tests, failures, choice, error)
    made = Challenger(settings, contest, choice, final, dropped=tuple(failures))
    tell(f"fitted {made.final.label} on all {len(panel.periods)} periods")
    for name, part in made.final.parts.items():
        for partition, why in getattr(part, "small", {}).items():
            tell(f"{name}: partition {partition} has no model of its own: {why}")
    for gone in made.gave_up():
        tell(f"gave up for want of time: {gone}")
    return made


def _contest(panel: Panel, chosen: Plan, tests: Sequence[Backtest], wanted: Sequence[str]) -> Contest:
    names = {test.model for test in tests}
    aside = frozenset({BASELINE} - set(wanted)) if names - {BASELINE} else frozenset[str]()
    return Contest(panel, chosen, tests, aside)


def _tested(
    settings: Settings, panel: Panel, chosen: Plan, names: Sequence[str], tell: Tell
) -> tuple[list[Backtest], list[str]]:
    """Backtests of seasonal naive and the candidates, and why some have none; seasonal mean where no other is left."""
    tests: list[Backtest] = []
    failures: list[str] = []
    waiting = list(dict.fromkeys((BASELINE, *names)))
    while waiting:
        name = waiting.pop(0)
        try:
            tests.append(backtest(panel, models.create(name, settings), chosen, tell))
        except UNFIT as error:
            log.warning("Candidate %s dropped out of the backtest: %s", name, error, exc_info=True)
            failures.append(f"{name}: {error}"[:300])
            tell(f"candidate {name} dropped out: {error}")
        tried = {test.model for test in tests} | {failure.partition(":")[0] for failure in failures}
        if not waiting and DEFAULT not in tried and failures and not {test.model for test in tests} - {BASELINE}:
            waiting.append(DEFAULT)
    if not tests:
        raise ModelError(f"No candidate could be backtested: {some(failures)}")
    return tests, failures


def _without(
    settings: Settings, panel: Panel, tests: list[Backtest], failures: list[str], choice: Choice, error: Exception
) -> tuple[list[Backtest], list[str]]:
    """The backtests without those of the chosen candidates that cannot be fitted to the whole panel."""
    gone = []
    for name in choice.weights:
        try:
            models.create(name, settings).fit(panel, settings.panel.horizon)
        except UNFIT as why:
            log.warning("Candidate %s cannot be fitted to the whole panel: %s", name, why, exc_info=True)
            gone.append(f"{name}: {why}"[:300])
    names = {one.partition(":")[0] for one in gone}
    left = [test for test in tests if test.model not in names]
    if not gone or not left:
        raise ModelError(f"The chosen model could not be fitted: {error}") from error
    return left, [*failures, *gone]


def _tuned(settings: Settings, panel: Panel, tell: Tell) -> Settings:
    """The settings with LightGBM's own sought on this panel, which ends before the folds; as they are if not asked."""
    if not settings.train.tuning.seconds:
        return settings
    from forecasting.models.lightgbm.tuning import tune  # Optuna takes a second to import

    try:
        tuned = tune(panel, settings.panel.horizon, settings)
    except UNFIT as error:
        tell(f"LightGBM's settings stay as they are, they cannot be sought on {len(panel.periods)} periods: {error}")
        return settings
    tell(f"tuned LightGBM in {tuned.trials} trials: error {tuned.before:.4f} before, {tuned.error:.4f} with the best")
    return settings.model_copy(update={"train": settings.train.model_copy(update={"lightgbm": tuned.settings})})


def _fit(settings: Settings, contest: Contest, choice: Choice) -> Blend:
    parts = {name: models.create(name, settings) for name in choice.weights}
    calibrations = Calibrations.fit(calibration_folds(contest, choice.weights, choice.by_class))
    final = Blend(parts, choice.weights, calibrations, settings.panel.discontinued_after, choice.by_class)
    return final.fit(contest.panel, settings.panel.horizon)


def calibration_folds(
    contest: Contest, weights: Mapping[str, float], by_class: ByClass
) -> list[tuple[Panel, Matrix, Matrix]]:
    """(panel at the cutoff, actuals, mean forecasts) of each fold; and of an assumed one where they say too little."""
    count = range(len(contest.plan.folds))
    found = [(contest.known(k), contest.actual(k), contest.mix(weights, k, by_class)) for k in count]
    return with_assumed(contest.panel, contest.plan.horizon, found)
