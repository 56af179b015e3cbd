"""Statistics of drift by hand, limits by simulation, and panels of which is known whether they moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from forecasting.core.frequency import Frequency
from forecasting.evaluation.drift import demand, inputs, statistics
from forecasting.evaluation.drift.recent import Recent, weighted
from forecasting.evaluation.drift.statistics import Finding, Measure
from forecasting.panel import totals
from forecasting.panel.covariates.events import Events
from forecasting.panel.panel import Panel

# ---------------------------------------------------------------- by hand


def test_psi_of_shares() -> None:
    before, after = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    assert statistics.shift(before, before) == 0
    assert statistics.shift(before, after) == pytest.approx(0.25 * np.log(1.5) + 0.25 * np.log(2))


def test_psi_of_samples_grows_with_the_move_and_has_bounds() -> None:
    random = np.random.default_rng(1)
    sample = random.normal(size=5000)
    same, moved, away = (statistics.psi(sample, random.normal(mean, size=5000)) for mean in (0, 0.5, 50))
    assert same < 0.01
    assert 0.15 < moved < 0.35  # about the square of the move
    assert moved < away < 5
    assert np.isnan(statistics.psi(sample, np.empty(0)))


def test_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    random = np.random.default_rng(2)
    first, second = random.integers(0, 9, 80).astype(float), random.integers(2, 12, 50).astype(float)
    assert statistics.distance(first, second) == pytest.approx(stats.ks_2samp(first, second).statistic)


def test_cusum_adds_up_what_exceeds_the_slack_and_forgets_one_wild_day() -> None:
    z = np.array([[0.0, 2.0, 2.0, np.nan, 2.0, -5.0], [50.0, 0.0, 0.0, 0.0, -2.0, -2.0]])
    sums = statistics.cusum(z, slack=1.0, most=3.0, cap=10.0)
    assert sums.tolist() == [[0, 1, 2, 2, 3, -2], [2, 1, 0, 0, -1, -2]]


def test_the_height_of_a_cusum_keeps_its_alarm_rate() -> None:
    z = np.random.default_rng(3).normal(size=(400, 2000))
    limit = statistics.height(1.0, 0.005)
    up, first = np.zeros(400), np.full(400, 2000)
    for step, sums in enumerate(np.abs(statistics.cusum(z, 1.0, 9.0, 99.0)).T):
        first = np.where((sums > limit) & (first == 2000), step + 1, first)
        up = np.maximum(up, sums)
    assert 1 / 0.010 < first.mean() < 1 / 0.0025  # mean nights until an alarm: 200, as asked for


def test_windows_are_means_of_whole_weeks() -> None:
    values = np.arange(36, dtype=float)[None, :]
    now, before = statistics.windows(values, 7)
    assert now.tolist() == [[31.0, 32.0]]
    assert before.tolist() == [[13.5, 14.5]]
    values[0, 32:] = np.nan
    assert np.isnan(statistics.windows(values, 7)[0]).tolist() == [[False, True]]  # four of seven seen, then three


def measure(value: float, past: np.ndarray, **changes: object) -> Measure:
    fields = {"independent": len(past), "season": np.empty(0), "floor": 0.0, "message": ""} | changes
    return Measure("level", "total", "change", value, past, **fields)  # type: ignore[arg-type]


def test_a_limit_is_learnt_from_the_past_but_not_below_what_matters_nor_below_last_year() -> None:
    past = np.random.default_rng(4).normal(0, 0.1, 100)
    (plain,) = statistics.judge([measure(0.5, past)], 0.001)
    assert 0.3 < plain.threshold < 0.45
    assert plain.drifted
    (large,) = statistics.judge([measure(0.5, past, floor=0.6)], 0.001)
    (seasonal,) = statistics.judge([measure(0.5, past, season=np.array([0.1, -0.48]))], 0.001)
    assert not large.drifted
    assert not seasonal.drifted
    assert list(statistics.judge([measure(0.5, past[:5])], 0.001)) == []


def test_chance_is_shared_among_all_statistics() -> None:
    assert statistics.chance(100, 0.5) == pytest.approx(0.5 / 60 / 100)
    past = np.random.default_rng(5).normal(size=(200, 60))
    probability = statistics.chance(200, 60)  # one night each
    marked = sum(one.drifted for one in statistics.judge([measure(row[0], row[1:]) for row in past], probability))
    assert marked <= 5


# ---------------------------------------------------------------- panels


def shop(seed: int = 1, days: int = 500, stores: int = 4, items: int = 6) -> Panel:
    """Poisson demand with a week, a strong year, promotions that double it, slowly moving prices; starts in June."""
    random, count = np.random.default_rng(seed), stores * items
    series = pd.DataFrame(
        {
            "unique_id": [f"I{k % items}_S{k // items}" for k in range(count)],
            "item": [f"I{k % items}" for k in range(count)],
            "store": [f"S{k // items}" for k in range(count)],
            "category": [f"C{k % items % 3}" for k in range(count)],
        }
    )
    day = np.arange(days)
    week, year = np.array([0.8, 0.8, 0.9, 1.0, 1.3, 1.6, 0.6])[day % 7], np.exp(0.4 * np.cos(2 * np.pi * day / 364))
    promotion = np.repeat(random.random((count, days // 7 + 3)) < 0.05, 7, axis=1)[:, : days + 7].astype(np.float32)
    steps = np.where(random.random((count, days + 7)) < 0.005, random.normal(0, 0.05, (count, days + 7)), 0)
    price = np.linspace(1, 5, count)[:, None] * np.exp(np.cumsum(steps, axis=1))
    expected = random.uniform(5, 20, (count, 1)) * week * year * (1 + promotion[:, :days])
    y = random.poisson(expected * random.gamma(30, 1 / 30, (count, days))).astype(np.float32)
    frequency = Frequency.parse("D")
    return Panel(
        y=y,
        periods=frequency.range(pd.Timestamp("2025-06-02"), days),
        series=series,
        frequency=frequency,
        snapshot="sales@0",
        known={"price": price.astype(np.float32), "promotion": promotion, "event": np.zeros((1, days + 7), np.float32)},
        past={"weather": random.normal(10, 2, (1, days)).astype(np.float32)},
        levels=("store", "category"),
    )


def findings(panel: Panel) -> list[Finding]:
    recent = Recent.of(replace(panel, totals=totals.compute(panel)), None)
    means = weighted(recent)
    measures = [*inputs.measures(recent, means), *demand.measures(recent, means)]
    return list(statistics.judge(measures, statistics.chance(len(measures), 0.5)))


def marked(panel: Panel) -> set[tuple[str, str]]:
    return {(one.kind, one.subject) for one in findings(panel) if one.drifted}


def changed(panel: Panel, days: int, **rows: object) -> tuple[np.ndarray, slice]:
    mine = np.ones(len(panel.y), dtype=bool)
    for column, value in rows.items():
        mine &= (panel.series[column] == value).to_numpy()
    return mine, slice(len(panel.periods) - days, None)


def test_weeks_seasons_and_promotions_are_no_drift() -> None:
    panel = shop()
    nights = [panel.first(days) for days in range(300, 500, 20)]
    assert [marked(night) for night in nights] == [set()] * 10
    assert len(findings(panel)) > 40


def test_doubled_demand_is_drift_of_level_and_mix() -> None:
    panel, y = shop(), shop().y.copy()
    rows, days = changed(panel, 5, category="C1")
    y[rows, days] *= 2
    found = marked(replace(panel, y=y))
    assert {("level", "category=C1"), ("mix", "category")} <= found
    assert not any(subject in ("category=C0", "category=C2") for _, subject in found)


def test_the_same_doubling_by_a_promotion_is_none() -> None:
    panel = shop()
    y, promotion = panel.y.copy(), panel.known["promotion"].copy()
    rows, days = changed(panel, 5, category="C1")
    y[rows, days] *= 2 - promotion[rows, days.start : 500] / 2
    promotion[rows, days] = 1
    found = marked(replace(panel, y=y, known=dict(panel.known) | {"promotion": promotion}))
    assert ("level", "category=C1") not in found


def test_an_event_that_was_never_met_before_explains_no_change() -> None:
    """Eleven feasts with eight times the sales, and on the last day another name, of which nothing is known."""
    feasts, count = range(20, 500, 45), 500
    cells = np.array([(0, 0, day) for day in feasts] + [(0, 1, 499)], dtype=np.int32)
    for names, expected in ((("Feast", "Other"), False), (("Feast", "Feast"), True)):
        mine = cells if names[0] != names[1] else cells * [1, 0, 1]
        panel = shop(days=count)
        y = panel.y.copy()
        y[:, list(feasts)] *= 8
        events = Events(tuple(dict.fromkeys(names)), mine.astype(np.int32), np.zeros(len(y), np.int32), 7)
        known = dict(panel.known) | {"event": events.any(count + 7)}
        found = replace(panel, y=y, known=known, events=events)
        means = weighted(Recent.of(replace(found, totals=totals.compute(found)), None))
        assert bool(means["event"][0][0, -1] > 0.5) is expected


def test_a_lost_store_shows_in_what_was_observed_and_then_in_its_series() -> None:
    panel, y = shop(), shop().y.copy()
    rows, days = changed(panel, 3, store="S2")
    y[rows, days] = np.nan
    assert marked(replace(panel, y=y)) == {("missing", "store=S2")}
    y[rows, -7:] = np.nan
    gone = next(
        one for one in findings(replace(panel, y=y)) if (one.statistic, one.subject) == ("vanished", "store=S2")
    )
    assert gone.drifted
    assert gone.message == "6 of 6 series that sold regularly sold nothing"


def test_new_series_are_counted_against_those_on_sale() -> None:
    panel, y = shop(), shop().y.copy()
    rows, days = changed(panel, 6, item="I3")
    y[rows, : days.start] = np.nan
    found = [one for one in findings(replace(panel, y=y)) if one.statistic == "new"]
    assert {one.subject: one.value for one in found}["category=C0"] == pytest.approx(0.5)
    assert [one.subject for one in found if one.drifted] == ["category=C0"]


@pytest.mark.parametrize(("target", "subject"), [({}, "price"), ({"category": "C1"}, "price of category=C1")])
def test_a_price_regime_is_drift_of_the_covariate(target: dict[str, str], subject: str) -> None:
    panel = shop()
    price = panel.known["price"].copy()
    rows, days = changed(panel, 4, **target)
    price[rows, days] *= 1.25
    assert ("covariate", subject) in marked(replace(panel, known=dict(panel.known) | {"price": price}))


def test_a_new_item_that_costs_more_is_no_price_regime() -> None:
    panel, price, y = shop(), shop().known["price"].copy(), shop().y.copy()
    rows, days = changed(panel, 6, item="I3")
    price[rows] *= 20
    price[rows, : days.start], y[rows, : days.start] = np.nan, np.nan
    found = marked(replace(panel, y=y, known=dict(panel.known) | {"price": price}))
    assert not any(kind == "covariate" for kind, _ in found)


def test_a_signal_that_goes_silent_or_wild_is_drift() -> None:
    panel, weather = shop(), shop().past["weather"].copy()
    weather[:, -4:] = np.nan
    assert ("missing", "weather") in marked(replace(panel, past={"weather": weather}))
    weather[:, -7:] = 60
    assert ("covariate", "weather") in marked(replace(panel, past={"weather": weather}))


def test_too_short_a_past_is_not_judged() -> None:
    assert findings(shop().first(60)) == []
    assert findings(shop().first(20)) == []


def test_a_panel_without_covariates_or_levels_is_judged_by_what_it_has() -> None:
    bare = replace(shop(), known={}, past={}, levels=())
    assert {one.subject for one in findings(bare)} == {"total"}
    y = bare.y.copy()
    y[:, -5:] *= 2
    assert marked(replace(bare, y=y)) == {("level", "total")}


@pytest.mark.parametrize(("frequency", "periods"), [("W-MON", 200), ("M", 90)])
def test_weeks_and_months_are_judged_by_longer_windows(frequency: str, periods: int) -> None:
    random, code = np.random.default_rng(7), Frequency.parse(frequency)
    year = 1 + 0.5 * np.sin(2 * np.pi * np.arange(periods) / code.season)
    y = random.poisson(40 * year * np.ones((12, 1))).astype(np.float32)
    panel = replace(
        shop(days=60, stores=2), y=y, periods=code.range(pd.Timestamp("2015-01-05"), periods), frequency=code,
        known={}, past={},
    )  # fmt: skip
    assert marked(panel) == set()
    y[panel.series["category"] == "C1", -3:] *= 4
    assert ("level", "category=C1") in marked(replace(panel, y=y))


def test_a_covariate_without_any_value_or_that_never_moves_says_nothing() -> None:
    panel = shop()
    still = {"flat": np.ones((1, 507), np.float32), "empty": np.full((len(panel.y), 507), np.nan, np.float32)}
    assert marked(replace(panel, known=dict(panel.known) | still)) == set()


# ---------------------------------------------------------------- residuals


def residuals(panel: Panel, factor: np.ndarray) -> dict[str, Finding]:
    """Findings where forecasts of each category were what was sold, times a factor and noise; 60 nights."""
    panel = replace(panel, totals=totals.compute(panel))
    recent, random = Recent.of(panel, None), np.random.default_rng(6)
    sold = panel.totals["category"].filled[:, -60:].astype(np.float64)
    expected = {"category": sold * factor * np.exp(random.normal(0, 0.1, sold.shape))}
    found = demand.residuals(recent, weighted(recent), expected, 1e-4)
    return {one.subject: one for one in found}


def test_forecasts_that_begin_to_miss_are_drift_and_a_constant_bias_is_none() -> None:
    factor = np.ones((3, 60))
    factor[0, -4:] = 0.5
    factor[1] = 1.5
    found = residuals(shop(), factor)
    assert {subject: one.drifted for subject, one in found.items()} == {
        "category=C0": True, "category=C1": False, "category=C2": False,
    }  # fmt: skip
    assert found["category=C0"].message.startswith("+")
    assert found["category=C0"].value > 0


def test_few_or_missing_vintages_are_not_judged() -> None:
    factor = np.ones((3, 60))
    factor[:, :-12] = np.nan
    assert residuals(shop(), factor) == {}
