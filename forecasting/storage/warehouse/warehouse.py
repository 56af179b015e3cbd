"""The output tables, in SQLite or PostgreSQL: read by key, replaced by partition, all or nothing.

One set of SQLAlchemy tables for both databases, made from `tables/warehouse.py`; many rows go through
`storage/warehouse/bulk.py`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import sqlalchemy as sa

from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import StoreError, some
from forecasting.storage import migrations
from forecasting.storage.locks import lock_key
from forecasting.storage.warehouse import bulk, database, partitions, views
from forecasting.storage.warehouse.changes import Change, Stream, typed
from forecasting.storage.warehouse.sqlalchemy_tables import TYPES, relation
from forecasting.tables.schema import Column, Table
from forecasting.tables.views import VIEWS, View
from forecasting.tables.warehouse import FORECASTS, WAREHOUSE


class Warehouse:
    """The output tables of one deployment. Every method raises StoreError where the database refuses."""

    def __init__(self, settings: WarehouseSettings, tables: Sequence[Table] = WAREHOUSE) -> None:
        self._url = database.address(settings.url)
        self._engine = database.engine(self._url)
        namespace = settings.namespace if self._engine.dialect.name == "postgresql" else None
        self._created, self._whole = False, tables is WAREHOUSE
        self.metadata, self._tables = _ours(namespace) if self._whole else _described(namespace, tables)

    def create(self) -> None:
        """Bring the database to this code's revision: schema, tables, indexes, comments, views. Twice = once.

        Processes that come at once wait for the first. Raises StoreError where a table cannot be brought to it, and
        for a warehouse of a newer release.
        """
        self.migrate()
        self._created = True

    def migrate(self, to: str = migrations.HEAD) -> tuple[str | None, str]:
        """Bring the database to a revision, up or down; returns the one that it had (None: none) and that it has."""
        with self._begin() as connection:
            there = self._revision(connection)
        if there != to:
            with self._begin(write=True) as connection:
                self._lock(connection, "create")
                there = self._revision(connection)
                if there != to and self._whole:
                    migrations.migrate(connection, self.metadata, to)
                elif there != to:
                    self._make(connection)
        return there, to

    def script(self, to: str = migrations.HEAD) -> str:
        """The SQL that would bring the database from its revision to another one.

        Raises StoreError for a warehouse from before revisions: what it lacks must be looked at.
        """
        with self._begin() as connection:
            there = self._revision(connection)
            if there is None and sa.inspect(connection).has_table(FORECASTS.name, schema=self.metadata.schema):
                raise StoreError(
                    "The warehouse is from before revisions. Number it first, which moves nothing: "
                    "python -m forecasting migrate --to 0002 (release 0.2.0; 0001: release 0.1.0)"
                )
            return migrations.script(self._url, self.metadata, there, to)

    def read(self, table: Table, /, columns: Sequence[str] | None = None, **where: Any) -> pd.DataFrame:
        """Rows in the order of the key, with the types that the table says.

        `where`: column = value, one of a list, tuple or set of values, or None for an empty cell. An unknown column
        raises StoreError.
        """
        return self._read(self._relation(table), table, columns, where)

    def latest(self, columns: Sequence[str] | None = None, of: Table = FORECASTS, **where: Any) -> pd.DataFrame:
        """Rows of the view over the newest of a table, by default of `forecasts_latest`, with the table's columns."""
        view = next(one for one in VIEWS if one.table is of)
        return self.view(view, list(of.columns) if columns is None else columns, **where)

    def view(self, view: View, columns: Sequence[str] | None = None, **where: Any) -> pd.DataFrame:
        """Rows of a view in the order of its key; `where` as in `read`."""
        columns_of_view = [sa.column(name, TYPES[one.kind]) for name, one in view.columns.items()]
        return self._read(sa.table(view.name, *columns_of_view, schema=self.metadata.schema), view, columns, where)

    def cutoffs(self, before: date | None = None, most: int | None = None) -> list[date]:
        """Cutoffs of the published vintages, newest first; only those before a day, and at most so many, if given."""
        self._ensure()
        cutoff = self._relation(FORECASTS).columns["cutoff"]
        found: list[date] = []
        with self._begin() as connection:
            if partitions.divided(connection, self._relation(FORECASTS)):
                days = partitions.cutoffs(connection, self._relation(FORECASTS))
                return list(itertools.islice((day for day in days if before is None or day < before), most))
            # One seek in the key's index a vintage; DISTINCT would walk over every row of every vintage.
            while most is None or len(found) < most:
                newest = sa.select(sa.func.max(cutoff))
                edge = found[-1] if found else before
                value = connection.execute(newest if edge is None else newest.where(cutoff < edge)).scalar()
                if value is None:
                    break
                found.append(value)
        return found

    def replace(self, table: Table, frame: pd.DataFrame, **partition: Any) -> int:
        """Replace one partition of a table by the frame, in one transaction; returns the rows written."""
        self.publish([Change(table, frame, partition)])
        return len(frame)

    def publish(self, changes: Sequence[Change | Stream]) -> None:
        """Replace several partitions in one transaction: readers see all of it or nothing; twice = once.

        Raises TableError where a frame does not fit its table or its partition, and nothing is changed then: before
        anything is touched for a `Change`.
        """
        checked = [change.checked() for change in changes]
        if not checked:
            return
        self._ensure()
        with self._begin(write=True) as connection:
            self._lock(connection, *(_place(change.table, change.partition) for change in checked))
            staged = []
            for change in checked:
                relation = self._relation(change.table)
                if partitions.divided(connection, relation):
                    cutoff = change.partition["cutoff"]
                    staged.append(partitions.stage(connection, relation, change.table, cutoff, change.frames))
                    continue
                connection.execute(sa.delete(relation).where(*_conditions(relation, change.table, change.partition)))
                for frame in change.frames:
                    bulk.insert(connection, relation, change.table, frame)
            # Last of all, and in one order for all writers: from here on readers may have to wait.
            for one in sorted(staged, key=lambda one: one.relation.name):
                partitions.swap(connection, one)

    def distinct(self, table: Table, columns: Sequence[str], **where: Any) -> pd.DataFrame:
        """The different values that columns of a table have together, sorted; `where` as in `read`."""
        wanted, relation = _known(table, columns), self._relation(table)
        chosen = [relation.columns[name] for name in wanted]
        self._ensure()
        statement = sa.select(*chosen).where(*_conditions(relation, table, where)).distinct().order_by(*chosen)
        with self._begin() as connection:
            return bulk.select(connection, statement, wanted)

    def counts(self, table: Table, column: str, **where: Any) -> dict[Any, int]:
        """How many rows hold each value of a column; `where` as in `read`."""
        relation = self._relation(table)
        value = relation.columns[next(iter(_known(table, [column])))]
        self._ensure()
        statement = sa.select(value, sa.func.count()).where(*_conditions(relation, table, where)).group_by(value)
        with self._begin() as connection:
            return {found: int(rows) for found, rows in connection.execute(statement)}

    def remove(self, where: Sequence[tuple[Table, Mapping[str, Any]]]) -> int:
        """Delete rows of several tables in one transaction; returns how many. `where` as in `read`, never empty."""
        self._ensure()
        rows = 0
        with self._begin(write=True) as connection:
            self._lock(connection, *(_place(table, wanted) for table, wanted in where if _is_whole(table, wanted)))
            for table, wanted in where:
                relation = self._relation(table)
                conditions = list(_conditions(relation, table, wanted))
                if not conditions:
                    raise StoreError(f"Rows of table {table.name} are only removed by the value of a column.")
                if partitions.divided(connection, relation) and set(wanted) == {"cutoff"}:
                    rows += partitions.remove(connection, relation, pd.Timestamp(wanted["cutoff"]).date())
                    continue
                rows += connection.execute(sa.delete(relation).where(*conditions)).rowcount
        return rows

    def _read(
        self, relation: sa.FromClause, table: Table | View, columns: Sequence[str] | None, where: Mapping[str, Any]
    ) -> pd.DataFrame:
        wanted = _known(table, table.columns if columns is None else columns)
        self._ensure()
        statement = sa.select(*(relation.columns[name] for name in wanted))
        statement = statement.where(*_conditions(relation, table, where))
        statement = statement.order_by(*(relation.columns[name] for name in table.key))
        with self._begin() as connection:
            return bulk.select(connection, statement, wanted)

    def _relation(self, table: Table) -> sa.Table:
        if table.name not in self._tables:
            raise StoreError(f"The warehouse has no table {table.name}; it has: {some(self._tables, 40)}.")
        return self._tables[table.name]

    def _ensure(self) -> None:
        if not self._created:
            self.create()

    def _revision(self, connection: sa.Connection) -> str | None:
        return migrations.revision(connection, self.metadata) if self._whole else None

    def _make(self, connection: sa.Connection) -> None:
        """Tables that are not those of a release: what is missing of them, and the views over them."""
        if self.metadata.schema:
            connection.execute(sa.schema.CreateSchema(self.metadata.schema, if_not_exists=True))
        self.metadata.create_all(connection)
        for view in views.views(self._tables):
            views.create(connection, view, self._tables, self.metadata.schema)

    def _lock(self, connection: sa.Connection, *names: str) -> None:
        """Hold names until the transaction ends. In SQLite a writer holds the whole file already.

        Writers of the same partition come one after the other; sorted, so that no two wait for each other.
        """
        if connection.dialect.name == "postgresql":
            for name in sorted(set(names)):
                key = lock_key(f"{self.metadata.schema} {name}")
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    @contextlib.contextmanager
    def _begin(self, write: bool = False) -> Iterator[sa.Connection]:
        """One transaction; what the database says against it becomes a StoreError that shows no password."""
        try:
            if self._url.get_backend_name() == "sqlite":
                Path(str(self._url.database)).parent.mkdir(parents=True, exist_ok=True)
            with self._engine.execution_options(write=write).begin() as connection:
                yield connection
        except (sa.exc.SQLAlchemyError, psycopg.Error, sqlite3.Error, OSError) as error:
            raise StoreError(self._explain(error)) from None

    def _explain(self, error: Exception) -> str:
        cause = getattr(error, "orig", None) or error
        message = f"{type(cause).__name__}: {cause}".strip()
        if self._url.password:
            message = message.replace(str(self._url.password), "***")
        shown = self._url.render_as_string(hide_password=True)
        return (
            f"The warehouse {shown} cannot do that: {message}. Nothing was changed. Is warehouse.url right, "
            "the server up, the place writable?"
        )


