"""The challenger before the champion: both forecast again what neither was trained on, and the rules decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from forecasting import models
from forecasting.core.config.settings import Settings
from forecasting.core.errors import CutoffError, ModelError, SettingsError
from forecasting.evaluation.backtest import Backtest
from forecasting.evaluation.promotion import Verdict, Window, cutoffs, figure, judge
from forecasting.evaluation.selection import Choice, Contest, choose
from forecasting.models.base import Forecast, Forecaster
from forecasting.models.baselines import SeasonalNaive
from forecasting.models.blend import NO_CLASSES, Blend, ByClass
from forecasting.models.intervals.levels import Calibrations
from forecasting.panel.panel import Panel
from forecasting.steps.train.challenger import UNFIT, calibration_folds
from forecasting.steps.train.champion import loaded, servable
from forecasting.storage.registry.registry import Registry, Version


def trained(settings: Settings, contest: Contest, choice: Choice, registry: Registry, naive: float) -> Verdict:
    """The verdict on what a training has chosen.

    The challenger stands trial as it would have been trained when the champion was: its weights from the folds that
    had ended by then, its models fitted to what was known then. So neither has seen what they are compared on. A
    champion that cannot be trusted is no rival: the one before it is, or there is none.
    """
    panel = contest.panel
    live, refused = servable(registry, panel.cutoff)
    if live is None:
        metric = settings.train.metric
        reason = f"first champion: {metric} {figure(choice.value)}, seasonal naive {figure(naive)}"
        reason = "; ".join([reason, *refused])[:1000]
        return Verdict(promote=True, reason=reason, challenger=choice.value, champion=float("nan"), naive=naive)
    known = max([_position(panel, live), *contest.plan.folds[-1:]])
    if (early := _too_early(settings, panel, known, live)) is not None:
        return early
    try:
        trial = _trial(settings, contest, choice, known)
    except UNFIT as error:
        reason = f"not judged yet: the challenger cannot be fitted as of {panel.first(known).cutoff}: {error}"[:1000]
        return Verdict(promote=False, reason=reason, narrow=True)
    return compared(settings, panel, trial, loaded(registry, live.version), known)


def shadowed(settings: Settings, panel: Panel, shadow: Version, live: Version, registry: Registry) -> Verdict:
    """The verdict on a registered challenger, by what has come since both were trained: live evidence."""
    known = max(_position(panel, live), _position(panel, shadow))
    if (early := _too_early(settings, panel, known, live)) is not None:
        return early
    return compared(settings, panel, loaded(registry, shadow.version), loaded(registry, live.version), known)


def refitted(settings: Settings, contest: Contest, live: Version, registry: Registry) -> Verdict | None:
    """The verdict on the champion's own recipe, fitted again to half of what has come since it was trained.

    The other half, which neither has seen, is what they are compared on. None where there is nothing to compare: too
    little has come since, or a model of the recipe is no candidate any more.
    """
    panel = contest.panel
    periods, seen = len(panel.periods), _position(panel, live)
    known = min((seen + periods) // 2, periods - _least(settings, panel))
    if known <= seen or not set(live.weights) <= {test.model for test in contest.tests}:
        return None
    try:
        trial = _fitted(settings, contest, known, live.weights, live.by_class)
    except UNFIT:
        return None
    verdict = compared(settings, panel, trial, loaded(registry, live.version), known, refit=True)
    return replace(verdict, reason=f"champion {live.version} fitted again: {verdict.reason}", narrow=False)


def as_planned_now(settings: Settings, contest: Contest, live: Version, seen: Panel) -> Verdict:
    """The verdict where plans ahead have changed since the champion was trained, and too little has come since then.

    seen: the panel that the champion was trained on. Both forecast the folds with the plans that tonight's nights see.
    The champion's recipe learns again at each fold, from what it saw then; the challenger has the weights that it would
    have had from the folds that had ended by then. So neither has seen what they are compared on.
    """
    panel, horizon = contest.panel, contest.plan.horizon
    folds = contest.plan.folds
    choice = len(contest.tests) - len(contest.aside) > 1
    used = [k for k, fold in enumerate(folds) if fold <= _position(panel, live)]
    used = [k for k in used if not choice or _before(contest, folds[k]) is not None]
    periods = len({day for k in used for day in range(folds[k], min(folds[k] + horizon, len(panel.periods)))})
    least = _least(settings, panel)
    if periods < least:
        reason = (
            f"not judged yet: {periods} periods of folds with the plans of now, {least} are wanted (train.judge.least)"
        )
        return Verdict(promote=False, reason=reason, narrow=True)
    try:
        rival = _as_trained(settings, contest, live, seen, used)
    except (CutoffError, SettingsError, *UNFIT) as error:
        reason = f"not judged yet: champion {live.version} cannot be fitted again with the plans of its day: {error}"
        return Verdict(promote=False, reason=reason[:1000], narrow=True)
    windows = []
    for number in used:
        past, before = contest.known(number), _before(contest, folds[number])
        early = choose(before, settings.train.metric, settings.train.blend) if before else None
        weights = early.weights if early else {t.model: 1.0 for t in contest.tests if t.model not in contest.aside}
        windows.append(
            Window(
                past,
                contest.actual(number),
                Forecast.ok(contest.mix(weights, number, early.by_class if early else NO_CLASSES)),
                Forecast.ok(rival.mix(live.weights, number, live.by_class)),
                SeasonalNaive().fit(past, horizon).predict(past, horizon).mean,
            )
        )
    found = judge(windows, settings.train.metric, settings.train.judge, settings.train.seed)
    reason = f"champion {live.version} with the plans of now, fitted again at {len(used)} folds: {found.reason}"
    return replace(found, reason=reason, periods=periods)


def _as_trained(settings: Settings, contest: Contest, live: Version, seen: Panel, used: Sequence[int]) -> Contest:
    """The backtest of the champion's models: they learn from `seen`, and forecast from what tonight's nights know."""
    plan, tests = contest.plan, []
    for name in live.weights:
        model, means = models.create(name, settings), []
        for number in range(len(plan.folds)):
            known = contest.known(number)
            if number == 0 or (plan.refit and number in used):
                model.fit(seen.until(known.cutoff), plan.horizon)
            means.append(model.predict(known, plan.horizon).mean)
            if not np.isfinite(means[-1]).all():
                raise ModelError(f"{name} gave no finite forecast of some series at {known.cutoff}.")
        tests.append(Backtest(name, contest.tests[0].cutoffs, means))
    return replace(contest, tests=tests, aside=frozenset())


def compared(
    settings: Settings, panel: Panel, challenger: Forecaster, champion: Forecaster, known: int, refit: bool = False
) -> Verdict:
    """Both from the same cutoffs after `known` periods, as many periods ahead as are known by now."""
    rules, horizon = settings.train.judge, settings.panel.horizon
    windows = []
    for cutoff in cutoffs(known, len(panel.periods), rules.cutoffs):
        past, ahead = panel.first(cutoff), min(horizon, len(panel.periods) - cutoff)
        windows.append(
            Window(
                past,
                panel.y[:, cutoff : cutoff + ahead],
                challenger.predict(past, ahead),
                champion.predict(past, ahead),
                SeasonalNaive().fit(past, ahead).predict(past, ahead).mean,
            )
        )
    return judge(windows, settings.train.metric, rules, settings.train.seed, refit)


def _too_early(settings: Settings, panel: Panel, known: int, live: Version) -> Verdict | None:
    unseen = len(panel.periods) - known
    least = _least(settings, panel)
    if unseen >= least:
        return None
    reason = (
        f"not judged yet: {unseen} periods that neither it nor champion {live.version} has seen, {least} are wanted "
        "(train.judge.least); it is watched beside the champion until then"
    )
    return Verdict(promote=False, reason=reason, narrow=True)


def _position(panel: Panel, version: Version) -> int:
    """Periods of the panel that the version was trained on; 1 where all are newer, all where none is."""
    try:
        return panel.position(version.cutoff)
    except CutoffError:
        return 1 if version.cutoff < panel.cutoff else len(panel.periods)


def _least(settings: Settings, panel: Panel) -> int:
    """Periods that neither has seen, at least."""
    return settings.train.judge.least or panel.frequency.unseen


def _trial(settings: Settings, contest: Contest, choice: Choice, known: int) -> Blend:
    """The challenger as of `known` periods; plain means of its parts where no fold had ended by then."""
    before = _before(contest, known)
    if before is None:
        return _fitted(settings, contest, known, dict.fromkeys(choice.weights, 1 / len(choice.weights)))
    early = choose(before, settings.train.metric, settings.train.blend)
    return _fitted(settings, contest, known, early.weights, early.by_class)


def _fitted(
    settings: Settings, contest: Contest, known: int, weights: Mapping[str, float], by_class: ByClass = NO_CLASSES
) -> Blend:
    """These weights with models fitted to `known` periods, and quantiles of the folds that had ended by then."""
    before, calibrations = _before(contest, known), None
    if before is not None:
        calibrations = Calibrations.fit(calibration_folds(before, weights, by_class))
    parts = {name: models.create(name, settings) for name in weights}
    trial = Blend(parts, weights, calibrations, settings.panel.discontinued_after, by_class)
    return trial.fit(contest.panel.first(known), contest.plan.horizon)


def _before(contest: Contest, known: int) -> Contest | None:
    """The folds that had ended by then; None where there is none."""
    plan, horizon = contest.plan, contest.plan.horizon
    over = [k for k, fold in enumerate(plan.folds) if min(fold + horizon, len(contest.panel.periods)) <= known]
    if not over:
        return None
    return replace(
        contest,
        plan=replace(plan, folds=tuple(plan.folds[number] for number in over)),
        tests=[_only(test, over) for test in contest.tests],
    )


def _only(test: Backtest, folds: Sequence[int]) -> Backtest:
    """The backtest of some of its folds."""
    return replace(test, cutoffs=tuple(test.cutoffs[k] for k in folds), means=[test.means[k] for k in folds])
