"""Published figures on Walmart's data: needs the public data set, which is not part of the project."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.core.frequency import Frequency
from forecasting.evaluation.metrics import hierarchical_rmsse
from forecasting.models.baselines import SeasonalNaive
from forecasting.panel.hierarchy import levels
from forecasting.panel.panel import Panel

DATA = Path(os.environ.get("FORECASTING_DATA", "../shared/data")) / "m5"
LEVELS = (
    "state_id", "store_id", "cat_id", "dept_id", "state_id|cat_id", "state_id|dept_id", "store_id|cat_id",
    "store_id|dept_id", "item_id", "item_id|state_id",
)  # fmt: skip
CUTOFF, HORIZON = date(2016, 4, 24), 28

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the M5 data is not at {DATA}; set FORECASTING_DATA to its parent"),
]


@pytest.fixture(scope="module")
def panel() -> Panel:
    series = pd.read_parquet(DATA / "items.parquet").merge(pd.read_parquet(DATA / "stores.parquet"), how="cross")
    series.insert(0, "unique_id", series["item_id"] + "_" + series["store_id"])
    sales = pd.read_parquet(DATA / "sales.parquet")
    position = pd.MultiIndex.from_frame(series[["item_id", "store_id"]])
    items, stores = sales["item_id"].cat, sales["store_id"].cat
    pairs = pd.MultiIndex.from_product([items.categories, stores.categories])
    rows = position.get_indexer(pairs).reshape(len(items.categories), -1)[items.codes, stores.codes]
    days = pd.DatetimeIndex(pd.to_datetime(sales["date"].unique())).sort_values()
    columns = sales["date"].map({day.date(): number for number, day in enumerate(days)}).to_numpy()
    y = np.full((len(series), len(days)), np.nan, dtype=np.float32)
    y[rows, columns] = sales["units"]
    return Panel(y, Frequency("D").range(days[0], len(days)), series, Frequency("D"), "m5", levels=LEVELS)


def test_seasonal_naive_scores_the_known_wrmsse(panel: Panel) -> None:
    """0.870 with the official weights and scales; any error in levels, keys or scales would move it."""
    official = pd.read_parquet(DATA / "wrmsse_validation.parquet")
    forecast = SeasonalNaive().predict(panel.until(CUTOFF), HORIZON).mean
    actual = panel.after(CUTOFF, HORIZON)
    total = 0.0
    for number, level in enumerate(levels(panel.series, LEVELS), start=1):
        labels = ["Total"] if number == 1 else list(level.labels)
        table = official[official["level"] == number].set_index("key").loc[labels]
        error = ((level.sum(actual) - level.sum(forecast)) ** 2).mean(axis=1)
        total += float(np.nansum(table["weight"] * np.sqrt(error / table["scale"])))
    assert total == pytest.approx(0.870, abs=0.002)


def test_our_own_weights_and_scales_rank_like_the_official_ones(panel: Panel) -> None:
    """Ours rest on 419 days and on units where prices are left out, so the figure differs and its size does not."""
    known = panel.until(CUTOFF)
    table = hierarchical_rmsse(known, panel.after(CUTOFF, HORIZON), SeasonalNaive().predict(known, HORIZON).mean)
    assert list(table["level"]) == ["total", *LEVELS, "series", "all"]
    assert 0.75 < table.set_index("level").loc["all", "value"] < 0.95
