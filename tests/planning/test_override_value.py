"""What overrides were worth, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from forecasting.planning.override_value import worth


def test_errors_are_compared_by_person_and_reason():
    rows = [  # vintage, forecast, what was said, sold
        (1, 10.0, 14.0, 15.0, "a", "ann", "fair"),
        (2, 12.0, 14.0, 15.0, "a", "ann", "fair"),
        (1, 10.0, 20.0, 10.0, "b", "bob", "fair"),
    ]
    columns = ["cutoff", "mean", "override", "actual", "id", "by", "reason"]
    found = worth(pd.DataFrame(rows, columns=columns)).set_index(["kind", "group"])
    ann = found.loc[("by", "ann")]
    assert ann[["vintages", "periods", "sold", "saved"]].tolist() == [2, 2, 30, 6]  # errors 5 + 3 became 1 + 1
    assert ann[["wape", "statistical_wape", "value_added"]].tolist() == pytest.approx([2 / 30, 8 / 30, 0.75])
    assert ann[["bias", "statistical_bias"]].tolist() == pytest.approx([-2 / 30, -8 / 30])
    bob = found.loc[("id", "b")]
    assert bob["saved"] == -10
    assert pd.isna(bob["value_added"])  # the forecast was exact: there is no share of it
    both = found.loc[("reason", "fair")]
    assert both["saved"] == -4
    assert both.equals(found.loc[("all", "all")])


def test_nothing_changed_is_nothing_to_measure():
    columns = ["cutoff", "mean", "override", "actual", "id", "by", "reason"]
    assert worth(pd.DataFrame({name: [] for name in columns})).empty


def test_where_nothing_was_sold_there_is_no_share():
    row = {"cutoff": 1, "mean": 2.0, "override": 1.0, "actual": 0.0, "id": "a", "by": "ann", "reason": "r"}
    found = worth(pd.DataFrame([row])).iloc[0]
    assert found["saved"] == 1.0
    assert pd.isna(found["wape"])
