"""What a step reads and writes: sources, tables of the lake, the panel, models, output tables, each with its version.

Names follow OpenLineage's for data sets (namespace: where it is; name: what it is there), so that a catalogue shows
what one step wrote as what the next one read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from forecasting.core.config.sections import SqlSource
from forecasting.core.config.settings import Settings
from forecasting.storage.lake.commits import version_of
from forecasting.storage.lake.folder import Folder
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry
from forecasting.tables import planning, warehouse
from forecasting.tables.lake import LAKE as LAKE_TABLES
from forecasting.tables.schema import Table

PORTS = {"postgres": 5432, "mysql": 3306, "mssql": 1433, "oracle": 1521}
LAKE: Mapping[str, Table] = {table.name: table for table in LAKE_TABLES}
READ: Mapping[str, tuple[Table, ...]] = {
    "monitor": (warehouse.FORECASTS, planning.OVERRIDDEN, planning.OVERRIDES),
    "override": (warehouse.FORECASTS,),
    "replenish": (warehouse.FORECASTS, planning.OVERRIDDEN),
    "drift": (warehouse.FORECAST_LEVELS,),
    "exceptions": (
        warehouse.FORECASTS,
        warehouse.SERIES_SCORES,
        planning.OVERRIDDEN,
        planning.REPLENISHMENT,
    ),
    "health": (warehouse.RUNS, warehouse.QUALITY, warehouse.SCORES, warehouse.MODEL_PROMOTIONS),
    "alerts": (warehouse.FORECASTS, warehouse.QUALITY, warehouse.DRIFT, warehouse.HEALTH),
    "approve": (warehouse.JUDGEMENTS,),
    "report": (
        warehouse.FORECASTS,
        warehouse.FORECAST_LEVELS,
        warehouse.FORECAST_SUMS,
        warehouse.SCORES,
        warehouse.SCORE_TRENDS,
        warehouse.EXCEPTIONS,
        warehouse.EXPLANATIONS,
        warehouse.QUALITY,
        warehouse.HEALTH,
        warehouse.ALERTS,
        warehouse.RUNS,
        planning.REPLENISHMENT,
    ),
}
WRITTEN: Mapping[str, tuple[Table, ...]] = {
    "extract": (warehouse.QUALITY, warehouse.QUARANTINE),
    "train": (warehouse.BACKTESTS, warehouse.JUDGEMENTS, warehouse.MODEL_PROMOTIONS),
    "forecast": (
        warehouse.FORECASTS,
        warehouse.FORECAST_LEVELS,
        warehouse.FORECAST_SUMS,
        warehouse.FORECASTS_WITHDRAWN,
        planning.OVERRIDDEN,
    ),
    "monitor": (
        warehouse.SCORES,
        warehouse.SERIES_SCORES,
        warehouse.SCORE_TRENDS,
        warehouse.LOST_DEMAND,
        planning.OVERRIDE_SCORES,
    ),
    "override": (planning.OVERRIDES, planning.OVERRIDDEN),
    "replenish": (planning.REPLENISHMENT,),
    "shadow": (warehouse.JUDGEMENTS, warehouse.MODEL_PROMOTIONS),
    "approve": (warehouse.MODEL_PROMOTIONS,),
    "rollback": (warehouse.MODEL_PROMOTIONS,),
    "drift": (warehouse.DRIFT,),
    "exceptions": (warehouse.EXCEPTIONS, warehouse.EXPLANATIONS),
    "health": (warehouse.HEALTH,),
    "alerts": (warehouse.ALERTS,),
    "export": (),  # files, not tables
    "export_forecasts": (),
    "export_orders": (),
    "export_scores": (),
    "report": (),
    "send_report": (),
    "retention": (),
}


@dataclass(frozen=True)
class Data:
    """One data set. version: in its own store. digest: SHA-256 of that version. table: what its columns are."""

    namespace: str
    name: str
    version: str = ""
    digest: str = ""
    table: Table | None = None


def of(settings: Settings, row: Mapping[str, Any]) -> tuple[list[Data], list[Data]]:
    """What the step of a row of RUNS has read and written; of the output tables those that such a step writes.

    Raises StoreError where snapshot or model version are not to be found.
    """
    step = str(row["step"])
    read = [_output(settings, table) for table in READ.get(step, ())]
    written = [_output(settings, table) for table in WRITTEN.get(step, ())]
    if step == "extract":
        read += _sources(settings)
        written += _snapshot(settings, str(row["snapshot"]))
    if row["snapshot"]:
        panel = Data(*_place(Folder.of(settings.lake).at("panels")), version=str(row["snapshot"]))
        (written if step == "extract" else read).append(panel)
    if row["model_version"]:
        (written if step == "train" else read).append(_model(settings, str(row["model_version"])))
    return read, written


def _sources(settings: Settings) -> Iterator[Data]:
    for table in settings.source_tables().values():
        source = settings.sources[table.source]
        if isinstance(source, SqlSource):
            yield Data(*_relation(source.url, None, str(table.table)))
        else:
            yield Data(*_place(f"{source.path.rstrip('/')}/{table.path}"))


def _snapshot(settings: Settings, snapshot_id: str) -> Iterator[Data]:
    """Every table of the lake at its version; that of `sales` is the snapshot, and has its digest."""
    folder, snapshot = Folder.of(settings.lake), Lake(settings.lake).find(snapshot_id)
    yield Data(*_place(folder.at("sales")), str(version_of(snapshot_id)), snapshot.digest, LAKE["sales"])
    for name, version in snapshot.versions.items():
        yield Data(*_place(folder.at(name)), str(version), snapshot.digests[name], LAKE.get(name))


def _model(settings: Settings, version: str) -> Data:
    digest = Registry(settings.mlflow).version(version).tags.get("manifest", "")
    return Data(_registry(settings.mlflow.tracking_uri), f"models/{settings.mlflow.model}", version, digest)


def _registry(uri: str) -> str:
    """Namespace of the models of a tracking server, or of the database that MLflow is embedded in."""
    served = uri.startswith(("http://", "https://"))
    return f"mlflow://{urlsplit(uri).netloc.rpartition('@')[2]}" if served else _relation(uri, None, "")[0]


def _output(settings: Settings, table: Table) -> Data:
    return Data(*_relation(settings.warehouse.url, settings.warehouse.namespace, table.name), table=table)


def _relation(url: str, schema: str | None, table: str) -> tuple[str, str]:
    """Namespace and name of a table of a database; no user, no password."""
    parsed = sa.make_url(url)
    kind = {"postgresql": "postgres"}.get(parsed.get_backend_name(), parsed.get_backend_name())
    if kind == "sqlite":
        return f"sqlite://{Path(str(parsed.database)).absolute()}", table
    port = parsed.port or PORTS.get(kind)
    namespace = f"{kind}://{parsed.host or 'localhost'}" + (f":{port}" if port else "")
    if kind == "postgres" and "." not in table:
        table = f"{schema or 'public'}.{table}"
    return namespace, f"{parsed.database}.{table}"


def _place(address: str) -> tuple[str, str]:
    """Namespace and name of a file or folder, here or in a bucket."""
    if "://" in address and not address.startswith("file://"):
        parsed = urlsplit(address)
        return f"{parsed.scheme}://{parsed.netloc.rpartition('@')[2]}", parsed.path.strip("/")
    return "file", str(Path(address.removeprefix("file://")).absolute())
