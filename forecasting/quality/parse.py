"""From what a source holds to text, days and numbers; what cannot be read becomes missing, and is never guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

FIRST, LAST = pd.Timestamp("1900-01-01"), pd.Timestamp("9999-12-31")
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?"
HOUR = DAY.removesuffix("(?:[T ].*)?") + r"[T ](?:[01][0-9]|2[0-3])(?:[:.].*)?"
WORDS = {"true": 1.0, "t": 1.0, "yes": 1.0, "y": 1.0, "false": 0.0, "f": 0.0, "no": 0.0, "n": 0.0}


def texts(values: pd.Series) -> pd.Series:
    """As categories of text, without surrounding blanks; missing stays missing. Whole numbers lose their `.0`."""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        values = _plain(values).astype("category")
    names = pd.Index(values.cat.categories.astype("str")).str.strip()
    if names.is_unique:
        return values.cat.rename_categories(names)
    codes, unique = pd.factorize(names)
    mapped = np.append(codes, -1)[values.cat.codes.to_numpy()]
    return pd.Series(pd.Categorical.from_codes(mapped, unique), index=values.index)


def filled(values: pd.Series) -> pd.Series:
    """`texts`, with "" for missing."""
    found = texts(values)
    if not found.isna().any():
        return found
    return (found if "" in found.cat.categories else found.cat.add_categories("")).fillna("")


def _plain(values: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(values.dtype):
        whole = values.dropna() % 1 == 0
        return values.astype("Int64") if whole.all() else values
    if values.dtype == object:
        return values.map(str, na_action="ignore")
    return values


def hours(values: pd.Series) -> pd.Series:
    """As full hours (datetime64[s]), of what `days` takes for a date; midnight where there is no time of day."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        local = values if values.dt.tz is None else values.dt.tz_localize(None)
        return _within(local.astype("datetime64[s]").dt.floor("h"))
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _by_code(hours(pd.Series(values.cat.categories)), values.cat.codes.to_numpy(), values.index)
    dated = days(values)
    codes, unique = pd.factorize(_plain(values))
    text = pd.Series(unique).astype("str").str.strip()
    clock = text.where(text.str.fullmatch(HOUR)).str.slice(11, 13)
    wrong = text.str.len().gt(10) & clock.isna()
    hour = _by_code(
        pd.to_timedelta(pd.to_numeric(clock).fillna(0), unit="h").mask(wrong), codes, values.index, "timedelta64[s]"
    )
    return (dated + hour).astype("datetime64[s]")


def days(values: pd.Series) -> pd.Series:
    """As days (datetime64[s] at midnight); NaT for what is no date between the years 1900 and 9999.

    Text and objects: 2026-06-30, with or without a time of day after it.
    """
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        local = values if values.dt.tz is None else values.dt.tz_localize(None)
        return _within(local.astype("datetime64[s]").dt.normalize())
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _by_code(days(pd.Series(values.cat.categories)), values.cat.codes.to_numpy(), values.index)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return pd.Series(np.datetime64("NaT", "s"), index=values.index)
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) == "date":
        dates = pa.array(values, type=pa.date32(), from_pandas=True).cast(pa.timestamp("s"))
        return _within(pd.Series(dates.to_numpy(zero_copy_only=False), index=values.index))
    # Each distinct value is read once: millions of rows have a few thousand days.
    codes, unique = pd.factorize(_plain(values))
    text = pd.Series(unique).astype("str").str.strip()
    dated = text.where(text.str.fullmatch(DAY)).str[:10]
    return _by_code(_within(pd.to_datetime(dated, format="%Y-%m-%d", errors="coerce")), codes, values.index)


def _within(found: pd.Series) -> pd.Series:
    typed = found.astype("datetime64[s]")
    return typed.where((typed >= FIRST) & (typed <= LAST))


def _by_code(
    found: pd.Series, codes: NDArray[np.integer[Any]], index: pd.Index, kind: str = "datetime64[s]"
) -> pd.Series:
    padded = np.append(found.to_numpy().astype(kind), np.array("NaT", dtype=kind))
    return pd.Series(padded[codes], index=index)


def numbers(values: pd.Series) -> pd.Series:
    """As float64 (float32 stays); NaN for text, infinities and what else is no number."""
    if values.dtype == np.float32:
        return values.where(np.isfinite(values))
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or pd.api.types.is_complex_dtype(values.dtype):
        return pd.Series(np.nan, index=values.index)
    if values.dtype == bool or (pd.api.types.is_integer_dtype(values.dtype) and isinstance(values.dtype, np.dtype)):
        return values.astype("float64")
    if values.dtype == object:
        values = values.where(~values.map(_beyond))
    found = pd.to_numeric(values, errors="coerce").astype("float64")
    return found.where(np.isfinite(found))


def _beyond(value: object) -> bool:
    """Numbers that a float cannot hold and that pandas stumbles over."""
    if isinstance(value, int):
        return abs(value) > 10**300
    return isinstance(value, (complex, np.complexfloating)) or (isinstance(value, Decimal) and not value.is_finite())


def flags(values: pd.Series) -> pd.Series:
    """As 1.0 and 0.0 (any number above 0 is 1), from numbers, booleans or words; NaN for what is neither."""
    found = numbers(values)
    if found.isna().any() and not pd.api.types.is_numeric_dtype(values.dtype):
        words = values.astype("str").str.strip().str.lower().map(WORDS)
        found = found.fillna(words.astype("float64"))
    return found.gt(0).astype("float64").where(found.notna())
