"""The feature table as a whole: shapes, and that every row says the same whoever else is asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from forecasting import features
from forecasting.features.known import calendar
from forecasting.panel.panel import Panel
from tests.support.panels import panel_of, seasonal_panel

NONE = features.Kinds({}, {})
NAN = float("nan")


def kinds(panel: Panel) -> features.Kinds:
    return features.Kinds.of(panel, features.vocabulary(panel))


def test_a_row_for_each_series_and_step() -> None:
    panel = seasonal_panel()
    built = features.build(panel, np.array([0, 0, 3]), np.array([1, 7, 14]), kinds(panel))
    assert built.values.shape == (3, len(built.names))
    assert built.values[:, built.names.index("horizon")].tolist() == [1, 7, 14]
    assert (built.scale > 0).all()
    assert "store" in built.categorical


def test_target_side_features_are_those_of_the_target_day() -> None:
    panel = seasonal_panel()
    built = features.build(panel, np.array([2]), np.array([5]), NONE)
    target = panel.future(5)[-1]
    row = dict(zip(built.names, built.values[0], strict=True))
    column = len(panel.periods) - 1 + 5
    assert row["weekday"] == target.weekday()
    assert row["promotion"] == panel.known["promotion"][2, column]
    assert row["price"] == panel.known["price"][2, column]


def test_the_calendar_is_that_of_iso_and_of_pandas() -> None:
    days = pd.date_range("1996-01-01", "2040-12-31")
    found = calendar(days, "D")
    expected = {"month": days.month, "week": days.isocalendar().week, "weekday": days.day_of_week, "monthday": days.day}
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], np.asarray(values, dtype=np.float32))
    assert found["week"][days == "2021-01-03"] == 53  # a Sunday; its week began in 2020
    assert set(calendar(days, "M")) == {"month", "week"}


def test_rows_do_not_depend_on_which_others_are_built() -> None:
    panel = seasonal_panel()
    rows, steps = np.repeat(np.arange(8), 14), np.tile(np.arange(1, 15), 8)
    whole = features.build(panel, rows, steps, kinds(panel))
    some = features.build(panel, rows[30:75], steps[30:75], kinds(panel))
    np.testing.assert_array_equal(whole.values[30:75], some.values)
    np.testing.assert_array_equal(whole.scale[30:75], some.scale)


def test_features_relative_to_level_do_not_change_with_the_unit() -> None:
    panel = panel_of([[4.0, 6.0, 5.0, 9.0] * 30, [40.0, 60.0, 50.0, 90.0] * 30])
    built = features.build(panel, np.array([0, 1]), np.array([3, 3]), NONE)
    for name in ("mean_7", "trend", "variation", "season_4"):
        small, large = built.values[:, built.names.index(name)]
        assert np.isclose(small, large, rtol=1e-4)


def test_nothing_after_the_cutoff_is_seen() -> None:
    panel = seasonal_panel()
    spoiled = panel.y.copy()
    spoiled[:, 100:] = 9999
    weather = np.where(np.arange(140) < 100, panel.past["weather"], 7)
    other = dataclasses.replace(panel, y=spoiled, past={"weather": weather})
    rows, steps = np.repeat(np.arange(8), 14), np.tile(np.arange(1, 15), 8)
    np.testing.assert_array_equal(
        features.build(panel.first(100), rows, steps, NONE).values,
        features.build(other.first(100), rows, steps, NONE).values,
    )


def test_codes_of_attributes_do_not_move_when_new_values_appear() -> None:
    panel = seasonal_panel()
    words = features.vocabulary(panel)
    assert words["store"] == ["S1", "S2"]
    grown = dataclasses.replace(panel, series=panel.series.assign(store=["S0", *panel.series["store"][1:]]))
    built = features.build(grown, np.arange(3), np.ones(3, dtype=np.intp), features.Kinds.of(grown, words))
    codes = built.values[:, built.names.index("store")]
    assert np.isnan(codes[0])
    assert codes[1:].tolist() == [1, 0]


def test_an_attribute_that_splits_the_series_as_another_does_says_nothing_new() -> None:
    panel = seasonal_panel()
    names = panel.series["item"]
    both = dataclasses.replace(panel, series=panel.series.assign(store=names, city=["X"] * 4 + ["Y"] * 4, place=names))
    found = {name: values for name, values in features.vocabulary(both).items() if not name.startswith("#")}
    assert list(found) == ["item", "city"]


def test_stores_mapped_as_items_or_as_stores_give_the_same_features() -> None:
    panel = panel_of([[4.0, 6.0, 5.0, 9.0] * 30, [40.0, 60.0, 50.0, 90.0] * 30, [1.0, 0.0, 3.0, 2.0] * 30], levels=())
    names = panel.series["unique_id"]
    items = dataclasses.replace(panel, series=panel.series.assign(item=names, store=names))
    stores = dataclasses.replace(panel, series=panel.series.assign(item="all", store=names))
    rows, steps = np.repeat(np.arange(3), 7), np.tile(np.arange(1, 8), 3)
    one, other = (features.build(mapped, rows, steps, kinds(mapped)) for mapped in (items, stores))
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.scale, other.scale)
    assert (one.categorical, other.categorical) == (("item",), ("store",))
    assert one.names.index("item") == other.names.index("store")
