"""From their columns to ours: what each table must hold, and what is done with its rows once they are read.

`Selection.of` compares the declaration with the columns that are there; `Selection.finish` brings what was read into
our form. Both are shared by every kind of source.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from forecasting.core.config.sections import AttributeTable, EventTable, SignalTable, SourceTable
from forecasting.core.config.settings import Settings
from forecasting.core.errors import SourceError, some

CODE = "code"  # period code of a table that `dates` is declared for, until its date is known
KEYED = (SignalTable, EventTable)  # tables that an attribute of the series may key
INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*(?:Z|[+-][0-9]{2}:?[0-9]{2})"  # a moment, as ISO 8601 text
WIDE = "wide:"  # before the name of a group, while each group is still a column of its own


@dataclass(frozen=True)
class Shape:
    """Our columns of one table. `either`: one of these groups must be there whole. `free`: others may be mapped too."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    either: tuple[tuple[str, ...], ...] = ()
    free: bool = False

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that we know for the table."""
        return (*self.required, *(name for group in self.either for name in group), *self.optional)


SHAPES: Mapping[str, Shape] = {
    "sales": Shape(("item", "ds", "y"), ("store", "price", "line")),
    "items": Shape(("item",), free=True),
    "stores": Shape(("store",), free=True),
    "prices": Shape(("item", "ds", "price"), ("store", "known_since")),
    "promotions": Shape(("item",), ("store", "value", "known_since"), either=(("ds",), ("start", "end"))),
    "events": Shape(("ds", "event"), ("store", "known_since")),
    "stock": Shape(("item", "ds"), ("store",), either=(("in_stock",), ("on_hand",))),
    "inventory": Shape(
        ("item", "ds", "on_hand"),
        ("store", "on_order", "lead_time", "review", "service_level", "pack_size", "minimum_order"),
    ),
}


def shape_of(name: str, table: SourceTable) -> Shape:
    """Columns that we know for a table of this name; a signal's follow from its declaration."""
    if isinstance(table, EventTable) and table.by:
        return Shape(("ds", "event", "group"), ("store", "known_since"))
    if not isinstance(table, SignalTable):
        return SHAPES[name]
    dates = () if table.known == "static" else ("ds",)
    values = () if table.wide else ("value",)
    groups = ("group",) if table.by and not table.wide else ()
    since = ("known_since",) if table.known == "ahead" else ()
    return Shape((*dates, *values, *groups), ("item", "store", *since))


@dataclass(frozen=True)
class Selection:
    """What to read from one table.

    columns: our name -> theirs, all of them present. dates: first and last date of a row in our names (twice `ds`, or
    `start` and `end`), None where rows have none. zone: where instants become business days.
    """

    name: str
    columns: Mapping[str, str]
    dates: tuple[str, str] | None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    @classmethod
    def of(cls, settings: Settings, name: str, available: Collection[str], place: str) -> Selection:
        """Compare the declaration with the `available` columns of `place` (how a message names the table).

        Raises SourceError naming the missing column, what is there and which key to change.
        """
        table = settings.source_tables()[name]
        chooser = _Chooser(name, table, shape_of(name, table), available, place)
        columns = chooser.columns()
        dates = ("ds", "ds") if {"ds", CODE} & columns.keys() else ("start", "end") if "start" in columns else None
        return cls(name, columns, dates, _zone(settings.extract.timezone))

    def finish(self, frame: pd.DataFrame, start: date | None, end: date | None) -> pd.DataFrame:
        """What was read (our names) as the rest of the system takes it, and only the rows of the range."""
        frame = frame.assign(**{column: _local(frame[column], self.zone) for column in set(self.dates or ())})
        if self.dates is not None and (start is not None or end is not None):
            inside = _not_before(frame[self.dates[1]], start) & _not_after(frame[self.dates[0]], end)
            frame = frame if inside.all() else frame[inside]
        if self.name == "events":
            # A calendar lists every day, most of them without an event.
            frame = frame[frame["event"].notna()]
        return self._long(frame).reset_index(drop=True)

    def for_texts(self, bound: date, upper: bool) -> date:
        """The bound for texts that may be moments of another zone: a day later, or for a lower one a day earlier."""
        return bound if self.zone.key == "UTC" else bound + timedelta(days=1 if upper else -1)

    def _long(self, frame: pd.DataFrame) -> pd.DataFrame:
        wide = [column for column in frame.columns if column.startswith(WIDE)]
        if not wide:
            return frame
        long = frame.melt([column for column in frame.columns if column not in wide], wide, "group", "value")
        return long.assign(group=long["group"].str.removeprefix(WIDE))


