"""From what a source holds to text, days and numbers; what cannot be read becomes missing, and is never guessed."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST, LAST = pd.Timestamp("1900-01-01"), pd.Timestamp("9999-12-31")


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


def days(values: pd.Series) -> pd.Series:
    """As days (datetime64[s] at midnight); NaT for what is no date between the years 1900 and 9999."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        by_category = days(pd.Series(values.cat.categories)).to_numpy()
        found = np.append(by_category, np.datetime64("NaT", "s"))[values.cat.codes.to_numpy()]
        return pd.Series(found, index=values.index)
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        if pd.api.types.is_numeric_dtype(values.dtype):
            return pd.Series(np.datetime64("NaT", "s"), index=values.index)
        text = values.astype("str").str.strip()
        dated = text.where(text.str.match(r"\d{4}-\d{2}-\d{2}")).str[:10]
        values = pd.to_datetime(dated, format="%Y-%m-%d", errors="coerce")
    elif values.dt.tz is not None:
        values = values.dt.tz_localize(None)
    normal: pd.Series = values.astype("datetime64[s]").dt.normalize()
    return normal.where((normal >= FIRST) & (normal <= LAST))


def numbers(values: pd.Series) -> pd.Series:
    """As float64 (float32 stays); NaN for text, infinities and what else is no number."""
    if values.dtype == np.float32:
        return values.where(np.isfinite(values))
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.astype("float64")
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return pd.Series(np.nan, index=values.index)
    if pd.api.types.is_integer_dtype(values.dtype) and isinstance(values.dtype, np.dtype):
        return values.astype("float64")
    found = pd.to_numeric(values, errors="coerce").astype("float64")
    return found.where(np.isfinite(found))
