"""What the rows of a night's sales are: how they name their period, and which of them lie in the future."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.daylight_saving import twice
from forecasting.core.frequency import Frequency
from forecasting.quality.parse import days, hours, numbers, texts
from forecasting.quality.period_labels import Labels
from forecasting.quality.screening import Known, goes_on_until
from forecasting.sources import open_source
from forecasting.sources.mapping import days_of


def dates(settings: Settings, raw: pd.DataFrame, history: pd.DataFrame | None) -> Mapping[str, Any]:
    """`labels` and `twice` of Known, for the rows that were read. history: ready periods that were taken in before."""
    found: dict[str, Any] = {"labels": _labels(settings, raw, history)}
    if settings.panel.frequency == "H":
        dated = hours(raw["ds"]).dropna()
        found["twice"] = (
            twice(dated.min(), dated.max(), settings.extract.timezone) if len(dated) else pd.DatetimeIndex([])
        )
    return found


def named(settings: Settings) -> bool:
    """Whether a row of the sales names a period that is longer than a day."""
    return settings.extract.sales.grain == "periods" and Frequency(settings.panel.frequency).kind in ("W", "M", "Q")


def read_from(settings: Settings, corrected: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """First days that are read where days are corrected from these on: whole periods where a row names one."""
    return Frequency(settings.panel.frequency).starts(corrected) if named(settings) else corrected


def _labels(settings: Settings, raw: pd.DataFrame, history: pd.DataFrame | None) -> Labels | None:
    """How the rows name their periods; None where a period is a day or an hour, or rows are transactions."""
    if not named(settings):
        return None
    keys: dict[str, Any] = {name: texts(raw[name]) if name in raw else "" for name in ("item", "store")}
    rows = pd.DataFrame(keys | {"ds": days(raw["ds"]), "y": numbers(raw["y"])})
    return Labels.of(rows, Frequency(settings.panel.frequency), settings.extract.sales.label, history)


def later(settings: Settings, raw: pd.DataFrame, known: Known, most: int) -> tuple[Known, pd.DataFrame]:
    """Rows of the future, more than `most` days after the newest day; and what is known, with that day."""
    found = open_source(settings, "sales").read(known.future_from.date() + timedelta(days=1), None)
    dated = days_of(found["ds"])
    gap = Frequency(settings.panel.frequency).gap_days
    newest = goes_on_until(days_of(raw["ds"]), dated, known.future_from.date(), gap)
    # Without a day a row came with the first reading too, unless it looks like a later one, as 2026-13-01 does.
    undated = raw.loc[days_of(raw["ds"]).isna(), "ds"]
    missed = dated.isna() & found["ds"].notna() & ~found["ds"].isin(undated.unique())
    last = pd.Timestamp(newest) + pd.Timedelta(days=most)
    # The last day of a period that has begun is no day of the future for a row that is named by it.
    ahead = dated > last if known.labels is None else known.labels.begun_after(dated, last)
    return replace(known, newest=newest), found[ahead | missed]
