"""What every candidate must do, whatever it is: a new model is tested by its line in the list."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting import models
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, ModelError, SettingsError
from forecasting.core.frequency import Frequency
from forecasting.models.base import STATUSES, Forecast, Forecaster
from forecasting.panel.panel import Panel
from tests.support.panels import seasonal_panel

HORIZON = 6
PERIODS = {"D": 119, "W-MON": 112, "M": 40}
SETTINGS = Settings.model_validate(
    {
        "sources": {"shop": {"kind": "files", "path": "."}},
        "extract": {"sales": {"source": "shop", "path": "sales.csv"}},
        "train": {"lightgbm": {"rows": 2000, "trees": 5, "leaves": 7, "origins": 6, "min_rows_leaf": 5}},
        "runtime": {"threads": 1},
    }
)
BY_STORE = {"partition_by": "store", "partition_series": 1}
SAMPLING = (*models.GLOBAL, "partitioned")  # they draw their rows by position
every_model = pytest.mark.parametrize("name", models.CANDIDATES)
every_frequency = pytest.mark.parametrize("code", PERIODS)


@cache
def whole_panel(code: str) -> Panel:
    """Eight series: gaps, a stock-out, a late one, one of zeros, one that never changes, one never sold."""
    panel = seasonal_panel(8, PERIODS[code], HORIZON)
    panel.y[4] = 0
    panel.y[5] = 3
    frequency = Frequency.parse(code)
    start = pd.Timestamp("2019-01-07")
    return replace(panel, frequency=frequency, periods=frequency.range(start, PERIODS[code]))


def known_panel(code: str) -> Panel:
    """The same with a horizon's worth of periods left to forecast."""
    return whole_panel(code).first(PERIODS[code] - HORIZON)


def create(name: str) -> Forecaster:
    """The candidate; the partitioned one with two partitions."""
    if name != "partitioned":
        return models.create(name, SETTINGS)
    return models.create(name, SETTINGS.model_copy(update={"train": SETTINGS.train.model_copy(update=BY_STORE)}))


@cache
def fitted(name: str, code: str) -> Forecaster:
    return create(name).fit(known_panel(code), HORIZON)


@cache
def forecast(name: str, code: str) -> Forecast:
    return fitted(name, code).predict(known_panel(code), HORIZON)


def same(one: Forecast, other: Forecast) -> None:
    np.testing.assert_array_equal(one.mean, other.mean)
    assert one.status.tolist() == other.status.tolist()
    assert one.reason.tolist() == other.reason.tolist()


# ---------------------------------------------------------------- the list


@pytest.mark.parametrize("name", models.MODELS)
def test_the_list_names_models_as_they_name_themselves(name: str) -> None:
    assert models._named(name).name == name


def test_an_unknown_candidate_is_refused_with_what_there_is() -> None:
    with pytest.raises(SettingsError, match=r"no model 'prophet'; allowed are: seasonal_naive, .*arima"):
        models.create("prophet", SETTINGS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not hold a model"),
        ("{", "does not hold a model"),
        ("[]", "does not hold a model"),
        (json.dumps({"model": "os:system"}), "holds a model 'os:system'; this code knows: seasonal_naive"),
    ],
)
def test_a_folder_without_a_model_that_we_know_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / models.MODEL_FILE).write_text(content)
    with pytest.raises(ArtifactError, match=message):
        models.load(tmp_path)


def test_a_model_outside_the_list_cannot_be_saved(tmp_path: Path) -> None:
    class Stranger:
        name = "stranger"

    with pytest.raises(ModelError, match="'stranger' is not in"):
        models.save(Stranger(), tmp_path / "model")  # type: ignore[arg-type]
    assert not (tmp_path / "model").exists()


# ---------------------------------------------------------------- forecasts


@every_model
@every_frequency
def test_every_series_has_finite_demand_a_status_and_a_reason(name: str, code: str) -> None:
    found, count = forecast(name, code), len(known_panel(code).y)
    assert found.mean.shape == (count, HORIZON)
    assert found.mean.dtype == np.float32
    assert np.isfinite(found.mean).all()
    assert (found.mean >= 0).all()
    assert found.status.shape == found.reason.shape == (count,)
    assert set(found.status) <= set(STATUSES)
    assert [bool(reason) for reason in found.reason] == [status != "ok" for status in found.status]
    if found.quantiles is not None:
        assert found.quantiles.shape[:2] == found.mean.shape
        assert (np.diff(found.quantiles, axis=2) >= 0).all()


@every_model
@every_frequency
def test_a_series_never_observed_is_forecast_and_says_so(name: str, code: str) -> None:
    found = forecast(name, code)
    assert found.status[-1] == "insufficient"
    assert found.mean[-1].mean() > 0


