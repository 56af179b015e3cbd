"""Simulated shops with known truth, a small version of `python -m benchmarks coverage`."""

from __future__ import annotations

import pytest

from benchmarks import coverage


@pytest.mark.parametrize(("size", "code", "shops"), [(5, "D", 40), (40, "D", 6), (40, "M", 5)])
def test_quantiles_hold_by_kind_of_demand(size: int, code: str, shops: int) -> None:
    rows = coverage.measured(size, code, shops)
    single = rows[rows["span"] == "one"]
    assert (single["cases"] >= 400).all()
    assert single[["error_p95", "error_band"]].max().max() < 0.04
    sums = rows[rows["span"] != "one"]
    # A series has one sum a length: chance alone moves a share of some 40 cases by 0.05.
    assert sums[["error_p95", "error_band"]].mean().max() < 0.05


def test_the_table_names_the_worst_cell() -> None:
    rows = coverage.measured(5, "D", 2)
    text = coverage.summary(rows)
    assert "| D | 5 |" in text
