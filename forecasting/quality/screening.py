"""Screening: every row that was read is clean, or in quarantine with the rule that it broke. Nothing is lost.

The first rule that a row breaks counts, so read = clean + quarantined, by table and by rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from forecasting.core.config.sections import SalesTable, Screen
from forecasting.quality.duplicates import drop_delivered_again, drop_duplicates, drop_repeated
from forecasting.quality.parse import days, filled, flags, hours, numbers, texts
from forecasting.quality.period_labels import Labels
from forecasting.quality.row_screen import Mask, Screened, Sieve, cells_of, say, short, together
from forecasting.tables.schema import Table

USUAL_DAYS = 28
LOST = ("missing_key", "type", "range")  # rules by which the quantity of a row is lost


@dataclass(frozen=True)
class Known:
    """What a night knows beside the rows: the cutoff, and the keys that items and stores list (None = no such table).

    newest: last day that is over, although it lies after the cutoff (backfills); rows up to it are no future.
    labels: how ready weeks, months or quarters name their period, where that is longer than a day.
    twice: where periods are hours, those that the clock shows twice, when summer time ends; None: periods are days.
    """

    cutoff: date
    items: frozenset[str] | None = None
    stores: frozenset[str] | None = None
    newest: date | None = None
    labels: Labels | None = None
    twice: pd.DatetimeIndex | None = None

    @property
    def future_from(self) -> pd.Timestamp:
        """Day after which dates are of the future, before `future_days` are added."""
        return pd.Timestamp(max(self.cutoff, self.newest or self.cutoff))


def goes_on_until(known: pd.Series, later: pd.Series, cutoff: date, gap: int) -> date:
    """The last day up to which trade goes on after the cutoff: a source read for a past night knows later days.

    known, later: day of every row up to the cutoff and after it. A day counts that has at least half the rows of a
    usual one before; after more than `gap` days without such a day, what follows is a mistake in the dates.
    """
    usual = known.value_counts().sort_index().iloc[-USUAL_DAYS:].median()
    last = pd.Timestamp(cutoff)
    rows = later.value_counts().sort_index()
    for day in rows.index[rows >= usual / 2]:
        if (day - last).days > gap:
            break
        last = day
    return last.date()


def screen_sales(raw: pd.DataFrame, table: SalesTable, rules: Screen, known: Known) -> Screened:
    """Row rules of the sales; `raw` holds item, ds, y and optionally store, price, line.

    In this order: missing_key, type, future, return, range, not_a_product, unknown_item, unknown_store,
    delivered_again, duplicate. The result's `unknown` are the cells of rows whose quantity is lost by missing_key, type
    or range. The other rules set aside what the settings say is no demand of a series, or what was counted already.
    """
    sieve = Sieve(raw, "sales")
    typed = _typed_sales(raw, hours if known.twice is not None else days)
    _drop_untyped(sieve, raw, typed)
    if rules.future_days is not None:
        last = known.future_from + pd.Timedelta(days=rules.future_days)
        sieve.drop(
            "future", typed["ds"].dt.normalize() > last, say(f"dated {{:%Y-%m-%d}}, after {last.date()}", typed["ds"])
        )
    _drop_out_of_range(sieve, typed, table, rules)
    foreign = _drop_foreign(sieve, typed, table, rules, known)
    if table.grain == "transactions":
        drop_delivered_again(sieve, typed)
    drop_duplicates(sieve, typed, table, known.twice)
    copies = 0
    if known.labels is not None and known.labels.name != "parts":
        repeated, same, reasons = known.labels.repeated(typed, sieve.open)
        sieve.drop("duplicate", repeated, reasons)
        copies = int(same.sum())
    lost = typed.iloc[np.flatnonzero(sieve.broke(*LOST) & ~foreign)]
    return replace(sieve.result(typed), unknown=cells_of(lost, "store" in raw), copies=copies)


def _drop_foreign(sieve: Sieve, typed: pd.DataFrame, table: SalesTable, rules: Screen, known: Known) -> Mask:
    """Set aside the rows of what is no series: excluded codes, unknown items and stores.

    Returns all such rows, also those that broke another rule before.
    """
    foreign = np.zeros(len(typed), dtype=bool)
    if table.exclude_items:
        excluded = _by_value(typed["item"], lambda items: items.str.fullmatch(table.exclude_items or ""))
        sieve.drop("not_a_product", excluded, say("code {!r} is no product", typed["item"]))
        foreign |= excluded
    if known.items is not None and rules.unknown_items == "quarantine":
        listed = known.items
        unknown = _by_value(typed["item"], lambda items: ~items.isin(listed))
        sieve.drop("unknown_item", unknown, say("item {!r} is not in the items table", typed["item"]))
        foreign |= unknown
    if known.stores is not None and "store" in sieve.raw:
        shops = known.stores
        unknown = _by_value(typed["store"], lambda stores: ~stores.isin(shops))
        sieve.drop("unknown_store", unknown, say("store {!r} is not in the stores table", typed["store"]))
        foreign |= unknown
    return foreign


def screen_table(raw: pd.DataFrame, name: str, target: Table, rules: Screen | None = None) -> Screened:
    """Row rules of every other table with fixed columns: missing_key, type, duplicate (the newest row counts).

    rules: also range, of prices.
    """
    sieve = Sieve(raw, name)
    columns: dict[str, pd.Series] = {}
    for column, about in target.columns.items():
        if column not in raw:
            columns[column] = pd.Series("" if about.kind == "text" else None, index=raw.index)
        elif about.kind == "text":
            columns[column] = filled(raw[column])
        else:
            columns[column] = CONVERT[about.kind](raw[column])
    typed = pd.DataFrame(columns, index=raw.index)
    for column, about in target.columns.items():
        if column not in raw:
            continue
        if not about.null:
            _drop_missing_or_wrong(sieve, raw, typed, column, empty_ok=about.kind == "text" and column in OPTIONAL)
        elif about.kind != "text":
            wrong = typed[column].isna() & ~_blank(raw[column])
            sieve.drop("type", wrong, say(f"{column} {{}} cannot be read", raw[column], short))
    if name == "prices" and rules is not None:
        price = typed["price"]
        wrong = (price < 0) | (price > rules.max_price)
        sieve.drop("range", wrong, say(f"price {{:g}} is not within 0..{rules.max_price:g}", price))
    yes_or_no = [column for column, about in target.columns.items() if about.kind == "flag"]
    typed = typed.assign(**{column: typed[column].fillna(1) > 0 for column in yes_or_no})
    drop_repeated(sieve, typed, list(target.key), keep="last")
    return sieve.result(typed)


def screen_by_item(raw: pd.DataFrame, screen: Callable[[pd.DataFrame], Screened], most: int) -> Screened:
    """`screen` on rows of some items at a time, about `most` of them: what it needs of memory is that of a part.

    Rows of one item stay together and in their order, so a rule may compare them with each other.
    """
    parts = -(-len(raw) // most)
    if parts <= 1:
        return screen(raw)
    part = filled(raw["item"]).cat.codes.to_numpy() % parts
    found = []
    for number in range(parts):
        rows = np.flatnonzero(part == number)
        one = screen(raw.iloc[rows].reset_index(drop=True))
        found.append(replace(one, quarantined=one.quarantined.assign(row=rows[one.quarantined["row"].astype(int)])))
    del raw  # where the caller handed it over, it goes before the parts are put together
    return together(found)


def screen_attributes(raw: pd.DataFrame, name: str, key: str) -> Screened:
    """Row rules of items and stores: missing_key, duplicate (the newest row counts). All columns become text."""
    sieve = Sieve(raw, name)
    typed = pd.DataFrame({column: filled(raw[column]) for column in raw}, index=raw.index)
    sieve.drop("missing_key", typed[key] == "", say(f"{key} is empty"))
    drop_repeated(sieve, typed, [key], keep="last")
    return sieve.result(typed)


CONVERT: Mapping[str, Callable[[pd.Series], pd.Series]] = {"date": days, "number": numbers, "flag": flags}
OPTIONAL = frozenset({"store", "item", "group"})  # text columns where empty means all


def _typed_sales(raw: pd.DataFrame, dated: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    columns = {
        "item": texts(raw["item"]),
        "store": texts(raw["store"]) if "store" in raw else _constant(raw.index),
        "ds": dated(raw["ds"]),
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
        sieve.drop("type", wrong, say("price {} is not a number", raw["price"], short))


def _drop_missing_or_wrong(
    sieve: Sieve, raw: pd.DataFrame, typed: pd.DataFrame, column: str, empty_ok: bool = False
) -> None:
    """missing_key: nothing is there. type: something is, but no date or number."""
    absent = raw[column].isna()
    unread = typed[column].isna()
    if not empty_ok:
        empty = absent | (_by_value(typed[column], lambda values: values == "") if _is_text(typed[column]) else absent)
        sieve.drop("missing_key", empty, say(f"{column} is empty"))
    if not _is_text(typed[column]):
        sieve.drop("type", unread & ~absent, say(f"{column} {{}} cannot be read", raw[column], short))


def _blank(values: pd.Series) -> pd.Series:
    """Where nothing is there, or a text of blanks."""
    absent = values.isna()
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype):
        return absent
    return absent | (values.astype("str").str.strip() == "")


def _drop_out_of_range(sieve: Sieve, typed: pd.DataFrame, table: SalesTable, rules: Screen) -> None:
    y = typed["y"]
    if table.returns != "net":
        sieve.drop("return", y < 0, say(f'quantity {{:g}} is a return (extract.sales.returns = "{table.returns}")', y))
    elif table.grain == "periods":
        sieve.drop("range", y < 0, say("y {:g} is below zero in a ready period", y))
    beyond = y.abs() > rules.max_quantity
    sieve.drop("range", beyond, say(f"y {{:g}} is beyond screen.max_quantity = {rules.max_quantity:g}", y))
    if "price" in typed:
        price = typed["price"]
        wrong = (price < 0) | (price > rules.max_price)
        sieve.drop("range", wrong, say(f"price {{:g}} is not within 0..{rules.max_price:g}", price))


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
