"""A small deployment that can be put back to any point of its second night, and children that work in it.

A child is this process, forked with everything imported, that runs the command line: what is killed is the work of a
step and not the loading of its libraries. The parent itself never touches the lake or MLflow, whose libraries hold
threads and connections that a fork must not inherit.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from forecasting.__main__ import main
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ForecastingError
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.schema import Table
from forecasting.tables.warehouse import ALERTS, FORECASTS, HEALTH, RUNS, WAREHOUSE
from tests.support.servers.postgres import Server
from tests.support.shops import small_shop

FIRST, SECOND, THIRD = "2026-06-30", "2026-07-01", "2026-07-02"
STEPS = ("extract", "train", "forecast", "publish", "monitor")  # publish: the second half of forecast, by itself
STAGED_BY = "staged"
OF_THE_WORK = (RUNS, HEALTH, ALERTS)
# Who did it, when, and the number that MLflow gave: all that may differ between a night and the same night again.
OWN = {"run_id", "decided_at", "model_version", "version", "withdrawn_at", "withdrawn_by"}
OTHERS = {"champion", "rival"}  # they name another version by its number, or a model by its name
MODULES = (
    "deltalake", "lightgbm", "mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store", "statsmodels.api", "matplotlib.figure", "forecasting.cli.night",
    "forecasting.cli.show", "forecasting.cli.demo", "forecasting.steps.ingest.extract", "forecasting.steps.train.train",
    "forecasting.steps.forecast.forecast", "forecasting.steps.monitor.monitor", "forecasting.steps.train.shadow",
    "forecasting.models.blend",
    "forecasting.models.lightgbm.direct", "forecasting.sources.sql", "forecasting.sources.files",
)  # fmt: skip
Tables = dict[str, pd.DataFrame]


@dataclass
class Child:
    """A forked process in a group of its own. log: what it said."""

    pid: int
    log: Path
    code: int | None = None

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        os.killpg(self.pid, signal.SIGKILL)

    def ended(self) -> bool:
        """Whether it has ended by now."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def wait(self, seconds: float = 300) -> int:
        """Its exit code, below zero for the signal that ended it. Raises TimeoutError where it hangs."""
        until = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > until:
                self.kill()
                os.waitpid(self.pid, 0)
                raise TimeoutError(f"still running after {seconds} s:\n{self.said()[-2000:]}")
            time.sleep(0.005)
        assert self.code is not None
        return self.code

    def said(self) -> str:
        """Its output and errors."""
        return self.log.read_text(errors="replace")


def warm() -> None:
    """Import what the steps import, once for all children."""
    for name in MODULES:
        importlib.import_module(name)


