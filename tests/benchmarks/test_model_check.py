"""`make model-check`: released models load and say what they said, and a model that has become worse is noticed."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import forecasting
from benchmarks import model_check, model_sets
from benchmarks.model_check import Result
from benchmarks.model_sets import ROOT, Sample
from forecasting import models
from forecasting.core.errors import ArtifactError
from forecasting.models.base import Forecast
from forecasting.models.baselines import SeasonalNaive
from forecasting.storage.registry.manifest import verify

DATA = Path(os.environ.get("FORECASTING_DATA", ROOT / "../shared/data"))
FOLDERS = [folder for release in model_check.releases()[-2:] for folder in sorted(release.iterdir())]
NEWEST = model_check.releases()[-1]


def _marked(name: str, *values: object):
    absent = pytest.mark.skipif(not model_sets.there(name, DATA), reason=f"no shared data: {name} is not at {DATA}")
    marks = () if name == model_sets.DEMO else (pytest.mark.data, absent)
    return pytest.param(*values, marks=marks)


@cache
def sample(name: str) -> Sample:
    return model_sets.read(name, DATA)


def test_every_release_keeps_its_models() -> None:
    assert forecasting.__version__ == NEWEST.name
    assert {folder.name for folder in NEWEST.iterdir()} == set(model_sets.NAMES)
    assert len(model_check.releases()) >= 2


@pytest.mark.parametrize(
    "folder", [_marked(one.name, one) for one in FOLDERS], ids=lambda one: f"{one.parent.name}-{one.name}"
)
def test_models_of_the_last_two_releases_load_and_say_what_they_said(folder: Path) -> None:
    verify(folder)
    again = model_check.forecasts(models.load(folder), sample(folder.name))
    with np.load(folder / model_check.KEPT) as kept:
        assert str(kept["panel"]) == model_check.digest(sample(folder.name).panel), "the data has changed since"
        for number, forecast in enumerate(again):
            np.testing.assert_allclose(forecast.mean, kept[f"mean_{number}"], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(forecast.quantiles, kept[f"quantiles_{number}"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [_marked(name, name) for name in model_sets.NAMES])
def test_the_released_model_is_not_worse_than_itself_and_seasonal_naive_is(name: str, tmp_path: Path) -> None:
    one = sample(name)
    assert not model_check.check(one, models.load(NEWEST / name), tmp_path).worse
    naive = model_check.check(one, SeasonalNaive().fit(one.learned, one.unseen), tmp_path)
    assert naive.worse
    assert naive.release == NEWEST.name
    report = model_check.report(tmp_path, [naive, Result("other", "skipped: no shared data at nowhere")]).read_text()
    row, other = (line for line in report.splitlines() if line.startswith((f"| {name} ", "| other ")))
    assert "**WORSE**" in row
    assert "skipped: no shared data" in other
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize("harm", ["high", "flat", "narrow"])
def test_a_model_that_has_become_worse_fails_the_check(harm: str) -> None:
    one = sample(model_sets.DEMO)
    kept = model_check.released(NEWEST / one.name, one)
    verdict = model_check.compared(one, [_harmed(forecast, harm) for forecast in kept], kept)
    assert model_check.regressed(verdict)


def _harmed(one: Forecast, harm: str) -> Forecast:
    """A fifth too high, without any week, or with bands a fifth as wide."""
    if harm == "high":
        return replace(one, mean=one.mean * 1.2)
    if harm == "flat":
        return replace(one, mean=np.repeat(one.mean.mean(axis=1, keepdims=True), one.mean.shape[1], axis=1))
    return replace(one, quantiles=one.mean[..., None] + 0.2 * (one.quantiles - one.mean[..., None]))


def test_a_released_model_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    shutil.copytree(NEWEST / model_sets.DEMO, tmp_path / "released")
    (tmp_path / "released" / "blend.json").write_text("{}")
    with pytest.raises(ArtifactError):
        model_check.released(tmp_path / "released", sample(model_sets.DEMO))
