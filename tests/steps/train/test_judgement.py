"""Champion and challenger on the folds with the plans of now: a few items whose promotions are planned, or are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.core.config.settings import Settings
from forecasting.evaluation.promotion import Verdict
from forecasting.panel.panel import Panel
from forecasting.steps.train.challenger import Challenger, challenger
from forecasting.steps.train.judgement import as_planned_now
from forecasting.storage.registry.versions import Version
from tests.support.panels import panel_of

PERIODS, HORIZON = 120, 14
TREES = {"rows": 3000, "trees": 25, "leaves": 7, "min_rows_leaf": 10, "origins": 10, "bags": 1}


def settings_of(*names: str) -> Settings:
    return Settings.model_validate(
        {
            "sources": {"shop": {"kind": "files", "path": "."}},
            "extract": {"sales": {"source": "shop", "path": "sales.csv"}},
            "panel": {"horizon": HORIZON},
            "train": {"models": list(names), "folds": 3, "lightgbm": TREES},
            "runtime": {"threads": 1},
        }
    )


def shop(planned: bool) -> Panel:
    """Eight items that sell 10 a day and 40 on promotion; without plans a promotion is known when it is over."""
    width = PERIODS + HORIZON
    on = np.array([(np.arange(width) + 5 * item) % 14 < 3 for item in range(8)]).astype(np.float32)
    sold = np.random.default_rng(2).poisson(np.where(on > 0, 40, 10))[:, :PERIODS]
    late = np.broadcast_to(np.arange(1, width + 1, dtype=np.int16), (1, width))
    since = {} if planned else {"promotion": late}
    return panel_of(sold.tolist(), known={"promotion": on}, since=since, zero=frozenset({"promotion"}))


def verdict(made: Challenger, champion: dict[str, float], seen: Panel) -> Verdict:
    live = Version("1", made.contest.panel.cutoff, "champion", tags={"weights": str(champion).replace("'", '"')})
    return as_planned_now(made.settings, made.contest, live, seen)


@pytest.fixture(scope="module")
def without() -> Challenger:
    return challenger(settings_of("lightgbm"), shop(planned=False), tell=lambda _: None)


def test_a_champion_that_waits_for_plans_loses_to_one_that_learnt_without(without: Challenger) -> None:
    found = verdict(without, {"lightgbm": 1.0}, shop(planned=True))
    assert found.promote
    assert found.reason.startswith("champion 1 with the plans of now, fitted again at 3 folds: wrmsse ")
    assert found.improvement > 0.05
    assert found.periods == 3 * HORIZON
    assert found.champion > found.challenger


def test_a_champion_that_learnt_without_is_not_replaced_by_its_like(without: Challenger) -> None:
    found = verdict(without, {"lightgbm": 1.0}, shop(planned=False))
    assert not found.promote
    assert found.challenger == found.champion


def test_plans_that_come_are_used_by_a_challenger_only() -> None:
    made = challenger(settings_of("lightgbm"), shop(planned=True), tell=lambda _: None)
    found = verdict(made, {"seasonal_mean": 1.0}, shop(planned=False))
    assert found.promote
    assert found.improvement > 0.3


def test_what_cannot_be_fitted_again_and_too_few_periods_are_no_verdict(without: Challenger) -> None:
    for champion, seen, why in (
        ({"lightgbm": 1.0}, shop(planned=True).first(40), "cannot be fitted again with the plans of its day"),
        ({"no such model": 1.0}, shop(planned=True), "cannot be fitted again with the plans of its day"),
    ):
        found = verdict(without, champion, seen)
        assert not found.promote
        assert why in found.reason
        assert found.periods == 0
    judge = without.settings.train.judge.model_copy(update={"least": 100})
    train = without.settings.train.model_copy(update={"judge": judge})
    strict = replace(without, settings=without.settings.model_copy(update={"train": train}))
    assert (
        "42 periods of folds with the plans of now, 100 are wanted"
        in verdict(strict, {"lightgbm": 1.0}, shop(True)).reason
    )