def fork(work: Callable[[], int], log: Path) -> Child:
    """Start work in a child; what it prints goes to the log."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        for _ in range(1000):  # until it leads a group of its own, so that a kill reaches all of it
            if os.getpgid(pid) == pid:
                break
            time.sleep(0.001)
        return Child(pid, log)
    code = 70
    try:
        os.setsid()
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = work()
    except BaseException:  # noqa: BLE001 - whatever ends a child is told, and never goes on in the parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Deployment:
    """One shop with its stores below `folder`, its warehouse in a SQLite file or on a server."""

    def __init__(self, folder: Path, server: Server | None = None) -> None:
        self.folder, self._server = folder, server
        self.kind = "postgresql" if server else "sqlite"
        self.shop, self._log = folder / "shop", folder / "child.log"
        self.shop.mkdir(parents=True)
        changes: dict[str, object] = {
            "train__every_days": 1,
            "train__judge": {"least": 1, "confidence": 0.51},  # so that the second night has a champion of its own
            "train__models": ["seasonal_naive", "seasonal_mean"],
        }
        if server:
            server.execute('CREATE DATABASE "shop"')
            changes["warehouse__url"] = server.database("shop")
        self.conf = small_shop(self.shop, **changes)
        self.seconds: dict[str, float] = {}
        self.before: dict[str, Tables] = {}  # tables before each step
        self.after: dict[str, Tables] = {}

    @property
    def settings(self) -> Settings:
        """Its configuration."""
        return configuration.load(self.conf)

    # ------------------------------------------------------------ children

    def start(self, *words: str, before: Callable[[], None] | None = None, log: str = "child.log") -> Child:
        """A command of the command line in a child; `publish` is the step of that name. before: runs first in it."""

        def work() -> int:
            if before:
                before()
            return self._publish() if words[0] == "publish" else main([words[0], "--conf", str(self.conf), *words[1:]])

        return fork(work, self.folder / log)

    def do(self, *words: str) -> str:
        """A command that must succeed; what it said."""
        child = self.start(*words)
        code = child.wait()
        assert code == 0, f"{' '.join(words)} ended with {code}:\n{child.said()[-3000:]}"
        return child.said()

    def night(self, cutoff: str = SECOND) -> None:
        """One whole night, as a person would run it again."""
        self.do("run", "--cutoff", cutoff)

    def _publish(self) -> int:
        from forecasting.steps.forecast.forecast import publish
        from forecasting.steps.run import Run

        try:
            publish(self.settings, pd.Timestamp(SECOND).date(), Run(STAGED_BY))
        except ForecastingError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
        return 0

    def _stage(self) -> int:
        from forecasting.steps.forecast.forecast import plan, predict
        from forecasting.steps.run import Run

        cutoff = pd.Timestamp(SECOND).date()
        for shard in plan(self.settings, cutoff):
            predict(self.settings, cutoff, shard, Run(STAGED_BY))
        return 0

    # ------------------------------------------------------------ points in time

    def prepare(self, third: bool) -> None:
        """One good night, and the second one step by step, each point of it kept; and what a third one would be."""
        self.do("demo")
        self.do("run", "--cutoff", FIRST, "--set", "train.models=['seasonal_naive']", "--set", "train.blend=false")
        self.do("demo", "--days", "2")
        for step in STEPS:
            if step == "publish":
                self.restore("forecast")
                child = fork(self._stage, self._log)
                assert child.wait() == 0, child.said()
            self.before[step] = self.tables()
            self._save(step)
            clock = time.monotonic()
            self.do(step) if step == "publish" else self.do(step, "--cutoff", SECOND)
            self.seconds[step] = time.monotonic() - clock
            self.after[step] = self.tables()
        self.restore("extract")
        self.night()
        self.whole, self.facts_whole = self.tables(), self.facts()
        if third:
            self.night(THIRD)
            self.third = self.tables()

    def _save(self, step: str) -> None:
        shutil.copytree(self.shop, self.folder / f"at-{step}")
        if self._server:
            self._server.execute(f'CREATE DATABASE "at-{step}" TEMPLATE "shop"')

    def restore(self, step: str) -> None:
        """Put everything back to the point before the step."""
        shutil.rmtree(self.shop)
        shutil.copytree(self.folder / f"at-{step}", self.shop)
        if self._server:
            self._server.execute('DROP DATABASE "shop" WITH (FORCE)', f'CREATE DATABASE "shop" TEMPLATE "at-{step}"')

    # ------------------------------------------------------------ what a reader sees

    def tables(self) -> Tables:
        """Every output table, without what may differ between a night and the same night again.

        Left out are those that tell of the work itself: what failed and was done again must stand in them.
        """
        warehouse = Warehouse(self.settings.warehouse)
        return {table.name: _plain(warehouse.read(table), table) for table in WAREHOUSE if table not in OF_THE_WORK}

    def readable(self) -> None:
        """The last good vintage is there and whole, and the newest one has every series and period."""
        warehouse = Warehouse(self.settings.warehouse)
        first = _plain(warehouse.read(FORECASTS, cutoff=pd.Timestamp(FIRST)), FORECASTS)
        good = self.before["extract"][FORECASTS.name]
        pd.testing.assert_frame_equal(first, good)
        latest = warehouse.latest()
        assert latest["cutoff"].nunique() == 1
        assert len(latest) == latest["unique_id"].nunique() * self.settings.panel.horizon >= len(good)

    def facts(self) -> dict:
        """Of lake and registry: the panel's digest, the champion's manifest, states of all versions, the alias."""
        told = self.folder / "facts.json"

        def work() -> int:
            from forecasting.storage.registry.registry import Registry

            registry, cutoff = Registry(self.settings.mlflow), pd.Timestamp(SECOND).date()
            champion, alias = registry.champion(cutoff), registry.champion()
            panel = json.loads((self.shop / "lake" / "panels" / f"cutoff={cutoff}" / "panel.json").read_text())
            assert champion is not None
            found = {
                "panel": panel["digest"],
                "champion": champion.tags["manifest"],
                "name": champion.name,
                "alias is the champion": alias is not None and alias.version == champion.version,
                "versions that count": sorted(
                    f"{one.name} {one.cutoff} {one.state}"
                    for one in registry.versions()
                    if one.tags.get("verdict") != "its training was interrupted"
                ),
            }
            told.write_text(json.dumps(found))
            return 0

        child = fork(work, self._log)
        assert child.wait() == 0, child.said()
        return json.loads(told.read_text())


def _plain(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    kept = frame.drop(columns=[name for name in OWN if name in frame])
    for name in OTHERS.intersection(kept.select_dtypes("str")):  # an interrupted training has taken a number
        kept[name] = kept[name].str.replace(r"^\d+$", "a version", regex=True)
    return kept.sort_values([name for name in table.columns if name in kept], ignore_index=True, na_position="first")


def differences(found: Tables, expected: Tables) -> list[str]:
    """Names of the tables that are not the same, with what differs first."""
    told = []
    for name, frame in expected.items():
        try:
            pd.testing.assert_frame_equal(found[name], frame)
        except AssertionError as error:
            told.append(f"{name} ({len(found[name]):,} rows, {len(frame):,} expected): {str(error).splitlines()[0]}")
    return told
