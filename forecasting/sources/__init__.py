"""Where sales and what surrounds them come from. A new kind of source is one file here and one line in `KINDS`.

(Its section in `[sources]` is one class in `sections.py` beside SqlSource and FileSource.)
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from datetime import date
from typing import Protocol, cast

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.errors import SourceError, some

KINDS: Mapping[str, str] = {
    "files": "forecasting.sources.files:FileTable",
    "sql": "forecasting.sources.sql:SqlTable",
}


class Source(Protocol):
    """One table of the outside world, in our column names (`sources/mapping.py` says which)."""

    def read(self, start: date | None, end: date | None) -> pd.DataFrame:
        """Rows dated from `start` to `end`, both inclusive; None leaves that side open.

        Values are as the source has them (a CSV column is text): screening types them. Rows whose date is missing or
        unreadable are handed on in every range, so that screening can name them. Tables without dates give all rows.
        Raises SourceError naming source, table, column, what is there and what to do.
        """
        ...


def open_source(settings: Settings, name: str) -> Source:
    """Source of one declared table: a key of `settings.source_tables()`, such as sales or signal_weather.

    Nothing is opened before `read`. Raises SourceError for a table that is not declared.
    """
    tables = settings.source_tables()
    if name not in tables:
        raise SourceError(f"No table extract.{name} is declared in the configuration; there are: {some(tables, 20)}.")
    kind = settings.sources[tables[name].source].kind
    module, _, kind_class = KINDS[kind].partition(":")
    return cast("Source", getattr(importlib.import_module(module), kind_class)(settings, name))
