"""Changes: what a vintage says otherwise than the one before it, for the periods that both speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from forecasting.panel.hierarchy import SERIES, TOTAL
from forecasting.reporting.queries.store import Store, Vintage
from forecasting.tables.schema import Table
from forecasting.tables.warehouse import FORECAST_LEVELS, FORECASTS


@dataclass(frozen=True)
class Changes:
    """Against the vintage of `before` (None: this is the first one); periods: that both speak of.

    total, levels, up, down: columns level, name, units and before (over those periods), change, share (change over
    before; NaN where that was nothing). up and down are series, the largest change first.
    """

    before: date | None
    periods: int
    total: pd.DataFrame
    levels: pd.DataFrame
    up: pd.DataFrame
    down: pd.DataFrame


def changes(store: Store, vintage: Vintage, most: int) -> Changes:
    """The total, every group of the declared levels, and the `most` series that went up and down by the most units."""
    last = next(iter(store.warehouse.cutoffs(before=vintage.cutoff, most=1)), None)
    if last is None:
        nothing = _sums(pd.DataFrame(columns=["level", "name", "mean", "mean_before"]))
        return Changes(None, 0, nothing, nothing, nothing, nothing)
    days = vintage.day, pd.Timestamp(last)
    levels = [TOTAL, *store.settings.panel.levels]
    groups = _both(store, FORECAST_LEVELS, ["level", "name", "ds"], days, level=levels)
    series = _both(store, FORECASTS, ["unique_id", "ds"], days).rename(columns={"unique_id": "name"})
    sums, found = _sums(groups), _sums(series.assign(level=SERIES))
    found = found.sort_values(["change", "name"], ascending=[False, True])
    return Changes(
        before=last,
        periods=int(groups["ds"].nunique()),
        total=sums[sums["level"] == TOTAL],
        levels=sums[sums["level"] != TOTAL],
        up=found[found["change"] > 0].head(most),
        down=found[found["change"] < 0].iloc[::-1].head(most),
    )


def _both(
    store: Store, table: Table, key: list[str], days: tuple[pd.Timestamp, pd.Timestamp], **where: Any
) -> pd.DataFrame:
    """Means of the periods that both vintages have: columns of the key, mean, mean_before."""
    now, then = (store.warehouse.read(table, [*key, "mean"], cutoff=day, **where) for day in days)
    return now.merge(then, on=key, suffixes=("", "_before"))


def _sums(both: pd.DataFrame) -> pd.DataFrame:
    sums = both.groupby(["level", "name"], observed=True)[["mean", "mean_before"]].sum().astype(float).reset_index()
    sums = sums.rename(columns={"mean": "units", "mean_before": "before"})
    sums["change"] = sums["units"] - sums["before"]
    sums["share"] = sums["change"] / sums["before"].where(sums["before"] > 0)
    return sums
