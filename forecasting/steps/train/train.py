"""Train: make a challenger, or fit the champion's recipe again, register it, and promote what has proven better."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting import models
from forecasting.core.config.settings import Settings
from forecasting.core.errors import CutoffError, StoreError, some
from forecasting.core.night import Night
from forecasting.evaluation import training_plots
from forecasting.evaluation.promotion import Verdict
from forecasting.evaluation.selection import Choice, Contest
from forecasting.quality.horizon_coverage import RULE
from forecasting.steps.monitor import drift
from forecasting.steps.run import Run, code_version, night_of, packages, record
from forecasting.steps.train import judgement, promotion
from forecasting.steps.train.challenger import Challenger, challenger
from forecasting.steps.train.champion import servable
from forecasting.storage.lake.folder import Folder
from forecasting.storage.lake.lake import Lake
from forecasting.storage.locks import alone
from forecasting.storage.registry.registry import Card, Registry, Version
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import BACKTESTS, QUALITY

PLOTTED = 8  # series whose backtest is plotted and logged
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def due(settings: Settings, cutoff: date) -> tuple[bool, str]:
    """Whether a training is due at this cutoff, and why: by the age of the newest one, whether it was promoted or not.

    A rollback counts as one: what a person has just put back is not challenged the next night.
    """
    if settings.train.force:
        return True, "asked for (train.force)"
    cutoff, registry = night_of(settings, cutoff).cutoff, Registry(settings.mlflow)
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
    changed = _plans_changed(settings, cutoff, newest)
    if changed:
        return True, f"what is planned ahead has changed: {changed} (quality rule horizon_coverage)"
    return age >= every, told


def _plans_changed(settings: Settings, cutoff: date, newest: date) -> str:
    """Tables whose horizon is covered tonight and was not at the newest training, or the other way round."""
    if cutoff <= newest:
        return ""
    rows = Warehouse(settings.warehouse).read(QUALITY, ["cutoff", "table", "passed"], rule=RULE)
    then, now = (
        rows[rows["cutoff"] <= pd.Timestamp(day)].sort_values("cutoff").groupby("table")["passed"].last()
        for day in (newest, cutoff)
    )
    both = then.index.intersection(now.index)
    return some([str(name) for name in both if bool(then[name]) != bool(now[name])])


def train(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Train a challenger on the panel of this cutoff and promote it where it has earned it.

    Returns cutoff, snapshot, version, model (label), weights, promoted, reason, accuracy (of the chosen metric) and
    baseline (the same of seasonal naive). Raises ModelError where no candidate could be backtested.

    Trainings of a deployment come one after the other. One that finds, when it is its turn, that another run has
    trained for this cutoff meanwhile gives that one's results.
    """
    night, registry = night_of(settings, cutoff), Registry(settings.mlflow)
    cutoff = night.cutoff
    before = _ended(registry, cutoff)
    with alone(settings.warehouse, "train"):
        meanwhile = _ended(registry, cutoff) - before
        if meanwhile:
            tell(f"another run has trained for {cutoff} meanwhile")
            return _facts_of(settings, registry.version(max(meanwhile, key=int)))
        return _train(settings, night, run, tell)


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
        "weights": made.weights,
        "promoted": made.promoted,
        "decision": decisions.get(made.state, promotion.KEPT),
        "reason": f"trained by another run at the same time; {made.tags.get('verdict', '')}",
        "metric": metric,
        "accuracy": made.metrics.get(f"backtest_{metric}"),
        "baseline": made.metrics.get(f"baseline_{metric}"),
    }


def _train(settings: Settings, night: Night, run: Run, tell: Tell) -> dict[str, Any]:
    cutoff = night.cutoff
    with record(settings, run, "train", night) as outcome:
        lake, registry = Lake(settings.lake), Registry(settings.mlflow)
        panel = lake.read_panel(cutoff)
        outcome.snapshot = panel.snapshot
        for left in promotion.discard_interrupted(settings, cutoff):
            tell(f"version {left} is what an interrupted training has left: rejected")
        live, _ = servable(registry, cutoff)
        made, verdict = _judged(challenger(settings, panel, tell), live, registry, tell)
        choice, final = made.choice, made.final
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
            "baseline": made.baseline,
        }