@dataclass(frozen=True)
class _Chooser:
    name: str
    table: SourceTable
    shape: Shape
    available: Collection[str]
    place: str

    def columns(self) -> dict[str, str]:
        """Our name -> theirs."""
        self._check_names()
        chosen = {ours: self.theirs(ours) for ours in self.shape.required if not self._is_dated_by_code(ours)}
        chosen |= {ours: self.theirs(ours) for ours in self._either()}
        chosen |= {ours: self.theirs(ours) for ours in self.shape.optional if self._is_there(ours)}
        if self.table.dates:
            chosen[CODE] = self._present(self.table.dates.key, f"extract.{self.name}.dates.key")
        if isinstance(self.table, SignalTable):
            chosen |= {
                f"{WIDE}{group}": self._present(column, f"extract.signals.wide.{group}")
                for group, column in self.table.wide.items()
            }
        return chosen | (self._attributes(chosen) if self.shape.free else {})

    def theirs(self, ours: str) -> str:
        """Their name of one of our columns. Raises SourceError where it is not there."""
        name = self._name(ours)
        key = f"{self._section}.columns.{ours}"
        if ours in self.table.columns or name in self.available:
            return self._present(name, key)
        raise SourceError(
            f"{self.place} has no column {name!r}, and nothing says which of its columns that is. "
            f'It has: {some(self.available, 20)}. Set {key} = "...".'
        )

    def _name(self, ours: str) -> str:
        """The group of a signal or event may also be declared by the name of the attribute that it is keyed `by`."""
        if ours == "group" and ours not in self.table.columns and isinstance(self.table, KEYED):
            by = self.table.by or ours
            return self.table.columns.get(by, by)
        return self.table.columns.get(ours, ours)

    @property
    def _section(self) -> str:
        return "extract.signals" if isinstance(self.table, SignalTable) else f"extract.{self.name}"

    def _present(self, column: str, key: str) -> str:
        if column in self.available:
            return column
        lower = {name.lower(): name for name in self.available}
        close = difflib.get_close_matches(column.lower(), lower, n=1)
        hint = f" Did you mean {lower[close[0]]!r}?" if close else ""
        raise SourceError(
            f"{self.place} has no column {column!r}, which {key} asks for. "
            f"It has: {some(self.available, 20)}.{hint} Change {key}."
        )

    def _is_there(self, ours: str) -> bool:
        return ours in self.table.columns or self._name(ours) in self.available

    def _is_dated_by_code(self, ours: str) -> bool:
        return ours == "ds" and self.table.dates is not None

    def _either(self) -> tuple[str, ...]:
        """The first group that is whole; otherwise the first that was begun, whose error then says what is missing."""
        groups = self.shape.either
        if not groups:
            return ()
        if self.table.dates and ("ds",) in groups:
            return ()
        whole = next((group for group in groups if all(self._is_there(ours) for ours in group)), None)
        begun = next((group for group in groups if any(self._is_there(ours) for ours in group)), None)
        if whole or begun:
            return whole or begun or ()
        wanted = " or ".join(" and ".join(group) for group in groups)
        raise SourceError(
            f"{self.place} has no column for {wanted}. It has: {some(self.available, 20)}. "
            f'Say which it is: {self._section}.columns.{groups[0][0]} = "...".'
        )

    def _check_names(self) -> None:
        """A mapping for a column that we do not know is a slip of the pen."""
        allowed = {*self.shape.all, "group"} if isinstance(self.table, SignalTable) else set(self.shape.all)
        if isinstance(self.table, KEYED) and self.table.by:
            allowed.add(self.table.by)
        unknown = [ours for ours in self.table.columns if ours not in allowed]
        if unknown and not self.shape.free:
            raise SourceError(
                f"{self._section}.columns: {some(unknown)} is no column of ours for {self.name}; "
                f'allowed are: {some(sorted(allowed), 20)}. Write it as ours = "theirs".'
            )

    def _attributes(self, chosen: Mapping[str, str]) -> dict[str, str]:
        ours = {theirs: name for name, theirs in self.table.columns.items()}
        wanted = self.table.attributes if isinstance(self.table, AttributeTable) else ()
        if wanted:
            key = f"extract.{self.name}.attributes"
            return {name: self._present(self.table.columns.get(name, name), key) for name in wanted}
        for name, theirs in self.table.columns.items():
            self._present(theirs, f"extract.{self.name}.columns.{name}")
        taken = set(chosen.values())
        return {ours.get(theirs, theirs): theirs for theirs in self.available if theirs not in taken}


def _local(values: pd.Series, zone: ZoneInfo) -> pd.Series:
    """Moments as the clock of the zone shows them, without their offset; all else as it is.

    Texts too, unless the zone is UTC: then nobody has said which zone is that of the business days.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        local: pd.Series = values.dt.tz_convert(zone).dt.tz_localize(None)
        return local
    if zone.key == "UTC" or not isinstance(values.dtype, pd.StringDtype | pd.CategoricalDtype | np.dtypes.ObjectDType):
        return values
    codes, unique = pd.factorize(values)
    texts = pd.Series(unique, dtype=object)
    moments = texts[texts.astype("str").str.strip().str.fullmatch(INSTANT)]
    if not len(moments):
        return values
    found = pd.to_datetime(moments.astype("str").str.strip(), format="ISO8601", errors="coerce", utc=True).dropna()
    texts[found.index] = found.dt.tz_convert(zone).dt.strftime("%Y-%m-%dT%H:%M:%S").to_numpy()
    read = np.array([*texts, None], dtype=object)[codes]
    return pd.Series(read, index=values.index, dtype=object if values.dtype == object else "str")


def days_of(values: pd.Series) -> pd.Series:
    """Calendar day of each value, NaT where there is none: the first ten characters of a text are its day."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories = pd.Series(values.cat.categories)
        return days_of(categories).reindex(values.cat.codes).set_axis(values.index)
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = pd.to_datetime(values.astype("str").str.slice(0, 10), format="ISO8601", errors="coerce")
    days: pd.Series = values.dt.normalize()
    return days


def _not_before(values: pd.Series, start: date | None) -> pd.Series:
    if start is None:
        return pd.Series(True, index=values.index)
    days = days_of(values)
    return days.isna() | (days >= pd.Timestamp(start))


def _not_after(values: pd.Series, end: date | None) -> pd.Series:
    if end is None:
        return pd.Series(True, index=values.index)
    days = days_of(values)
    return days.isna() | (days <= pd.Timestamp(end))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise SourceError(f"extract.timezone: there is no time zone {name!r}; write it like Europe/Berlin.") from None
