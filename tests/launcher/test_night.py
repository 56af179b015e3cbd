"""When a night through Airflow is over."""

from __future__ import annotations

import pytest

from forecasting.launcher.night import ended

DONE = [("extract", "success"), ("train", "success")]


@pytest.mark.parametrize(
    ("more", "over"),
    [
        ([], False),
        ([("forecast", "running")], False),
        ([("forecast", "success"), ("monitor", "running")], False),
        ([("forecast", "running"), ("monitor", "success")], False),  # orders and files come beside `monitor`
        ([("forecast", "success"), ("monitor", "success")], True),
        ([("forecast", "success"), ("monitor", "success"), ("forecast", "queued")], False),
    ],
)
def test_it_ends_with_its_last_dag_and_with_all_others(more: list[tuple[str, str]], over: bool) -> None:
    assert ended([(dag, {"state": state}) for dag, state in DONE + more]) is over