def _judged(made: Challenger, live: Version | None, registry: Registry, tell: Tell) -> tuple[Challenger, Verdict]:
    """The challenger and its verdict; or, where it does not win, the champion's recipe fitted again, if that does.

    What a champion learnt from plans that are not there any more (or were not then) counts as far as it helps with the
    plans of now: where too little has come since, the folds are what both are compared on.
    """
    verdict = judgement.trained(made.settings, made.contest, made.choice, registry, made.baseline)
    tell(verdict.reason)
    if (
        live
        and not verdict.periods
        and (changed := _plans_changed(made.settings, made.contest.panel.cutoff, live.cutoff))
    ):
        tell(f"champion {live.version} was trained with other plans ahead: {changed} (rule horizon_coverage)")
        verdict = _with_plans_of_now(made, live, verdict)
        tell(verdict.reason)
    if verdict.promote or live is None:
        return made, verdict
    again = judgement.refitted(made.settings, made.contest, live, registry)
    if again is None:
        return made, verdict
    tell(again.reason)
    return (made.refit(live.version, live.weights, live.by_class), again) if again.promote else (made, verdict)


def _with_plans_of_now(made: Challenger, live: Version, verdict: Verdict) -> Verdict:
    """The verdict on the folds, from the panel that the champion was trained on; where that is gone, as it was."""
    try:
        seen = Lake(made.settings.lake).read_panel(live.cutoff)
    except (CutoffError, StoreError) as error:
        log.warning("The champion's panel cannot be read, so that it is not judged with the plans of now: %s", error)
        return verdict
    return judgement.as_planned_now(made.settings, made.contest, live, seen)


def _register(settings: Settings, made: Challenger, verdict: Verdict) -> Version:
    """Write the model folder and log it with everything that speaks for and of it."""
    contest, choice, final, panel = made.contest, made.choice, made.final, made.contest.panel
    largest = pd.Series(panel.y[:, -91:].sum(axis=1)).fillna(0).nlargest(PLOTTED).index.to_numpy()
    metric = settings.train.metric
    means = choice.scores.groupby(["model", "level", "metric"], as_index=False)["value"].mean()
    metrics = {
        f"{row.model}_{row.metric}_{row.level}".replace("|", "_"): float(row.value) for row in means.itertuples()
    }
    metrics |= {f"backtest_{metric}": choice.value, f"baseline_{metric}": made.baseline}
    metrics |= {f"seconds_{test.model}": test.seconds for test in contest.tests}
    card = Card(
        cutoff=panel.cutoff,
        snapshot=panel.snapshot,
        snapshot_digest=Lake(settings.lake).find(panel.snapshot).digest,
        source=Folder.of(settings.lake).at("sales"),
        params={"train": settings.train.model_dump(mode="json"), "panel": settings.panel.model_dump(mode="json")},
        metrics={name: value for name, value in metrics.items() if np.isfinite(value)},
        tables={"backtest": choice.scores, "backtest_forecasts": _forecasts(contest, largest)},
        figures=training_plots.training(contest, choice, final, largest)
        | ({"judgement": training_plots.judgement(verdict.rows)} if len(verdict.rows) else {}),
        tags={
            "name": final.label,
            "weights": json.dumps(dict(choice.weights)),
            "weights_by_class": json.dumps({name: dict(one) for name, one in choice.by_class.items()}),
            "verdict": verdict.reason,
            "refit_of": made.refit_of,
            "settings": settings.digest(),
            "gave_up": "; ".join(made.gave_up()),
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
            "ds": np.tile(panel.first(fold).future(horizon), len(rows)),
            "cutoff": pd.Timestamp(contest.tests[0].cutoffs[number]),
            "y": contest.actual(number)[rows].ravel(),
        }
        parts.append(pd.DataFrame(columns | {test.model: test.means[number][rows].ravel() for test in contest.tests}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["unique_id", "ds", "cutoff", "y"])


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
