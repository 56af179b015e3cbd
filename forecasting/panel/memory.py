"""Large matrices a block of rows at a time: made in files where they may be large, and given back as soon as read.

A page of a mapped file counts as this process's memory from its first reading on; `release` hands it back.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TRIM, MAPPED, LARGE = -1, -3, 1 << 20  # glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD; bytes from which on they hold
ROWS = 4096  # of a block: a few MB a matrix. Sums are added up block by block, so another size may change last digits


@dataclass(frozen=True)
class Scratch:
    """Where matrices are made: as files in a folder, or in memory where there is none."""

    folder: Path | None = None

    def array(self, shape: tuple[int, int], fill: float = 0.0) -> NDArray[np.float32]:
        """A float32 matrix of one value. Raises OSError where the folder has no room for it."""
        return self._made(shape, np.float32(fill), np.float32)

    def codes(self, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """A uint8 matrix of zeros. Raises OSError where the folder has no room for it."""
        return self._made(shape, np.uint8(0), np.uint8)

    def _made(self, shape: tuple[int, int], fill: Any, dtype: Any) -> NDArray[Any]:
        if self.folder is None:
            return np.full(shape, fill, dtype=dtype)
        place = self.folder / f"{uuid.uuid4().hex}.npy"
        made: NDArray[Any] = np.lib.format.open_memmap(place, mode="w+", dtype=dtype, shape=shape)
        # Asked for now, a full disk is an error; a mapped page that finds no room later kills the process.
        with place.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, place.stat().st_size)
        if fill != 0 or np.signbit(fill):  # a new file is zeros, but not negative ones
            for part in blocks(len(made), 64):
                made[part] = fill
                release(made)
        return made


def blocks(count: int, size: int = ROWS) -> Iterator[slice]:
    """The rows 0..count in blocks."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def release(*arrays: NDArray[Any]) -> None:
    """Give back the memory of mapped files; their content stays. Arrays in memory are left as they are."""
    for array in arrays:
        base: Any = array
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            base.madvise(mmap.MADV_DONTNEED)


@cache
def lean() -> None:
    """What is freed goes back to the machine at once, in this process from now on: a step's peak is what it needs.

    Otherwise glibc keeps freed blocks of up to 32 MB for later, and Arrow all of its own: half a night's peak.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(TRIM, LARGE)
            mallopt(MAPPED, LARGE)
