"""Quantiles cover what they promise on data that they were not learnt from, never cross, and survive a round trip."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecasting.models.base import QUANTILES
from forecasting.models.baselines import SeasonalMean
from forecasting.models.intervals.calibration import Calibration
from forecasting.models.intervals.levels import Calibrations
from forecasting.planning.demand_sums import distribution
from tests.support.panels import panel_of


def poisson(seed: int, series: int = 400, horizon: int = 28) -> tuple:
    random = np.random.default_rng(seed)
    level = np.exp(random.uniform(-2, 4, size=(series, 1)))
    history = random.poisson(np.repeat(level, 60, axis=1)).astype(np.float32)
    names = panel_of([[0.0]] * 2)
    panel = panel_of(history.tolist(), series=names.series.iloc[np.zeros(series, dtype=int)].reset_index(drop=True))
    mean = np.repeat(level, horizon, axis=1).astype(np.float32)
    return panel, random.poisson(mean).astype(np.float32), mean


def test_coverage_on_new_data_is_what_the_quantiles_promise() -> None:
    calibration = Calibration.fit([poisson(1)])
    panel, actual, mean = poisson(2)
    quantiles = calibration.quantiles(panel, mean)
    # For counts the share at or below a quantile lies between the level and the level plus the mass of one count.
    for index, level in enumerate(QUANTILES):
        at_or_below = (actual <= quantiles[..., index] + 1e-6).mean()
        below = (actual < quantiles[..., index] - 1e-6).mean()
        assert below - 0.02 <= level <= at_or_below + 0.02


def test_quantiles_never_cross_and_are_never_negative() -> None:
    calibration = Calibration.fit([poisson(3, series=40)])
    panel, _, mean = poisson(4, series=40)
    mean[0] = 0
    quantiles = calibration.quantiles(panel, mean)
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert (quantiles >= 0).all()
    assert (quantiles[0] == 0).all()


def test_a_part_of_the_series_gets_the_same_quantiles() -> None:
    calibration = Calibration.from_json(Calibration.fit([poisson(5)]).to_json())
    panel, _, mean = poisson(6)
    rows = np.array([3, 77, 5])
    part = calibration.quantiles(panel, mean[rows], rows)
    np.testing.assert_array_equal(part, calibration.quantiles(panel, mean)[rows])


def kept(rows: np.ndarray, horizon: int = 7) -> tuple:
    """(folds, panel, mean) of daily series that are forecast by their weekdays' means of eight weeks."""
    names = pd.DataFrame({"unique_id": [f"s{k}" for k in range(len(rows))]})
    panel = panel_of(rows.tolist(), series=names, levels=())
    cutoffs = [rows.shape[1] - horizon * back for back in (3, 2, 1, 0)]
    means = [SeasonalMean().predict(panel.first(at), horizon).mean for at in cutoffs]
    folds = [
        (panel.first(at), panel.y[:, at : at + horizon], mean) for at, mean in zip(cutoffs[:3], means, strict=False)
    ]
    return folds, panel, means[-1]


def test_steady_and_rare_items_side_by_side_have_their_own_bands() -> None:
    random = np.random.default_rng(4)
    steady = random.integers(18, 23, (3, 182))
    rare = np.where(random.random((3, 182)) < 1 / 8, 7, 0)
    folds, panel, mean = kept(np.concatenate([steady, rare]))
    low, middle, high = np.moveaxis(Calibration.fit(folds).quantiles(panel, mean, at=(0.05, 0.5, 0.95)), -1, 0)
    assert 14 <= low[:3].min() <= low[:3].max() <= 20 <= high[:3].min() <= high[:3].max() <= 26
    assert set(high[3:].ravel()) == {7.0}
    assert set(middle[3:].ravel()) == {0.0}


def test_sixty_items_sold_on_weekdays_have_bands_on_these_and_none_on_other_days() -> None:
    random = np.random.default_rng(5)
    rows = np.where(np.arange(182) % 7 < 5, random.poisson(np.linspace(5, 30, 60)[:, None], (60, 182)), 0)
    folds, panel, mean = kept(rows)
    found = Calibration.fit(folds).quantiles(panel, mean)
    assert (found[:, 5:] == 0).all()
    assert (found[:, :5, 1] > 0).all()  # p10
    assert (found[:, :5, -1] > mean[:, :5]).all()


