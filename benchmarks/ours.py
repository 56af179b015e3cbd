"""This project's side: whole nights through its own command line, in a process and with stores of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from benchmarks.measure import ROOT, Measured, run
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables import warehouse

EXAMPLES = Path(__file__).parents[1] / "conf" / "examples"
PACKAGES = ("lightgbm", "statsmodels", "pandas", "numpy")


@dataclass(frozen=True)
class Shop:
    """One deployment in a folder of its own. changes: `section.key=value`, as for `--set`."""

    conf: Path
    place: Path
    changes: tuple[str, ...]

    def command(self, word: str, cutoff: date, *more: str) -> list[str]:
        """`python -m forecasting <word> ...` for this deployment."""
        sets = [part for change in (*self.changes, *more) for part in ("--set", change)]
        return [sys.executable, "-m", "forecasting", word, "--conf", str(self.conf), "--cutoff", str(cutoff), *sets]

    def do(self, word: str, cutoff: date, *more: str) -> Measured:
        """One command of the project, measured."""
        return run(self.command(word, cutoff, *more), self.place / f"{word}-{cutoff}.log")

    @property
    def settings(self) -> Settings:
        """As the commands see them."""
        return configuration.load(self.conf, self.changes)

    def forecasts(self, cutoff: date) -> pd.DataFrame:
        """The published vintage: unique_id, ds, mean and quantiles as pXX."""
        columns = ["unique_id", "ds", *(name for name in warehouse.FORECASTS.columns if _is_number(name))]
        return Warehouse(self.settings.warehouse).read(warehouse.FORECASTS, columns, cutoff=pd.Timestamp(cutoff))

    def level_forecasts(self, cutoff: date) -> pd.DataFrame | None:
        """The published totals of the aggregated levels, where this version of the project has such a table."""
        table = getattr(warehouse, "FORECAST_LEVELS", None)
        return table and Warehouse(self.settings.warehouse).read(table, cutoff=pd.Timestamp(cutoff))

    def panel_long(self, cutoff: date) -> pd.DataFrame:
        """The screened panel at a cutoff: unique_id, ds, y (NaN where unobserved)."""
        panel = Lake(self.settings.lake).read_panel(cutoff)
        wide = pd.DataFrame(panel.y, index=pd.Index(panel.unique_ids, name="unique_id"), columns=panel.periods)
        return wide.melt(ignore_index=False, var_name="ds", value_name="y").reset_index()


def _is_number(name: str) -> bool:
    return name == "mean" or (name[0] == "p" and name[1:].isdigit())


@contextmanager
def shop(name: str, data: Path, changes: Sequence[str] = (), without: Sequence[str] = ()) -> Iterator[Shop]:
    """The example configuration of that name, its source in `data`, its stores in a folder that goes away.

    without: sections such as `extract.stock` that are left out of it.
    """
    place = Path(tempfile.mkdtemp(prefix="bench-"))
    conf = place / f"{name}.toml"
    conf.write_text(leave_out((EXAMPLES / f"{name}.toml").read_text(encoding="utf-8"), without), encoding="utf-8")
    sources = configuration.load(conf).sources
    stores = [
        *(f"sources.{source}.path={(data / name).resolve()}" for source in sources),
        f"lake.path={place}/lake", f"warehouse.url=sqlite:///{place}/w.db",
        f"mlflow.tracking_uri=sqlite:///{place}/m.db", f"mlflow.artifacts={place}/artifacts",
    ]  # fmt: skip
    try:
        yield Shop(conf, place, (*stores, *changes))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def leave_out(toml: str, sections: Sequence[str]) -> str:
    """A TOML text without some of its sections, each from its `[name]` to the next section."""
    kept, skip = [], False
    for line in toml.splitlines(keepends=True):
        if line.startswith("["):
            skip = line.split("#")[0].strip().strip("[]") in sections
        if not skip:
            kept.append(line)
    return "".join(kept)


def versions() -> dict[str, str]:
    """What the project's side computes with, and which commit of it; `-dirty` where files were changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=8"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return {"commit": commit or "unknown"} | {name: version(name) for name in PACKAGES}
