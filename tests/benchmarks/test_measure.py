"""Time and memory of a process and of what it starts."""

import json
import subprocess
import sys

import pytest

from benchmarks.measure import Measured, run
from tests.support.shops import ROOT

CHILD = "x = bytearray(300_000_000); x[::4096] = b'1' * len(x[::4096]); import time; time.sleep(0.4)"


def test_memory_of_a_child_counts(tmp_path):
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}], check=True)"
    # Measured from a small process: what a fork's parent held counts as the child's own peak.
    script = "import json, sys; from pathlib import Path; from benchmarks.measure import run; "
    script += "print(json.dumps(run([sys.executable, '-c', sys.argv[1]], Path(sys.argv[2])).__dict__))"
    command = [sys.executable, "-c", script, parent, str(tmp_path / "log.txt")]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    measured = Measured(**json.loads(told))
    assert measured.wall > 0.4
    assert 0.3 < measured.peak < 0.6
    assert 0 < measured.cpu < 5
    assert measured.others >= 0


def test_a_failure_says_its_last_words(tmp_path):
    with pytest.raises(RuntimeError, match=r"ended with 3.*\n.*out of paper"):
        run([sys.executable, "-c", "print('out of paper'); raise SystemExit(3)"], tmp_path / "log.txt")
