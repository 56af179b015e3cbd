"""From the clean rows of a night to tables by day: promotions with a start and an end."""

from __future__ import annotations

import pandas as pd

from forecasting.quality import lake_rows
from forecasting.quality.screening import screen_table
from forecasting.tables.lake import PROMOTIONS

LAST = pd.Timestamp("2026-07-28")


def screened(*lines: tuple[str, str | None, str | None, str]):
    raw = pd.DataFrame(lines, columns=["item", "start", "end", "value"], dtype="str")
    return screen_table(lake_rows.promotions(raw, LAST), "promotions", PROMOTIONS)


def test_where_promotions_overlap_the_largest_counts_and_nothing_is_quarantined() -> None:
    for lines in ((0, 1), (1, 0)):
        both = [("A", "2026-07-01", "2026-07-04", "0.4"), ("A", "2026-07-03", "2026-07-06", "0.1")]
        found = screened(*(both[k] for k in lines), ("B", "2026-07-03", "2026-07-03", "0.2"))
        assert found.quarantined.empty
        mine = found.clean[found.clean["item"] == "A"].sort_values("ds")
        assert mine["value"].tolist() == [0.4] * 4 + [0.1] * 2


def test_a_line_that_is_there_twice_is_set_aside_as_a_duplicate() -> None:
    found = screened(*[("A", "2026-07-01", "2026-07-02", "0.4")] * 2)
    assert found.quarantined["rule"].tolist() == ["duplicate"] * 2
    assert len(found.clean) == 2


def test_the_reason_names_both_dates_and_how_to_write_an_open_end() -> None:
    found = screened(("A", "2026-07-03", None, "0.1"), ("A", "2026-13-01", "2026-07-02", "0.2"))
    first, second = found.quarantined["reason"]
    assert "from 2026-07-03 to nothing; an open end is 9999-12-31" in first
    assert "from 2026-13-01 to 2026-07-02" in second
    assert len(screened(("A", "2026-07-03", "9999-12-31", "0.1")).clean) == 26
