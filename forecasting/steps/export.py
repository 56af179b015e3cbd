"""Export: tables of a night as CSV or Parquet files, in a folder or a bucket, for systems that read no database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import fsspec
import pandas as pd

from forecasting.data.schema import Table
from forecasting.data.tables import WAREHOUSE
from forecasting.data.views import VIEWS, View
from forecasting.errors import SettingsError, StoreError, some
from forecasting.settings import Settings
from forecasting.steps.run import Run, record, whole_periods
from forecasting.stores.warehouse import Warehouse

log = logging.getLogger(__name__)
Tell = Callable[[str], None]
KNOWN: Mapping[str, Table | View] = {one.name: one for one in (*WAREHOUSE, *VIEWS)}
WRITE: Mapping[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": lambda frame: frame.to_csv(index=False, date_format="%Y-%m-%d").encode(),
    "parquet": lambda frame: frame.to_parquet(index=False),
}


def export(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Write `export.tables` below `export.path`/cutoff=.../, each file whole or not at all, in place of an earlier one.

    Of a table and of a view the rows of this cutoff; of one without cutoffs, all. Returns cutoff, place, files, rows.
    Without [export] nothing is done. Raises SettingsError for a table that there is not, StoreError where the place
    cannot be written to.
    """
    cutoff, wanted = whole_periods(settings, cutoff), settings.export
    with record(settings, run, "export", cutoff) as outcome:
        if wanted is None:
            outcome.outcome, outcome.message = "skipped", "There is no section [export]."
            return {"cutoff": cutoff.isoformat(), "place": None, "files": 0, "rows": 0}
        unknown = [name for name in wanted.tables if name not in KNOWN]
        if unknown:
            raise SettingsError(f"export.tables: there is no {some(unknown)}; there are: {some(sorted(KNOWN), 60)}.")
        warehouse, place, rows = Warehouse(settings.warehouse), f"{wanted.path.rstrip('/')}/cutoff={cutoff}", 0
        for name in wanted.tables:
            frame = _rows(warehouse, KNOWN[name], cutoff)
            _write(f"{place}/{name}.{wanted.format}", WRITE[wanted.format](frame), wanted.options)
            rows += len(frame)
            tell(f"{name}: {len(frame):,} rows")
        outcome.rows, outcome.message = rows, f"{len(wanted.tables)} files below {place}"
        return {"cutoff": cutoff.isoformat(), "place": place, "files": len(wanted.tables), "rows": rows}


def _rows(warehouse: Warehouse, one: Table | View, cutoff: date) -> pd.DataFrame:
    column = next((name for name in ("cutoff", "scored_at") if name in one.columns), None)
    where: dict[str, Any] = {column: cutoff} if column and one.name not in ("overrides", "overrides_current") else {}
    return warehouse.view(one, **where) if isinstance(one, View) else warehouse.read(one, **where)


def _write(path: str, content: bytes, options: Mapping[str, Any]) -> None:
    """Beside its place first, where that is a folder of this machine, so that nobody reads half a file."""
    try:
        system, plain = fsspec.core.url_to_fs(path, **options)
        system.makedirs(plain.rpartition("/")[0], exist_ok=True)
        local = "file" in system.protocol
        target = f"{plain}.part" if local else plain  # an object of a bucket appears whole
        with system.open(target, "wb") as file:
            file.write(content)
        if local:
            system.mv(target, plain)
    except (OSError, ValueError, ImportError) as error:
        raise StoreError(
            f"{path} cannot be written: {type(error).__name__}: {error}. Is export.path right, and the place writable?"
        ) from error
