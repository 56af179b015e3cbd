"""The direct LightGBM: it learns what a reader can see in the data, and refuses what it cannot use."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from forecasting.core.config.sections import LightgbmSettings
from forecasting.core.errors import ModelError
from forecasting.models.baselines import SeasonalNaive
from forecasting.models.lightgbm.direct import DirectLightgbm
from tests.support.panels import panel_of, seasonal_panel

SMALL = LightgbmSettings(rows=20_000, trees=60, leaves=15, min_rows_leaf=20, learning_rate=0.1)
HORIZON = 14


def model(**changes: object) -> DirectLightgbm:
    return DirectLightgbm(SMALL.model_copy(update=changes), threads=1, seed=3)


def test_it_beats_seasonal_naive_on_days_that_it_has_not_seen() -> None:
    panel = seasonal_panel(series=20, periods=300)
    known, actual = panel.first(286), panel.y[:, 286:]
    seen = np.isfinite(actual)
    errors = {
        name: np.abs(fitted.predict(known, HORIZON).mean - actual)[seen].sum()
        for name, fitted in {"lightgbm": model().fit(known, HORIZON), "naive": SeasonalNaive()}.items()
    }
    assert errors["lightgbm"] < 0.85 * errors["naive"]


def test_it_learns_what_a_promotion_does() -> None:
    panel = seasonal_panel(series=20, periods=300)
    fitted = model().fit(panel, HORIZON)
    full_price = panel.known["price"].max(axis=1, keepdims=True)
    offers = {}
    for offer, share in (("promoted", 0.7), ("plain", 1.0)):
        offers[offer] = {name: values.copy() for name, values in panel.known.items()}
        offers[offer]["promotion"][:, -HORIZON:] = offer == "promoted"
        offers[offer]["price"][:, -HORIZON:] = share * full_price
    with_it, without = (
        fitted.predict(dataclasses.replace(panel, known=known), HORIZON).mean[:-1].sum() for known in offers.values()
    )
    assert with_it > 1.3 * without


def test_series_of_any_size_share_what_they_learn() -> None:
    week = [1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 2.0]
    rows = [[scale * value for value in week * 30] for scale in (1, 10, 100, 1000)]
    panel = panel_of(rows)
    forecast = model(min_rows_leaf=5).fit(panel, 7).predict(panel, 7).mean
    np.testing.assert_allclose(forecast / forecast[:, :1], np.tile(week, (4, 1)), rtol=0.15)


def test_two_trainings_on_the_same_data_are_the_same() -> None:
    panel = seasonal_panel()
    first, second = (model().fit(panel, HORIZON).predict(panel, HORIZON).mean for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_panel_with_other_features_than_the_trained_ones_is_refused() -> None:
    panel = seasonal_panel()
    fitted = model().fit(panel, HORIZON)
    without = dataclasses.replace(panel, known={})
    with pytest.raises(ModelError, match="train again"):
        fitted.predict(without, HORIZON)


@pytest.mark.parametrize("objective", ["tweedie", "poisson", "regression"])
def test_every_loss_of_the_mean_finds_the_mean_of_skewed_demand(objective: str) -> None:
    panel = panel_of(np.random.default_rng(2).geometric(0.3, (12, 200)).tolist())
    mean = model(objective=objective).fit(panel, 7).predict(panel, 7).mean
    assert mean.mean() == pytest.approx(panel.y.mean(), rel=0.1)


def test_the_median_of_skewed_demand_lies_below_its_mean() -> None:
    panel = panel_of(np.random.default_rng(2).geometric(0.3, (12, 200)).tolist())  # mean 3.3, median 2
    median = model(objective="regression_l1").fit(panel, 7).predict(panel, 7).mean
    assert 1.7 < median.mean() < 2.6


def test_bags_are_averaged_and_come_back_from_the_folder(tmp_path: Path) -> None:
    panel = seasonal_panel()
    fitted = model(bags=3).fit(panel, HORIZON)
    fitted.save(tmp_path)
    assert len(list(tmp_path.glob("lightgbm-*.txt"))) == 3
    again = DirectLightgbm.load(tmp_path).predict(panel, HORIZON).mean
    np.testing.assert_array_equal(again, fitted.predict(panel, HORIZON).mean)


def test_no_history_to_learn_from_is_said() -> None:
    with pytest.raises(ModelError, match="found no target to learn from"):
        model().fit(panel_of([[np.nan] * 60]), HORIZON)
