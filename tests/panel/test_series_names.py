"""Series by name or glob."""

from __future__ import annotations

import pytest

from forecasting.panel.series_names import matching

NAMES = ["PACK6_N", "PACK[6]_N", "A*_N", "AB_N", "x/y?_N"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_its_own_series_only(name: str) -> None:
    assert [one for one, found in zip(NAMES, matching(NAMES, [name]), strict=True) if found] == [name]


def test_other_patterns_are_globs() -> None:
    assert matching(NAMES, ["A?_N", "PACK*"]).tolist() == [True, True, True, True, False]
    assert not matching(NAMES, ["a*"]).any()
