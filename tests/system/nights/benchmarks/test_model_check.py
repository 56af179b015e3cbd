"""`make model-check` as a command: what it skips, and that it fails where a model has become worse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import model_sets
from benchmarks.model_sets import ROOT


def command(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess:
    """`make model-check` where no shared data is."""
    words = [sys.executable, "-m", "benchmarks.model_check", "--data", str(tmp_path / "no"), "--out", str(tmp_path)]
    environ = os.environ | environment
    return subprocess.run(words, check=False, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300)


def test_without_shared_data_the_command_says_what_it_skips(tmp_path: Path) -> None:
    done = command(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "demo: not worse: wrmsse" in done.stdout
    for name in model_sets.SHARED:
        assert f"{name}: skipped: no shared data at {tmp_path / 'no'}" in done.stdout
    assert "skipped: no shared data" in (tmp_path / "report.md").read_text()


def test_the_command_fails_where_a_model_has_become_worse(tmp_path: Path) -> None:
    done = command(tmp_path, FORECASTING__TRAIN__LIGHTGBM__LEARNING_RATE="0.001")
    assert done.returncode == 1, done.stderr
    assert "demo: WORSE: wrmsse" in done.stdout
