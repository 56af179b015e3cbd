"""A table or view of any database that SQLAlchemy can open; SQLite and PostgreSQL are tested.

The statement is built from reflected columns (quoted) and bound dates; rows come in chunks.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa
from pandas.api.types import union_categoricals

from forecasting.core.config.sections import DateKey, SqlSource
from forecasting.core.config.settings import Settings
from forecasting.core.errors import SourceError, some
from forecasting.sources.mapping import CODE, Selection
from forecasting.sources.timeout import Deadline

CHUNK = 100_000  # rows fetched at a time
NAMES = ("item", "store")  # repeated in every row: texts are kept as categoricals
ISO_DAY = "____-__-__%"  # LIKE pattern of the texts that sort as their dates do

Expressions = Mapping[str, sa.ColumnElement[Any]]


class SqlTable:
    """One declared table of a database."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._table = settings.source_tables()[name]
        self._source = settings.sources[self._table.source]

    def read(self, start: date | None, end: date | None) -> pd.DataFrame:
        """Rows dated from `start` to `end`, both inclusive, in our column names. Raises SourceError."""
        with self._engine() as engine:
            relation = self._relation(engine, self._table.table)
            available = [column.name for column in relation.columns]
            selection = Selection.of(self._settings, self._name, available, self._place(self._table.table))
            expressions, joined = self._expressions(engine, relation, selection)
            statement = sa.select(*(value.label(ours) for ours, value in expressions.items())).select_from(joined)
            for condition in self._conditions(expressions, selection, start, end):
                statement = statement.where(condition)
            return selection.finish(_fetch(engine, statement), start, end)

    def _expressions(
        self, engine: sa.Engine, relation: sa.TableClause, selection: Selection
    ) -> tuple[dict[str, sa.ColumnElement[Any]], sa.FromClause]:
        """Our names -> their columns, and what to select them from."""
        expressions: dict[str, sa.ColumnElement[Any]] = {
            ours: relation.columns[theirs] for ours, theirs in selection.columns.items() if ours != CODE
        }
        if self._table.dates is None:
            return expressions, relation
        calendar = self._calendar(engine, self._table.dates)
        matches = relation.columns[self._table.dates.key] == calendar.columns["code"]
        return expressions | {"ds": calendar.columns["ds"]}, relation.outerjoin(calendar, matches)

    def _calendar(self, engine: sa.Engine, dates: DateKey) -> sa.Subquery:
        """First date of each period code."""
        relation = self._relation(engine, dates.table)
        for key, column in (("key", dates.key), ("date", dates.date)):
            if column not in relation.columns:
                raise SourceError(
                    f"{self._place(dates.table)} has no column {column!r}, which extract.{self._name}.dates.{key} "
                    f"asks for. It has: {some(relation.columns.keys(), 20)}."
                )
        code, day = relation.columns[dates.key], relation.columns[dates.date]
        first = sa.type_coerce(sa.func.min(day), day.type).label("ds")
        return sa.select(code.label("code"), first).group_by(code).subquery("calendar")

    def _conditions(
        self, expressions: Expressions, selection: Selection, start: date | None, end: date | None
    ) -> Iterator[sa.ColumnElement[bool]]:
        if selection.dates is None:
            return
        first, last = selection.dates
        for ours, bound, upper in ((last, start, False), (first, end, True)):
            self._check_date(expressions[ours], selection.columns.get(ours, ours))
            if bound is not None:
                yield _condition(expressions[ours], _Bound(bound, upper, selection))

    def _check_date(self, column: sa.ColumnElement[Any], name: str) -> None:
        if isinstance(column.type, sa.String | sa.DateTime | sa.Date):
            return
        raise SourceError(
            f"{self._place(self._table.table)}: column {name!r} is {column.type}, not a date. "
            f"Make a view that casts it, or, where it is the code of a period, declare extract.{self._name}.dates."
        )

    @property
    def _seconds(self) -> float:
        return self._source.timeout_seconds if isinstance(self._source, SqlSource) else math.inf

    def _place(self, table: str | None) -> str:
        return f"Table {table} of source {self._table.source}"

    @contextmanager
    def _engine(self) -> Iterator[sa.Engine]:
        """An engine for one reading; what goes wrong in the database is told without its password."""
        engine = self._open()
        deadline = Deadline(engine, self._seconds)
        try:
            yield engine
        except sa.exc.SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip()
            address = engine.url.render_as_string(hide_password=True)
            if deadline.passed:
                raise SourceError(
                    f"Source {self._table.source} ({address}) did not deliver {self._table.table} within "
                    f"{self._seconds:g} s (sources.{self._table.source}.timeout_seconds) and was given up: {cause} "
                    "Is something locked, or the server busy or gone?"
                ) from error
            raise SourceError(
                f"Source {self._table.source} ({address}) cannot be read: {cause} "
                f"Check sources.{self._table.source}.url, that the database runs, and the rights of its user."
            ) from error
        finally:
            engine.dispose()

    def _open(self) -> sa.Engine:
        name = self._table.source
        if not isinstance(self._source, SqlSource):
            raise SourceError(f"sources.{name} is of kind {self._source.kind}, not sql.")
        try:
            url = sa.make_url(self._source.url)
            patience = min(10, math.ceil(self._seconds))
            arguments = {"connect_timeout": patience} if url.get_backend_name() == "postgresql" else {}
            engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments)
        except (sa.exc.ArgumentError, ImportError) as error:
            # The text of the error may hold the address, and that one a password.
            raise SourceError(
                f"sources.{name}.url is no address that SQLAlchemy can open ({type(error).__name__}). Write it like "
                "postgresql+psycopg://user@host/database or sqlite:///folder/file.db, and install the driver it names."
            ) from None
        file = url.database or ""
        if url.get_backend_name() == "sqlite" and not file.startswith((":", "file:")) and not Path(file).is_file():
            raise SourceError(
                f"Source {name}: there is no database file {file or '(no name given)'}. "
                f"Change sources.{name}.url; a relative path counts from the working directory."
            )
        return engine

    def _relation(self, engine: sa.Engine, name: str | None) -> sa.TableClause:
        """Their table or view with its columns. Raises SourceError where there is none of that name."""
        if name is None:
            raise SourceError(
                f"extract.{self._name}: source {self._table.source} is a database, so name a `table`, not a `path`."
            )
        schema, _, table = name.rpartition(".")
        inspector = sa.inspect(engine)
        try:
            columns = inspector.get_columns(table, schema or None)
        except sa.exc.NoSuchTableError:
            there = sorted({*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)})
            close = difflib.get_close_matches(table, there, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise SourceError(
                f"Source {self._table.source} has no table or view {name!r}. "
                f"It has: {some(there, 20) or 'none'}.{hint} Change extract.{self._name}.table."
            ) from None
        typed = [sa.column(column["name"], _type(engine, column["type"])) for column in columns]
        return sa.table(table, *typed, schema=schema or None)


class _Bound:
    """One end of a range of days, in the forms that databases compare with."""

    def __init__(self, day: date, upper: bool, selection: Selection) -> None:
        self.day = day
        self._upper = upper
        self._selection = selection
        self._zone = selection.zone

    @property
    def _limit(self) -> date:
        return self.day + timedelta(days=1) if self._upper else self.day

    @property
    def text(self) -> str:
        """Texts carry a time after the day: up to a day means before the next one."""
        return self._selection.for_texts(self._limit, self._upper).isoformat()

    def instant(self, aware: bool) -> datetime:
        """First moment of the day, or of the one after an upper bound."""
        moment = datetime.combine(self._limit, time())
        return moment.replace(tzinfo=self._zone) if aware else moment

    def holds(self, column: sa.ColumnElement[Any], value: object) -> sa.ColumnElement[bool]:
        """The comparison that this end stands for."""
        if not self._upper:
            return column >= value
        return column <= value if type(value) is date else column < value


def _condition(column: sa.ColumnElement[Any], bound: _Bound) -> sa.ColumnElement[bool]:
    """Rows on the right side of the bound, and those without a date that can be compared."""
    if isinstance(column.type, sa.DateTime):
        return sa.or_(column.is_(None), bound.holds(column, bound.instant(column.type.timezone)))
    if isinstance(column.type, sa.Date):
        return sa.or_(column.is_(None), bound.holds(column, bound.day))
    return sa.or_(column.is_(None), bound.holds(column, bound.text), ~column.like(ISO_DAY))


def _type(engine: sa.Engine, kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """How a column is read: money as floats; SQLite, which checks no types, gives dates as the texts it keeps."""
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return sa.Numeric(asdecimal=False)
    if engine.dialect.name == "sqlite" and isinstance(kind, sa.Date | sa.DateTime):
        return sa.String()
    return kind


def _fetch(engine: sa.Engine, statement: sa.Select[Any]) -> pd.DataFrame:
    types = {column.name: column.type for column in statement.selected_columns}
    with engine.connect() as connection:
        result = connection.execution_options(yield_per=CHUNK).execute(statement)
        chunks = [_frame(rows, types) for rows in result.partitions()]
    return _joined(chunks) if chunks else _frame([], types)


def _frame(rows: Sequence[Any], types: Mapping[str, sa.types.TypeEngine[Any]]) -> pd.DataFrame:
    frame = pd.DataFrame([tuple(row) for row in rows], columns=list(types))
    for name, kind in types.items():
        if isinstance(kind, sa.Date | sa.DateTime):
            frame[name] = pd.to_datetime(frame[name], utc=getattr(kind, "timezone", False))
        elif name in NAMES and not pd.api.types.is_numeric_dtype(frame[name].dtype):
            frame[name] = frame[name].astype("category")
    return frame


def _joined(chunks: list[pd.DataFrame]) -> pd.DataFrame:
    """One frame of all chunks, whose categoricals know different names each."""
    if len(chunks) == 1:
        return chunks[0]
    columns = {}
    for name in chunks[0].columns:
        parts = [chunk[name] for chunk in chunks]
        if all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):
            columns[name] = pd.Series(union_categoricals(parts))
        else:
            columns[name] = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns)
