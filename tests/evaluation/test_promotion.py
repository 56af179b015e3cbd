"""The verdict on a challenger: by hand, as shares that add up, and as often right as it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.core.config.sections import JudgeSettings
from forecasting.evaluation import metrics
from forecasting.evaluation.contributions import contributions
from forecasting.evaluation.promotion import Window, cutoffs, judge
from forecasting.models.base import Forecast
from forecasting.panel.panel import Panel
from forecasting.panel.segments import volume_class
from tests.support.panels import panel_of, seasonal_panel

RULES = JudgeSettings()
SERIES = 600


def test_contributions_by_hand() -> None:
    # Two series that each changed by 2 from day to day, so their squared scale is 4; together they never changed.
    known = panel_of([[1, 3, 1, 3], [3, 1, 3, 1]], levels=())
    actual = np.array([[2.0], [2.0]], dtype=np.float32)
    mean = np.array([[4.0], [2.0]], dtype=np.float32)
    assert contributions(known, actual, mean, "wape").tolist() == [[0.5], [0.0]]
    assert contributions(known, actual, mean, "rmsse").tolist() == [[0.5], [0.0]]  # 2 / root(4), half of the sales


@given(st.integers(0, 10_000), st.sampled_from(["wrmsse", "rmsse", "mase", "wape"]))
def test_contributions_add_up_to_the_metric(seed: int, metric: str) -> None:
    random = np.random.default_rng(seed)
    panel = seasonal_panel(seed=seed % 7)
    known, actual = panel.first(119), panel.y[:, 119:]
    mean = (random.gamma(2, 1, actual.shape) * np.nan_to_num(known.y[:, -21:])).astype(np.float32)
    expected = {
        "wrmsse": metrics.hierarchical_rmsse(known, actual, mean).set_index("level")["value"]["all"],
        "rmsse": metrics.hierarchical_rmsse(known, actual, mean).set_index("level")["value"]["series"],
        "mase": metrics.mase(actual, mean, metrics.scales(known.y, 7)),
        "wape": metrics.wape(actual, mean),
    }[metric]
    assert contributions(known, actual, mean, metric).sum() == pytest.approx(expected, rel=1e-6)


def test_cutoffs_are_spread_and_leave_a_period_to_score() -> None:
    assert cutoffs(93, 100, 4) == [93, 94, 96, 97]
    assert cutoffs(99, 100, 4) == [99]
    assert max(cutoffs(10, 12, 9)) < 12


class Market:
    """60 items in 10 stores with weekly Poisson demand, and forecasts that miss its truth by so much on average."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        week = np.array([1.0, 0.8, 0.8, 1.0, 1.3, 1.8, 1.4])
        level = self.random.lognormal(1.5, 1.0, (SERIES, 1))
        self.truth = level * week[np.arange(127) % 7]
        names = [f"i{k // 10:02d}_s{k % 10}" for k in range(SERIES)]
        series = pd.DataFrame(
            {"unique_id": names, "item": [name[:3] for name in names], "store": [name[4:] for name in names]}
        )
        demand = self.random.poisson(self.truth).astype(np.float32)
        self.panel: Panel = panel_of(demand.tolist(), series=series, levels=("store",))

    def forecast(self, spread: float, shuffled: bool = False) -> np.ndarray:
        """(600, 127): the truth, each series and day missed by a lognormal factor."""
        item = self.random.normal(0, spread, (SERIES, 1)) + self.random.normal(0, spread, self.truth.shape)
        found = self.truth * np.exp(item - item.var() / 2)
        return self.random.permutation(found) if shuffled else found

    def verdict(self, challenger: np.ndarray, champion: np.ndarray, rules: JudgeSettings = RULES, refit: bool = False):
        windows = []
        for cutoff in cutoffs(120, 127, 4):
            ahead = slice(cutoff, 127)
            both = [Forecast.ok(one[:, ahead].astype(np.float32)) for one in (challenger, champion)]
            naive = np.tile(self.panel.y[:, cutoff - 7 : cutoff], 2)[:, : 127 - cutoff]
            windows.append(Window(self.panel.first(cutoff), self.panel.y[:, ahead], both[0], both[1], naive))
        return judge(windows, "wrmsse", rules, refit=refit)


def test_one_that_is_a_tenth_better_is_promoted() -> None:
    found = [market.verdict(market.forecast(0.05), market.forecast(0.1)) for market in map(Market, range(20))]
    assert 0.08 < np.mean([one.improvement for one in found]) < 0.12
    assert sum(one.promote for one in found) >= 19


@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_of_two_that_are_equally_good_the_champion_stays(spread: float) -> None:
    found = [market.verdict(market.forecast(spread), market.forecast(spread)) for market in map(Market, range(20))]
    assert sum(one.promote for one in found) <= 2