def _place(table: Table, partition: Mapping[str, Any]) -> str:
    """The name that writers of a partition hold."""
    known = {name: typed(table.columns[name], value) for name, value in partition.items()}
    return f"{table.name} {sorted(known.items())}"


def _is_whole(table: Table, wanted: Mapping[str, Any]) -> bool:
    """Whether these rows are a partition, as it is published."""
    several = any(isinstance(value, Collection) and not isinstance(value, str) for value in wanted.values())
    return set(wanted) == set(table.partition) and not several


def _described(namespace: str | None, tables: Sequence[Table]) -> tuple[sa.MetaData, Mapping[str, sa.Table]]:
    metadata = sa.MetaData(schema=namespace)
    return metadata, {table.name: relation(metadata, table) for table in tables}


@functools.cache
def _ours(namespace: str | None) -> tuple[sa.MetaData, Mapping[str, sa.Table]]:
    """Once a process: 25 ms for the tables of WAREHOUSE, which a page would pay at every request."""
    return _described(namespace, WAREHOUSE)


def _conditions(
    relation: sa.FromClause, table: Table | View, where: Mapping[str, Any]
) -> Iterator[sa.ColumnElement[bool]]:
    for name, column in _known(table, where).items():
        wanted, target = where[name], relation.columns[name]
        if isinstance(wanted, Collection) and not isinstance(wanted, str):
            yield target.in_([typed(column, value) for value in wanted])
        else:
            yield target == typed(column, wanted)  # None becomes IS NULL


def _known(table: Table | View, names: Collection[str]) -> dict[str, Column]:
    unknown = [name for name in names if name not in table.columns]
    if unknown:
        raise StoreError(f"Table {table.name} has no column {some(unknown)}; it has: {some(table.columns, 40)}.")
    return {name: table.columns[name] for name in names}
