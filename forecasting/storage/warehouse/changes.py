"""What is to be written to the warehouse: partitions of tables, whole or as frames one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from forecasting.core.errors import TableError, some
from forecasting.tables.schema import Column, Table


@dataclass(frozen=True)
class Change:
    """New rows of one partition of a table: they replace all that the partition holds."""

    table: Table
    frame: pd.DataFrame
    partition: Mapping[str, Any]

    def checked(self) -> Stream:
        """With the table's types. Raises TableError where the frame does not fit the table or the partition."""
        known = _partition(self.table, self.partition)
        return Stream(self.table, [_fitting(self.table, self.frame, known)], known)


@dataclass(frozen=True)
class Stream:
    """The same of rows that do not fit into memory: frames that are made, checked and written one after the other.

    No key may be in two frames.
    """

    table: Table
    frames: Iterable[pd.DataFrame]
    partition: Mapping[str, Any]

    def checked(self) -> Stream:
        """With the table's types; what does not fit raises TableError when its turn comes."""
        known = _partition(self.table, self.partition)
        return Stream(self.table, (_fitting(self.table, frame, known) for frame in self.frames), known)


def typed(column: Column, value: Any) -> Any:
    """A plain Python value of the column's kind, as drivers bind it."""
    if value is None:
        return None
    if column.kind == "date":
        moment = pd.Timestamp(value)
        return moment.to_pydatetime() if moment != moment.normalize() else moment.date()
    if column.kind == "instant":
        instant = pd.Timestamp(value)
        return (instant.tz_localize("UTC") if instant.tz is None else instant.tz_convert("UTC")).to_pydatetime()
    return {"text": str, "integer": int, "number": float, "flag": bool}[column.kind](value)


def _partition(table: Table, partition: Mapping[str, Any]) -> dict[str, Any]:
    if set(partition) != set(table.partition):
        by = some(partition) or "nothing"
        raise TableError(f"Table {table.name} is replaced by {some(table.partition) or 'nothing'}, not by {by}.")
    return {name: typed(table.columns[name], value) for name, value in partition.items()}


def _fitting(table: Table, rows: pd.DataFrame, partition: Mapping[str, Any]) -> pd.DataFrame:
    frame = table.check(rows)
    for name, value in partition.items():
        other = frame.loc[frame[name] != (pd.Timestamp(value) if isinstance(value, date) else value), name]
        if len(other):
            raise TableError(
                f"Table {table.name}, column {name}: {len(other):,} rows do not belong to the partition {value} "
                f"that they are to replace, such as {some(other.unique())}."
            )
    return frame