def test_safety_stock_beside_the_mean_falls_with_the_length() -> None:
    random = np.random.default_rng(6)
    folds, panel, mean = kept(random.poisson(20, (3, 200)), 28)
    calibration = Calibration.fit(folds, (7, 14, 28))
    found = calibration.total(panel, mean, np.arange(3), (0.95,), (0, 7, 14, 28))[..., 0]
    total = np.cumsum(mean, axis=1)[:, [6, 13, 27]]
    beside = (found / total - 1).mean(axis=0)
    assert beside[0] > 1.1 * beside[1] > 1.1 * beside[2] > 0


def test_windows_that_were_not_observed_count_for_nothing() -> None:
    random = np.random.default_rng(7)
    rows = random.integers(16, 25, (12, 182)).astype(float)
    gone = rows.copy()
    gone[:, 150:] = np.nan  # out of stock before the newest fold begins, and in half of the one before
    folds, panel, mean = kept(rows)
    both, panel_of_both, means = kept(np.concatenate([rows, gone]))
    alone, beside = Calibration.fit(folds, (7,)), Calibration.fit(both, (7,))
    one = alone.total(panel, mean, np.arange(12), (0.05, 0.5, 0.95), (0, 7))[:, 0]
    other = beside.total(panel_of_both, means[:12], np.arange(12), (0.05, 0.5, 0.95), (0, 7))[:, 0]
    np.testing.assert_allclose(other, one, rtol=0.03)
    assert (one[:, 0] > 110).all()


def test_forty_parts_are_ordered_by_what_covers_them() -> None:
    random = np.random.default_rng(8)
    chance, most = random.uniform(0.05, 0.4, 40), random.integers(2, 15, 40)

    def drawn(periods: int) -> np.ndarray:
        sizes = 1 + np.floor(random.random((40, periods)) * most[:, None])
        return np.where(random.random((40, periods)) < chance[:, None], sizes, 0.0)

    y, names = drawn(60), pd.DataFrame({"unique_id": [f"part{k}" for k in range(40)]})
    panel = panel_of(y.tolist(), "2021-01-01", "M", series=names, levels=())
    means = [SeasonalMean().predict(panel.first(at), 12).mean for at in (24, 36, 48, 60)]
    folds = [(panel.first(at), panel.y[:, at : at + 12], means[k]) for k, at in enumerate((24, 36, 48))]
    calibrations = Calibrations.fit(folds)
    ordered, enough = 0.0, 0.0
    for span in range(2, 8):
        parts = np.arange(40) % 6 == span - 2
        wanted = distribution(calibrations, panel, means[-1], span, (0.95,))[parts, 0]
        truth = drawn(span * 2000).reshape(40, 2000, span).sum(axis=2)
        ordered, enough = ordered + wanted.sum(), enough + np.quantile(truth[parts], 0.95, axis=1).sum()
        seen = np.lib.stride_tricks.sliding_window_view(y[parts], span, axis=1).sum(axis=2).max(axis=1)
        assert (wanted <= np.maximum(2 * seen, means[-1][parts, :span].sum(axis=1)) + 1).all()
    assert 0.8 < ordered / enough < 1.3


def test_a_month_without_a_sale_is_zero_in_packs_and_in_pieces() -> None:
    # Half of the parts sell one or two packs of 48, half 20 to 60 pieces, in one month of seven: p75 is 0.
    random = np.random.default_rng(9)
    packs, pieces = 48.0 * random.integers(1, 3, (40, 72)), random.integers(20, 61, (40, 72))
    y = np.where(random.random((80, 72)) < 0.15, np.concatenate([packs, pieces]), 0.0)
    panel = panel_of(y.tolist(), "2020-01-01", "M", series=pd.DataFrame({"unique_id": [f"p{k}" for k in range(80)]}))
    means = [np.repeat(np.nanmean(panel.y[:, :at], axis=1, keepdims=True), 6, axis=1) for at in (54, 60, 66)]
    folds = [(panel.first(at), panel.y[:, at : at + 6], means[k]) for k, at in enumerate((54, 60, 66))]
    found = Calibration.fit(folds).quantiles(panel.first(66), means[-1], at=(0.75,))
    # One in ten has sold in more than a fifth of its newest months, by chance.
    assert (found == 0).mean() > 0.85


