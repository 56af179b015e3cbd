"""Partitions by cutoff on PostgreSQL: a vintage is loaded beside its table, then put in its place; an old one dropped.

Rows go by COPY into a table of their own, whose indexes are built when all rows are there; then that table becomes the
partition of its cutoff. Readers are never in the way of a new cutoff. One that is replaced needs the whole table for a
moment: where a reader holds it longer than PATIENCE, its rows are replaced one by one instead, which waits for nobody.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import sqlalchemy as sa

from forecasting.storage.warehouse import bulk
from forecasting.storage.warehouse.sqlalchemy_tables import quoted
from forecasting.tables.schema import Table

PATIENCE = "2s"  # for the lock on a table; as long as we wait for one reader, the others wait too
RACES = 20  # that the list of partitions is asked for while others replace them
SORTING = "256MB"  # memory for building an index; with less, half a million rows are sorted on the disk

_HOLDERS = sa.text(
    "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid) FROM pg_inherits "
    "JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = to_regclass(:parent) ORDER BY child.relname"
)


@dataclass(frozen=True)
class Staged:
    """Rows of one cutoff that lie ready in a table of their own."""

    relation: sa.Table
    table: sa.Table
    cutoff: date
    rows: int


@dataclass(frozen=True)
class Holder:
    """A partition, and the cutoffs that it may hold: one, or all from before the table had partitions."""

    name: str
    cutoffs: tuple[date, ...]


def divided(connection: sa.Connection, relation: sa.Table) -> bool:
    """Whether the table has partitions by cutoff here."""
    return connection.dialect.name == "postgresql" and bool(relation.dialect_options["postgresql"]["partition_by"])


def stage(
    connection: sa.Connection, relation: sa.Table, table: Table, cutoff: date, frames: Iterable[pd.DataFrame]
) -> Staged:
    """Load checked frames into a table of their own, with the indexes of `relation`."""
    name = f"{relation.name}_{cutoff:%Y%m%d}_{secrets.token_hex(4)}"
    staging = sa.Table(name, sa.MetaData(schema=relation.schema), *(_copy(one) for one in relation.columns))
    place, quote = _quoted(connection, staging), connection.dialect.identifier_preparer.quote
    columns = [str(sa.schema.CreateColumn(one).compile(dialect=connection.dialect)) for one in staging.columns]
    # With the check, the partition's bound need not be looked for in the rows while the table is held.
    columns.append(f"CHECK (cutoff = DATE '{cutoff}')")
    _run(connection, f"CREATE TABLE {place} ({', '.join(columns)})")
    rows = 0
    for frame in frames:
        bulk.insert(connection, staging, table, frame, fresh=True)
        rows += len(frame)
    _run(connection, f"SET LOCAL maintenance_work_mem = '{SORTING}'")
    key = ", ".join(quote(one.name) for one in relation.primary_key.columns)
    _run(connection, f"ALTER TABLE {place} ADD PRIMARY KEY ({key})")
    for index in relation.indexes:
        _run(connection, f"CREATE INDEX ON {place} ({', '.join(quote(one.name) for one in index.columns)})")
    return Staged(relation, staging, cutoff, rows)


def swap(connection: sa.Connection, staged: Staged) -> None:
    """Put the rows in the place of those that the table has of their cutoff. Without rows, none are left."""
    holder = _holder(connection, staged.relation, staged.cutoff)
    if holder is None:
        _attach(connection, staged)
    elif not (len(holder.cutoffs) == 1 and _dropped(connection, staged.relation, holder, staged)):
        parent, place = staged.relation, _quoted(connection, _named(staged.relation, holder.name))
        _delete(connection, place, staged.cutoff)
        names = ", ".join(connection.dialect.identifier_preparer.quote(one.name) for one in parent.columns)
        staging = _quoted(connection, staged.table)
        _run(connection, f"INSERT INTO {place} ({names}) SELECT {names} FROM {staging}")
        _run(connection, f"DROP TABLE {staging}")


def remove(connection: sa.Connection, relation: sa.Table, cutoff: date) -> int:
    """Take the rows of a cutoff away, by dropping their partition where it is theirs alone; returns how many."""
    holder = _holder(connection, relation, cutoff)
    if holder is None:
        return 0
    place = _named(relation, holder.name)
    if len(holder.cutoffs) == 1:
        rows = connection.execute(sa.select(sa.func.count()).select_from(place)).scalar_one()
        if _dropped(connection, relation, holder):
            return int(rows)
    return _delete(connection, _quoted(connection, place), cutoff)


def cutoffs(connection: sa.Connection, relation: sa.Table) -> Iterator[date]:
    """Cutoffs that have rows, newest first, from the list of partitions: no row of those with one cutoff is read."""
    where = {cutoff: holder for holder in _holders(connection, relation) for cutoff in holder.cutoffs}
    for cutoff in sorted(where, reverse=True):
        place = _named(relation, where[cutoff].name)
        some = sa.select(sa.literal(1)).select_from(place).where(sa.column("cutoff") == cutoff).limit(1)
        if len(where[cutoff].cutoffs) == 1 or connection.execute(some).first():
            yield cutoff


def _holders(connection: sa.Connection, relation: sa.Table) -> list[Holder]:
    for _ in range(RACES):
        found = connection.execute(_HOLDERS, {"parent": _quoted(connection, relation)}).all()
        if all(bound for _, bound in found):
            break  # else: one has been replaced since the statement began; the next one sees what stands there now
    days = re.compile(r"'(\d{4,}-\d\d-\d\d)'")
    return [
        Holder(name, tuple(date.fromisoformat(day) for day in days.findall(bound))) for name, bound in found if bound
    ]


def _holder(connection: sa.Connection, relation: sa.Table, cutoff: date) -> Holder | None:
    return next((one for one in _holders(connection, relation) if cutoff in one.cutoffs), None)


def _dropped(connection: sa.Connection, relation: sa.Table, holder: Holder, staged: Staged | None = None) -> bool:
    """Drop a partition, and put other rows in its place; False and nothing done where readers hold the table."""
    parent, place = _quoted(connection, relation), _quoted(connection, _named(relation, holder.name))
    try:
        with connection.begin_nested():
            _run(connection, f"SET LOCAL lock_timeout = '{PATIENCE}'")
            _run(connection, f"LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE")
            _run(connection, f"DROP TABLE {place}")
            if staged:
                _attach(connection, staged)
            _run(connection, "SET LOCAL lock_timeout TO DEFAULT")
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", "") not in ("55P03", "40P01"):  # lock not available, deadlock
            raise
        return False
    return True


def _attach(connection: sa.Connection, staged: Staged) -> None:
    parent, staging = _quoted(connection, staged.relation), _quoted(connection, staged.table)
    if staged.rows:
        _run(connection, f"ALTER TABLE {parent} ATTACH PARTITION {staging} FOR VALUES IN ('{staged.cutoff}')")
    else:
        _run(connection, f"DROP TABLE {staging}")


def _delete(connection: sa.Connection, place: str, cutoff: date) -> int:
    return connection.exec_driver_sql(f"DELETE FROM {place} WHERE cutoff = DATE '{cutoff}'").rowcount


def _named(relation: sa.Table, name: str) -> sa.TableClause:
    return sa.table(name, schema=relation.schema)


def _copy(column: sa.Column[Any]) -> sa.Column[Any]:
    return sa.Column(column.name, column.type, nullable=column.nullable)


def _quoted(connection: sa.Connection, table: sa.TableClause | sa.Table) -> str:
    return quoted(connection.dialect, table.name, table.schema)


def _run(connection: sa.Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
