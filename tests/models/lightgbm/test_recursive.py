"""The recursive LightGBM: what it draws has the right mean and spread, and running forward does not drift."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.core.config.sections import LightgbmSettings
from forecasting.models.lightgbm.recursive import Recursive, _uniform
from tests.support.panels import panel_of

SMALL = LightgbmSettings(rows=10_000, bags=1, trees=40, leaves=7, min_rows_leaf=20, learning_rate=0.1)
EVEN = (np.arange(20_000) + 0.5) / 20_000


def model(**spec: object) -> Recursive:
    made = Recursive(SMALL, threads=1, seed=3)
    made.spec |= spec
    return made


def test_a_draw_at_the_middle_is_the_median() -> None:
    counts = model(dispersion=1.0, whole=True)._drawn(np.array([0.5, 4.0], dtype=np.float32), np.array([0.5, 0.5]))
    assert counts.tolist() == [0, 4]  # Poisson: P(0 | 0.5) = 0.61; P(up to 3 | 4) = 0.43, P(up to 4 | 4) = 0.63


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("mean", [0.3, 2.0, 40.0])
def test_draws_have_the_mean_and_the_spread_asked_for(mean: float, whole: bool) -> None:
    drawn = model(dispersion=2.5, whole=whole)._drawn(np.full(len(EVEN), mean, dtype=np.float32), EVEN)
    assert drawn.mean() == pytest.approx(mean, rel=0.02)
    assert drawn.var() == pytest.approx(2.5 * mean, rel=0.05)
    assert (drawn == np.rint(drawn)).all() == whole


def test_the_numbers_behind_the_draws_are_even_and_differ_by_series_path_and_step() -> None:
    names = np.arange(5_000, dtype=np.uint64)
    first = _uniform(names, 7, 0, 0)
    assert ((first > 0) & (first < 1)).all()
    assert first.mean() == pytest.approx(0.5, abs=0.02)
    for other in (_uniform(names, 7, 0, 1), _uniform(names, 7, 1, 0), _uniform(names, 8, 0, 0)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.05


def test_rare_demand_run_forward_keeps_its_level() -> None:
    random = np.random.default_rng(5)
    panel = panel_of(random.poisson(0.3, (20, 200)).tolist())
    mean = model().fit(panel, 28).predict(panel, 28).mean
    assert mean[:, -7:].mean() == pytest.approx(panel.y.mean(), rel=0.25)


def test_whole_numbers_and_amounts_are_told_apart() -> None:
    random = np.random.default_rng(5)
    pieces = random.poisson(3, (6, 120)).astype(float)
    assert model().fit(panel_of(pieces.tolist()), 7).spec["whole"]
    assert not model().fit(panel_of((pieces * 0.35).tolist()), 7).spec["whole"]