def test_one_order_of_a_thousand_is_no_spread_and_no_tail_of_like_items() -> None:
    random = np.random.default_rng(1)
    rows = random.integers(18, 23, (4, 182)).astype(float)
    rows[0, 100], rows[1, -40], rows[2, -12] = 1000, 1000, 1000  # long ago, before the folds, in the newest but one
    folds, panel, mean = kept(rows)
    calibration = Calibration.fit(folds, (7,))
    mean[:] = 20.0
    low, high = np.moveaxis(calibration.quantiles(panel, mean, at=(0.05, 0.95)), -1, 0)
    assert (low > 4).all()
    assert (high < 40).all()
    assert (low[3] > 14).all()
    assert (high[3] < 26).all()
    week = calibration.total(panel, mean, np.arange(4), (0.05, 0.95, 0.99), (0, 7))[:, 0]
    assert (week[3] > (100, 140, 140)).all()
    assert (week[3] < (140, 185, 200)).all()
    assert (week[:, 2] < 320).all()  # 27,000 where the order counted as any other day


def test_no_quantile_of_frequent_sales_is_beyond_twice_the_largest() -> None:
    random = np.random.default_rng(2)
    rows = random.poisson(20, (2, 182))
    rows[0, -20:] = random.poisson(60, 20)  # the level has moved, before the newest folds
    folds, panel, mean = kept(rows)
    calibration = Calibration.fit(folds, (7,))
    assert calibration.quantiles(panel, mean)[0].max() <= 2 * rows[0].max()
    weeks = np.lib.stride_tricks.sliding_window_view(rows[0], 7).sum(axis=1)
    assert calibration.total(panel, mean, np.arange(2), (0.99,), (0, 7))[0].max() <= 2 * weeks.max()


def test_a_constant_series_has_no_band_and_its_sums_no_unit_too_many() -> None:
    folds, panel, mean = kept(np.full((2, 182), 5.0))
    calibration = Calibration.fit(folds, (5,))
    assert (calibration.quantiles(panel, mean) == 5).all()
    assert (calibration.total(panel, mean, np.arange(2), (0.01, 0.99), (0, 5)) == 25).all()


def test_rare_sales_that_a_naive_forecast_sees_none_of_have_a_band_and_dead_ones_none() -> None:
    random = np.random.default_rng(3)
    rare = np.where(random.random((4, 182)) < 1 / 7, 7.0, 0.0)
    rare[:, -7:] = 0
    rare[3, 60:] = 0
    names = pd.DataFrame({"unique_id": [f"s{k}" for k in range(4)]})
    panel = panel_of(rare.tolist(), series=names, levels=())
    folds = [(panel.first(at), panel.y[:, at : at + 7], panel.y[:, at - 7 : at]) for at in (161, 168, 175)]
    mean = panel.y[:, -7:]
    assert (mean == 0).all()
    calibration = Calibration.fit(folds, (7,))
    high = calibration.quantiles(panel, mean, at=(0.95,))[..., 0]
    assert (high[:3] == 7).mean() > 0.6
    week = calibration.total(panel, mean, np.arange(4), (0.95,), (0, 7))[:, 0, 0]
    assert (week[:3] >= 7).all()
    assert high[3].max() == week[3] == 0


def test_the_first_days_of_a_season_have_no_quantile_beyond_twice_what_was_ever_seen() -> None:
    random = np.random.default_rng(4)
    y = random.poisson(9, size=(8, 400)).astype(np.float32)
    y[:3, :390] = 0  # shops that open for the season ten days before the cutoff, after a year of zeros
    y[:3, 7:150] = random.poisson(9, size=(3, 143))
    panel = panel_of(y)
    folds = []
    for cut in (379, 386, 393):  # at the first of them nothing announces the season
        mean = np.full((8, 7), 9, dtype=np.float32)
        mean[:3] = 0.5
        folds.append((panel.first(cut), y[:, cut : cut + 7], mean))
    made = Calibration.fit(folds, (7,))
    found = made.quantiles(panel, np.full((8, 7), 9, dtype=np.float32))
    rows = np.arange(8)
    sums = made.total(panel, np.full((8, 7), 9, dtype=np.float32), rows, (0.95,), (0, 7))
    largest = y[:3, -182:].max(axis=1)
    assert (found[:3, :, -1] <= 2 * np.maximum(largest, 9)[:, None] + 1e-3).all()
    assert (sums[:3, 0, 0] <= 2 * np.maximum(7 * largest, 63) + 1e-3).all()
