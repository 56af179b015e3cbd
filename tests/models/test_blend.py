"""The blend: weights, statuses, parts that fail, series that are over, and shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecasting import models
from forecasting.core.config.sections import LightgbmSettings
from forecasting.core.errors import ArtifactError, ModelError
from forecasting.models.base import Forecast
from forecasting.models.baselines import SeasonalMean, SeasonalNaive
from forecasting.models.blend import Blend
from forecasting.models.intervals.levels import Calibrations
from forecasting.models.lightgbm.direct import DirectLightgbm
from forecasting.panel.panel import Panel
from tests.support.panels import panel_of, seasonal_panel

HORIZON = 14


class Broken:
    """A part whose library gives up, or whose numbers are not finite for the first series."""

    name = "broken"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def predict(self, panel: Panel, horizon: int, rows: np.ndarray | None = None) -> Forecast:
        if self.error:
            raise self.error
        mean = np.ones((len(panel.y), horizon), dtype=np.float32)
        mean[0] = np.nan
        return Forecast.ok(mean)


def parts() -> dict:
    return {"seasonal_naive": SeasonalNaive(), "seasonal_mean": SeasonalMean()}


def test_the_mean_is_weighted() -> None:
    panel = seasonal_panel()
    naive, mean = (model.predict(panel, HORIZON).mean for model in parts().values())
    blend = Blend(parts(), {"seasonal_naive": 0.25, "seasonal_mean": 0.75}).predict(panel, HORIZON)
    np.testing.assert_allclose(blend.mean, 0.25 * naive + 0.75 * mean, rtol=1e-5)


def test_each_demand_class_has_its_own_weights_in_shards_and_after_saving_too(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    panel = panel_of([random.poisson(30, 60).tolist(), (9 * (random.random(60) < 0.3)).tolist()])
    naive, mean = (model.predict(panel, HORIZON).mean for model in parts().values())
    by_class = {"smooth": {"seasonal_naive": 1.0}, "intermittent": {"seasonal_mean": 1.0}}
    blend = Blend(parts(), {"seasonal_naive": 0.5, "seasonal_mean": 0.5}, by_class=by_class)
    expected = np.stack([naive[0], mean[1]])
    np.testing.assert_array_equal(blend.predict(panel, HORIZON).mean, expected)
    np.testing.assert_array_equal(blend.predict(panel, HORIZON, np.array([1])).mean, expected[1:])
    models.save(blend.fit(panel, HORIZON), tmp_path / "blend")
    np.testing.assert_array_equal(models.load(tmp_path / "blend").predict(panel, HORIZON).mean, expected)


def test_a_part_that_fails_is_named_in_every_row_and_the_others_stand_in() -> None:
    panel = seasonal_panel()
    blend = Blend(
        {"broken": Broken(ModelError("no memory")), "seasonal_mean": SeasonalMean()},  # type: ignore[dict-item]
        {"broken": 0.5, "seasonal_mean": 0.5},
    )
    forecast = blend.predict(panel, HORIZON)
    np.testing.assert_allclose(forecast.mean, SeasonalMean().predict(panel, HORIZON).mean)
    assert set(forecast.status[:-1]) == {"fallback"}
    assert forecast.reason[0] == "broken failed: no memory"


def test_a_blend_whose_parts_all_fail_falls_back_to_the_seasonal_mean() -> None:
    panel = seasonal_panel()
    blend = Blend({"broken": Broken(ValueError("empty"))}, {"broken": 1.0})  # type: ignore[dict-item]
    forecast = blend.predict(panel, HORIZON)
    np.testing.assert_allclose(forecast.mean, SeasonalMean().predict(panel, HORIZON).mean)
    assert (forecast.status != "ok").all()


def test_numbers_that_are_not_finite_are_replaced_for_that_series_alone() -> None:
    panel = panel_of([[5.0] * 30, [7.0] * 30])
    blend = Blend(
        {"broken": Broken(), "seasonal_mean": SeasonalMean()},  # type: ignore[dict-item]
        {"broken": 0.5, "seasonal_mean": 0.5},
    )
    forecast = blend.predict(panel, 2)
    np.testing.assert_allclose(forecast.mean, [[5, 5], [4, 4]], rtol=1e-4)
    assert forecast.status.tolist() == ["fallback", "ok"]
    assert forecast.reason.tolist() == ["broken gave no finite forecast", ""]


def test_a_series_without_sales_for_long_enough_is_over() -> None:
    panel = panel_of([[4.0] * 10 + [0.0] * 30, [4.0] * 40, [0.0] * 5 + [np.nan] * 35])
    forecast = Blend(parts(), {"seasonal_mean": 1.0}, discontinued_after=28).predict(panel, 3)
    assert forecast.status[:2].tolist() == ["discontinued", "ok"]
    assert forecast.mean[0].tolist() == [0, 0, 0]
    assert forecast.reason[0] == "no sale in the last 28 periods"


def test_shards_change_nothing() -> None:
    panel = seasonal_panel()
    folds = [(panel.first(126), panel.y[:, 126:], SeasonalMean().predict(panel.first(126), HORIZON).mean)]
    blend = Blend(parts(), {"seasonal_naive": 0.5, "seasonal_mean": 0.5}, Calibrations.fit(folds), 28)
    whole = blend.predict(panel, HORIZON)
    rows = np.array([6, 1, 7])
    part = blend.predict(panel, HORIZON, rows)
    np.testing.assert_array_equal(part.mean, whole.mean[rows])
    np.testing.assert_array_equal(part.quantiles, whole.quantiles[rows])  # type: ignore[index]
    assert part.status.tolist() == whole.status[rows].tolist()


def test_what_is_saved_forecasts_the_same(tmp_path: Path) -> None:
    panel = seasonal_panel()
    folds = [(panel.first(126), panel.y[:, 126:], SeasonalMean().predict(panel.first(126), HORIZON).mean)]
    blend = Blend(parts(), {"seasonal_naive": 0.0, "seasonal_mean": 1.0}, Calibrations.fit(folds), 60)
    models.save(blend.fit(panel, HORIZON), tmp_path / "m")
    loaded = models.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(panel, HORIZON).quantiles, blend.predict(panel, HORIZON).quantiles)
    assert blend.label == "seasonal_mean"
    (tmp_path / "m" / "blend.json").write_text("{")
    with pytest.raises(ArtifactError, match="does not hold a blend"):
        models.load(tmp_path / "m")


@pytest.mark.parametrize("objective", ["tweedie", "regression"])
def test_why_a_number_is_what_it_is_adds_up_to_it(objective: str) -> None:
    panel = seasonal_panel()
    small = LightgbmSettings(rows=3000, trees=20, leaves=7, min_rows_leaf=20, objective=objective)
    parts = {"lightgbm": DirectLightgbm(small, threads=1), "seasonal_mean": SeasonalMean()}
    blend = Blend(parts, {"lightgbm": 0.75, "seasonal_mean": 0.25}, discontinued_after=60).fit(panel, 14)
    mean = blend.predict(panel, 14).mean
    everything = np.arange(len(panel.y))
    together = blend.explain(panel, 14, everything)
    np.testing.assert_allclose(sum(together.values()), mean, rtol=1e-3, atol=1e-3)
    found = blend.explain(panel, 14, everything[4:5])
    for name, values in found.items():
        np.testing.assert_allclose(values[0], together[name][4], rtol=1e-6, atol=1e-6)
    assert {("lightgbm", group) for group in ("recent level", "season", "price", "promotion")} <= set(found)
    assert ("seasonal_mean", "history") in found
    dear = panel.known["promotion"].copy()
    dear[4, -14:] = 1
    changed = blend.explain(replace(panel, known={**panel.known, "promotion": dear}), 14, everything[4:5])
    promoted = changed["lightgbm", "promotion"].sum() - found["lightgbm", "promotion"].sum()
    assert promoted > 0


def closed_panel() -> Panel:
    """Series 0 has ended on day 100, series 1 sells again since day 135; day 2 of the coming ones is closed for all."""
    panel = seasonal_panel()
    y, shut = panel.y.copy(), np.zeros((1, 140 + HORIZON), dtype=np.uint8)
    y[0, 101:], y[1, 101:135] = np.nan, np.nan
    shut[0, 141] = 1
    ended = np.array([[0, 100, 129, 140], [1, 100, 129, 135]])
    return replace(panel, y=y, ended=ended, known={**panel.known, "closed": shut})


def test_nothing_is_forecast_for_what_has_ended_and_for_days_that_are_expected_to_be_closed() -> None:
    panel = closed_panel()
    folds = [(panel.first(126), panel.y[:, 126:], SeasonalMean().predict(panel.first(126), HORIZON).mean)]
    blend = Blend(parts(), {"seasonal_mean": 1.0}, Calibrations.fit(folds))
    found = blend.predict(panel, HORIZON)
    assert found.status[:2].tolist() == ["discontinued", "ok"]
    assert (
        found.reason[0] == "store S1: last sale on 2026-04-15, 39 periods ago, longer than panel.closed_periods allows"
    )
    assert not found.mean[0].any()
    assert not found.quantiles[0].any()
    assert not found.mean[:, 1].any()
    assert not found.quantiles[:, 1].any()
    assert (found.mean[1:7, [0, 2]] > 0).all()
    rows = np.array([3, 0])
    part = blend.predict(panel, HORIZON, rows)
    np.testing.assert_array_equal(part.mean, found.mean[rows])
    assert part.status.tolist() == ["ok", "discontinued"]
    told = blend.explain(panel, HORIZON, np.arange(4))
    np.testing.assert_allclose(sum(told.values()), found.mean[:4], rtol=1e-3, atol=1e-3)
    assert told["rules", "rules"][3, 1] < 0
    assert not told["rules", "rules"][3, [0, 2]].any()


def test_what_ended_later_was_not_over_yet() -> None:
    panel = closed_panel()
    assert panel.ended_now().tolist()[:2] == [100, -1]
    assert panel.first(120).ended_now().tolist() == [-1] * 8
    assert panel.first(132).ended_now().tolist()[:2] == [100, 100]
    assert panel.take(np.array([3, 1, 0, 0])).ended_now().tolist() == [-1, -1, 100, 100]
    assert panel.first(132).take(np.array([1])).ended.tolist() == [[0, 100, 129, 132]]
