"""Our tables as SQLAlchemy's: types, key, comments, the index by series, partitions by cutoff; and names quoted."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from forecasting.tables.schema import Table

TYPES: dict[str, Any] = {
    "text": sa.Text(),
    "date": sa.Date(),
    "instant": sa.DateTime(timezone=True),
    "integer": sa.BigInteger(),
    "number": sa.Double(),
    "flag": sa.Boolean(),
}
# The large ones, whose cutoffs PostgreSQL keeps in a partition each (storage/warehouse/partitions.py).
PARTITIONED = frozenset({"forecasts", "forecast_levels", "forecast_sums"})


def relation(metadata: sa.MetaData, table: Table, partitioned: bool | None = None) -> sa.Table:
    """The table as it stands in the database; partitioned: by default whether its name is in PARTITIONED."""
    columns = [
        sa.Column(
            name,
            TYPES[column.kind],
            primary_key=name in table.key,
            autoincrement=False,
            nullable=column.null,
            comment=(f"{column.about} ({column.unit})" if column.unit else column.about) or None,
        )
        for name, column in table.columns.items()
    ]
    divided = table.name in PARTITIONED if partitioned is None else partitioned
    made = sa.Table(
        table.name,
        metadata,
        *columns,
        sa.PrimaryKeyConstraint(*table.key),
        comment=table.about or None,
        sqlite_with_rowid=False,  # rows lie in the order of the key: a file a fifth smaller, a vintage lies together
        postgresql_partition_by='LIST ("cutoff")' if divided else None,
    )
    if {"cutoff", "unique_id"} <= set(table.key):
        # One series through all its vintages; the key itself serves one vintage at a time.
        sa.Index(f"{table.name}_by_series", made.columns["unique_id"], made.columns["cutoff"])
    return made


def quoted(dialect: sa.Dialect, name: str, schema: str | None) -> str:
    """A table's or view's name as a statement takes it, with its schema."""
    return str(dialect.identifier_preparer.format_table(sa.table(name, schema=schema)))
