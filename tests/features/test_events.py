"""Named events: every one of a day counts, each by what its own days have sold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting import features
from forecasting.features import events
from forecasting.panel.covariates.events import Events
from tests.support.panels import panel_of

WEEK = [20.0] * 7


def panel_with(days: dict[str, list[int]], lift: dict[str, float], periods: int = 420, series: int = 2):
    """Two series of 20 a day; on the days of a name they sell `lift` times as much, by the product where several."""
    names = sorted(days)
    y = np.full(periods, 20.0)
    for name, factor in lift.items():
        y[[day for day in days[name] if day < periods]] *= factor
    cells = np.array(sorted((0, names.index(n), d) for n in names for d in days[n]), dtype=np.int32).reshape(-1, 3)
    panel = panel_of([y.tolist()] * series)
    return replace(panel, events=Events(tuple(names), cells, np.zeros(series, np.int32), 100))


def ahead(panel, horizon=7):
    kinds = features.Kinds.of(panel, features.vocabulary(panel))
    return events.ahead(panel, kinds.names, horizon, np.full(len(panel.y), 20.0, dtype=np.float32))


FEAST, FAIR, THIRD = [40, 90, 140, 190, 240, 290, 340, 390], [60, 110, 230, 330], [75, 160, 300]


def test_two_events_on_a_day_do_not_take_from_each_other() -> None:
    alone = ahead(panel_with({"Feast": [*FEAST, 423], "Fair": FAIR}, {"Feast": 5}))
    both = ahead(panel_with({"Feast": [*FEAST, 423], "Fair": [*FAIR, 423]}, {"Feast": 5}))
    assert alone.uplift[0, 3] > 2.5
    np.testing.assert_allclose(both.uplift, alone.uplift, rtol=0.02)
    np.testing.assert_allclose(np.delete(both.uplift[0], 3), 1)


def test_three_events_on_a_day_multiply_what_each_has_of_its_own() -> None:
    days = {"Feast": [*FEAST, 423], "Fair": [*FAIR, 423], "Third": [*THIRD, 423]}
    found = ahead(panel_with(days, {"Feast": 3, "Third": 2}))
    assert 4 < found.columns["event_uplift"][0, 3] < 6.5


def test_a_name_that_is_always_beside_another_adds_nothing_of_its_own() -> None:
    days = {"Feast": [*FEAST, 423], "Market": [140, 190, 240, 290, 423]}
    found = ahead(panel_with(days, {"Feast": 4}))
    assert found.columns["event_uplift"][0, 3] == pytest.approx(4, rel=0.25)


def test_two_names_for_the_same_days_are_one_event() -> None:
    one = ahead(panel_with({"Feast": [*FEAST, 423]}, {"Feast": 4}))
    two = ahead(panel_with({"Feast": [*FEAST, 423], "Festa": [*FEAST, 423]}, {"Feast": 4}))
    np.testing.assert_allclose(two.uplift, one.uplift, rtol=1e-5)


def test_an_event_that_is_only_in_the_future_is_none() -> None:
    panel = panel_with({"Feast": FEAST, "New": [423]}, {"Feast": 4})
    assert features.vocabulary(panel)["#events"] == ["Feast"]
    np.testing.assert_allclose(ahead(panel).uplift, 1)


def test_chance_is_no_uplift() -> None:
    panel = panel_with({"Fair": [*FAIR, 423]}, {})
    noisy = replace(panel, y=np.random.default_rng(1).poisson(20, panel.y.shape).astype(np.float32))
    np.testing.assert_allclose(ahead(noisy).uplift, 1, atol=0.15)


def test_calendars_differ_by_series() -> None:
    panel = panel_with({"Feast": [*FEAST, 423]}, {"Feast": 4})
    cells = panel.events.cells.copy()
    cells[-1, 0] = 1  # the coming one holds for the second series only
    other = np.vstack([cells, np.column_stack([np.ones(8, np.int32), cells[:8, 1:]])])
    found = ahead(replace(panel, events=replace(panel.events, cells=other, calendars=np.array([0, 1], np.int32))))
    assert found.uplift[0, 3] == 1
    assert found.uplift[1, 3] > 2


def test_distance_rises_to_the_event_and_is_below_zero_after_it() -> None:
    panel = panel_with({"Feast": [*FEAST, 423]}, {"Feast": 4})
    values = ahead(panel, 7).columns["event_Feast"][0]
    assert values.tolist() == [11, 12, 13, 14, -13, -12, -11]


def test_many_names_share_one_distance_but_those_that_matter() -> None:
    days = {f"E{number:02d}": [20 + number, 150 + number, 280 + number] for number in range(20)} | {"Feast": FEAST}
    panel = panel_with(days, {"Feast": 5})
    names = events.rank(panel)
    assert "Feast" in names.own
    assert len(names.own) == events.OWN
    assert len(names.all) == 21


def test_a_panel_of_an_older_version_has_one_event_without_a_name() -> None:
    flag = np.zeros((1, 107), dtype=np.float32)
    flag[0, [20, 60, 103]] = 1
    panel = panel_of([[20.0] * 100], known={"event": flag, "event_id": flag * 7})
    assert events.of(panel).cells[:, 2].tolist() == [20, 60, 103]
    built = features.build(
        panel, np.zeros(7, np.intp), np.arange(1, 8), features.Kinds.of(panel, features.vocabulary(panel))
    )
    assert "event_id" not in built.names
    assert "event_event" in built.names


def test_a_model_of_an_earlier_release_gets_the_features_that_it_knows() -> None:
    panel = panel_with({"Feast": [*FEAST, 423], "Fair": [*FAIR, 423]}, {"Feast": 5})
    panel = replace(panel, known={"event": panel.events.any(427)})
    kinds = features.Kinds.of(panel, {"store": ["S1", "S2"], "event_id": ["0", "7"]})
    built = features.build(panel, np.zeros(7, np.intp), np.arange(1, 8), kinds)
    assert built.names == OLD
    row = dict(zip(built.names, built.values[3], strict=True))
    assert row["event"] == 1
    assert row["event_until"] == 0
    assert np.unique(built.scale).size == 1


OLD = (
    "horizon", "level", "mean_1", "mean_7", "mean_91", "mean_364", "trend", "variation", "zeros_28", "zeros_364",
    "since_sale", "age", "observed", "peak_7", "peak_28", "trend_total", "trend_store", "season_4", "season_12",
    "last_year", "last_year_level", "month", "week", "weekday", "monthday", "event", "event_until", "event_since",
    "event_id", "store",
)  # fmt: skip


def test_a_day_of_an_event_of_several_days_is_not_the_day_before_another() -> None:
    begins = [40, 96, 152, 208, 264, 320, 376, 422]
    panel = panel_with({"Feast": [day + k for day in begins for k in range(3)]}, {"Feast": 4})
    found = ahead(panel).columns["event_uplift"][0]
    np.testing.assert_allclose(found, [1, 1, 4, 4, 4, 1, 1], rtol=0.1)
