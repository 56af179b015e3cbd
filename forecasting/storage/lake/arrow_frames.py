"""Frames to Arrow and back, and digests of them: what the files of the lake hold."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from forecasting.core.errors import StoreError, some

HASHED = 500_000  # rows at once: hashes take three times the room of what is hashed
HOUR = pa.timestamp("us")  # local, as Delta has it
SALES = ("item", "store", "ds", "y")
TEXT = pa.dictionary(pa.int32(), pa.string())


def to_arrow(frame: pd.DataFrame, name: str, hours: Collection[str] = ()) -> pa.Table:
    """In types that Delta has: `ds` as a date, other instants in microseconds, unsigned as signed, no nulls-only type.

    hours: columns that are hours; `ds` is, where any value has a time of day.
    Raises StoreError for a column of mixed types.
    """
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
        if "ds" in frame and pd.api.types.is_datetime64_any_dtype(frame["ds"].dtype) and has_hours(frame["ds"]):
            hours = {*hours, "ds"}
        fields = [pa.field(field.name, HOUR if field.name in hours else _type(field)) for field in table.schema]
        return table.cast(pa.schema(fields))
    except pa.ArrowException as error:
        raise StoreError(f"Table {name!r} cannot be stored in the lake: {error}. A column holds one type.") from error


def _type(field: pa.Field) -> pa.DataType:
    kind = field.type
    if field.name == "ds" and (pa.types.is_timestamp(kind) or pa.types.is_null(kind)):
        return pa.date32()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_unsigned_integer(kind):
        return pa.int64()
    if pa.types.is_dictionary(kind):
        if pa.types.is_null(kind.value_type):  # a categorical without any category
            return pa.string()
        return TEXT if _is_text(kind.value_type) else kind.value_type
    return kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def has_hours(days: pd.Series) -> bool:
    """Whether any of them has a time of day."""
    values = days.to_numpy().astype("datetime64[s]")
    return bool(((values.astype(np.int64) % 86400 != 0) & ~np.isnat(values)).any())


def with_month(sales: pa.Table) -> pa.Table:
    """With the text column `month`, by which the files are partitioned: a night touches those of its window only."""
    days = sales["ds"].cast(pa.date32(), safe=False).cast(pa.int32()).to_numpy()
    first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    names = np.arange(first, last + 1).astype("datetime64[D]").astype("datetime64[M]").astype(str)
    return sales.append_column("month", pa.array(names.tolist(), pa.string()).take(pa.array(days - first)))


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Dictionaries as categoricals with sorted categories, dates as datetime64[s]."""
    frame: pd.DataFrame = table.unify_dictionaries().replace_schema_metadata().to_pandas(date_as_object=False)
    for column in frame:
        kind = frame[column].dtype
        if isinstance(kind, pd.CategoricalDtype):
            frame[column] = frame[column].cat.set_categories(sorted(kind.categories))
        elif kind == "datetime64[ms]" or (
            column == "ds" and kind == "datetime64[us]"
        ):  # what Arrow makes of dates, and Parquet of seconds
            frame[column] = frame[column].astype("datetime64[s]")
    return frame


def window(since: date | None, until: date, schema: pa.Schema) -> pads.Expression:
    """Rows of these days, both included; since None: from the first one. schema: whether `ds` are days or hours."""
    if pa.types.is_timestamp(schema.field("ds").type):
        first, after = (pa.scalar(pd.Timestamp(day), HOUR) for day in (since or until, until + timedelta(days=1)))
        rows = pads.field("ds") < after
    else:
        first, rows = pa.scalar(since), pads.field("ds") <= pa.scalar(until)
    return rows if since is None else rows & (pads.field("ds") >= first)


def among(schema: pa.Schema, values: Mapping[str, Sequence[str]]) -> pads.Expression | None:
    """Rows whose column is empty or has one of these values, of the columns that there are; None: all rows."""
    found = None
    for name in (name for name in values if name in schema.names):
        mine = pads.field(name).isin(list(values[name])) | pads.field(name).is_null()
        found = mine if found is None else found & mine
    return found


def categorical(frame: pd.DataFrame) -> list[str]:
    """Names of the categorical columns of text."""
    kinds = {str(name): frame[name].dtype for name in frame}
    return [
        name
        for name, kind in kinds.items()
        if isinstance(kind, pd.CategoricalDtype) and pd.api.types.is_string_dtype(kind.categories.dtype)
    ]


def digest(frame: pd.DataFrame) -> str:
    """SHA-256 over columns and rows, whatever the order of the rows and whether text is categorical or plain."""
    total = hashlib.sha256(f"{len(frame)} {[str(name) for name in frame]}".encode())
    if len(frame.columns):
        # The sum and the sum of scrambled hashes, both modulo 2^64: order does not matter, repeated rows do.
        sums = np.zeros(2, dtype=np.uint64)
        for start in range(0, len(frame), HASHED):
            hashed = pd.util.hash_pandas_object(frame.iloc[start : start + HASHED], index=False).to_numpy()
            scrambled = (hashed ^ (hashed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
            sums += np.array([hashed.sum(dtype=np.uint64), scrambled.sum(dtype=np.uint64)])
        for one in sums:
            total.update(one.tobytes())
    return total.hexdigest()


def concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    """One below the other; text that is a dictionary in any of them is one in all."""
    encoded = {field.name for table in tables for field in table.schema if pa.types.is_dictionary(field.type)}
    return pa.concat_tables([_encoded(table, encoded) for table in tables], promote_options="permissive")


def _encoded(table: pa.Table, encoded: set[str]) -> pa.Table:
    for position, field in enumerate(table.schema):
        if field.name in encoded:
            values = table[field.name]
            if not pa.types.is_dictionary(field.type):
                values = values.cast(pa.string()).dictionary_encode()
            inner = values.type.value_type
            kind = TEXT if _is_text(inner) else pa.dictionary(pa.int32(), inner)
            table = table.set_column(position, field.name, values.cast(kind))
    return table


def sales_of(sales: pd.DataFrame, since: date | None, cutoff: date) -> pd.DataFrame:
    """In the types of the table. Raises StoreError for rows outside the window: they would be replaced by nobody."""
    outside = sales["ds"] >= pd.Timestamp(cutoff + timedelta(days=1))
    if since is not None:
        outside |= sales["ds"] < pd.Timestamp(since)
    if outside.any() or sales["ds"].isna().any():
        days = some(sorted(sales.loc[outside, "ds"].dt.date.unique())) or "rows without a date"
        raise StoreError(f"Sales of {since or 'the start'} to {cutoff} cannot be committed with other days: {days}.")
    types = {"item": "category", "store": "category", "ds": "datetime64[s]", "y": "float32"}
    return sales[list(SALES)].astype(types)
