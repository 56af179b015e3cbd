"""What every step shares: the run that it belongs to, and its row in RUNS."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from structlog.contextvars import bind_contextvars, bound_contextvars

import forecasting
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ForecastingError
from forecasting.core.night import Night
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import RUNS

log = logging.getLogger(__name__)
COMPUTING = ("lightgbm", "numpy", "pandas", "scipy", "statsmodels")


@dataclass(frozen=True)
class Run:
    """One run of the orchestrator or of the command line; its id stands in every row that it writes.

    steps: rows of RUNS of the steps that it has done here, in their order.
    """

    run_id: str
    steps: list[dict[str, Any]] = field(default_factory=list, compare=False)


@dataclass
class Outcome:
    """What a step says of itself while it works."""

    snapshot: str | None = None
    model_version: str | None = None
    rows: int | None = None
    outcome: str = "done"
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "snapshot" and value:
            bind_contextvars(snapshot=value)  # from here on, in every line of the log


@cache
def code_version() -> str:
    """Version of the package, and the commit with `+dirty` for uncommitted changes, where it runs from a checkout.

    An image has no git and no history: there FORECASTING_COMMIT says it.
    """
    if known := os.environ.get("FORECASTING_COMMIT"):
        return f"{forecasting.__version__}+{known}"
    folder = Path(forecasting.__file__).parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+dirty", "--abbrev=12"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return forecasting.__version__
    return f"{forecasting.__version__}+{described}"


def packages() -> dict[str, str]:
    """Versions of what computes the numbers."""
    return {"python": platform.python_version()} | {name: version(name) for name in COMPUTING}


def now() -> datetime:
    """The moment at which something is written down, UTC. No number may depend on it: the cutoff is always given."""
    return datetime.now(UTC)


def night_of(settings: Settings, asked: date | Night) -> Night:
    """The night of the date that was asked for; of one night itself."""
    return asked if isinstance(asked, Night) else Night.of(settings.panel.frequency, asked)


@contextmanager
def record(settings: Settings, run: Run, step: str, asked: date | Night) -> Iterator[Outcome]:
    """Write the step's row in RUNS when it ends, well or not; the error itself goes on.

    Meanwhile every line of the log carries run, step, cutoff and, once it is known, snapshot. Where the row of a failed
    step cannot be written either, that is only logged: the error that came first is told.
    """
    outcome, night = Outcome(), night_of(settings, asked)
    started_at, clock = now(), time.perf_counter()

    def write() -> None:
        row = {
            "run_id": run.run_id,
            "step": step,
            "cutoff": night.day,
            "night": pd.Timestamp(night.asked),
            "snapshot": outcome.snapshot,
            "model_version": outcome.model_version,
            "rows": outcome.rows,
            "seconds": time.perf_counter() - clock,
            "outcome": outcome.outcome,
            "message": outcome.message,
            "started_at": started_at,
            "settings": settings.digest(),
            "code": code_version(),
        }
        warehouse, key = Warehouse(settings.warehouse), {"run_id": run.run_id, "step": step}
        before = warehouse.read(RUNS, ["attempt"], **key)["attempt"].fillna(1)
        row["attempt"] = int(before.iloc[0]) + 1 if len(before) else 1
        warehouse.replace(RUNS, pd.DataFrame([row]), **key)
        run.steps.append(row)

    try:
        with bound_contextvars(run=run.run_id, step=step, cutoff=night.cutoff.isoformat(), snapshot=None):
            yield outcome
    except BaseException as error:
        outcome.outcome = "failed"
        outcome.message = f"{type(error).__name__}: {error}"[:2000]
        try:
            write()
        except (ForecastingError, MemoryError) as second:
            log.warning("The failed step %s has no row in `runs`: %s", step, second)
        raise
    write()
