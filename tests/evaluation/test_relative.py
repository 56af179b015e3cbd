"""How folds count: relative to seasonal naive, those of the coming season first; and what naive must show."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.evaluation.backtest import Backtest, Plan
from forecasting.evaluation.folds import Fold
from forecasting.evaluation.relative import Measure, tiled, weights_of
from forecasting.evaluation.selection import Contest, choose
from tests.support.panels import panel_of


def test_weights_of_folds_by_the_distance_in_the_year() -> None:
    weekly = panel_of([[1.0] * 115], frequency="W-MON")
    found = weights_of(Plan((63, 89, 107), 8, refit=True), weekly)
    # A year, half a year and 8 weeks ago.
    assert found / found[2] == pytest.approx([1.429, 0.248, 1.0], abs=0.001)
    monthly = panel_of([[1.0] * 48], frequency="M")
    alike = weights_of(Plan((12, 24, 36), 12, refit=True), monthly)
    assert alike == pytest.approx(np.array([0.75**2, 0.75, 1]) / (1 + 0.75 + 0.75**2))
    daily = panel_of([[1.0] * 120])
    assert weights_of(Plan((78, 92, 106), 14, refit=True), daily).tolist() == pytest.approx([1 / 3] * 3)


def contest(errors: dict[str, list[float]], frequency: str = "W-MON") -> Contest:
    """Every actual is 10; each candidate misses all of a fold by so many units."""
    random = np.random.default_rng(1)
    y = np.full((6, 60), 10.0)
    y[:, :30] += random.normal(0, 3, (6, 30))  # for the scales
    panel = panel_of(y.tolist(), frequency=frequency)
    count = len(next(iter(errors.values())))
    chosen = Plan(tuple(56 - 4 * back for back in reversed(range(count))), 4, refit=True)
    cutoffs = tuple(panel.first(fold).cutoff for fold in chosen.folds)
    tests = [
        Backtest(name, cutoffs, [np.full((6, 4), 10 + one, dtype=np.float32) for one in missed])
        for name, missed in errors.items()
    ]
    return Contest(panel, chosen, tests)


@pytest.mark.parametrize("blend", [True, False])
def test_naive_alone_wins_where_it_wins_throughout(blend: bool) -> None:
    always = contest({"seasonal_naive": [1, 1, 1], "other": [1.2, 1.3, 2]})
    assert dict(choose(always, "wape", blend).weights) == {"seasonal_naive": 1.0}
    once = contest({"seasonal_naive": [1, 1, 1], "other": [1.2, 1.3, 0.9]})
    assert "other" in choose(once, "wape", blend).weights


def test_naive_stays_where_all_others_are_far_worse_though_beaten_once() -> None:
    far = contest({"seasonal_naive": [1, 1, 1], "other": [3, 3, 0.9]})
    assert dict(choose(far, "wape", blend=False).weights) == {"seasonal_naive": 1.0}


def test_naive_is_in_no_blend_where_it_is_mostly_worse_than_the_others() -> None:
    opposite = contest({"seasonal_naive": [1, -3, -3], "one": [4, 1, 1], "other": [4, 1, 1.1]})
    choice = choose(opposite, "wape", blend=True)
    assert "seasonal_naive" not in choice.weights


def test_a_fold_in_a_wild_month_does_not_decide_alone() -> None:
    # Summed up, one is better (8.0 against 8.2); it is worse in four folds of five.
    wild = contest(
        {"seasonal_naive": [2, 2, 2, 2, 20], "one": [1.5, 1.5, 1.5, 1.5, 6], "other": [1, 1, 1, 1, 8.2]}, "D"
    )
    assert dict(choose(wild, "wape", blend=False).weights) == {"other": 1.0}


def test_the_season_that_comes_decides_where_folds_disagree() -> None:
    # Six folds of 8 weeks; the three of the other half of the year speak for `winter`.
    random = np.random.default_rng(1)
    panel = panel_of((10 + random.normal(0, 3, (6, 115))).tolist(), frequency="W-MON")
    chosen = Plan((67, 75, 83, 91, 99, 107), 8, refit=True)
    cutoffs = tuple(panel.first(fold).cutoff for fold in chosen.folds)
    truth = [panel.y[:, fold : fold + 8] for fold in chosen.folds]
    missed = {"seasonal_naive": [3] * 6, "winter": [2, 2, 1, 1, 1, 2], "spring": [1, 1, 2, 2, 2, 1]}
    tests = [
        Backtest(name, cutoffs, [actual + one for actual, one in zip(truth, errors, strict=True)])
        for name, errors in missed.items()
    ]
    assert dict(choose(Contest(panel, chosen, tests), "wape", blend=False).weights) == {"spring": 1.0}


def measure(errors: dict[str, list[float]]) -> Measure:
    """Of days, whose folds have the same weight."""
    made = contest(errors, "D")
    count = len(made.plan.folds)
    folds = [Fold(made.known(k), made.actual(k), [test.means[k] for test in made.tests]) for k in range(count)]
    return Measure.of(made.plan, made.panel, folds, [test.model for test in made.tests], [0, 1])


ONE, BOTH = tiled(np.array([1.0, 0.0])), tiled(np.array([0.5, 0.5]))


def test_a_blend_is_trusted_by_its_gain_in_standard_errors() -> None:
    # In each fold the blend misses by a quarter less, so that there is no doubt; then by nothing at all.
    firm = measure({"one": [2, 2, 2, 2], "other": [1, 1, 1, 1]})
    assert firm.trust("wape", BOTH, ONE) == 1
    assert firm.trust("wape", ONE, ONE) == 0
    # Logs of the gain: 0.69 in one fold, 0 in three. Mean 0.173, standard error 0.3 / sqrt(3), the same: half of SURE.
    once = measure({"one": [2, 2, 2, 2], "other": [0, 2, 2, 2]})
    assert once.trust("wape", BOTH, ONE) == pytest.approx(0.5)
    assert once.trust("wape", ONE, BOTH) == 0


def test_three_folds_say_nothing_of_chance() -> None:
    few = measure({"one": [2, 2, 2], "other": [0, 2, 2]})
    assert few.trust("wape", BOTH, ONE) == 1


def test_a_blend_that_wins_in_one_fold_only_is_drawn_to_the_best_candidate() -> None:
    errors = {"seasonal_naive": [4.0] * 6, "one": [2.0] * 6, "other": [-1.9, 2.4, 2.4, 2.4, 2.4, 2.4]}
    choice = choose(contest(errors, "D"), "wape", blend=True)
    assert choice.weights["one"] > 0.7
    always = {"seasonal_naive": [4.0] * 6, "one": [2.0] * 6, "other": [-2.1] * 6}
    assert choose(contest(always, "D"), "wape", blend=True).weights["one"] == pytest.approx(0.5, abs=0.1)
