"""What is not defined is no crash and no number: weights, scales, metrics, the choice and the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.core.config.sections import JudgeSettings
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import backtest, plan
from forecasting.evaluation.contributions import contributions
from forecasting.evaluation.promotion import Window, judge
from forecasting.evaluation.selection import Contest, choose
from forecasting.models.base import Forecast
from forecasting.models.baselines import SeasonalMean, SeasonalNaive
from forecasting.panel.hierarchy import SERIES, levels
from forecasting.panel.panel import Panel
from tests.support.panels import panel_of

METRICS = ("wrmsse", "rmsse", "mase", "wape")


def shares(panel: Panel, measurable: list[bool]) -> list[float]:
    level = next(one for one in levels(panel.series, panel.levels) if one.name == SERIES)
    return metrics.weights(metrics.recent_sales(panel), level, np.array(measurable)).tolist()


def priced(rows: list[list[float]], price: list[list[float]]) -> Panel:
    return panel_of(rows, known={"price": np.array(price, dtype=np.float32)})


def test_weights_are_money_then_units_then_alike() -> None:
    sold = [[1.0, 2.0], [1.0, 0.0]]
    assert shares(priced(sold, [[1.0, 1.0], [3.0, 3.0]]), [True, True]) == [0.5, 0.5]
    assert shares(priced(sold, [[0.0, 0.0], [0.0, 0.0]]), [True, True]) == [0.75, 0.25]
    assert shares(priced(sold, [[0.0, 0.0], [5.0, 5.0]]), [True, False]) == [1.0, 0.0]  # no money in what is measurable
    assert shares(priced([[0.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]), [True, True]) == [0.5, 0.5]
    assert shares(panel_of([[0.0, 0.0], [0.0, 0.0]]), [False, False]) == [0.0, 0.0]


def test_a_price_that_is_not_known_is_not_zero() -> None:
    sold, gap = [[1.0, 1.0], [1.0, 1.0], [2.0, 0.0]], float("nan")
    known = priced(sold, [[gap, 4.0], [2.0, 2.0], [gap, gap]])
    # 2 units at 4, 2 at 2, and 2 at the mean price of the three units that have one: 8 / 3.
    assert metrics.recent_sales(known)[0].tolist() == pytest.approx([8.0, 4.0, 16 / 3])
    assert metrics.recent_sales(priced(sold, [[gap, gap]] * 3))[0].tolist() == [2.0, 2.0, 2.0]


def odd(name: str) -> Panel:
    """Four series of 60 days each: two stores."""
    random = np.random.default_rng(2)
    y = random.poisson([[4.0], [6.0], [8.0], [9.0]], size=(4, 60)).astype(np.float32)
    price = np.ones((4, 74), dtype=np.float32)
    if name == "constant":
        y[:] = 5
    elif name == "zero":
        y[:] = 0
    elif name == "silent before a fold":
        y[:, 11:53] = 0
    elif name == "price 0":
        price[:] = 0
    elif name == "newest price":
        price[:, :59] = np.nan
    elif name == "unobserved":
        y[:, 20:] = np.nan
    elif name == "perfect naive":
        y[:] = np.tile(np.arange(1.0, 8.0), 9)[:60]
    return panel_of(y.tolist(), known={"price": price})


ODD = ("constant", "zero", "silent before a fold", "price 0", "newest price", "unobserved", "perfect naive")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ODD)
def test_a_choice_is_made_whatever_the_metric_says(name: str, metric: str) -> None:
    panel = odd(name)
    chosen = plan(panel, 7, None, None, "always")
    contest = Contest(panel, chosen, [backtest(panel, one, chosen) for one in (SeasonalNaive(), SeasonalMean())])
    for blend in (True, False):
        choice = choose(contest, metric, blend)
        assert sum(choice.weights.values()) == pytest.approx(1)
        assert not np.isinf(choice.scores["value"].astype(float)).any()
        wanted = choice.scores[(choice.scores["metric"] == metric) & (choice.scores["model"] == choice.label)]
        assert len(wanted) > 0


@pytest.mark.parametrize("name", ["price 0", "newest price", "silent before a fold"])
def test_without_money_the_better_candidate_is_chosen_by_units(name: str) -> None:
    panel = odd(name)
    chosen = plan(panel, 7, 3, None, "always")
    contest = Contest(panel, chosen, [backtest(panel, one, chosen) for one in (SeasonalNaive(), SeasonalMean())])
    choice = choose(contest, "wrmsse", blend=False)
    assert np.isfinite(choice.value)
    if name != "silent before a fold":
        assert choice.label == "seasonal_mean"


def test_a_perfect_naive_forecast_is_the_champion_alone() -> None:
    panel = odd("perfect naive")
    chosen = plan(panel, 7, None, None, "always")
    tests = [backtest(panel, one, chosen) for one in (SeasonalNaive(), SeasonalMean())]
    tests[1].means = [mean + 1 for mean in tests[1].means]
    choice = choose(Contest(panel, chosen, tests), "wrmsse", blend=True)
    assert dict(choice.weights) == {"seasonal_naive": 1.0}
    assert choice.value == 0


def test_contributions_are_nan_where_the_metric_is_not_defined() -> None:
    constant, nothing = panel_of([[5.0] * 20] * 2), np.zeros((2, 3), dtype=np.float32)
    for metric in ("wrmsse", "rmsse", "mase", "wape"):
        assert np.isnan(contributions(constant, nothing, nothing + 1, metric)).all(), metric
    assert contributions(constant, nothing, nothing + 1, "mae").sum() == pytest.approx(1)
    assert np.isnan(contributions(constant, nothing * np.nan, nothing, "mae")).all()


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("refit", [False, True])
def test_no_figure_is_no_promotion_and_no_traceback(name: str, refit: bool) -> None:
    panel = odd(name)
    windows = []
    for cutoff in (54, 56):
        known, actual = panel.first(cutoff), panel.y[:, cutoff:]
        mean = SeasonalNaive().fit(known, actual.shape[1]).predict(known, actual.shape[1]).mean
        windows.append(Window(known, actual, Forecast.ok(mean), Forecast.ok(mean), mean))
    verdict = judge(windows, "wrmsse", JudgeSettings(), refit=refit)
    assert "nan" not in verdict.reason
    if not refit or name in ("unobserved", "zero", "perfect naive"):
        assert not verdict.promote


def test_a_fold_without_any_actual_does_not_count() -> None:
    panel = odd("price 0")
    y = panel.y.copy()
    y[:, -7:] = np.nan
    panel = replace(panel, y=y)
    chosen = plan(panel, 7, 3, None, "always")
    tests = [backtest(panel, one, chosen) for one in (SeasonalNaive(), SeasonalMean())]
    whole = choose(Contest(panel, chosen, tests), "wape", blend=False)
    assert whole.label == "seasonal_mean"
    assert np.isfinite(whole.value)
