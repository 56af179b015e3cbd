"""CSV and Parquet files, one or a glob of them, local or at any fsspec address such as s3://bucket/folder.

Columns are chosen and dates compared while reading (pyarrow), so that what is not asked for never fills memory.
"""

from __future__ import annotations

import csv
import importlib
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import reduce
from operator import and_
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as pads
import pyarrow.fs

from forecasting.core.config.sections import DateKey, FileSource
from forecasting.core.config.settings import Settings
from forecasting.core.errors import SourceError, some
from forecasting.sources.mapping import CODE, Selection, days_of

NAMES = ("item", "store")  # repeated in every row: texts are kept as categoricals
ENDINGS = (".csv", ".csv.gz", ".parquet", ".pq")
DELIMITERS = ",;\t|"
READING_ERRORS = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error)
ISO_DAY = r"^\d{4}-\d{2}-\d{2}"  # texts that sort as their dates do


class FileTable:
    """One declared table of a folder of files."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._table = settings.source_tables()[name]
        self._source = settings.sources[self._table.source]

    def read(self, start: date | None, end: date | None) -> pd.DataFrame:
        """Rows dated from `start` to `end`, both inclusive, in our column names. Raises SourceError.

        A column of a CSV file is text; Parquet keeps its types; texts in `item` and `store` are categoricals.
        """
        folder = self._folder()
        files = folder.find(self._table.path, f"extract.{self._name}.path")
        selections = [Selection.of(self._settings, self._name, file.schema.names, file.place) for file in files]
        tables = [file.read(choice, start, end) for file, choice in zip(files, selections, strict=True)]
        with _explained(f"Files {self._table.path}"):
            table = pa.concat_tables(tables, promote_options="permissive")
        del tables
        frame = table.to_pandas(split_blocks=True, self_destruct=True, date_as_object=False)
        if self._table.dates is not None:
            frame = frame.assign(ds=self._dates(folder, self._table.dates, frame.pop(CODE)))
        return selections[0].finish(frame, start, end)

    def _folder(self) -> _Folder:
        name = self._table.source
        if not isinstance(self._source, FileSource):
            raise SourceError(f"sources.{name} is of kind {self._source.kind}, not files.")
        try:
            system, root = fsspec.core.url_to_fs(self._source.path, **self._source.options)
        except (ImportError, ValueError, TypeError) as error:
            raise SourceError(
                f"sources.{name}: {self._source.path} cannot be opened: {error}. "
                "Check its path and options, and install the fsspec package that its protocol needs."
            ) from error
        # Listings are remembered a long time otherwise, and a night must see the files of the day.
        system.invalidate_cache()
        return _Folder(name, self._source.path.rstrip("/"), system, root.rstrip("/"))

    def _dates(self, folder: _Folder, dates: DateKey, codes: pd.Series) -> pd.Series:
        """First date of each row's period code; NaT where the calendar does not list it."""
        file, key = folder.find(dates.path, f"extract.{self._name}.dates.path")[0], f"extract.{self._name}.dates"
        for part, column in (("key", dates.key), ("date", dates.date)):
            if column not in file.schema.names:
                raise SourceError(
                    f"{file.place} has no column {column!r}, which {key}.{part} asks for. "
                    f"It has: {some(file.schema.names, 20)}."
                )
        calendar = file.table({"code": dates.key, "ds": dates.date}, None).to_pandas(date_as_object=False)
        first = days_of(calendar["ds"]).groupby(calendar["code"].to_numpy()).min()
        found = codes.astype(codes.cat.categories.dtype) if isinstance(codes.dtype, pd.CategoricalDtype) else codes
        result = found.map(first)
        if len(result) and result.isna().all():
            raise SourceError(
                f"{file.place}: none of the codes in {self._table.path} ({some(found.unique())}) is in its column "
                f"{dates.key!r} ({some(first.index)}). Check {key}."
            )
        return result


@dataclass(frozen=True)
class _Folder:
    """Where the files lie: the source's name, its path as configured, the file system and the path on it."""

    source: str
    path: str
    system: Any
    root: str

    def find(self, pattern: str | None, key: str) -> list[_File]:
        """Files of a name or glob, sorted. Raises SourceError where there is none."""
        if pattern is None:
            raise SourceError(f"{key} is not set: source {self.source} is a folder of files, so name a `path`.")
        with _explained(f"{self.path}/{pattern}"):
            where = f"{self.root}/{pattern}"
            found = self.system.glob(where) if set("*?[") & set(pattern) else [where] * self.system.isfile(where)
        if not found:
            there = self._others(pattern)
            raise SourceError(
                f"Source {self.source}: no file {self.path}/{pattern}. {there} "
                f"Change {key} or sources.{self.source}.path; a relative path counts from the working directory."
            )
        return [_File(self, path) for path in sorted(found)]

    def _others(self, pattern: str) -> str:
        where = f"{self.root}/{pattern}".rsplit("/", 1)[0]
        with _explained(f"{self.path}/{pattern}"):
            if not self.system.isdir(where):
                return "The folder does not exist."
            names = sorted(path.rsplit("/", 1)[-1] for path in self.system.ls(where, detail=False))
            return f"The folder holds: {some(names) or 'nothing'}."


