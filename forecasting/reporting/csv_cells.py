"""Texts in CSV files that a spreadsheet must not take for formulas (OWASP: CSV injection)."""

from __future__ import annotations

import re

import pandas as pd

FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@|%]")


def harmless(text: str) -> str:
    """The text, after an apostrophe where a spreadsheet would run it."""
    return f"'{text}" if FORMULA.match(text) else text


def harmless_column(values: pd.Series) -> pd.Series:
    """The same of a column of texts; what is missing stays missing."""
    texts = values.astype("str")
    found: pd.Series = texts.mask(texts.str.match(FORMULA.pattern).fillna(False).astype(bool), "'" + texts)
    return found
