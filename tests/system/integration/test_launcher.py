"""`make run` as a person has it: a real Airflow, a night, the next one, one that fails, one that is stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import pandas as pd
import psutil
import pytest

from forecasting.core.config import settings as configuration
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS
from tests.support.shops import small_shop

FIRST, SECOND = date(2026, 6, 30), date(2026, 7, 1)
PATIENCE = 600  # seconds until a launcher that does not end is a failure of the test


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop; everything that the launcher starts runs in it, and is found by that."""
    folder = tmp_path_factory.mktemp("launched")
    small_shop(folder, train__models=["seasonal_naive", "seasonal_mean"], demo__items=4)
    return folder


@contextmanager
def launched(place: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The launcher, in the environment of a person: nothing of what other tests have set for Airflow."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "FORECASTING"))}
    command = [sys.executable, "-m", "forecasting.launcher", "run", "--home", "airflow", *arguments]
    process = subprocess.Popen(
        command, cwd=place, env=mine | {"FORECASTING_RETRY_SECONDS": "0"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        for one in running(place):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait(30)


def finish(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=PATIENCE)[0]


def until(process: subprocess.Popen[str], text: str) -> str:
    """What is printed up to the line with the text."""
    said = ""
    for line in process.stdout or ():
        said += line
        if text in line:
            return said
    pytest.fail(f"{text!r} was never printed:\n{said}")


def running(place: Path) -> list[psutil.Process]:
    """Every process that works in the folder, whoever's child it is by now."""
    found = []
    for one in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(one.cwd()).is_relative_to(place) and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
    return found


def forecasts(place: Path) -> pd.DataFrame:
    return Warehouse(configuration.load(place / "conf.toml").warehouse).read(FORECASTS)


def test_a_night_ends_with_forecasts_and_nothing_left_running(place: Path) -> None:
    with launched(place, "--conf", "conf.toml") as process:
        said = until(process, "Airflow is up")
        assert len(running(place)) > 5  # the launcher, and Airflow's parts: they would be seen below
        said += finish(process)
        assert process.returncode == 0, said
        assert running(place) == []
    assert f"Night of {FIRST}" in said
    for task in ("extract.read_and_screen_sales", "train.train_and_judge", "forecast.publish_vintage"):
        assert re.search(rf"{re.escape(task)} +success", said), said
    published = forecasts(place)
    series = Lake(configuration.load(place / "conf.toml").lake).read_panel(FIRST).unique_ids
    assert set(published["unique_id"]) == set(series)
    assert published["cutoff"].unique().tolist() == [pd.Timestamp(FIRST)]
    head = said[said.index("forecasts_latest") :]
    assert f"forecasts_latest: {len(series)} series" in head
    assert str(published["unique_id"].iloc[0]) in head
    assert "2026-07-01" in head
    assert re.search(r"^champion +\S+.*version 1, trained at 2026-06-30$", head, re.MULTILINE)
    assert re.search(r"^accuracy +backtest wrmsse \d\.\d{3}, seasonal naive \d\.\d{3}", head, re.MULTILINE)
    assert re.search(r"^seconds +extract [\d.]+, train [\d.]+, forecast [\d.]+, monitor [\d.]+$", head, re.MULTILINE)
    assert f"{place}/warehouse.db" in head


def test_run_again_it_does_the_next_night(place: Path) -> None:
    with launched(place, "--conf", "conf.toml") as process:
        said = finish(process)
        assert process.returncode == 0, said
        assert running(place) == []
    assert f"Night of {SECOND}" in said
    assert "not due" not in said
    assert Warehouse(configuration.load(place / "conf.toml").warehouse).cutoffs() == [SECOND, FIRST]
    assert "trained at 2026-06-30" in said


def test_a_night_that_fails_names_the_task_and_shows_its_log(place: Path) -> None:
    broken = (place / "conf.toml").read_text().replace('table = "transactions"', 'table = "tills"')
    (place / "broken.toml").write_text(broken)
    before = forecasts(place)
    with launched(place, "--conf", "broken.toml", "--cutoff", "2026-07-02") as process:
        said = finish(process)
        assert process.returncode == 1, said
        assert running(place) == []
    assert "The task extract.read_and_screen_sales failed. The end of its log:" in said
    assert "SourceError" in said[said.index("The end of its log:") :]
    assert "tills" in said[said.index("The end of its log:") :]
    pd.testing.assert_frame_equal(forecasts(place), before)


def test_stopped_by_hand_it_takes_airflow_with_it(place: Path) -> None:
    with launched(place, "--conf", "conf.toml", "--cutoff", SECOND.isoformat()) as process:
        until(process, "Airflow is up")
        process.send_signal(signal.SIGINT)
        said = finish(process)
        assert process.returncode == 130, said
        assert running(place) == []
    assert "Stopped." in said
