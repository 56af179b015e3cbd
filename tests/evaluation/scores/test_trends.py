"""Trend of the WAPE over vintages, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.evaluation.scores.trends import trends


def scores(values: list[float], group: str = "all", bucket: str = "1-7") -> pd.DataFrame:
    days = pd.date_range("2026-01-01", periods=len(values))
    return pd.DataFrame({"cutoff": days, "level": "total", "group": group, "bucket": bucket, "value": values})


def test_the_newest_seven_beside_those_before() -> None:
    table = trends(pd.concat([scores([0.9] * 5 + [0.2] * 28 + [0.3] * 7), scores([0.5] * 14, bucket="8-14")]))
    row = table.set_index("bucket").loc["1-7"]
    assert row[["vintages", "wape", "wape_before", "change"]].tolist() == pytest.approx([35, 0.3, 0.2, 0.5])
    assert row["slope"] > 0
    assert table.set_index("bucket").loc["8-14", ["change", "slope"]].tolist() == pytest.approx([0, 0])


def test_a_straight_line_has_its_slope_although_a_vintage_lacks_a_value() -> None:
    values = [0.2 + 0.01 * age for age in range(20)]
    values[4] = np.nan
    row = trends(scores(values)).iloc[0]
    assert row["slope"] == pytest.approx(0.01)
    assert row["vintages"] == 19


def test_a_group_that_sold_nothing_lately_and_too_few_vintages_have_no_trend() -> None:
    table = trends(pd.concat([scores([0.3] * 14), scores([0.3] * 7 + [np.nan] * 7, group="gone")]))
    assert table["group"].tolist() == ["all"]
    assert trends(scores([0.3] * 13)).empty
    assert trends(scores([])).empty