def test_the_champions_recipe_fitted_again_must_not_be_worse_beyond_chance_and_hold_the_other_rules() -> None:
    equal = [
        market.verdict(market.forecast(0.2), market.forecast(0.2), refit=True) for market in map(Market, range(20))
    ]
    assert sum(one.promote for one in equal) >= 12
    assert any(one.promote and one.challenger > one.champion for one in equal)
    assert Market(1).verdict(Market(1).forecast(0.2), Market(1).forecast(0.2), refit=True).promote  # the same forecasts
    worse = [
        market.verdict(market.forecast(0.1), market.forecast(0.05), refit=True) for market in map(Market, range(20))
    ]
    assert sum(one.promote for one in worse) <= 1
    assert "not worse beyond chance (all)" in worse[0].reason
    market = Market(1)
    ruinous = market.forecast(0.02)
    ruinous[volume_class(market.panel.first(120)) == "C"] *= 2.5
    assert "no segment worse (C)" in market.verdict(ruinous, market.forecast(0.4), refit=True).reason


def test_one_trained_on_shuffled_targets_is_never_promoted() -> None:
    for seed in range(20):
        market = Market(seed)
        found = market.verdict(market.forecast(0.05, shuffled=True), market.forecast(0.3))
        assert not found.promote
        assert not found.narrow
        assert "better than the champion (all)" in found.reason


def test_one_that_wins_overall_but_ruins_a_class_is_not_promoted() -> None:
    market = Market(1)
    challenger, champion = market.forecast(0.02), market.forecast(0.4)
    challenger[volume_class(market.panel.first(120)) == "C"] *= 2.5
    found = market.verdict(challenger, champion)
    assert found.rows["passed"].iloc[:2].all()
    assert "no segment worse (C)" in found.reason
    assert not found.promote
    assert market.verdict(challenger, champion, replace_rules(segment_worse=1.0)).promote is False  # 2.5 times is more


def test_more_improvement_can_be_asked_for() -> None:
    market = Market(3)
    challenger, champion = market.forecast(0.05), market.forecast(0.4)
    found = market.verdict(challenger, champion)
    assert found.promote
    asked = market.verdict(challenger, champion, replace_rules(improvement=found.improvement + 0.01))
    assert not asked.promote
    assert asked.narrow


def test_bias_beyond_the_limit_and_beyond_the_champions_fails() -> None:
    market = Market(4)
    high = market.truth * 1.3
    found = market.verdict(high, market.truth * 3)
    assert found.rows.set_index("rule").loc["bias", "passed"]  # far, but nearer than the champion
    found = market.verdict(high, market.truth)
    assert not found.rows.set_index("rule").loc["bias", "passed"]


def replace_rules(**changes: object) -> JudgeSettings:
    return RULES.model_copy(update=changes)


def test_coverage_is_judged_where_both_have_quantiles() -> None:
    market = Market(5)
    window = Window(market.panel.first(120), market.panel.y[:, 120:], *_bands(market), market.truth[:, 120:])
    rows = judge([window], "wape", RULES).rows.set_index("rule")
    assert rows.loc["coverage", "champion"] == pytest.approx(0.95, abs=0.06)
    assert rows.loc["coverage", "challenger"] < 0.6
    assert not rows.loc["coverage", "passed"]
    without = replace(window, challenger=Forecast.ok(window.challenger.mean))
    assert "coverage" not in judge([without], "wape", RULES).rows["rule"].tolist()


def _bands(market: Market) -> tuple[Forecast, Forecast]:
    """A challenger with bands that are far too narrow, and a champion with bands of two standard deviations."""
    mean = market.truth[:, 120:].astype(np.float32)
    found = []
    for width in (0.5, 2.0):
        edge = (width * np.sqrt(mean)).astype(np.float32)
        quantiles = np.stack([mean - edge, *[mean] * 5, mean + edge], axis=-1).clip(0)
        found.append(replace(Forecast.ok(mean), quantiles=quantiles))
    return found[0], found[1]


def test_coverages_that_are_alike_count_as_equal() -> None:
    y = np.arange(1000.0)[None, :]
    panel = panel_of([[1.0, 2.0] * 20])

    def covering(count: int) -> Forecast:
        bands = np.stack([np.zeros_like(y)] + [np.full_like(y, count - 0.5)] * 6, axis=-1)
        return replace(Forecast.ok(y.astype(np.float32)), quantiles=bands.astype(np.float32))

    def passes(challenger: int, champion: int) -> bool:
        rows = judge([Window(panel, y, covering(challenger), covering(champion), y)], "wape", RULES).rows
        return bool(rows.set_index("rule").loc["coverage", "passed"])

    assert passes(970, 999)  # within the limits
    assert passes(991, 986)  # beyond them, half a point from the champion's
    assert not passes(998, 986)
