"""Plots: where values stand, gaps, scales that people can read, and what a screen reader is told."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.reporting.html.svg_plots import BOTTOM, LEFT, RIGHT, TOP, Plot, demand, shares
from forecasting.reporting.messages.languages import Words

EN = Words("en")
SIZE = (LEFT + RIGHT + 100, TOP + BOTTOM + 50)  # 100 by 50 within the axes


def chart(y: list[float | None], mean: list[float | None], **more: object) -> dict[str, object]:
    """History of y, then a forecast of mean whose bands are 10 % and 20 % to either side."""
    values: list[float | None] = [*([None] * len(y)), *mean]
    days = [(date(2026, 6, 1) + timedelta(days=at)).isoformat() for at in range(len(values))]
    bands = {
        name: [None if one is None else one * part for one in values]
        for name, part in (("p05", 0.8), ("p25", 0.9), ("p75", 1.1), ("p95", 1.2))
    }
    empty: dict[str, object] = {"name": "MILK_S01", "level": "series", "past": {}, "plan": [], "out": []}
    return {"ds": days, "y": [*y, *([None] * len(mean))], "mean": values, **bands, **empty, **more}


def paths(plot: Plot) -> dict[str, str]:
    return {shape.kind: shape.path for shape in plot.shapes}


def test_lines_stand_where_their_values_are():
    plot = demand(chart([0, 10, 5], [10, 5, 0]), 100, SIZE, EN)
    assert [(tick.at, tick.text) for tick in plot.beside] == [
        (TOP + 50 - 50 * value / 12.5, text)
        for value, text in [(0, "0"), (2.5, "2.5"), (5, "5"), (7.5, "7.5"), (10, "10"), (12.5, "12.5")]
    ]
    high, middle, low = (f"{TOP + 50 - 50 * value / 12.5:.1f}" for value in (10, 5, 0))
    assert paths(plot)["actual"] == f"M{LEFT}.0 {low}L{LEFT + 20}.0 {high}L{LEFT + 40}.0 {middle}"
    assert paths(plot)["mean"] == f"M{LEFT + 60}.0 {high}L{LEFT + 80}.0 {middle}L{LEFT + 100}.0 {low}"
    assert plot.cutoff == LEFT + 50
    assert plot.title == "History and forecast: MILK_S01"
    assert plot.kinds == {"actual", "mean", "wide", "half"}
    assert "1 Jun 2026 to 6 Jun 2026: 5 sold on average before, 5 forecast on average" in plot.about


def test_an_empty_value_is_a_gap_and_one_alone_a_dot():
    path = paths(demand(chart([1, None, 2, 3], [1]), 100, SIZE, EN))["actual"]
    assert path.count("M") == 2
    assert path.split("M")[1].endswith("h0")


def test_only_the_newest_periods_are_shown_with_what_belongs_to_them():
    plot = demand(chart([9] * 10, [1], past={"2026-06-09": [None] * 9 + [2, 2]}, out=[0, 9]), 2, SIZE, EN)
    assert paths(plot)["actual"].count(" ") == 2
    assert paths(plot)["out"].count("M") == 1
    assert paths(plot)["past"].count(" ") == 2


def test_nothing_sold_is_a_flat_line():
    plot = demand(chart([0, 0], [0]), 100, SIZE, EN)
    assert [tick.text for tick in plot.beside] == ["0", "1"]


def test_shares_over_time():
    days = [date(2026, 6, 1), date(2026, 6, 2)]
    names = {"wape": "WAPE", "naive": "naive", "title": "Over time"}
    plot = shares({"wape": [0.2, 0.1], "naive": [None, None]}, days, SIZE, EN, names)
    assert plot.kinds == {"wape"}
    assert [tick.text for tick in plot.beside] == ["0%", "5%", "10%", "15%", "20%"]
    assert plot.about == f"WAPE: 10.0%, naive: {EN.share(None)}"


@given(
    y=st.lists(st.none() | st.floats(-1e6, 1e9), min_size=1, max_size=200),
    mean=st.lists(st.floats(0, 1e9), min_size=1, max_size=60),
)
@pytest.mark.parametrize("language", ["en", "pt"])
def test_whatever_was_sold_lies_within_the_axes(language: str, y: list[float | None], mean: list[float]):
    plot = demand(chart(y, list(mean)), 120, SIZE, Words(language))
    left, top, right, bottom = plot.inner
    for path in (path for kind, path in paths(plot).items() if kind != "out"):
        for x, height in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path):
            assert left - 0.1 <= float(x) <= right + 0.1
            assert top - 0.1 <= float(height) <= bottom + 0.1
    assert 2 <= len(plot.beside) <= 8
    assert len(plot.below) <= 9
