"""The plan of folds, the backtest and the choice that follows."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.evaluation.backtest import Backtest, Plan, backtest, plan
from forecasting.evaluation.selection import Contest, choose
from forecasting.models.baselines import SeasonalMean, SeasonalNaive
from tests.support.panels import panel_of, seasonal_panel


def test_folds_leave_a_whole_horizon_after_the_newest() -> None:
    panel = panel_of([[1.0] * 100])
    assert plan(panel, 14, folds=3, step=None, refit="always") == Plan((58, 72, 86), 14, refit=True)
    assert plan(panel, 14, folds=3, step=7, refit="never") == Plan((72, 79, 86), 14, refit=False)
    assert plan(panel, 14, folds=1, step=None, refit="never") == Plan((86,), 14, refit=False)


def test_short_history_brings_the_folds_closer_together_then_closer_to_the_end() -> None:
    assert plan(panel_of([[1.0] * 40]), 14, 3, None, "always").folds == (14, 20, 26)
    assert plan(panel_of([[1.0] * 20]), 14, 3, None, "always").folds == (11, 13, 15)
    assert plan(panel_of([[1.0] * 20]), 28, None, None, "always").folds == (11, 13, 15)
    monthly, weekly = panel_of([[1.0] * 18], frequency="M"), panel_of([[1.0] * 13], frequency="W-MON")
    assert plan(monthly, 6, None, None, "auto").folds == (10, 12, 14)
    assert plan(weekly, 13, None, None, "auto").folds == (6, 8, 10)


@pytest.mark.parametrize(("periods", "folds"), [(5, (2, 3, 4)), (4, (2, 3)), (3, (1, 2)), (2, (1,)), (1, ())])
def test_a_handful_of_periods_has_the_folds_that_it_can_have(periods: int, folds: tuple[int, ...]) -> None:
    assert plan(panel_of([[1.0] * periods]), 7, None, None, "auto").folds == folds


@pytest.mark.parametrize(
    ("hours", "folds"), [(20, ()), (48, (24,)), (72, (24, 48)), (80, (32, 56)), (120, (48, 72, 96))]
)
def test_folds_of_a_few_days_of_hours_end_with_a_day(hours: int, folds: tuple[int, ...]) -> None:
    found = plan(panel_of([[1.0] * hours], frequency="H"), 24, None, None, "auto").folds
    assert found == folds


def test_a_small_panel_has_more_folds_in_the_newer_half_of_its_history() -> None:
    weekly = panel_of([[1.0] * 115], frequency="W-MON")
    assert plan(weekly, 8, None, None, "auto").folds == (67, 75, 83, 91, 99, 107)
    assert plan(weekly, 8, 3, None, "auto").folds == (91, 99, 107)
    assert plan(weekly, 13, None, None, "auto").folds == (63, 76, 89, 102)
    assert plan(panel_of([[1.0] * 600] * 100), 28, None, None, "auto").folds == (516, 544, 572)


def test_what_is_not_known_yet_of_a_fold_is_unobserved() -> None:
    panel = panel_of([[float(value) for value in range(20)]])
    chosen = plan(panel, 14, None, None, "auto")
    result = backtest(panel, SeasonalNaive(), chosen)
    actual = Contest(panel, chosen, [result]).actual(2)
    assert actual.shape == result.means[2].shape == (1, 14)
    assert np.isfinite(actual).sum() == 5


def test_every_fold_forecasts_from_what_was_known_then() -> None:
    panel = panel_of([[float(value) for value in range(40)]])
    chosen = Plan((20, 30), 7, refit=True)
    result = backtest(panel, SeasonalNaive(), chosen)
    assert [mean[0, 0] for mean in result.means] == [13.0, 23.0]
    contest = Contest(panel, chosen, [result])
    assert [contest.actual(number)[0, 0] for number in (0, 1)] == [20.0, 30.0]


def test_choice_finds_the_better_candidate_and_a_blend_that_is_better_still() -> None:
    panel = seasonal_panel()
    chosen = plan(panel, 14, 3, None, "always")
    truth = [np.nan_to_num(panel.y[:, fold : fold + 14]) for fold in chosen.folds]
    high = Backtest("high", panel_dates(panel, chosen), [1.2 * actual for actual in truth])
    low = Backtest("low", panel_dates(panel, chosen), [0.6 * actual for actual in truth])
    contest = Contest(panel, chosen, [high, low])
    alone = choose(contest, "wrmsse", blend=False)
    assert dict(alone.weights) == {"high": 1.0}
    blend = choose(contest, "wrmsse", blend=True)
    assert dict(blend.weights) == {"high": 0.5, "low": 0.5}
    assert blend.value < alone.value
    assert set(blend.scores["model"]) == {"high", "low", "blend"}
    np.testing.assert_allclose(contest.mix(blend.weights, 0), 0.9 * truth[0], rtol=1e-5)


@pytest.mark.parametrize("metric", ["wrmsse", "rmsse", "mase", "wape"])
def test_every_metric_prefers_the_weekday_mean_to_the_naive_forecast_on_noisy_weeks(metric: str) -> None:
    panel = seasonal_panel()
    chosen = plan(panel, 14, 3, None, "always")
    tests = [backtest(panel, model, chosen) for model in (SeasonalNaive(), SeasonalMean())]
    assert choose(Contest(panel, chosen, tests), metric, blend=False).label == "seasonal_mean"


def panel_dates(panel: object, chosen: Plan) -> tuple:
    return tuple(panel.first(fold).cutoff for fold in chosen.folds)  # type: ignore[attr-defined]
