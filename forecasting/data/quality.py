"""Screening: every row that was read is clean, or in quarantine with the rule that it broke. Nothing is lost.

The first rule that a row breaks counts, so read = clean + quarantined, by table and by rule.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.data.convert import days, filled, numbers, texts
from forecasting.data.tables import Table
from forecasting.settings import SalesTable, Screen

Mask = NDArray[np.bool_]
QUARANTINED = ("row", "rule", "reason", "content")
REPORT = ("table", "rule", "severity", "read", "clean", "quarantined", "passed", "message")


@dataclass(frozen=True)
class Screened:
    """clean: typed rows in our columns; quarantined: row, rule, reason, content; report: a row a rule (see QUALITY)."""

    clean: pd.DataFrame
    quarantined: pd.DataFrame
    report: pd.DataFrame

    @property
    def broken(self) -> list[str]:
        """Messages of the stopping rules that do not hold; with any, the night is not worth forecasting from."""
        failed = self.report[(self.report["severity"] == "stop") & ~self.report["passed"].astype(bool)]
        return [f"{row.rule}: {row.message}" for row in failed.itertuples()]


@dataclass(frozen=True)
class Known:
    """What a night knows beside the rows: the cutoff, and the keys that items and stores list (None = no such table).

    newest: last day of which another night has already seen the sales (backfills); rows up to it are no future.
    """

    cutoff: date
    items: frozenset[str] | None = None
    stores: frozenset[str] | None = None
    newest: date | None = None

    @property
    def future_from(self) -> pd.Timestamp:
        """Day after which dates are of the future, before `future_days` are added."""
        return pd.Timestamp(max(self.cutoff, self.newest or self.cutoff))


@dataclass
class Sieve:
    """Rows on their way through the rules: `rule[k]` is the first rule that row k broke, "" for none so far."""

    raw: pd.DataFrame
    table: str
    rule: NDArray[np.object_] = field(init=False)
    reasons: dict[int, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    open: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.open = np.ones(len(self.raw), dtype=bool)
        self.rule = np.full(0, "", dtype=object)
        self._hits: dict[int, str] = {}

    def drop(self, rule: str, broken: Mask | pd.Series, reason: Callable[[int], str]) -> None:
        """Set aside the rows that are still there and break this rule; `reason` is asked for each by position."""
        hit = np.flatnonzero(self.open & np.asarray(broken, dtype=bool))
        self.counts[rule] = self.counts.get(rule, 0) + len(hit)
        self.open[hit] = False
        for position in hit.tolist():
            self._hits[position] = rule
            self.reasons[position] = reason(position)

    def result(self, typed: pd.DataFrame) -> Screened:
        """Clean rows of `typed` (same rows as raw), the quarantine and the report of the row rules."""
        positions = sorted(self._hits)
        contents = self.raw.iloc[positions].to_dict("records")
        quarantined = pd.DataFrame(
            {
                "row": positions,
                "rule": [self._hits[position] for position in positions],
                "reason": [self.reasons[position] for position in positions],
                "content": [_json(content) for content in contents],
            },
            columns=list(QUARANTINED),
        )
        clean = typed if self.open.all() else typed[self.open]
        rows = [self._line("all", "info", len(positions), f"{len(clean):,} of {len(self.raw):,} rows are clean")]
        rows += [
            self._line(rule, "quarantine", count, f"{count:,} rows set aside" if count else "")
            for rule, count in self.counts.items()
        ]
        return Screened(clean.reset_index(drop=True), quarantined, pd.DataFrame(rows, columns=list(REPORT)))

    def _line(self, rule: str, severity: str, count: int, message: str) -> dict[str, Any]:
        return {
            "table": self.table, "rule": rule, "severity": severity, "read": len(self.raw),
            "clean": len(self.raw) - count, "quarantined": count, "passed": count == 0 or rule == "all",
            "message": message,
        }


def screen_sales(raw: pd.DataFrame, table: SalesTable, rules: Screen, known: Known) -> Screened:
    """Row rules of the sales; `raw` holds item, ds, y and optionally store, price, line.

    In this order: missing_key, type, future, return, range, not_a_product, unknown_item, unknown_store, duplicate.
    """
    sieve = Sieve(raw, "sales")
    typed = _typed_sales(raw)
    _drop_untyped(sieve, raw, typed)
    if rules.future_days is not None:
        last = known.future_from + pd.Timedelta(days=rules.future_days)
        sieve.drop("future", typed["ds"] > last, lambda k: f"dated {_day(typed, k)}, after {last.date()}")
    _drop_out_of_range(sieve, typed, table, rules)
    if table.exclude_items:
        excluded = _by_value(typed["item"], lambda items: items.str.fullmatch(table.exclude_items or ""))
        sieve.drop("not_a_product", excluded, lambda k: f"code {typed['item'].iat[k]!r} is no product")
    if known.items is not None and rules.unknown_items == "quarantine":
        listed = known.items
        unknown = _by_value(typed["item"], lambda items: ~items.isin(listed))
        sieve.drop("unknown_item", unknown, lambda k: f"item {typed['item'].iat[k]!r} is not in the items table")
    if known.stores is not None and "store" in raw:
        shops = known.stores
        unknown = _by_value(typed["store"], lambda stores: ~stores.isin(shops))
        sieve.drop("unknown_store", unknown, lambda k: f"store {typed['store'].iat[k]!r} is not in the stores table")
    _drop_duplicates(sieve, typed, table)
    return sieve.result(typed)


def screen_table(raw: pd.DataFrame, name: str, target: Table) -> Screened:
    """Row rules of every other table with fixed columns: missing_key, type, duplicate (the newest row counts)."""
    sieve = Sieve(raw, name)
    columns: dict[str, pd.Series] = {}
    for column, about in target.columns.items():
        if column not in raw:
            columns[column] = pd.Series("" if about.kind == "text" else None, index=raw.index)
        elif about.kind == "text":
            columns[column] = filled(raw[column])
        else:
            columns[column] = days(raw[column]) if about.kind == "date" else numbers(raw[column])
    typed = pd.DataFrame(columns, index=raw.index)
    for column, about in target.columns.items():
        if column in raw and not about.null:
            _drop_missing_or_wrong(sieve, raw, typed, column, empty_ok=about.kind == "text" and column in OPTIONAL)
    flags = [column for column, about in target.columns.items() if about.kind == "flag"]
    typed = typed.assign(**{column: typed[column].fillna(1) > 0 for column in flags})
    _drop_repeated(sieve, typed, list(target.key), keep="last")
    return sieve.result(typed)


def screen_attributes(raw: pd.DataFrame, name: str, key: str) -> Screened:
    """Row rules of items and stores: missing_key, duplicate (the newest row counts). All columns become text."""
    sieve = Sieve(raw, name)
    typed = pd.DataFrame({column: filled(raw[column]) for column in raw}, index=raw.index)
    sieve.drop("missing_key", typed[key] == "", lambda _: f"{key} is empty")
    _drop_repeated(sieve, typed, [key], keep="last")
    return sieve.result(typed)


OPTIONAL = frozenset({"store", "item", "group"})  # text columns where empty means all


def _typed_sales(raw: pd.DataFrame) -> pd.DataFrame:
    columns = {
        "item": texts(raw["item"]),
        "store": texts(raw["store"]) if "store" in raw else _constant(raw.index),
        "ds": days(raw["ds"]),
        "y": numbers(raw["y"]),
    }
    if "price" in raw:
        columns["price"] = numbers(raw["price"])
    return pd.DataFrame(columns, index=raw.index)


def _drop_untyped(sieve: Sieve, raw: pd.DataFrame, typed: pd.DataFrame) -> None:
    for column in ("item", "store", "ds", "y"):
        if column in raw:
            _drop_missing_or_wrong(sieve, raw, typed, column)
    if "price" in raw:
        wrong = typed["price"].isna() & raw["price"].notna()
        sieve.drop("type", wrong, lambda k: f"price {raw['price'].iat[k]!r} is not a number")


def _drop_missing_or_wrong(
    sieve: Sieve, raw: pd.DataFrame, typed: pd.DataFrame, column: str, empty_ok: bool = False
) -> None:
    """missing_key: nothing is there. type: something is, but no date or number."""
    absent = raw[column].isna()
    unread = typed[column].isna()
    if not empty_ok:
        empty = absent | (_by_value(typed[column], lambda values: values == "") if _is_text(typed[column]) else absent)
        sieve.drop("missing_key", empty, lambda _: f"{column} is empty")
    if not _is_text(typed[column]):
        sieve.drop("type", unread & ~absent, lambda k: f"{column} {str(raw[column].iat[k])[:60]!r} cannot be read")


def _drop_out_of_range(sieve: Sieve, typed: pd.DataFrame, table: SalesTable, rules: Screen) -> None:
    y = typed["y"]
    if table.returns != "net":
        sieve.drop("return", y < 0, lambda k: f"quantity {y.iat[k]:g} is a return (extract.sales.returns)")
    if table.grain == "periods" and table.returns == "net":
        sieve.drop("range", y < 0, lambda k: f"y {y.iat[k]:g} is below zero in a ready period")
    beyond = y.abs() > rules.max_quantity
    sieve.drop("range", beyond, lambda k: f"y {y.iat[k]:g} is beyond screen.max_quantity = {rules.max_quantity:g}")
    if "price" in typed:
        price = typed["price"]
        wrong = (price < 0) | (price > rules.max_price)
        sieve.drop("range", wrong, lambda k: f"price {price.iat[k]:g} is not within 0..{rules.max_price:g}")


def _drop_duplicates(sieve: Sieve, typed: pd.DataFrame, table: SalesTable) -> None:
    """Lines repeat by their id where they have one (two equal sales may be two sales); ready periods by their key."""
    if "line" in sieve.raw:
        line = sieve.raw["line"].astype("str").where(sieve.raw["line"].notna())
        repeated = _repeated(line.to_frame(), sieve.open, keep="first") & line.notna().to_numpy()
        sieve.drop("duplicate", repeated, lambda k: f"line {line.iat[k]!r} is there more than once")
    elif table.grain == "periods":
        _drop_repeated(sieve, typed, ["item", "store", "ds"], keep="first")


def _drop_repeated(sieve: Sieve, typed: pd.DataFrame, key: list[str], keep: str) -> None:
    repeated = _repeated(typed[key], sieve.open, keep)
    sieve.drop("duplicate", repeated, lambda k: f"{', '.join(str(typed[c].iat[k]) for c in key)} is there twice")


def _repeated(keys: pd.DataFrame, among: Mask, keep: Any) -> Mask:
    """Rows that repeat the key of another row, both still in play."""
    codes = [pd.factorize(keys[column])[0].astype(np.int64) for column in keys]
    combined = codes[0]
    for more in codes[1:]:
        combined = combined * (int(more.max(initial=0)) + 2) + more + 1
    result = np.zeros(len(keys), dtype=bool)
    result[among] = pd.Series(combined[among]).duplicated(keep=keep).to_numpy()
    return result


def _by_value(values: pd.Series, test: Callable[[pd.Series], pd.Series]) -> Mask:
    """Ask a question of each distinct value, not of each row: 13 million rows have few thousand items."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        answers = test(pd.Series(values.cat.categories, dtype="str")).to_numpy(dtype=bool)
        padded = np.append(answers, False)
        return np.asarray(padded[values.cat.codes.to_numpy()], dtype=bool)
    return np.asarray(test(values).fillna(False).to_numpy(dtype=bool))


def _is_text(values: pd.Series) -> bool:
    return isinstance(values.dtype, (pd.CategoricalDtype, pd.StringDtype)) or values.dtype == object


def _constant(index: pd.Index) -> pd.Series:
    return pd.Series("", index=index).astype("category")


def _day(typed: pd.DataFrame, position: int) -> str:
    return f"{typed['ds'].iat[position]:%Y-%m-%d}"


def _json(content: Mapping[Any, Any]) -> str:
    plain = {str(name): None if value is pd.NA or value is pd.NaT else value for name, value in content.items()}
    return json.dumps(plain, default=str)
