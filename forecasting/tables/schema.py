"""What a table is: its columns with kind, unit and meaning, its key, its partition; and frames checked against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from forecasting.core.errors import TableError, some

Kind = Literal["text", "date", "instant", "integer", "number", "flag"]


@dataclass(frozen=True)
class Column:
    """One column: its kind, meaning and unit, and whether it may be empty."""

    kind: Kind
    about: str
    unit: str = ""
    null: bool = False


@dataclass(frozen=True)
class Table:
    """One table. `key`: columns that name a row; `partition`: columns whose values a step replaces as a whole."""

    name: str
    about: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    partition: tuple[str, ...] = ()

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give the frame back with this table's columns, order and types.

        Raises TableError for a missing or surplus column, an empty cell where none is allowed, a wrong type or a
        repeated key; at most five examples are named.
        """
        missing = [name for name in self.columns if name not in frame.columns and not self.columns[name].null]
        surplus = [name for name in frame.columns if name not in self.columns]
        if missing or surplus:
            raise TableError(
                f"Table {self.name}: missing columns: {some(missing) or 'none'}; "
                f"unknown columns: {some(surplus) or 'none'}; it has: {some(self.columns, 40)}."
            )
        checked = pd.DataFrame(
            {name: self._typed(frame, name, column) for name, column in self.columns.items()}, index=frame.index
        )
        repeated = checked.duplicated(list(self.key))
        if repeated.any():
            rows = checked.loc[repeated, list(self.key)].head(5).to_dict("records")
            raise TableError(f"Table {self.name}: {int(repeated.sum()):,} repeated keys, such as {some(rows)}.")
        return checked

    def _typed(self, frame: pd.DataFrame, name: str, column: Column) -> pd.Series:
        if name not in frame.columns:
            return pd.Series(None, index=frame.index, dtype=_DTYPES[column.kind])
        try:
            values = _convert(frame[name], column.kind)
        except (ValueError, TypeError) as error:
            raise TableError(f"Table {self.name}, column {name}: not a {column.kind}: {error}") from None
        if not column.null and values.isna().any():
            empty = int(values.isna().sum())
            raise TableError(f"Table {self.name}, column {name}: {empty:,} empty cells, none allowed.")
        return values


_DTYPES: dict[str, str] = {
    "text": "str",
    "date": "datetime64[s]",
    "instant": "datetime64[us, UTC]",
    "integer": "Int64",
    "number": "float64",
    "flag": "boolean",
}


def _convert(values: pd.Series, kind: Kind) -> pd.Series:
    if kind == "text" and isinstance(values.dtype, pd.CategoricalDtype):
        return values
    if kind == "number" and values.dtype == np.float32:
        return values
    if kind == "date":
        return pd.to_datetime(values).astype("datetime64[s]")
    if kind == "instant":
        return pd.to_datetime(values, utc=True).astype("datetime64[us, UTC]")
    typed: pd.Series = values.astype(_DTYPES[kind])  # type: ignore[call-overload]  # the stubs want literals
    return typed


def text(about: str, null: bool = False) -> Column:
    """A column of text."""
    return Column("text", about, null=null)
