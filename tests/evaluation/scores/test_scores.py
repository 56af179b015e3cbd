"""Scores of groups and series: by hand, as plain metrics say, and what must hold of every panel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.evaluation import metrics
from forecasting.evaluation.scores.series import SeriesScores
from forecasting.evaluation.scores.vintage import by_group, names, tally
from forecasting.models.base import QUANTILES
from forecasting.panel.hierarchy import group, levels
from tests.support.panels import panel_of, seasonal_panel

COLUMNS = [f"p{round(100 * level):02d}" for level in QUANTILES]


def flat(mean: np.ndarray, width: float = 2.0) -> dict[str, np.ndarray]:
    """All quantiles at the mean but for the outer ones, `width` away."""
    numbers = dict.fromkeys(COLUMNS, mean) | {"mean": mean}
    return numbers | {"p05": mean - width, "p95": mean + width}


def value(table: pd.DataFrame, level: str, name: str, metric: str, bucket: str = "all") -> float:
    rows = table.set_index(["level", "group", "bucket", "metric"])["value"]
    return float(rows[level, name, bucket, metric])


def test_two_series_and_three_days_by_hand() -> None:
    panel = panel_of([[1], [1]])  # A in S1, B in S2
    actual = np.array([[10, 0, 6], [4, np.nan, 0]])  # nothing in stock of B on day 2
    mean = np.array([[8, 1, 9], [4, 50, 2]])
    naive = np.array([[5, 5, 5], [5, 5, 5]])
    found = tally(actual, flat(mean), naive, np.array([2.0, np.nan]), [(1, 2), (1, 3)])
    table = by_group(found, levels(panel.series, ["store"])[:2], ["1-2", "all"])
    # Of A: errors -2, 1, 3 on 16 units. Of B: 0, none, 2 on 4 units. Naive: 5, 5, 1 and 1, none, 5.
    expected = {
        ("total", "all"): {"wape": 8 / 20, "bias": 4 / 20, "naive_wape": 17 / 20, "value_added": 1 - 8 / 17},
        ("store", "S1"): {"wape": 6 / 16, "bias": 2 / 16, "mase": 6 / 3 / 2, "coverage": 2 / 3},
        ("store", "S2"): {"wape": 2 / 4, "bias": 2 / 4, "coverage": 1.0, "value_added": 1 - 2 / 6},
    }
    for (level, name), numbers in expected.items():
        for metric, number in numbers.items():
            assert value(table, level, name, metric) == pytest.approx(number), (level, name, metric)
    assert value(table, "total", "all", "mase") == 1.0  # B has no scale
    assert np.isnan(value(table, "store", "S2", "mase"))
    assert value(table, "store", "S1", "wape", "1-2") == pytest.approx(3 / 10)
    whole = table[(table["metric"] == "wape") & (table["bucket"] == "all")].set_index("group")["periods"]
    assert whole.to_dict() == {"all": 5, "S1": 3, "S2": 2}
    # Errors -2, 1, 3: seven quantiles of losses; the outer ones two lower and two higher than the mean.
    ours = np.stack([flat(mean)[name] for name in COLUMNS], axis=-1)
    assert value(table, "total", "all", "pinball") == pytest.approx(metrics.pinball(actual, ours, QUANTILES))


def test_a_series_over_two_vintages_by_hand() -> None:
    scores = SeriesScores(1)
    newer, older = (np.array([[6.0]]), np.array([[8.0]])), (np.array([[10.0, 6.0]]), np.array([[7.0, 7.0]]))
    for actual, mean in (newer, older):
        naive = np.full_like(mean, 6)
        scores.add(tally(actual, flat(mean), naive, np.array([2.0]), [(1, 1), (1, 2)]), whole=True)
    scores.follow(*newer)
    scores.follow(older[0][:, :1], older[1][:, :1])
    row = scores.table().iloc[0]
    assert (row["vintages"], row["periods"]) == (2, 3)
    assert row["wape"] == pytest.approx((2 + 3 + 1) / 22)
    assert row["bias"] == pytest.approx((2 - 3 + 1) / 22)
    assert row["mase"] == pytest.approx((2 + 3 + 1) / 2 / 3)
    assert row["value_added"] == pytest.approx(1 - 6 / 4)
    assert row["tracking_signal"] == pytest.approx((2 - 3) / ((2 + 3) / 2))  # day 1 by the older, day 2 by the newer
    assert np.isnan(row["wape_trend"])


def test_the_trend_of_a_series_is_the_newest_seven_whole_vintages_less_those_before() -> None:
    scores = SeriesScores(2)
    for age in range(16):  # the two newest are not whole
        off = 1 if age < 9 else 3
        actual = np.array([[10.0], [0.0]])
        one = tally(actual, flat(actual + off), actual, np.array([1.0, 1.0]), [(1, 1), (1, 1)])
        scores.add(one, whole=age >= 2)
    trend = scores.table()["wape_trend"]
    assert trend[0] == pytest.approx(0.1 - 0.3)
    assert np.isnan(trend[1])  # never sold


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.5))
def test_a_perfect_forecast_has_no_error_and_full_coverage(seed: int, hidden: float) -> None:
    random = np.random.default_rng(seed)
    actual = random.poisson(2, (6, 9)).astype(float)
    actual[random.random(actual.shape) < hidden] = np.nan
    mean = np.nan_to_num(actual)
    found = tally(actual, flat(mean, width=0), mean + 1, np.ones(6), list(names(9).values()))
    series = panel_of([[1]] * 6).series
    table = by_group(found, levels(series, ["store"])[:2], list(names(9)))
    assert table.loc[table["metric"].isin(["wape", "bias", "mase", "pinball"]), "value"].fillna(0).eq(0).all()
    assert table.loc[table["metric"].isin(["coverage", "value_added"]), "value"].eq(1).all()
    assert (table["periods"] > 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_groups_are_what_the_plain_metrics_say_and_what_is_hidden_never_counts(seed: int) -> None:
    random = np.random.default_rng(seed)
    actual, mean, naive = (random.gamma(1, 3, (5, 9)) for _ in range(3))
    actual[random.random(actual.shape) < 0.3] = np.nan
    buckets, stores = names(9), group(panel_of([[1]] * 5).series, "store")
    table = by_group(tally(actual, flat(mean), naive, np.ones(5), list(buckets.values())), [stores], list(buckets))
    absurd = flat(np.where(np.isfinite(actual), mean, 1e9))
    again = by_group(tally(actual, absurd, naive, np.ones(5), list(buckets.values())), [stores], list(buckets))
    pd.testing.assert_frame_equal(again, table)
    for code, name in enumerate(stores.labels):
        for bucket, (first, last) in buckets.items():
            y, f, n = (one[stores.codes == code, first - 1 : last] for one in (actual, mean, naive))
            if not np.isfinite(y).any():
                continue
            expected = {
                "wape": metrics.wape(y, f), "bias": metrics.bias(y, f), "naive_wape": metrics.wape(y, n),
                "coverage": metrics.coverage(y, f - 2, f + 2),
                "value_added": 1 - metrics.wape(y, f) / metrics.wape(y, n),
            }  # fmt: skip
            for metric, number in expected.items():
                assert value(table, "store", str(name), metric, bucket) == pytest.approx(number)


def test_buckets_end_with_the_horizon() -> None:
    assert names(7) == {"1-7": (1, 7), "all": (1, 7)}
    assert list(names(30)) == ["1-7", "8-14", "15-28", "29-30", "all"]


@pytest.mark.parametrize("season", [1, 7])
def test_scales_in_one_pass_are_those_of_each_cutoff(season: int) -> None:
    y, ends = seasonal_panel().y, [5, 8, 70, 71, 140]
    found = metrics.scales_at(y, season, ends)
    for column, end in enumerate(ends):
        expected = metrics.scales(y[:, :end], season) if end > season else np.full(len(y), np.nan)
        np.testing.assert_allclose(found[:, column], expected, rtol=1e-6)