@every_model
@every_frequency
def test_zeros_stay_near_zero_and_a_constant_near_itself(name: str, code: str) -> None:
    found = forecast(name, code)
    assert found.mean[4].max() < 1
    assert 2 < found.mean[5].min() <= found.mean[5].max() < 4.5


@every_model
def test_total_demand_is_of_the_right_size(name: str) -> None:
    recent = np.nanmean(known_panel("D").y[:-1, -28:], axis=1).sum()
    assert forecast(name, "D").mean[:-1].mean(axis=1).sum() == pytest.approx(recent, rel=0.25)


@every_model
def test_fitting_again_gives_the_same_numbers(name: str) -> None:
    panel = known_panel("D")
    same(create(name).fit(panel, HORIZON).predict(panel, HORIZON), forecast(name, "D"))


@every_model
@every_frequency
def test_what_is_saved_forecasts_the_same_bit_for_bit(name: str, code: str, tmp_path: Path) -> None:
    models.save(fitted(name, code), tmp_path / "model")
    same(models.load(tmp_path / "model").predict(known_panel(code), HORIZON), forecast(name, code))
    for file in (path for path in (tmp_path / "model").rglob("*") if path.is_file()):
        assert file.suffix in {".json", ".txt", ".npz"}
        if file.suffix != ".npz":
            file.read_text(encoding="utf-8")


@every_model
def test_a_damaged_folder_is_refused(name: str, tmp_path: Path) -> None:
    models.save(fitted(name, "D"), tmp_path)
    for file in sorted(path for path in tmp_path.rglob("*") if path.is_file() and path != tmp_path / models.MODEL_FILE):
        content = file.read_bytes()
        for damaged in (b"", b"[1]", content[: len(content) // 2]):
            file.write_bytes(damaged)
            with pytest.raises(ArtifactError, match="does not hold"):
                models.load(tmp_path)
        file.write_bytes(content)


@every_model
def test_shards_change_nothing(name: str) -> None:
    rows = np.array([6, 1, 7, 4])
    whole, part = forecast(name, "D"), fitted(name, "D").predict(known_panel("D"), HORIZON, rows)
    same(part, Forecast(whole.mean[rows], None, whole.status[rows], whole.reason[rows]))


@every_model
@every_frequency
def test_a_fitted_model_serves_a_later_cutoff(name: str, code: str) -> None:
    early = known_panel(code).first(PERIODS[code] - 2 * HORIZON)
    model = create(name).fit(early, HORIZON)
    later = model.predict(known_panel(code), HORIZON).mean
    assert np.isfinite(later).all()
    assert not np.array_equal(later, model.predict(early, HORIZON).mean)


@every_model
def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(name: str) -> None:
    short = fitted(name, "D").predict(known_panel("D"), 1).mean
    np.testing.assert_allclose(short, forecast(name, "D").mean[:, :1], rtol=1e-5)


@every_model
def test_a_longer_horizon_than_fitted_is_forecast_too(name: str) -> None:
    panel = replace(known_panel("D"), known={}, past={})
    model = create(name).fit(panel, 2)
    found = model.predict(panel, 20)
    assert found.mean.shape == (8, 20)
    assert np.isfinite(found.mean).all()


@pytest.mark.parametrize("name", [name for name in models.CANDIDATES if name not in SAMPLING])
@every_frequency
def test_the_order_of_the_series_does_not_matter(name: str, code: str) -> None:
    order = np.array([3, 7, 0, 5, 1, 6, 2, 4])
    shuffled = known_panel(code).take(order)
    found = create(name).fit(shuffled, HORIZON).predict(shuffled, HORIZON)
    np.testing.assert_allclose(found.mean, forecast(name, code).mean[order], rtol=1e-3, atol=1e-4)
    assert found.status.tolist() == forecast(name, code).status[order].tolist()


@every_model
@pytest.mark.parametrize(
    "change",
    [
        lambda panel: replace(panel, y=np.full_like(panel.y, np.nan)),
        lambda panel: replace(panel, y=np.zeros_like(panel.y)),
        lambda panel: panel.take(np.array([0])),
        lambda panel: panel.first(3),
        lambda panel: panel.first(1),
    ],
    ids=["nothing observed", "nothing sold", "one series", "three periods", "one period"],
)
def test_meagre_panels_are_forecast_or_refused_with_a_model_error(name: str, change: Callable[[Panel], Panel]) -> None:
    panel = change(known_panel("D"))
    with contextlib.suppress(ModelError):
        found = create(name).fit(panel, HORIZON).predict(panel, HORIZON)
        assert found.mean.shape == (len(panel.y), HORIZON)
        assert np.isfinite(found.mean).all()
        assert (found.mean >= 0).all()
