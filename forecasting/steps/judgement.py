"""The challenger before the champion: both forecast again what neither was trained on, and the rules decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from forecasting import models
from forecasting.data.panel import Panel
from forecasting.errors import CutoffError
from forecasting.evaluation.backtest import Backtest
from forecasting.evaluation.promotion import Verdict, Window, cutoffs, figure, judge
from forecasting.evaluation.selection import Choice, Contest, choose
from forecasting.models.base import Forecaster
from forecasting.models.blend import NO_CLASSES, Blend, ByClass
from forecasting.models.calibrations import Calibrations
from forecasting.models.naive import SeasonalNaive
from forecasting.settings import Settings
from forecasting.steps.challenger import UNFIT, calibration_folds
from forecasting.steps.serving import loaded, servable
from forecasting.stores.registry import Registry, Version


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
