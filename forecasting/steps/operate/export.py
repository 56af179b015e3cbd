"""Export: tables of a night as CSV or Parquet files, in a folder or a bucket, for systems that read no database.

Each table as soon as its rows of the night are there: forecasts when they are published, orders when they are proposed,
scores, exceptions and the like when the night has been monitored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any

import pandas as pd

from forecasting.core.config.sections import ExportSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import SettingsError, some
from forecasting.reporting.csv_cells import harmless_column
from forecasting.steps.run import Run, night_of, record
from forecasting.storage.atomic_files import write_whole
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.schema import Table
from forecasting.tables.views import VIEWS, View
from forecasting.tables.warehouse import WAREHOUSE

log = logging.getLogger(__name__)
Tell = Callable[[str], None]
KNOWN: Mapping[str, Table | View] = {one.name: one for one in (*WAREHOUSE, *VIEWS)}
ORDERS = frozenset({"replenishment", "replenishment_latest"})
SCORES = frozenset({
    "scores", "scores_wide", "series_scores", "score_trends", "lost_demand", "override_scores", "drift", "exceptions",
    "explanations", "judgements", "promotions", "health", "health_latest", "alerts", "runs",
})  # fmt: skip
WHOLE = frozenset({"overrides", "overrides_current", "lost_demand"})  # the cutoff of their rows is no night's


def export(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Write `export.tables` below `export.path`/cutoff=.../, each file whole or not at all, in place of an earlier one.

    Of a table the rows of this cutoff (of scores: those scored at it), of one without cutoffs all; of a view the same,
    and no file where it has none: it may be that of a newer night by now. Returns cutoff, place, files, rows. Without
    [export] nothing is done. Raises SettingsError for a table that there is not, StoreError where the place cannot be
    written to.
    """
    return _export(settings, cutoff, run, tell, "export", frozenset(KNOWN))


def forecasts(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Those of `export.tables` that are there when a vintage is published, as `export` does."""
    return _export(settings, cutoff, run, tell, "export_forecasts", frozenset(KNOWN) - ORDERS - SCORES)


def orders(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Those that are there when orders are proposed, as `export` does."""
    return _export(settings, cutoff, run, tell, "export_orders", ORDERS)


def scores(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Those that are there when a night was monitored, as `export` does."""
    return _export(settings, cutoff, run, tell, "export_scores", SCORES)


def _export(settings: Settings, cutoff: date, run: Run, tell: Tell, step: str, part: Collection[str]) -> dict[str, Any]:
    night, wanted = night_of(settings, cutoff), settings.export
    cutoff = night.cutoff
    facts: dict[str, Any] = {"cutoff": cutoff.isoformat(), "place": None, "files": 0, "rows": 0}
    with record(settings, run, step, night) as outcome:
        if wanted is None:
            outcome.outcome, outcome.message = "skipped", "There is no section [export]."
            return facts
        unknown = [name for name in wanted.tables if name not in KNOWN]
        if unknown:
            raise SettingsError(f"export.tables: there is no {some(unknown)}; there are: {some(sorted(KNOWN), 60)}.")
        warehouse, place = Warehouse(settings.warehouse), f"{wanted.path.rstrip('/')}/cutoff={cutoff}"
        for name in (one for one in wanted.tables if one in part):
            frame = _rows(warehouse, KNOWN[name], cutoff)
            if frame is None:
                tell(f"{name}: no rows of {cutoff}, no file")
                continue
            content = _content(wanted, KNOWN[name], frame)
            write_whole(f"{place}/{name}.{wanted.format}", content, wanted.options, "export.path")
            facts["files"], facts["rows"] = facts["files"] + 1, facts["rows"] + len(frame)
            tell(f"{name}: {len(frame):,} rows")
        outcome.rows, outcome.message = facts["rows"], f"{facts['files']} files below {place}"
        return facts | {"place": place}


def _rows(warehouse: Warehouse, one: Table | View, cutoff: date) -> pd.DataFrame | None:
    """None: a view that has nothing of this cutoff."""
    column = next((name for name in ("scored_at", "cutoff") if name in one.columns and one.name not in WHOLE), None)
    where: dict[str, Any] = {column: cutoff} if column else {}
    if not isinstance(one, View):
        return warehouse.read(one, **where)
    frame = warehouse.view(one, **where)
    return None if column and frame.empty else frame


def _content(wanted: ExportSettings, one: Table | View, frame: pd.DataFrame) -> bytes:
    """In Parquet as the tables hold it; in CSV days and instants (UTC) as ISO 8601 says, no text a formula."""
    if wanted.format == "parquet":
        return frame.to_parquet(index=False)
    for name, column in one.columns.items():
        if column.kind == "instant":
            frame[name] = frame[name].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        elif column.kind == "text":
            frame[name] = harmless_column(frame[name])
    return frame.to_csv(index=False, date_format="%Y-%m-%d").encode()
