"""The output tables, in SQLite or PostgreSQL: read by key, replaced by partition, all or nothing.

One set of SQLAlchemy tables for both databases, made from `data/tables.py`; many rows go through `stores/bulk.py`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import sqlalchemy as sa
from sqlalchemy.engine.reflection import ObjectKind

from forecasting.data.schema import Column, Table
from forecasting.data.tables import FORECASTS, WAREHOUSE
from forecasting.data.views import VIEWS, View
from forecasting.errors import StoreError, some
from forecasting.sections import WarehouseSettings
from forecasting.stores import bulk, database, views
from forecasting.stores.alone import lock_key
from forecasting.stores.changes import Change, Stream, typed

_TYPES: dict[str, Any] = {
    "text": sa.Text(),
    "date": sa.Date(),
    "instant": sa.DateTime(timezone=True),
    "integer": sa.BigInteger(),
    "number": sa.Double(),
    "flag": sa.Boolean(),
}


class Warehouse:
    """The output tables of one deployment. Every method raises StoreError where the database refuses."""

    def __init__(self, settings: WarehouseSettings, tables: Sequence[Table] = WAREHOUSE) -> None:
        self._url = database.address(settings.url)
        self._engine = database.engine(self._url)
        namespace = settings.namespace if self._engine.dialect.name == "postgresql" else None
        metadata = sa.MetaData(schema=namespace)
        self._tables = {table.name: _relation(metadata, table) for table in tables}
        self._metadata = metadata
        self._created = False

    def create(self) -> None:
        """Create what is missing: schema, tables, columns, indexes, comments, views. Twice = once.

        Raises StoreError where a table lacks a column that may not be empty: its old rows have nothing to put there.
        """
        with self._begin() as connection:
            missing = self._missing(connection)
        if missing:
            with self._begin(write=True) as connection:
                self._lock(connection, "create")
                self._add(connection, self._missing(connection))
        self._created = True

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
        columns_of_view = [sa.column(name, _TYPES[one.kind]) for name, one in view.columns.items()]
        return self._read(sa.table(view.name, *columns_of_view, schema=self._metadata.schema), view, columns, where)

    def cutoffs(self, before: date | None = None, most: int | None = None) -> list[date]:
        """Cutoffs of the published vintages, newest first; only those before a day, and at most so many, if given."""
        self._ensure()
        cutoff = self._relation(FORECASTS).columns["cutoff"]
        found: list[date] = []
        with self._begin() as connection:
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
            # Writers of the same partition come one after the other; sorted, so that no two wait for each other.
            for name in sorted({f"{change.table.name} {sorted(change.partition.items())}" for change in checked}):
                self._lock(connection, name)
            for change in checked:
                relation = self._relation(change.table)
                connection.execute(sa.delete(relation).where(*_conditions(relation, change.table, change.partition)))
                for frame in change.frames:
                    bulk.insert(connection, relation, change.table, frame)

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
            for table, wanted in where:
                relation = self._relation(table)
                conditions = list(_conditions(relation, table, wanted))
                if not conditions:
                    raise StoreError(f"Rows of table {table.name} are only removed by the value of a column.")
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

    def _missing(self, connection: sa.Connection) -> list[sa.Table | sa.Column[Any] | str]:
        """Tables, columns of tables, and names of views that the database lacks."""
        inspector, namespace = sa.inspect(connection), self._metadata.schema
        there = inspector.get_multi_columns(schema=namespace, kind=ObjectKind.ANY)
        columns = {name: {column["name"] for column in found} for (_, name), found in there.items()}
        missing: list[sa.Table | sa.Column[Any] | str] = []
        for name, relation in self._tables.items():
            if name not in columns:
                missing.append(relation)
            else:
                missing += [column for column in relation.columns if column.name not in columns[name]]
        wanted = views.views(self._tables)
        return missing + [view.name for view in wanted if not set(view.columns) <= columns.get(view.name, set())]

    def _add(self, connection: sa.Connection, missing: Sequence[sa.Table | sa.Column[Any] | str]) -> None:
        if self._metadata.schema:
            connection.execute(sa.schema.CreateSchema(self._metadata.schema, if_not_exists=True))
        self._metadata.create_all(connection)
        for column in missing:
            if isinstance(column, sa.Column):
                self._add_column(connection, column)
        for view in views.views(self._tables) if missing else ():
            views.create(connection, view, self._tables, self._metadata.schema)

    def _add_column(self, connection: sa.Connection, column: sa.Column[Any]) -> None:
        if not column.nullable:
            raise StoreError(
                f"Table {column.table.name} of the warehouse is older than this code: it lacks column {column.name}, "
                "which may not be empty. Nothing was changed. Rename the table, or start a new warehouse "
                "(warehouse.url, warehouse.schema), and publish again."
            )
        table = connection.dialect.identifier_preparer.format_table(column.table)
        definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {definition}")
        if connection.dialect.supports_comments:
            connection.execute(sa.schema.SetColumnComment(column))

    def _lock(self, connection: sa.Connection, name: str) -> None:
        """Hold a name until the transaction ends. In SQLite a writer holds the whole file already."""
        if connection.dialect.name == "postgresql":
            key = lock_key(f"{self._metadata.schema} {name}")
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


def _relation(metadata: sa.MetaData, table: Table) -> sa.Table:
    columns = [
        sa.Column(
            name,
            _TYPES[column.kind],
            primary_key=name in table.key,
            autoincrement=False,
            nullable=column.null,
            comment=f"{column.about} ({column.unit})" if column.unit else column.about,
        )
        for name, column in table.columns.items()
    ]
    relation = sa.Table(
        table.name,
        metadata,
        *columns,
        sa.PrimaryKeyConstraint(*table.key),
        comment=table.about,
        sqlite_with_rowid=False,  # rows lie in the order of the key: a file a fifth smaller, a vintage lies together
    )
    if {"cutoff", "unique_id"} <= set(table.key):
        # One series through all its vintages; the key itself serves one vintage at a time.
        sa.Index(f"{table.name}_by_series", relation.columns["unique_id"], relation.columns["cutoff"])
    return relation
