"""The fast ways of many rows into and out of the warehouse's databases: COPY on PostgreSQL, tuples on SQLite.

Frames go through Arrow, which knows a missing value in every type and reads CSV at the speed of COPY.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import sqlalchemy as sa

from forecasting.core.errors import StoreError
from forecasting.storage.lake.arrow_frames import has_hours
from forecasting.storage.warehouse import copy_format
from forecasting.tables.schema import Column, Table

ROWS = 20_000  # rows a batch: enough that a batch's fixed costs vanish, few enough that the server never waits long
_ARROW = {
    "text": pa.string(),
    "date": pa.date32(),
    "instant": pa.timestamp("us", tz="UTC"),
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
}
_READ = {"date": pa.timestamp("s")}  # of SQLite, whose days may have an hour
_NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def insert(connection: sa.Connection, target: sa.Table, table: Table, frame: pd.DataFrame, fresh: bool = False) -> None:
    """Insert a checked frame, all columns of `table`, within the connection's transaction.

    fresh: the target was made in this transaction, so that PostgreSQL may write its rows as if they were old: nobody
    who reads them first, and no vacuum, has to mark them again.
    """
    if connection.dialect.name == "postgresql":
        _copy_in(connection, target, table, frame, ", FREEZE" if fresh else "")
    else:
        _execute_many(connection, target, table, frame)


def select(connection: sa.Connection, statement: sa.Select[Any], columns: Mapping[str, Column]) -> pd.DataFrame:
    """Rows of a statement whose columns are `columns`, in this order, typed as they say."""
    read = _copy_out if connection.dialect.name == "postgresql" else _fetch
    found = read(connection, statement, columns)
    frame: pd.DataFrame = found.to_pandas(types_mapper=_NULLABLE.get, date_as_object=False)
    for name, column in columns.items():
        if column.kind == "date":
            frame[name] = frame[name].astype("datetime64[s]")
    return frame


# ---------------------------------------------------------------- frame to Arrow


def _arrays(table: Table, frame: pd.DataFrame) -> Iterator[pa.Array]:
    for name, column in table.columns.items():
        array = pa.array(frame[name], from_pandas=True)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if pa.types.is_dictionary(array.type):
            yield array
        else:
            yield _dated(array) if column.kind == "date" else array.cast(_ARROW[column.kind])


def _dated(array: pa.Array) -> pa.Array:
    """Days as dates; with seconds where any value has a time of day, as periods of hours have."""
    if not pa.types.is_timestamp(array.type):
        return array.cast(pa.date32())
    return array.cast(pa.timestamp("s") if has_hours(array.to_pandas()) else pa.date32())


def _batches(table: Table, frame: pd.DataFrame) -> Iterator[pa.RecordBatch]:
    whole = pa.RecordBatch.from_arrays(list(_arrays(table, frame)), names=list(table.columns))
    for start in range(0, len(frame), ROWS):
        yield whole.slice(start, ROWS)


# ---------------------------------------------------------------- PostgreSQL


def _copy_in(connection: sa.Connection, target: sa.Table, table: Table, frame: pd.DataFrame, how: str) -> None:
    quote = connection.dialect.identifier_preparer
    names = ", ".join(quote.quote(name) for name in table.columns)
    kinds = [column.kind for column in table.columns.values()]
    with (
        _driver(connection).cursor() as cursor,
        cursor.copy(f"COPY {quote.format_table(target)} ({names}) FROM STDIN (FORMAT binary{how})") as copy,
    ):
        copy.write(copy_format.HEADER)
        for batch in _batches(table, frame):
            if any(pa.types.is_timestamp(column.type) and column.type.tz is None for column in batch.columns):
                raise StoreError(
                    f"Table {table.name}: PostgreSQL keeps days, and these periods are hours. A warehouse for "
                    'panel.frequency = "H" is SQLite so far: warehouse.url = "sqlite:///...".'
                )
            copy.write(memoryview(copy_format.rows(batch.columns, kinds)))
        copy.write(copy_format.TRAILER)


def _copy_out(connection: sa.Connection, statement: sa.Select[Any], columns: Mapping[str, Column]) -> pa.Table:
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    received = io.BytesIO()
    with (
        _driver(connection).cursor() as cursor,
        cursor.copy(f"COPY ({compiled}) TO STDOUT (FORMAT csv)", dict(compiled.params)) as copy,
    ):
        for block in copy:
            received.write(block)
    types = {name: _ARROW[column.kind] for name, column in columns.items()}
    if not received.tell():
        return pa.schema(types).empty_table()
    return pa_csv.read_csv(
        pa.BufferReader(received.getbuffer()),
        read_options=pa_csv.ReadOptions(column_names=list(columns)),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


# ---------------------------------------------------------------- SQLite


def _execute_many(connection: sa.Connection, target: sa.Table, table: Table, frame: pd.DataFrame) -> None:
    quote = connection.dialect.identifier_preparer
    names = ", ".join(quote.quote(name) for name in table.columns)
    places = ", ".join("?" * len(table.columns))
    statement = f"INSERT INTO {quote.format_table(target)} ({names}) VALUES ({places})"
    kinds = [column.kind for column in table.columns.values()]
    driver = _driver(connection)
    for batch in _batches(table, frame):
        values = [_python(array, kind) for array, kind in zip(batch.columns, kinds, strict=True)]
        driver.executemany(statement, zip(*values, strict=True))


def _python(array: pa.Array, kind: str) -> list[Any]:
    """Values as SQLite keeps them: ISO text for days and instants, NULL for what is missing."""
    if pa.types.is_dictionary(array.type):
        names = np.array([*array.dictionary.cast(pa.string()).to_pylist(), None], dtype=object)
        return list(names[array.indices.fill_null(-1).to_numpy()])
    if kind in ("date", "instant"):
        return _ISO[kind](array)
    if array.null_count or kind in ("text", "flag"):
        return list(array.to_pylist())
    return list(array.to_numpy().tolist())


def _days(array: pa.Array) -> list[str | None]:
    """ISO days, with the time of day where it is not midnight: a day has the same text alone and among hours."""
    found = array.cast(pa.string()).to_pylist()
    if pa.types.is_timestamp(array.type):
        return [None if one is None else one.removesuffix(" 00:00:00") for one in found]
    return list(found)


def _instants(array: pa.Array) -> list[str | None]:
    """The form that SQLAlchemy gives an instant in SQLite: UTC, no zone, always with microseconds."""
    values = array.cast(pa.timestamp("us")).to_pylist()
    return [value.isoformat(" ", "microseconds") if value is not None else None for value in values]


_ISO: dict[str, Callable[[pa.Array], list[str | None]]] = {"date": _days, "instant": _instants}


def _fetch(connection: sa.Connection, statement: sa.Select[Any], columns: Mapping[str, Column]) -> pa.Table:
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    values = compiled.construct_params()
    ordered = [_bound(values[name]) for name in compiled.positiontup or ()]
    cursor = _driver(connection).execute(str(compiled), ordered)
    schema = pa.schema({name: _READ.get(column.kind, _ARROW[column.kind]) for name, column in columns.items()})
    kinds = [column.kind for column in columns.values()]
    batches = []
    while rows := cursor.fetchmany(ROWS):
        arrays = [_array(part, kind) for part, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)


def _bound(value: Any) -> Any:
    """A day, an hour or an instant as the text that SQLite holds."""
    if hasattr(value, "tzinfo"):
        if value.tzinfo is None:
            return value.isoformat(" ", "seconds").removesuffix(" 00:00:00")
        return value.replace(tzinfo=None).isoformat(" ", "microseconds")  # `_typed` has made it UTC
    return value.isoformat() if hasattr(value, "isoformat") else value


def _array(values: Sequence[Any], kind: str) -> pa.Array:
    if kind == "flag":
        return pa.array(values, pa.int8()).cast(pa.bool_())
    if kind == "date":
        return pa.array(values, pa.string()).cast(_READ[kind])
    if kind == "instant":
        return pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(_ARROW[kind])
    return pa.array(values, _ARROW[kind])


def _driver(connection: sa.Connection) -> Any:
    """The driver's own connection, within the transaction that SQLAlchemy has begun."""
    return connection.connection.driver_connection
