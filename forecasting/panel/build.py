"""From the tables of a snapshot to the Panel. Nothing dated after the cutoff reaches `y` or `past`.

Sales and prices may come in pieces, and the matrices may be made in files, so that no more of either than a piece and
a block of series is ever in memory.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import cast

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.errors import CutoffError, SettingsError, some
from forecasting.core.frequency import Frequency
from forecasting.panel import totals
from forecasting.panel.chunks import Pairs, Tables, pieces, whole
from forecasting.panel.covariates import build, known_since
from forecasting.panel.grid import Grid
from forecasting.panel.memory import Scratch
from forecasting.panel.observed import closing_days
from forecasting.panel.observed.demand import demand
from forecasting.panel.panel import Matrix, Panel


def build_panel(
    tables: Tables, settings: Settings, cutoff: date, snapshot: str, scratch: Scratch | None = None
) -> Panel:
    """Dense panel that ends with the newest whole period at or before the cutoff.

    tables: sales, and where declared items, stores, prices, promotions, events, stock, signals (see tables/lake.py).
    scratch: where its matrices are made; in memory unless told otherwise.
    Raises CutoffError where nothing was sold up to the cutoff.
    """
    scratch, tables = scratch or Scratch(), known_since.as_known(tables, cutoff)
    frequency = Frequency.parse(settings.panel.frequency)
    last = frequency.last_complete(cutoff)
    end = frequency.newest_label(frequency.end(last))
    pairs = Pairs()
    for rows in pieces(tables["sales"]):
        pairs.add(rows[rows["ds"] <= end])
    if pairs.first is None:
        raise CutoffError(f"Nothing was sold at or before {cutoff}: there is no panel to build. Choose a later cutoff.")
    series = _series(tables, pairs.frame(), settings)
    periods = _periods(pairs.first, frequency, last, settings.panel.history)
    grid = Grid.of(series, periods, frequency, settings.panel.horizon)
    y, absence, closures = demand(tables, settings, grid, scratch)
    events, named, since = None, whole(tables, "events"), known_since.of_events(tables, grid)
    if "events" in tables:
        named = named.assign(event=build.spelled(named)) if len(named) else named
        events = build.events(named, settings, grid, since)
    ahead, past = build.build(tables, settings, grid, scratch, events)
    if settings.panel.closed == "auto" and frequency.code == "D":
        calendar = closing_days.calendar(closures, y, grid, named, since)
        ahead.setdefault(closing_days.NAME, cast("Matrix", calendar))  # a signal of that name is the user's own
    panel = Panel(y, periods, series, frequency, snapshot, ahead, past, settings.panel.levels)
    later, zero = known_since.of_panel(tables, settings, grid, ahead)
    panel = replace(panel, ended=closures.ended, events=events, absence=absence, since=later, zero=zero)
    return replace(panel, totals=totals.compute(panel))


def _series(tables: Tables, pairs: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """unique_id, item, store and all attributes, sorted by unique_id: pairs ever sold, or all items x stores."""
    items, stores = (whole(tables, name) for name in ("items", "stores"))
    if settings.panel.universe == "cross":
        if items.empty:
            raise SettingsError('panel.universe = "cross" needs [extract.items]: the items that there are.')
        shops = stores["store"] if len(stores) else pd.Series(sorted(pairs["store"].unique()))
        cross = items[["item"]].astype("str").merge(shops.astype("str").rename("store"), how="cross")
        pairs = pd.concat([cross, pairs], ignore_index=True).drop_duplicates()  # what was sold is never lost
    for key, table in (("item", items), ("store", stores)):
        if len(table):
            attributes = table.astype("str").rename(columns=_apart(table, pairs, key))
            pairs = pairs.merge(attributes, on=key, how="left")
    pairs = build.static_signals(pairs, whole(tables, "signals"), settings).fillna("")
    _check_attributes(pairs, settings)
    name = settings.panel.unique_id.format
    pairs.insert(0, "unique_id", [name(item=i, store=s) for i, s in zip(pairs["item"], pairs["store"], strict=True)])
    repeated = pairs["unique_id"].duplicated()
    if repeated.any():
        raise SettingsError(
            f"panel.unique_id = {settings.panel.unique_id!r} gives the same name to several series: "
            f"{some(pairs.loc[repeated, 'unique_id'].unique())}. Use both {{item}} and {{store}}."
        )
    return pairs.sort_values("unique_id", kind="stable").reset_index(drop=True)


def _check_attributes(series: pd.DataFrame, settings: Settings) -> None:
    """Attributes that the settings speak of are there."""
    asked = {"panel.levels": [part for name in settings.panel.levels for part in name.split("|")]}
    if settings.extract.events is not None and settings.extract.events.by:
        asked["extract.events.by"] = [settings.extract.events.by]
    asked |= {f"extract.signals.by of {one.name}": [one.by] for one in settings.extract.signals if one.by}
    if settings.train.partition_by:
        asked["train.partition_by"] = settings.train.partition_by.split("|")
    for key, names in asked.items():
        missing = [name for name in names if name not in series]
        if missing:
            raise SettingsError(
                f"{key}: the series have no attribute {some(missing)}; they have: {some(series.columns, 20)}. "
                "Attributes are columns of [extract.items] and [extract.stores], and static signals."
            )


def _apart(attributes: pd.DataFrame, pairs: pd.DataFrame, key: str) -> dict[str, str]:
    """An attribute that items and stores both have is told apart by its owner."""
    return {str(name): f"{key}_{name}" for name in attributes if name != key and name in pairs}


def _periods(first: pd.Timestamp, frequency: Frequency, last: pd.Timestamp, history: int | None) -> pd.DatetimeIndex:
    """From the period of the first sale, or the newest `history`, to the last one."""
    first = frequency.starts(pd.DatetimeIndex([first]))[0]
    periods = frequency.range(first, frequency.count(first, last))
    return periods[-history:] if history else periods
