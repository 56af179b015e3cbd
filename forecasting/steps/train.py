"""Train: backtest the candidates, choose, fit on everything, register, and promote what has proven better."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting import models
from forecasting.data.panel import Matrix, Panel
from forecasting.data.tables import BACKTESTS
from forecasting.errors import ModelError, some
from forecasting.evaluation import plots
from forecasting.evaluation.backtest import Backtest, Plan, backtest, plan
from forecasting.evaluation.promotion import Verdict
from forecasting.evaluation.selection import Choice, Contest, choose
from forecasting.models.blend import Blend
from forecasting.models.calibrations import Calibrations
from forecasting.settings import Settings
from forecasting.steps import drift, judgement, promotion
from forecasting.steps.run import Run, code_version, packages, record, whole_periods
from forecasting.steps.serving import servable
from forecasting.stores.alone import alone
from forecasting.stores.folder import Folder
from forecasting.stores.lake import Lake
from forecasting.stores.registry import Card, Registry, Version
from forecasting.stores.warehouse import Warehouse

BASELINE = "seasonal_naive"
PLOTTED = 8  # series whose backtest is plotted and logged
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def due(settings: Settings, cutoff: date) -> tuple[bool, str]:
    """Whether a training is due at this cutoff, and why: by the age of the newest one, whether it was promoted or not.

    A rollback counts as one: what a person has just put back is not challenged the next night.
    """
    if settings.train.force:
        return True, "asked for (train.force)"
    cutoff, registry = whole_periods(settings, cutoff), Registry(settings.mlflow)
    champion = registry.champion(cutoff)
    if champion is None:
        return True, f"no champion trained at or before {cutoff}"
    # A version without a state is what an interrupted training has left.
    ended = [one.since for one in registry.versions() if one.state and one.cutoff <= cutoff]
    newest = max(ended, default=champion.since)
    age, every = (cutoff - newest).days, settings.train.every_days
    told = f"the newest training is {age} days old, due at {every} (train.every_days); champion {champion.version}"
    if age < every and settings.drift.train and age >= settings.drift.train_days:
        moved = drift.newly(settings, cutoff, newest)
        if moved:
            return True, f"drift: {some(moved, 3)}"
    return age >= every, told


def train(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Train a challenger on the panel of this cutoff and promote it where it has earned it.

    Returns cutoff, snapshot, version, model (label), weights, promoted, reason, accuracy (of the chosen metric) and
    baseline (the same of seasonal naive). Raises ModelError where no candidate could be backtested.

    Trainings of a deployment come one after the other. One that finds, when it is its turn, that another run has
    trained for this cutoff meanwhile gives that one's results.
    """
    cutoff, registry = whole_periods(settings, cutoff), Registry(settings.mlflow)
    before = _ended(registry, cutoff)
    with alone(settings.warehouse, "train"):
        meanwhile = _ended(registry, cutoff) - before
        if meanwhile:
            tell(f"another run has trained for {cutoff} meanwhile")
            return _facts_of(settings, registry.version(max(meanwhile, key=int)))
        return _train(settings, cutoff, run, tell)


def _ended(registry: Registry, cutoff: date) -> set[str]:
    """Versions of trainings that have come to their end."""
    return {one.version for one in registry.versions() if one.cutoff == cutoff and one.state}


def _facts_of(settings: Settings, made: Version) -> dict[str, Any]:
    """What `train` gives back, of a version that another run has made."""
    metric, decisions = settings.train.metric, {"champion": promotion.PROMOTED, "waiting": promotion.WAITING}
    return {
        "cutoff": made.cutoff.isoformat(),
        "snapshot": made.tags["snapshot"],
        "version": made.version,
        "model": made.name,
        "weights": json.loads(made.tags["weights"]),
        "promoted": made.promoted,
        "decision": decisions.get(made.state, promotion.KEPT),
        "reason": f"trained by another run at the same time; {made.tags.get('verdict', '')}",
        "metric": metric,
        "accuracy": made.metrics.get(f"backtest_{metric}"),
        "baseline": made.metrics.get(f"baseline_{metric}"),
    }


