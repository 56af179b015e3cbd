"""Rows on their way through rules: each is clean, or set aside by the first rule that it breaks. Nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]
Reasons = Callable[[Rows], list[str]]
QUARANTINED = ("row", "rule", "reason", "content")
REPORT = ("table", "rule", "severity", "read", "clean", "quarantined", "passed", "message")


@dataclass(frozen=True)
class Screened:
    """clean: typed rows in our columns; quarantined: row, rule, reason, content; report: a row a rule (see QUALITY).

    unknown: item, store, ds of quarantined sales rows whose cell is known, but not its quantity; None for
    other tables. copies: quarantined rows whose series, period and quantity are among the clean ones: nothing is lost.
    """

    clean: pd.DataFrame
    quarantined: pd.DataFrame
    report: pd.DataFrame
    unknown: pd.DataFrame | None = None
    copies: int = 0


def together(parts: Sequence[Screened]) -> Screened:
    """Parts of one table that went through the same rules, as one; `row` counts in the whole. The parts are used up."""
    report = pd.concat([part.report for part in parts], ignore_index=True)
    summed = report.groupby(["table", "rule", "severity"], sort=False, as_index=False)[list(REPORT[3:6])].sum()
    lines = [line(*row) for row in summed.itertuples(index=False, name=None)]
    aside = [part.quarantined for part in parts if len(part.quarantined)] or [parts[0].quarantined]
    quarantined = pd.concat(aside).sort_values("row", kind="stable", ignore_index=True)
    # A column at a time, which then leaves the parts: two whole tables would be there at once otherwise.
    clean: dict[str, pd.Series] = {}
    for name in map(str, list(parts[0].clean)):
        columns: list[pd.Series] = [part.clean.pop(name) for part in parts]
        clean[name] = pd.concat(columns, ignore_index=True)
        del columns
    report = pd.DataFrame(lines, columns=list(REPORT))
    unknown = [part.unknown for part in parts if part.unknown is not None]
    placed = pd.concat(unknown, ignore_index=True) if unknown else None
    return Screened(pd.DataFrame(clean, copy=False), quarantined, report, placed)


def line(table: str, rule: str, severity: str, read: int, clean: int, quarantined: int) -> dict[str, Any]:
    """A row of the report, with what it says to a person."""
    message = f"{quarantined:,} rows set aside" if quarantined else ""
    return {
        "table": table,
        "rule": rule,
        "severity": severity,
        "read": read,
        "clean": clean,
        "quarantined": quarantined,
        "passed": quarantined == 0 or rule == "all",
        "message": f"{clean:,} of {read:,} rows are clean" if rule == "all" else message,
    }


class Sieve:
    """Rules take rows out one after the other; `open` says which rows are still in."""

    def __init__(self, raw: pd.DataFrame, table: str) -> None:
        self.raw = raw
        self.open: Mask = np.ones(len(raw), dtype=bool)
        self._table = table
        self._counts: dict[str, int] = {}
        self._hits: list[tuple[Rows, str, list[str]]] = []

    def drop(self, rule: str, broken: Mask | pd.Series, reasons: Reasons) -> None:
        """Set aside the rows that are still in and break this rule; `reasons` is asked for theirs, by position."""
        hit = np.flatnonzero(self.open & np.asarray(broken, dtype=bool))
        self._counts[rule] = self._counts.get(rule, 0) + len(hit)
        self.open[hit] = False
        if len(hit):
            self._hits.append((hit, rule, reasons(hit)))

    def broke(self, *rules: str) -> Mask:
        """Rows that were set aside by one of these rules."""
        found = np.zeros(len(self.raw), dtype=bool)
        for rows, rule, _ in self._hits:
            if rule in rules:
                found[rows] = True
        return found

    def result(self, typed: pd.DataFrame) -> Screened:
        """Clean rows of `typed` (same rows as raw), the quarantine and the report of the row rules."""
        set_aside = self._quarantined()
        clean = typed if self.open.all() else typed[self.open]
        read = len(self.raw)
        rows = [line(self._table, "all", "info", read, read - len(set_aside), len(set_aside))]
        rows += [
            line(self._table, rule, "quarantine", read, read - count, count) for rule, count in self._counts.items()
        ]
        return Screened(clean.reset_index(drop=True), set_aside, pd.DataFrame(rows, columns=list(REPORT)))

    def _quarantined(self) -> pd.DataFrame:
        parts = [pd.DataFrame({"row": rows, "rule": rule, "reason": why}) for rows, rule, why in self._hits]
        if not parts:
            return pd.DataFrame(columns=list(QUARANTINED))
        found = pd.concat(parts, ignore_index=True).sort_values("row", ignore_index=True)
        return found.assign(content=contents(self.raw.iloc[found["row"].to_numpy()]))


def cells_of(lost: pd.DataFrame, stores: bool) -> pd.DataFrame:
    """Distinct item, store and ds of these rows of sales, where all of these can be read."""
    rows = lost[["item", "store", "ds"]]
    there = rows["ds"].notna()
    for name in ("item", "store") if stores else ("item",):
        there &= rows[name].notna() & (rows[name].astype("str") != "")
    return rows[there].drop_duplicates(ignore_index=True)


def say(text: str, values: pd.Series | None = None, show: Callable[[Any], Any] | None = None) -> Reasons:
    """Reasons of a rule: the text, with each row's value in its place `{}`, as `show` makes it readable."""
    if values is None:
        return lambda rows: [text] * len(rows)
    column = values
    if show is None:
        return lambda rows: [text.format(value) for value in column.iloc[rows].tolist()]
    shown = show
    return lambda rows: [text.format(shown(value)) for value in column.iloc[rows].tolist()]


def short(value: object) -> str:
    """A value as it stands in the source, at most 60 characters of it."""
    return repr(str(value)[:60])


def contents(rows: pd.DataFrame) -> list[str]:
    """Each row as JSON."""
    try:
        text = rows.to_json(orient="records", lines=True, date_format="iso", default_handler=str, double_precision=15)
        lines = str(text).split("\n")[: len(rows)]
    except (ValueError, OverflowError, TypeError):  # what the fast writer cannot take, such as half a character
        lines = [_json(row) for row in rows.to_dict("records")]
    return lines


def _json(row: dict[Any, Any]) -> str:
    return json.dumps({str(name): _plain(value) for name, value in row.items()})


def _plain(value: object) -> object:
    if isinstance(value, (str, int)) or (isinstance(value, float) and np.isfinite(value)):
        return value
    return None if value is None or value is pd.NA or value is pd.NaT else str(value)
