"""Files below one address, in a local folder or in a bucket, through fsspec."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray


class Folder:
    """One address, such as var/lake or s3://bucket/lake; names are relative to it, with slashes."""

    def __init__(self, address: str, options: Mapping[str, str]) -> None:
        self.options = dict(options)
        self.local = "://" not in address
        self.address = str(Path(address).resolve()) if self.local else address.rstrip("/")
        self._files, self._root = fsspec.core.url_to_fs(self.address, **_for_fsspec(self.options, self.local))

    def at(self, name: str) -> str:
        """Whole address of a name."""
        return f"{self.address}/{name}"

    def names(self, place: str) -> list[str]:
        """What lies in a folder, sorted; nothing where there is no such folder."""
        self._files.invalidate_cache()
        try:
            return sorted(path.rsplit("/", 1)[-1] for path in self._files.ls(self._path(place), detail=False))
        except FileNotFoundError:
            return []

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file that appears whole, under its name, when all is written."""
        path = self._path(name)
        self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        # An object store shows an object only once it is whole; a local file is renamed into place.
        partial = f"{path}.{uuid.uuid4().hex}.part" if self.local else path
        with self._files.open(partial, "wb") as file:
            yield file
        if self.local:
            Path(partial).replace(path)

    def write_parquet(self, name: str, frame: pd.DataFrame) -> None:
        """A frame as Parquet, categories kept as such."""
        with self.writing(name) as file:
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file)

    def read_parquets(self, names: Sequence[str]) -> pd.DataFrame:
        """Several Parquet files of the same columns, one after the other."""
        tables = []
        for name in names:
            with self._files.open(self._path(name), "rb") as file:
                tables.append(pq.read_table(file))
        frame: pd.DataFrame = pa.concat_tables(tables).unify_dictionaries().to_pandas()
        return frame

    def write_array(self, name: str, values: NDArray[Any]) -> None:
        """An array as npy."""
        with self.writing(name) as file:
            np.save(file, np.ascontiguousarray(values), allow_pickle=False)

    def read_array(self, name: str) -> NDArray[Any]:
        """An array from npy; a local one is mapped, not copied."""
        if self.local:
            mapped: NDArray[Any] = np.load(self._path(name), mmap_mode="r", allow_pickle=False)
            return mapped
        with self._files.open(self._path(name), "rb") as file:
            read: NDArray[Any] = np.load(file, allow_pickle=False)
            return read

    def write_text(self, name: str, text: str) -> None:
        """A text file in UTF-8."""
        with self.writing(name) as file:
            file.write(text.encode())

    def read_text(self, name: str) -> str:
        """A text file in UTF-8. Raises FileNotFoundError."""
        text: bytes = self._files.cat_file(self._path(name))
        return text.decode()

    def remove(self, place: str) -> None:
        """A folder with all that is in it, where it exists."""
        if self._files.exists(self._path(place)):
            self._files.rm(self._path(place), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def _for_fsspec(options: Mapping[str, str], local: bool) -> dict[str, Any]:
    """The object store options of Delta, in the words of s3fs."""
    if local:
        return {}
    words = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": "endpoint_url"}
    return {words[name.upper()]: value for name, value in options.items() if name.upper() in words}