def _train(settings: Settings, cutoff: date, run: Run, tell: Tell) -> dict[str, Any]:
    with record(settings, run, "train", cutoff) as outcome:
        lake, registry = Lake(settings.lake), Registry(settings.mlflow)
        panel = lake.read_panel(cutoff)
        outcome.snapshot = panel.snapshot
        for left in promotion.discard_interrupted(settings, cutoff):
            tell(f"version {left} is what an interrupted training has left: rejected")
        made = challenger(settings, panel, tell)
        choice, final = made.choice, made.final
        (live, _), baseline = servable(registry, cutoff), _baseline(choice, settings)
        verdict = judgement.trained(made.settings, made.contest, choice, registry, baseline)
        tell(verdict.reason)
        version = _register(settings, made, verdict)
        table = _table(choice, cutoff, version.version, panel.snapshot, run)
        Warehouse(settings.warehouse).replace(BACKTESTS, table, cutoff=pd.Timestamp(cutoff))
        decision = promotion.settle(settings, version.version, verdict, live, cutoff, run)
        outcome.model_version, outcome.rows = version.version, len(table)
        outcome.message = f"{final.label}: {decision}; {verdict.reason}"
        return {
            "cutoff": cutoff.isoformat(),
            "snapshot": panel.snapshot,
            "version": version.version,
            "model": final.label,
            "weights": dict(choice.weights),
            "promoted": decision == promotion.PROMOTED,
            "decision": decision,
            "reason": verdict.reason,
            "metric": settings.train.metric,
            "accuracy": choice.value,
            "baseline": baseline,
        }


@dataclass(frozen=True)
class Challenger:
    """What a training has come to. settings: as they were, or as tuning has left them."""

    settings: Settings
    contest: Contest
    choice: Choice
    final: Blend


def challenger(settings: Settings, panel: Panel, tell: Tell = log.info) -> Challenger:
    """Backtest, choose, and fit on everything: the same panel and settings give the same model, byte for byte.

    Raises ModelError where no candidate could be backtested.
    """
    chosen = plan(panel, settings.panel.horizon, settings.train.folds, settings.train.step, settings.train.refit)
    # Asked of the whole panel, once: the backtest's shorter ones are split as the final one is.
    settings = models.sized(_tuned(settings, panel.first(chosen.folds[0]), tell), panel.y.size)
    tests = _backtests(settings, panel, chosen, tell)
    aside = frozenset({BASELINE} - set(settings.train.models)) if len(tests) > 1 else frozenset()
    contest = Contest(panel, chosen, tests, aside)
    choice = choose(contest, settings.train.metric, settings.train.blend)
    tell(f"chosen: {choice.label} {dict(choice.weights)}, {settings.train.metric} {choice.value:.4f}")
    final = _fit(settings, panel, choice, Calibrations.fit(_folds(contest, choice)))
    tell(f"fitted {final.label} on all {len(panel.periods)} periods")
    for name, part in final.parts.items():
        for partition, why in getattr(part, "small", {}).items():
            tell(f"{name}: partition {partition} has no model of its own: {why}")
    for gone in _gave_up(final):
        tell(f"gave up for want of time: {gone}")
    return Challenger(settings, contest, choice, final)


def _tuned(settings: Settings, panel: Panel, tell: Tell) -> Settings:
    """The settings with LightGBM's own sought on this panel, which ends before the folds; as they are if not asked."""
    if not settings.train.tuning.seconds:
        return settings
    from forecasting.models.tuning import tune  # Optuna takes a second to import

    tuned = tune(panel, settings.panel.horizon, settings)
    tell(f"tuned LightGBM in {tuned.trials} trials: error {tuned.before:.4f} before, {tuned.error:.4f} with the best")
    return settings.model_copy(update={"train": settings.train.model_copy(update={"lightgbm": tuned.settings})})


def _gave_up(final: Blend) -> list[str]:
    """What the parts of a model had no time for."""
    specs = {name: getattr(part, "spec", {}) for name, part in final.parts.items()}
    return [f"{name}, {gone}" for name, spec in specs.items() for gone in spec.get("gave_up", ())]


def _backtests(settings: Settings, panel: Panel, chosen: Plan, tell: Tell) -> list[Backtest]:
    """Backtest every candidate and the baseline; one that fails drops out and is named."""
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
    return tests


def _folds(contest: Contest, choice: Choice) -> list[tuple[Panel, Matrix, Matrix]]:
    count = range(len(contest.plan.folds))
    return [(contest.known(k), contest.actual(k), contest.mix(choice.weights, k, choice.by_class)) for k in count]


