"""What a revision is written with: tables and columns that come and go, where they are not there or gone already.

A warehouse that no release had numbered yet may be anywhere between two of them, so every operation looks first; in a
script (`migrate --sql`) nothing can be looked at, and what stands there is what is done.

A table is written down in one line, as it was then: `"cutoff date, name text, value number?"`; `?`: may be empty.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from forecasting.core.errors import StoreError
from forecasting.storage.warehouse.sqlalchemy_tables import quoted, relation
from forecasting.tables.schema import Column, Table


def create(name: str, key: str, columns: str) -> None:
    """A table with its index by series, or the columns that it lacks. Raises StoreError as `add` does."""
    there = _columns(name)
    if there:
        for column in _parsed(columns):
            if column not in there:
                add(name, columns, column)
        return
    table = Table(name, "", _parsed(columns), tuple(key.split()))
    op.get_context().impl.create_table(relation(sa.MetaData(schema=schema()), table, partitioned=False))


def drop(name: str) -> None:
    """A table with all its rows."""
    if _columns(name) or offline():
        op.drop_table(name, schema=schema())


def add(name: str, columns: str, only: str | None = None) -> None:
    """Columns that may be empty. Raises StoreError for one that may not: its old rows have nothing to put there."""
    for column, kind in _parsed(columns).items():
        if only not in (None, column) or column in _columns(name):
            continue
        if not kind.null:
            raise StoreError(
                f"Table {name} of the warehouse is older than this code: it lacks column {column}, "
                "which may not be empty. Nothing was changed. Rename the table, or start a new warehouse "
                "(warehouse.url, warehouse.schema), and publish again."
            )
        made = relation(sa.MetaData(), Table(name, "", {column: kind}, ()), partitioned=False)
        op.add_column(name, sa.Column(column, made.columns[column].type, nullable=True), schema=schema())


def remove(name: str, *columns: str) -> None:
    """Columns with what they hold."""
    for column in columns:
        if column in _columns(name) or offline():
            op.drop_column(name, column, schema=schema())


def divide(name: str) -> None:
    """PostgreSQL: a plain table becomes the first partition of a new one of its name; no row is moved."""
    if not _postgresql() or (not offline() and _kind(name) == "p"):
        return
    old, key = f"{name}_before", _key(name)
    whole, place = _quoted(name), _quoted(old)
    _execute(f"ALTER TABLE {whole} RENAME TO {old}")
    _execute(f"ALTER INDEX {_quoted(f'{name}_pkey')} RENAME TO {old}_pkey")
    indexed = name == "forecasts"
    if indexed:
        _execute(f"ALTER INDEX {_quoted(f'{name}_by_series')} RENAME TO {old}_by_series")
    _execute(f"CREATE TABLE {whole} (LIKE {place}, PRIMARY KEY ({key})) PARTITION BY LIST (cutoff)")
    if indexed:
        _execute(f"CREATE INDEX {name}_by_series ON {whole} (unique_id, cutoff)")
    _execute(
        "DO $$ DECLARE days text; BEGIN"
        f" SELECT string_agg(DISTINCT quote_literal(cutoff), ', ') INTO days FROM {place};"
        f" IF days IS NULL THEN DROP TABLE {place}; ELSE EXECUTE"
        f" 'ALTER TABLE {whole} ATTACH PARTITION {place} FOR VALUES IN (' || days || ')'; END IF; END $$"
    )


def join(name: str) -> None:
    """PostgreSQL: one plain table again; all rows are moved."""
    if not _postgresql() or (not offline() and _kind(name) != "p"):
        return
    plain, parent, key = _quoted(f"{name}_whole"), _quoted(name), _key(name)
    _execute(f"CREATE TABLE {plain} (LIKE {parent})")
    _execute(f"INSERT INTO {plain} SELECT * FROM {parent}")
    _execute(f"DROP TABLE {parent}")
    _execute(f"ALTER TABLE {plain} RENAME TO {name}")
    _execute(f"ALTER TABLE {parent} ADD CONSTRAINT {name}_pkey PRIMARY KEY ({key})")
    if name == "forecasts":
        _execute(f"CREATE INDEX {name}_by_series ON {parent} (unique_id, cutoff)")


def schema() -> str | None:
    """Where the tables are; None: where the connection looks first."""
    found: str | None = op.get_context().version_table_schema
    return found


def offline() -> bool:
    """Whether a script is written instead of anything being done."""
    return bool(op.get_context().as_sql)


def _parsed(columns: str) -> dict[str, Column]:
    return dict(_each(columns))


def _each(columns: str) -> Iterator[tuple[str, Column]]:
    for part in columns.split(","):
        name, kind = part.split()
        yield name, Column(kind.rstrip("?"), "", null=kind.endswith("?"))  # type: ignore[arg-type]  # checked by TYPES


def _columns(name: str) -> set[str]:
    """Of a table that is there; empty where it is not, or nothing can be asked."""
    if offline():
        return set()
    inspector = sa.inspect(op.get_bind())
    if not inspector.has_table(name, schema=schema()):
        return set()
    return {column["name"] for column in inspector.get_columns(name, schema=schema())}


def _kind(name: str) -> str:
    """PostgreSQL's letter: r, a plain table; p, one with partitions."""
    statement = sa.text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:name)")
    return str(op.get_bind().execute(statement, {"name": _quoted(name)}).scalar())


def _key(name: str) -> str:
    return {
        "forecasts": "cutoff, unique_id, ds",
        "forecast_levels": "cutoff, level, name, ds",
        "forecast_sums": "cutoff, level, name, periods",
    }[name]


def _postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _quoted(name: str) -> str:
    return quoted(op.get_context().dialect, name, schema())


def _execute(statement: str) -> None:
    op.execute(sa.text(statement.replace(":", r"\:")))
