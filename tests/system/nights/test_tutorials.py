"""The tutorials run as they stand, block by block, and print what they show."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import ROOT, Page


def shape(text: str) -> list[str]:
    """Lines without what differs from machine to machine: numbers, run ids, and which models won."""
    names = r"blend\(\S+\)|\b(?:lightgbm|arima|ets|theta|seasonal_mean)\b|seasonal_naive,|seasonal_naive$"
    text = re.sub(names, "MODEL", text, flags=re.M)
    text = re.sub(r"cli__\S+", "RUN", text)
    return [" ".join(re.sub(r"[\d.,]*\d", "#", line).split()) for line in text.strip().splitlines()]


def follow(page: Page, folder: Path) -> int:
    """Do what a tutorial says, block by block. Gives the number of blocks done."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environ.pop("FORECASTING_CONF", None)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (folder / "bin" / "python").chmod(0o755)
    printed, done = "", 0
    for block in page.blocks():
        what, _, value = block.what.partition(": ")
        where = f"{page.name}, line {block.line}"
        if what == "file":
            (folder / value).write_text(block.text, encoding="utf-8")
        elif what == "append":
            with (folder / value).open("a", encoding="utf-8") as file:
                file.write(block.text)
        elif what == "run":
            command = ["sh", "-e", "-c", block.text]
            ended = subprocess.run(
                command, check=False, cwd=folder, env=environ, capture_output=True, text=True, timeout=600
            )
            assert ended.returncode == 0, f"{where}:\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}"
            printed = ended.stdout
        elif what == "prints":
            assert shape(printed) == shape(block.text), where
        elif what == "sql":
            with sqlite3.connect(folder / "var" / "warehouse.db") as database:
                assert len(database.execute(block.text).fetchall()) == int(value), where
        else:
            continue
        done += 1
    return done


@pytest.mark.parametrize(("name", "blocks"), [("tutorial-engineer", 20), ("inicio-rapido", 4)])
def test_a_tutorial_runs_as_it_stands(name, blocks, tmp_path):
    assert follow(Page(ROOT / "docs" / f"{name}.md"), tmp_path) >= blocks
