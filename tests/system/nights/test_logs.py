"""The log as JSON lines: what a collector gets from a night, and from one that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.shops import ROOT, small_shop


def command(conf: Path, *words: str) -> tuple[int, list[dict]]:
    """Exit code, and every line of stderr as an object."""
    done = subprocess.run(
        [sys.executable, "-m", "forecasting", *words, "--conf", str(conf)],
        cwd=ROOT, env=os.environ | {"FORECASTING_LOG": "json"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_of_a_night_says_run_cutoff_step_and_snapshot(tmp_path: Path) -> None:
    conf = small_shop(tmp_path, train__models=["seasonal_naive", "seasonal_mean"])
    assert command(conf, "demo")[0] == 0
    code, lines = command(conf, "run")
    assert code == 0
    assert {line["cutoff"] for line in lines} == {"2026-06-30"}
    assert len({line["run"] for line in lines}) == 1
    assert all(line["level"] == "info" and line["timestamp"].endswith("Z") for line in lines)
    steps = list(dict.fromkeys(line["step"] for line in lines))
    assert steps[:4] == ["extract", "train", "plan", "forecast"]
    built = next(line for line in lines if line["event"].startswith("panel: "))
    shard = next(line for line in lines if line["event"].startswith("shard 0: "))
    assert shard["snapshot"] == built["snapshot"] == built["event"].split("snapshot ")[1]
    training = [line for line in lines if line["step"] == "train" and not line["event"].startswith("done")]
    assert {line["snapshot"] for line in training} == {shard["snapshot"]}
    done = {line["step"]: line["seconds"] for line in lines if line["event"].startswith("done: ")}
    assert set(done) == {"extract", "train", "plan", "forecast", "publish", "replenish", "monitor", "report"}
    assert all(seconds > 0 for seconds in done.values())


def test_an_error_is_a_line_too(tmp_path: Path) -> None:
    conf = small_shop(tmp_path)
    code, lines = command(conf, "forecast")
    assert code == 1
    assert lines[-1]["level"] == "error"
    assert lines[-1]["event"].startswith("CutoffError: ")
