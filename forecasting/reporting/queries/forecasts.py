"""Rows of a vintage for other systems, page by page in the order of the key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd

from forecasting.reporting.queries.series import matching
from forecasting.reporting.queries.store import Store, Vintage
from forecasting.tables.warehouse import FORECAST_LEVELS, FORECASTS

SERIES = "series"


def names(store: Store, vintage: Vintage, level: str, wanted: Mapping[str, str]) -> list[str]:
    """Sorted names of the series, or of the groups of a level, that fit. KeyError: no such attribute."""
    if level == SERIES:
        by_name = {name: value for name, value in wanted.items() if name == "unique_id"}
        frame = matching(store.catalogue(vintage), "", {k: v for k, v in wanted.items() if k not in by_name})
        found = sorted(frame["unique_id"])
        return [one for one in found if one == by_name["unique_id"]] if by_name else found
    groups = store.warehouse.read(FORECAST_LEVELS, ["name"], cutoff=vintage.day, level=level)["name"].unique().tolist()
    for name, value in wanted.items():
        if name not in (level, "unique_id"):
            raise KeyError(name)
        groups = [one for one in groups if one == value]
    return sorted(map(str, groups))


def page(store: Store, vintage: Vintage, level: str, chosen: list[str]) -> pd.DataFrame:
    """All periods of these series or groups."""
    if level == SERIES:
        return store.warehouse.read(FORECASTS, cutoff=vintage.day, unique_id=chosen)
    return store.warehouse.read(FORECAST_LEVELS, cutoff=vintage.day, level=level, name=chosen)


def vintages(store: Store, most: int) -> list[date]:
    """Cutoffs of the newest vintages."""
    return store.warehouse.cutoffs(most=most)
