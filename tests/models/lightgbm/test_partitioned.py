"""Partitions of a global model: each learns from its own series only, and workers, order and shards change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecasting import models
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, ModelError, SettingsError
from forecasting.models.base import Forecast
from forecasting.models.lightgbm.partitioned import SPEC_FILE, Partitioned
from forecasting.panel.panel import Panel
from tests.support.panels import seasonal_panel

HORIZON = 5
BASE = {
    "sources": {"shop": {"kind": "files", "path": "."}},
    "extract": {"sales": {"source": "shop", "path": "sales.csv"}},
}
TREES = {"rows": 800, "trees": 4, "leaves": 7, "origins": 3, "bags": 1, "min_rows_leaf": 5}


def described(workers: int = 1, **train: object) -> Settings:
    chosen = {"partition_by": "store", "partition_series": 1, "lightgbm": TREES} | train
    return Settings.model_validate(
        {**BASE, "train": chosen, "runtime": {"threads": 1 if workers == 1 else 0, "partition_workers": workers}}
    )


def panel_by(stores: list[str]) -> Panel:
    panel = seasonal_panel(len(stores), 90, HORIZON)
    return replace(panel, series=panel.series.assign(store=stores))


def same(one: Forecast, other: Forecast) -> None:
    np.testing.assert_array_equal(one.mean, other.mean)
    assert one.status.tolist() == other.status.tolist()
    assert one.reason.tolist() == other.reason.tolist()


def test_each_partition_is_the_model_that_is_fitted_on_it_alone() -> None:
    panel = panel_by(["S1", "S2"] * 4)
    found = Partitioned.create(described()).fit(panel, HORIZON).predict(panel, HORIZON)
    for store in (0, 1):
        part = panel.take(np.arange(store, 8, 2))
        alone = models.plain("lightgbm", described()).fit(part, HORIZON).predict(part, HORIZON)
        np.testing.assert_array_equal(found.mean[store::2], alone.mean)


def test_what_happens_in_one_partition_changes_nothing_in_another() -> None:
    panel = panel_by(["S1", "S2"] * 4)
    before = Partitioned.create(described()).fit(panel, HORIZON).predict(panel, HORIZON)
    panel.y[1::2] *= 7
    after = Partitioned.create(described()).fit(panel, HORIZON).predict(panel, HORIZON)
    np.testing.assert_array_equal(after.mean[0::2], before.mean[0::2])
    assert not np.array_equal(after.mean[1::2], before.mean[1::2])


def test_small_and_unsold_partitions_share_a_model_and_the_reason_is_kept(tmp_path: Path) -> None:
    panel = panel_by(["big", "big", "big", "tiny", "big", "none", "none", "big"])
    panel.y[5:7] = 0
    model = Partitioned.create(described(partition_series=2)).fit(panel, HORIZON)
    assert list(model.parts) == ["big"]
    assert model.small["tiny"] == "1 series, fewer than train.partition_series = 2"
    assert "no target to learn from" in model.small["none"]
    whole = models.plain("lightgbm", described()).fit(panel, HORIZON).predict(panel, HORIZON)
    found = model.predict(panel, HORIZON)
    np.testing.assert_array_equal(found.mean[[3, 5, 6]], whole.mean[[3, 5, 6]])
    models.save(model, tmp_path)
    loaded = models.load(tmp_path)
    assert isinstance(loaded, Partitioned)
    assert loaded.small == model.small


def test_a_partition_that_is_new_after_the_training_is_forecast_by_the_shared_model() -> None:
    panel = panel_by(["S1", "S2"] * 4)
    model = Partitioned.create(described()).fit(panel, HORIZON)
    moved = replace(panel, series=panel.series.assign(store=["S1", "S2", "new", "S2"] + ["S1", "S2"] * 2))
    found = model.predict(moved, HORIZON)
    assert model.rest is not None
    np.testing.assert_array_equal(found.mean[[2]], model.rest.predict(moved, HORIZON, np.array([2])).mean)


SLOW = settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=(HealthCheck.too_slow,))


@SLOW
@given(
    stores=st.lists(st.sampled_from(["a", "b/../c", "ü|", ""]), min_size=6, max_size=9),
    workers=st.integers(2, 4),
    seed=st.integers(0, 99),
)
def test_workers_and_shards_change_no_number(stores: list[str], workers: int, seed: int) -> None:
    panel = panel_by(stores)
    one = Partitioned.create(described()).fit(panel, HORIZON)
    many = Partitioned.create(described(workers)).fit(panel, HORIZON)
    whole = one.predict(panel, HORIZON)
    same(many.predict(panel, HORIZON), whole)
    assert one.small == many.small
    order = np.random.default_rng(seed).permutation(len(stores))
    for rows in np.array_split(order, 3):
        part = many.predict(panel, HORIZON, rows)
        same(part, Forecast(whole.mean[rows], None, whole.status[rows], whole.reason[rows]))


def test_the_files_are_the_same_byte_for_byte_whatever_the_workers(tmp_path: Path) -> None:
    panel = panel_by(["S1", "S2", "S3"] * 3)
    for workers, place in ((1, "one"), (3, "three")):
        chosen = described(workers)
        chosen = chosen.model_copy(update={"runtime": chosen.runtime.model_copy(update={"threads": 2})})
        models.save(Partitioned.create(chosen).fit(panel, HORIZON), tmp_path / place)
    files = {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert {path.parts[0] for path in files} == {"model.json", SPEC_FILE, "rest", "part-0", "part-1", "part-2"}
    for file in files - {path for path in files if path.name.startswith("lightgbm-")}:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "three" / file).read_bytes()
    for file in (path for path in files if path.name.startswith("lightgbm-")):
        trees = [(tmp_path / place / file).read_text().split("\nparameters:")[0] for place in ("one", "three")]
        assert trees[0] == trees[1]


@pytest.mark.parametrize("kind", models.GLOBAL)
def test_it_stands_in_under_the_name_of_the_candidate_also_when_loaded(kind: str, tmp_path: Path) -> None:
    panel = panel_by(["S1", "S2"] * 3)
    made = models.create(kind, described())
    assert isinstance(made, Partitioned)
    assert made.name == kind
    before = made.fit(panel, HORIZON).predict(panel, HORIZON)
    models.save(made, tmp_path)
    loaded = models.load(tmp_path)
    assert loaded.name == kind
    same(loaded.predict(panel, HORIZON), before)
    with pytest.raises(ModelError, match="not fitted again"):
        loaded.fit(panel, HORIZON)


@pytest.mark.parametrize(("cells", "by"), [(1000, None), (1001, "store")])
def test_size_decides(cells: int, by: str | None) -> None:
    chosen = models.sized(described(partition_rows=1000), cells)
    assert chosen.train.partition_by == by
    assert isinstance(models.create("lightgbm", chosen), Partitioned) == bool(by)
    assert not isinstance(models.create("seasonal_mean", chosen), Partitioned)


def test_an_attribute_that_is_not_there_is_named() -> None:
    panel = panel_by(["S1", "S2"] * 3)
    with pytest.raises(SettingsError, match=r"train.partition_by = 'departmnt'.* no attribute departmnt.*store"):
        Partitioned.create(described(partition_by="departmnt")).fit(panel, HORIZON)


def test_a_missing_part_is_refused_and_an_unfitted_model_says_so(tmp_path: Path) -> None:
    panel = panel_by(["S1", "S2"] * 3)
    model = Partitioned.create(described())
    with pytest.raises(ModelError, match="before it was fitted"):
        model.predict(panel, HORIZON)
    models.save(model.fit(panel, HORIZON), tmp_path)
    (tmp_path / "part-1" / models.MODEL_FILE).unlink()
    with pytest.raises(ArtifactError, match="does not hold"):
        models.load(tmp_path)


def test_features_matter_by_the_models_that_series_go_to() -> None:
    panel = panel_by(["S1"] * 3 + ["S2"] * 3 + ["tiny"])
    panel.y[3:6] = 4.0  # nothing to tell apart: a model that gains nothing
    model = Partitioned.create(described(partition_series=2))
    with pytest.raises(ModelError, match="before it was fitted"):
        model.importance()
    model.fit(panel, HORIZON)
    assert sum(model.parts["S2"].importance().values()) == 0
    told = [model.parts["S1"].importance(), model.rest.importance()]
    found = model.importance()
    assert sum(found.values()) == pytest.approx(1)
    assert found == pytest.approx({name: sum(one.get(name, 0) for one in told) / 2 for name in found})
    panel.y[:] = 4.0
    assert sum(Partitioned.create(described()).fit(panel, HORIZON).importance().values()) == 0


def test_it_tells_what_moved_a_forecast_and_what_the_models_looked_at() -> None:
    panel = panel_by(["S1", "S2"] * 3)
    model = Partitioned.create(described(partition_series=2)).fit(panel, HORIZON)
    rows = np.array([3, 0, 4])  # of both partitions, in any order
    told = model.explain(panel, HORIZON, rows)
    np.testing.assert_allclose(sum(told.values()), model.predict(panel, HORIZON).mean[rows], rtol=1e-4)
    assert sum(model.importance().values()) == pytest.approx(1)
