"""`make model-check`: the released model loads and is met, and a model that has become worse is noticed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import model_check
from forecasting import models
from forecasting.errors import ArtifactError
from forecasting.models.base import Forecast

FOLDERS = sorted(model_check.RELEASED.iterdir())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory):
    settings = model_check.demo_settings(tmp_path_factory.mktemp("check"))
    return settings, model_check.demo_panel(settings)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda one: one.name)
def test_models_of_earlier_releases_load_and_forecast(demo, folder: Path) -> None:
    _, panel = demo
    forecast = models.load(folder).predict(panel, 28)
    assert forecast.mean.shape == (len(panel.y), 28)
    assert np.isfinite(forecast.quantiles).all()


def test_the_released_model_is_not_worse_than_itself(demo) -> None:
    settings, panel = demo
    kept = model_check.released(FOLDERS[-1], panel)
    again = model_check.forecasts(models.load(FOLDERS[-1]), panel)
    for one, other in zip(kept, again, strict=True):
        np.testing.assert_allclose(one.mean, other.mean, rtol=1e-4)
    assert not model_check.regressed(model_check.compared(settings, panel, again, kept), settings)


@pytest.mark.parametrize("harm", ["high", "flat", "narrow"])
def test_a_model_that_has_become_worse_fails_the_check(demo, harm: str, tmp_path: Path) -> None:
    settings, panel = demo
    kept = model_check.released(FOLDERS[-1], panel)
    harmed = [_harmed(one, harm) for one in kept]
    verdict = model_check.compared(settings, panel, harmed, kept)
    assert model_check.regressed(verdict, settings)
    model_check.report(tmp_path, panel, (harmed[0], kept[0]), verdict, "0.1.0")
    assert "**fails**" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "total.png").stat().st_size > 10_000


def _harmed(one: Forecast, harm: str) -> Forecast:
    """A fifth too high, without any week, or with bands a fifth as wide."""
    if harm == "high":
        return replace(one, mean=one.mean * 1.2)
    if harm == "flat":
        return replace(one, mean=np.repeat(one.mean.mean(axis=1, keepdims=True), one.mean.shape[1], axis=1))
    return replace(one, quantiles=one.mean[..., None] + 0.2 * (one.quantiles - one.mean[..., None]))


def test_a_released_model_that_was_tampered_with_is_refused(demo, tmp_path: Path) -> None:
    shutil.copytree(FOLDERS[-1], tmp_path / "released")
    (tmp_path / "released" / "blend.json").write_text("{}")
    with pytest.raises(ArtifactError):
        model_check.released(tmp_path / "released", demo[1])
