"""The short form of `make chaos`, in a process of its own: its children must not inherit what other tests started."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.shops import ROOT

FAULTS = ("stopped_postgresql", "two_runs", "hanging_source")


def test_what_goes_wrong_leaves_nothing_partial_and_the_night_is_whole_again(tmp_path: Path, postgres_url: str) -> None:
    command = [sys.executable, "-m", "tests.system.chaos", "--kills", "4", "--rows", "500", "--seed", "7"]
    done = subprocess.run(
        [*command, "--faults", *FAULTS, "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["postgresql"]
    assert len(report["kills"]) == 4
    assert len(report["fuzz"]) == 4
    assert len(report["faults"]) == len(FAULTS) + 1  # two runs at once on either warehouse