class _File:
    """One file: its columns, and the rows of a range of days."""

    def __init__(self, folder: _Folder, path: str) -> None:
        self._folder = folder
        self._path = path
        self.shown = f"{folder.path}{path.removeprefix(folder.root)}"
        self.place = f"File {self.shown}"
        if not path.lower().endswith(ENDINGS):
            raise SourceError(f"{self.place}: the format is not known; a name ends with one of {', '.join(ENDINGS)}.")
        self._is_csv = not path.lower().endswith((".parquet", ".pq"))
        self._check_size()
        self._delimiter, header = self._header() if self._is_csv else (",", [])
        with _explained(self.place):
            texts = pa.schema([(column, pa.string()) for column in header])
            self.schema: pa.Schema = texts if self._is_csv else self._dataset([]).schema

    def read(self, selection: Selection, start: date | None, end: date | None) -> pa.Table:
        """Rows that may lie in the range, with our column names. Raises SourceError."""
        if selection.dates is not None and CODE not in selection.columns:
            first, last = (selection.columns[ours] for ours in selection.dates)
            limits = [
                self._limit(theirs, bound, upper, selection)
                for theirs, bound, upper in ((last, start, False), (first, end, True))
            ]
            present = [limit for limit in limits if limit is not None]
            return self.table(selection.columns, reduce(and_, present) if present else None)
        return self.table(selection.columns, None)

    def table(self, columns: Mapping[str, str], limit: pc.Expression | None) -> pa.Table:
        """These columns (our name -> theirs) of the rows that the limit lets through. Raises SourceError."""
        names = [
            theirs for ours, theirs in columns.items() if ours in NAMES and _is_text(self.schema.field(theirs).type)
        ]
        with _explained(self.place):
            fields = {ours: pads.field(theirs) for ours, theirs in columns.items()}
            return self._dataset(names).to_table(columns=fields, filter=limit)

    def _limit(self, name: str, bound: date | None, upper: bool, selection: Selection) -> pc.Expression | None:
        """Rows on the right side of the bound, and those without a date that can be compared."""
        column, kind = pads.field(name), self.schema.field(name).type
        if pa.types.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind) or _is_text(kind)):
            raise SourceError(
                f"{self.place}: column {name!r} is {kind}, not a date. Write it as a date, "
                f"or, where it is the code of a period, declare extract.{selection.name}.dates."
            )
        if bound is None:
            return None
        following = bound + timedelta(days=1) if upper else bound
        if pa.types.is_date(kind):
            return column.is_null() | _side(column, pa.scalar(following, kind), upper)
        if pa.types.is_timestamp(kind):
            moment = datetime.combine(following, time(), selection.zone if kind.tz else None)
            return column.is_null() | _side(column, pa.scalar(moment, kind), upper)
        other = ~pc.match_substring_regex(column, ISO_DAY)
        limit = selection.for_texts(following, upper).isoformat()
        return column.is_null() | other | _side(column, pa.scalar(limit, kind), upper)

    def _dataset(self, names: list[str]) -> pads.Dataset:
        """The file as a dataset; `names` are read as categoricals."""
        system = self._folder.system
        local = "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,))
        return pads.dataset(
            self._path, filesystem=pyarrow.fs.LocalFileSystem() if local else system, format=self._format(names)
        )

    def _format(self, names: list[str]) -> pads.FileFormat:
        if not self._is_csv:
            return pads.ParquetFileFormat(read_options=pads.ParquetReadOptions(dictionary_columns=names))
        code = pa.dictionary(pa.int32(), pa.string())
        # All text: a guess would turn item 00123 into 123, and one broken number would make the file unreadable.
        types = {column: code if column in names else pa.string() for column in self.schema.names}
        return pads.CsvFileFormat(
            parse_options=pa.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
        )

    def _check_size(self) -> None:
        with _explained(self.place):
            size = self._folder.system.size(self._path)
        if size == 0:
            raise SourceError(f"{self.place} is empty (0 bytes): write it anew; the last good forecast stays in place.")

    def _header(self) -> tuple[str, list[str]]:
        """Delimiter and column names of a CSV file, from its first line."""
        with (
            _explained(self.place),
            self._folder.system.open(self._path, "rt", compression="infer", encoding="utf-8-sig", newline="") as lines,
        ):
            line = lines.readline().rstrip("\r\n")
            delimiter = max(DELIMITERS, key=line.count)
            names = next(csv.reader([line], delimiter=delimiter), [])
        if not any(names):
            raise SourceError(f"{self.place} has no first line with column names: write it anew with one.")
        return delimiter, names


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _side(column: pc.Expression, value: pa.Scalar, upper: bool) -> pc.Expression:
    return column < value if upper else column >= value


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """What goes wrong while reading, as a SourceError that names the place."""
    try:
        yield
    except (*READING_ERRORS, *_remote_errors()) as error:
        hint = "Save it as UTF-8." if "UTF" in str(error).upper() else "Is it whole? Check the file, or write it anew."
        raise SourceError(f"{place} cannot be read: {error}. {hint}") from error


def _remote_errors() -> tuple[type[Exception], ...]:
    """Errors of S3 that are no OSError; without s3fs in memory none can have been raised."""
    if "botocore" not in sys.modules:
        return ()
    errors: Any = importlib.import_module("botocore.exceptions")
    return (errors.BotoCoreError, errors.ClientError)
