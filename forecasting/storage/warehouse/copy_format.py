"""Rows in the binary format of PostgreSQL's COPY, made by columns: half the server's work of reading numbers as text.

A row is its number of fields, then for each its length in bytes (-1: empty) and its bytes, all numbers big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = struct.pack(">h", -1)
EMPTY = struct.pack(">i", -1)
EPOCH_DAYS = 10_957  # 2000-01-01, where PostgreSQL counts from, in days since 1970
EPOCH_MICROSECONDS = EPOCH_DAYS * 86_400_000_000

_BIG_ENDIAN: dict[str, tuple[str, Callable[[pa.Array], pa.Array]]] = {
    "date": (">i4", lambda array: pc.subtract(array.cast(pa.int32()), pa.scalar(EPOCH_DAYS, pa.int32()))),
    "instant": (">i8", lambda array: pc.subtract(array.cast(pa.int64()), pa.scalar(EPOCH_MICROSECONDS, pa.int64()))),
    "integer": (">i8", lambda array: array),
    "number": (">f8", lambda array: array),
    "flag": ("u1", lambda array: array.cast(pa.uint8())),
}


def rows(columns: Sequence[pa.Array], kinds: Sequence[str]) -> pa.Buffer:
    """The rows of columns of equal length, whose kinds are those of `tables/schema.py`; without header and trailer."""
    count = struct.pack(">h", len(columns))
    fields = [_field(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    joined = pc.binary_join_element_wise(pa.scalar(count, pa.large_binary()), *_merged(fields), _NOTHING)
    data = joined.buffers()[2]
    ends = np.frombuffer(joined.buffers()[1], dtype=np.int64)[joined.offset : joined.offset + len(joined) + 1]
    return data.slice(int(ends[0]), int(ends[-1] - ends[0]))


_NOTHING = pa.scalar(b"", pa.large_binary())


def _field(column: pa.Array, kind: str) -> np.ndarray | pa.Array:
    """Length and bytes of every row: (n, width) bytes where no row is empty, else binaries."""
    if kind == "text":
        return _texts(column)
    dtype, ready = _BIG_ENDIAN[kind]
    known = ready(column).fill_null(0) if column.null_count else ready(column)
    values = known.to_numpy(zero_copy_only=False).astype(dtype)
    fixed = np.empty((len(column), 4 + values.itemsize), dtype=np.uint8)
    fixed[:, :4] = np.frombuffer(struct.pack(">i", values.itemsize), dtype=np.uint8)
    fixed[:, 4:] = values.view(np.uint8).reshape(len(values), values.itemsize)
    return (
        pc.if_else(column.is_valid(), _binary(fixed), pa.scalar(EMPTY, pa.large_binary()))
        if column.null_count
        else fixed
    )


def _texts(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return _texts(column.dictionary).take(column.indices).fill_null(EMPTY)
    texts = column.cast(pa.large_binary())
    lengths = pc.binary_length(texts).fill_null(-1).to_numpy().astype(">i4")
    return pc.binary_join_element_wise(_binary(lengths.view(np.uint8).reshape(-1, 4)), texts.fill_null(b""), _NOTHING)


def _merged(fields: list[np.ndarray | pa.Array]) -> Iterator[pa.Array]:
    """Neighbours of fixed width as one field, so that less is joined row by row."""
    fixed: list[np.ndarray] = []
    for field in [*fields, None]:
        if isinstance(field, np.ndarray):
            fixed.append(field)
            continue
        if fixed:
            yield _binary(np.concatenate(fixed, axis=1))
            fixed = []
        if field is not None:
            yield field


def _binary(fixed: np.ndarray) -> pa.Array:
    """(n, width) bytes as n binaries."""
    count, width = fixed.shape
    ends = pa.py_buffer(np.arange(count + 1, dtype=np.int64) * width)
    return pa.Array.from_buffers(pa.large_binary(), count, [None, ends, pa.py_buffer(np.ascontiguousarray(fixed))])
