"""The few series to look at first: ranked by the units at stake, each once, and why their numbers are what they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting import settings as configuration
from forecasting.data.tables import EXCEPTIONS, EXPLANATIONS, FORECASTS, SERIES_SCORES
from forecasting.sources import demo
from forecasting.steps import exceptions
from forecasting.steps.demo import tonight
from forecasting.steps.run import Run
from forecasting.stores.warehouse import Warehouse
from tests.shops import small_shop
from tests.steps.test_night import night


def test_exceptions_are_ranked_by_what_is_at_stake_and_explained(tmp_path: Path) -> None:
    settings = configuration.load(small_shop(tmp_path))
    first = tonight(settings)
    second = first + timedelta(days=1)
    night(settings, first, "first")
    demo.advance(settings, second)
    night(settings, second, "second")
    warehouse, day = Warehouse(settings.warehouse), pd.Timestamp(second)
    forecasts = warehouse.read(FORECASTS, cutoff=day)
    jumps, low, *_ = forecasts["unique_id"].unique()
    # The last vintage said 30 units a day more for one series; another one was forecast too low again and again.
    before = warehouse.read(FORECASTS, cutoff=pd.Timestamp(first))
    before.loc[before["unique_id"] == jumps, "mean"] += 30
    warehouse.replace(FORECASTS, before, cutoff=pd.Timestamp(first))
    scores = warehouse.read(SERIES_SCORES, scored_at=day)
    scores["tracking_signal"], scores["naive_wape"] = 0.0, 10.0
    mine = scores["unique_id"] == low
    scores.loc[mine, "tracking_signal"], scores.loc[mine, "bias"] = -6.0, -0.5
    warehouse.replace(SERIES_SCORES, scores, scored_at=day)

    for _ in range(2):  # twice is once
        facts = exceptions.find(settings, second, Run("again"))
    found = warehouse.read(EXCEPTIONS, cutoff=day).set_index("unique_id")
    assert facts["exceptions"] == len(found)
    assert sorted(found["rank"]) == list(range(1, len(found) + 1))
    assert found.sort_values("rank")["stake"].is_monotonic_decreasing
    assert found.loc[jumps, "reason"] == "jump"
    days = settings.panel.horizon - 1  # periods that both vintages have
    assert found.loc[jumps, "stake"] == pytest.approx(30 * days, rel=0.2)
    assert f"in the vintage of {first}" in found.loc[jumps, "message"]
    assert found.loc[low, "reason"] == "bias"
    units = forecasts.loc[forecasts["unique_id"] == low, "mean"].sum()
    assert found.loc[low, "stake"] == pytest.approx(0.5 * units)
    assert found.loc[low, "message"] == "forecast too low again and again: 50% (tracking signal -6.0)"

    why = warehouse.read(EXPLANATIONS, cutoff=day)
    assert set(why["unique_id"]) == set(found.index)
    told = why.groupby(["unique_id", "ds"])["units"].sum()
    published = forecasts.set_index(["unique_id", "ds"])["mean"].loc[told.index]
    np.testing.assert_allclose(told, published, rtol=1e-4, atol=1e-4)


def test_only_so_many_and_none_in_the_first_night(tmp_path: Path) -> None:
    settings = configuration.load(small_shop(tmp_path, train__models=["seasonal_mean"], monitor__exceptions=2))
    first = tonight(settings)
    night(settings, first, "first")
    assert exceptions.find(settings, first, Run("x"))["exceptions"] == 0
    warehouse = Warehouse(settings.warehouse)
    forecasts = warehouse.read(FORECASTS, cutoff=pd.Timestamp(first))
    warehouse.replace(
        FORECASTS, forecasts.assign(status="fallback", reason="champion 1 is refused (test)"),
        cutoff=pd.Timestamp(first),
    )  # fmt: skip
    assert exceptions.find(settings, first, Run("x"))["exceptions"] == 2
    found = warehouse.read(EXCEPTIONS, cutoff=pd.Timestamp(first))
    assert set(found["reason"]) == {"fallback"}
    assert found["message"].str.contains("a fallback stands in for").all()
