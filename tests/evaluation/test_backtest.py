"""The plan of folds, the backtest and the choice that follows."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.errors import CutoffError
from forecasting.evaluation.backtest import Backtest, Plan, backtest, plan
from forecasting.evaluation.selection import Contest, choose
from forecasting.models.naive import SeasonalMean, SeasonalNaive
from tests.panels import panel_of, seasonal_panel


def test_folds_leave_a_whole_horizon_after_the_newest() -> None:
    panel = panel_of([[1.0] * 100])
    assert plan(panel, 14, folds=3, step=None, refit="always") == Plan((58, 72, 86), 14, refit=True)
    assert plan(panel, 14, folds=3, step=7, refit="never") == Plan((72, 79, 86), 14, refit=False)
    assert plan(panel, 14, folds=1, step=None, refit="never") == Plan((86,), 14, refit=False)


def test_short_history_brings_the_folds_closer_and_too_short_is_refused() -> None:
    assert plan(panel_of([[1.0] * 40]), 14, 3, None, "always").folds == (14, 20, 26)
    with pytest.raises(CutoffError, match="needs at least 30 periods of history, the panel has 20"):
        plan(panel_of([[1.0] * 20]), 14, 3, None, "always")


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
