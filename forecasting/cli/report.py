"""How a command speaks: progress on stderr, its result on stdout, as text or as JSON."""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import json
import logging
import os
import sys
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from structlog.contextvars import bound_contextvars

from forecasting.cli import logs
from forecasting.core.errors import ForecastingError, SettingsError

log = logging.getLogger(__name__)


@dataclass
class Step:
    """A step under way. `outcome`: what its closing line says."""

    name: str
    bar: Progress
    task: TaskID
    aloud: bool = False
    outcome: str = ""
    logged: bool = False

    def tell(self, text: str) -> None:
        """What the step is at: beside the spinner where a person watches, else only with --debug, or in a JSON log."""
        if self.logged:
            log.info(text)
        self.bar.update(self.task, description=f"{self.name:<10} {text}")
        if self.aloud:
            self.bar.console.print(f"{self.name:<10} {text}", markup=False)

    def advance(self) -> None:
        """One part of it is done."""
        self.bar.advance(self.task)


@dataclass
class Report:
    """Progress of one command. `seconds`: wall time of each finished step."""

    debug: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.logged = logs.as_json()
        if self.logged:
            logs.to_json()
        elif self.debug:
            logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")
            return
        warnings.simplefilter("ignore", category=FutureWarning)
        warnings.simplefilter("ignore", category=DeprecationWarning)
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)

    @contextlib.contextmanager
    def step(self, name: str, parts: int = 1) -> Iterator[Step]:
        """Show that a step runs and what it tells of itself; then a line with its seconds and its outcome.

        What libraries print meanwhile goes to stderr, so that stdout holds the result alone.
        """
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()]
        if parts > 1:
            columns[2:2] = [BarColumn(), MofNCompleteColumn()]
        clock = time.perf_counter()
        quiet = self.logged or not self.console.is_terminal
        bar = Progress(*columns, console=self.console, transient=True, disable=quiet)
        with _libraries_to_stderr(), bar, bound_contextvars(step=name):
            step = Step(name, bar, bar.add_task(name, total=parts), self.debug and not self.logged, logged=self.logged)
            yield step
            self.seconds[name] = round(time.perf_counter() - clock, 2)
            if self.logged:
                log.info(f"done: {step.outcome}", extra={"seconds": self.seconds[name]})
        if not self.logged:
            self.console.print(f"{name:<10} {self.seconds[name]:8.1f} s  {step.outcome}".rstrip(), markup=False)

    def failed(self, name: str, error: ForecastingError) -> None:
        """A step that did not end well, where others go on."""
        if self.logged:
            log.error("%s: %s: %s", name, type(error).__name__, error)
        else:
            self.console.print(f"{name:<10} failed: {type(error).__name__}: {error}", markup=False)


@contextlib.contextmanager
def _libraries_to_stderr() -> Iterator[None]:
    """Send to stderr what is printed meanwhile, by Python and by native code (LightGBM writes past sys.stdout)."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        with contextlib.suppress(OSError, AttributeError):  # no C library to ask: nothing native was printed
            ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)


def result(arguments: Namespace, content: Mapping[str, Any], text: Callable[[], str]) -> None:
    """Print a command's result: the content as JSON, or the text for people."""
    print(json.dumps(content, default=plain, allow_nan=False) if arguments.json else text())  # noqa: T201


def person(arguments: Namespace) -> str:
    """Who says it: `--by`, else the user of this machine. Raises SettingsError where it knows no name for its user."""
    try:
        return str(arguments.by or getpass.getuser())
    except (KeyError, OSError):  # a container's user need have no entry in its list
        raise SettingsError("The user of this machine has no name: say who you are with --by NAME.") from None


def plain(value: Any) -> Any:
    """What json cannot write by itself: dates as ISO text, NumPy scalars as Python's, missing values as null."""
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, date | datetime | pd.Timestamp):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON: dates as YYYY-MM-DD, missing values as None."""
    rows: list[dict[str, Any]] = json.loads(_dates_as_text(frame).to_json(orient="records", double_precision=6))
    return rows


def table(frame: pd.DataFrame, title: str = "") -> str:
    """A frame as plain aligned text, numbers with at most two decimals."""
    if frame.empty:
        return f"{title}\n(no rows)".lstrip()
    shown = _dates_as_text(frame)
    for name in shown.columns[shown.isna().any()]:
        shown[name] = shown[name].astype(object).where(shown[name].notna(), "")
    text = shown.to_string(index=False, float_format=lambda number: f"{number:,.2f}")
    return f"{title}\n{text}".lstrip()


def _dates_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    shown = frame.copy()
    for name in shown.columns:
        if isinstance(shown[name].dtype, pd.DatetimeTZDtype):
            shown[name] = shown[name].dt.strftime("%Y-%m-%d %H:%M:%S")
        elif pd.api.types.is_datetime64_any_dtype(shown[name]):
            shown[name] = shown[name].dt.strftime("%Y-%m-%d")
    return shown
