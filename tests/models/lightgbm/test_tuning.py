"""Tuning LightGBM: it finds what is plainly better, does no harm, keeps to its time, and sees nothing later."""

from __future__ import annotations

import time

import numpy as np

from forecasting.core.config.settings import Settings
from forecasting.models.lightgbm.direct import DirectLightgbm
from forecasting.models.lightgbm.tuning import tune
from tests.support.panels import seasonal_panel

HORIZON = 14


def settings(seconds: float, **lightgbm: object) -> Settings:
    given = {"rows": 20_000, "bags": 1, "trees": 60, "leaves": 15, "min_rows_leaf": 20} | lightgbm
    return Settings.model_validate(
        {
            "sources": {"shop": {"kind": "files", "path": "."}},
            "extract": {"sales": {"source": "shop", "path": "sales.csv"}},
            "train": {"lightgbm": given, "tuning": {"seconds": seconds}},
            "runtime": {"threads": 1},
        }
    )


def test_settings_that_cannot_learn_anything_are_bettered() -> None:
    poor = settings(8, leaves=2, trees=3, learning_rate=0.01)
    tuned = tune(seasonal_panel(12, 250), HORIZON, poor)
    assert tuned.error < 0.8 * tuned.before
    assert tuned.settings.trees > 3


def test_without_time_the_settings_stay_as_they_are() -> None:
    given = settings(0.001)
    tuned = tune(seasonal_panel(8, 150), HORIZON, given)
    assert (tuned.settings, tuned.error, tuned.trials) == (given.train.lightgbm, tuned.before, 0)


def test_learning_rows_end_where_the_later_ones_begin() -> None:
    panel = seasonal_panel(6, 150)
    model = DirectLightgbm(settings(1).train.lightgbm, threads=1)
    spoiled = panel.y.copy()
    spoiled[:, -HORIZON:] = 1e6
    before, _ = model.sampled(panel, HORIZON)
    after, later = model.sampled(type(panel)(**{**vars(panel), "y": spoiled}), HORIZON)
    np.testing.assert_array_equal(before.values, after.values)
    np.testing.assert_array_equal(before.target, after.target)
    assert (later.target == 1e6).all()


def test_a_fit_with_too_little_time_says_what_it_gave_up() -> None:
    given = settings(1, bags=2, trees=5_000).train.lightgbm
    slow = DirectLightgbm(given.model_copy(update={"seconds": 0.5}), threads=1)
    began = time.perf_counter()
    slow.fit(seasonal_panel(12, 250), HORIZON)
    assert time.perf_counter() - began < 60  # 10,000 trees take minutes
    assert slow.spec["gave_up"][0].startswith("all but ")
    assert slow.spec["gave_up"][-1] == "1 of 2 boosters"
    assert np.isfinite(slow.predict(seasonal_panel(12, 250), HORIZON).mean).all()
