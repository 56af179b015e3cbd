"""The choice of weights: for all series, and for each demand class where that is better; scored as by the metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import Backtest, Plan, plan
from forecasting.evaluation.selection import Contest, choose
from tests.support.panels import panel_of

STEADY, RARE = "smooth", "intermittent"


def two_kinds(seed: int = 1, count: int = 20) -> Contest:
    """Steady and rare series; `loud` is right for the steady ones and three times too high for the rare, `quiet` the
    other way round."""
    random = np.random.default_rng(seed)
    steady = random.poisson(30, size=(count, 120))
    rare = 40 * (random.random((count, 120)) < 0.3)
    names = pd.DataFrame({"unique_id": [f"s{k:02d}" for k in range(2 * count)], "store": ["N", "S"] * count})
    panel = replace(panel_of(np.vstack([steady, rare]).tolist(), series=names), levels=("store",))
    chosen = plan(panel, 14, 3, None, "always")
    right = np.repeat([[30.0], [12.0]], count, axis=0) * np.ones((1, 14))
    loud, quiet = right.copy(), right.copy()
    loud[count:] *= 3
    quiet[:count] /= 3
    return Contest(panel, chosen, [_backtest("loud", panel, chosen, loud), _backtest("quiet", panel, chosen, quiet)])


def _backtest(name: str, panel, chosen: Plan, mean: np.ndarray) -> Backtest:
    cutoffs = tuple(panel.first(fold).cutoff for fold in chosen.folds)
    return Backtest(name, cutoffs, [mean.astype(np.float32)] * len(cutoffs))


@pytest.mark.parametrize("metric", ["wrmsse", "rmsse", "mase", "wape"])
def test_each_demand_class_gets_the_candidate_that_suits_it(metric: str) -> None:
    contest = two_kinds()
    choice = choose(contest, metric, blend=True)
    assert dict(choice.by_class[STEADY]) == {"loud": 1.0}
    assert dict(choice.by_class[RARE]) == {"quiet": 1.0}
    assert set(choice.weights) == {"loud", "quiet"}
    assert sum(choice.weights.values()) == pytest.approx(1, abs=1e-3)
    assert choice.label == "blend"
    mixed = contest.mix(choice.weights, 0, choice.by_class)
    np.testing.assert_allclose(mixed[[0, 20], 0], [30, 12])


def test_where_one_set_of_weights_does_for_all_there_are_no_classes() -> None:
    contest = two_kinds()
    good, bad = contest.mix({"loud": 1.0}, 0), contest.mix({"quiet": 1.0}, 0)
    good[20:] /= 3
    bad[20:] *= 3
    tests = [_backtest(name, contest.panel, contest.plan, mean) for name, mean in (("good", good), ("bad", bad))]
    choice = choose(replace(contest, tests=tests), "wrmsse", blend=True)
    assert dict(choice.weights) == {"good": 1.0}
    assert choice.by_class == {}


def test_without_a_blend_one_candidate_does_it_all() -> None:
    choice = choose(two_kinds(), "wrmsse", blend=False)
    assert len(choice.weights) == 1
    assert choice.by_class == {}


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_metrics(seed: int) -> None:
    contest = two_kinds(seed)
    gaps = contest.panel.y.copy()
    gaps[::3, -9] = np.nan
    contest = replace(contest, panel=replace(contest.panel, y=gaps))
    choice = choose(contest, "wrmsse", blend=True)
    number = len(contest.plan.folds) - 1
    known, actual = contest.known(number), contest.actual(number)
    mixed = contest.mix(choice.weights, number, choice.by_class)
    expected = metrics.hierarchical_rmsse(known, actual, mixed).set_index("level")["value"]
    last = choice.scores[(choice.scores["model"] == "blend") & (choice.scores["fold"] == known.cutoff)]
    found = last[last["metric"] == "wrmsse"].set_index("level")["value"]
    pd.testing.assert_series_equal(found, expected.loc[found.index], check_names=False, rtol=1e-4)
    wape = last.loc[last["metric"] == "wape", "value"].item()
    assert wape == pytest.approx(metrics.wape(actual, mixed), rel=1e-5)


def test_candidates_that_do_equally_well_share_the_weight() -> None:
    contest = two_kinds()
    good, bad = contest.mix({"loud": 1.0}, 0), contest.mix({"quiet": 1.0}, 0)
    good[20:] /= 3
    bad[20:] *= 3
    named = (("one", good), ("other", good), ("bad", bad))
    tests = [_backtest(name, contest.panel, contest.plan, mean) for name, mean in named]
    choice = choose(replace(contest, tests=tests), "wrmsse", blend=True)
    assert dict(choice.weights) == pytest.approx({"one": 0.5, "other": 0.5})


@pytest.mark.parametrize("blend", [True, False])
def test_a_baseline_that_is_no_candidate_is_scored_and_never_chosen(blend: bool) -> None:
    contest = two_kinds()
    best, worse = contest.mix({"loud": 1.0}, 0), contest.mix({"quiet": 1.0}, 0)
    best[20:] /= 3
    named = (("baseline", best), ("one", worse), ("other", worse / 2))
    tests = [_backtest(name, contest.panel, contest.plan, mean) for name, mean in named]
    assert dict(choose(replace(contest, tests=tests), "wrmsse", blend).weights) == {"baseline": 1.0}
    choice = choose(replace(contest, tests=tests, aside=frozenset({"baseline"})), "wrmsse", blend)
    assert dict(choice.weights) == {"one": 1.0}
    assert set(choice.scores["model"]) == {"baseline", "one", "other"}