def _fit(settings: Settings, panel: Panel, choice: Choice, calibrations: Calibrations) -> Blend:
    parts = {name: models.create(name, settings) for name in choice.weights}
    final = Blend(parts, choice.weights, calibrations, settings.panel.discontinued_after, choice.by_class)
    return final.fit(panel, settings.panel.horizon)


def _register(settings: Settings, made: Challenger, verdict: Verdict) -> Version:
    """Write the model folder and log it with everything that speaks for and of it."""
    contest, choice, final, panel = made.contest, made.choice, made.final, made.contest.panel
    largest = pd.Series(panel.y[:, -91:].sum(axis=1)).fillna(0).nlargest(PLOTTED).index.to_numpy()
    metric = settings.train.metric
    means = choice.scores.groupby(["model", "level", "metric"], as_index=False)["value"].mean()
    metrics = {
        f"{row.model}_{row.metric}_{row.level}".replace("|", "_"): float(row.value) for row in means.itertuples()
    }
    metrics |= {f"backtest_{metric}": choice.value, f"baseline_{metric}": _baseline(choice, settings)}
    metrics |= {f"seconds_{test.model}": test.seconds for test in contest.tests}
    card = Card(
        cutoff=panel.cutoff,
        snapshot=panel.snapshot,
        snapshot_digest=Lake(settings.lake).find(panel.snapshot).digest,
        source=Folder.of(settings.lake).at("sales"),
        params={"train": settings.train.model_dump(mode="json"), "panel": settings.panel.model_dump(mode="json")},
        metrics={name: value for name, value in metrics.items() if np.isfinite(value)},
        tables={"backtest": choice.scores, "backtest_forecasts": _forecasts(contest, largest)},
        figures=plots.training(contest, choice, final, largest)
        | ({"judgement": plots.judgement(verdict.rows)} if len(verdict.rows) else {}),
        tags={
            "name": final.label,
            "weights": json.dumps(dict(choice.weights)),
            "weights_by_class": json.dumps({name: dict(one) for name, one in choice.by_class.items()}),
            "verdict": verdict.reason,
            "settings": settings.digest(),
            "gave_up": "; ".join(_gave_up(final)),
            "code": code_version(),
            "packages": json.dumps(packages()),
            "window": json.dumps([str(panel.periods[0].date()), str(panel.cutoff)]),
        },
    )
    with tempfile.TemporaryDirectory(prefix="model-") as place:
        folder = Path(place) / "model"
        models.save(final, folder)
        return Registry(settings.mlflow).log(folder, card)


def _forecasts(contest: Contest, rows: NDArray[np.intp]) -> pd.DataFrame:
    """Backtest forecasts of some series in long form: unique_id, ds, cutoff, y, and a column a candidate."""
    panel, horizon = contest.panel, contest.plan.horizon
    parts = []
    for number, fold in enumerate(contest.plan.folds):
        columns = {
            "unique_id": np.repeat(panel.unique_ids[rows], horizon),
            "ds": np.tile(panel.periods[fold : fold + horizon], len(rows)),
            "cutoff": pd.Timestamp(contest.tests[0].cutoffs[number]),
            "y": contest.actual(number)[rows].ravel(),
        }
        parts.append(pd.DataFrame(columns | {test.model: test.means[number][rows].ravel() for test in contest.tests}))
    return pd.concat(parts, ignore_index=True)


def _table(choice: Choice, cutoff: date, version: str, snapshot: str, run: Run) -> pd.DataFrame:
    weights = choice.scores["model"].map(dict(choice.weights)).fillna(0.0)
    blended = len(choice.weights) > 1
    return choice.scores.assign(
        cutoff=pd.Timestamp(cutoff),
        weight=weights.where(choice.scores["model"] != "blend", 1.0) if blended else weights,
        champion=choice.scores["model"] == choice.label,
        model_version=version,
        snapshot=snapshot,
        run_id=run.run_id,
    )


def _baseline(choice: Choice, settings: Settings) -> float:
    metric = settings.train.metric
    level = "all" if metric == "wrmsse" else "series"
    scores = choice.scores
    mine = (scores["model"] == BASELINE) & (scores["level"] == level) & (scores["metric"] == metric)
    return float(scores.loc[mine, "value"].mean())
