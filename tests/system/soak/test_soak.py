"""The short form of `make soak`: sixteen nights, all by the command line."""

from __future__ import annotations

from pathlib import Path

from tests.system.soak.__main__ import lived


def test_sixteen_nights_with_everything_that_goes_wrong(tmp_path: Path) -> None:
    soak, found = lived(tmp_path, nights=16, scheduled=0, seed=3)
    assert soak.problems == []
    assert found["vintages"] == 15  # all but the night that had no delivery for the second time
    assert len(soak.rows) == 19  # the three caught up stand there twice
