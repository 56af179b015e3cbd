"""Reading results from a notebook: small functions that give pandas frames.

    from forecasting import read

    read.latest("MILK-001_S01")          # the newest forecast, with what people made of it
    read.history("MILK-001_S01")         # what was sold

Every function takes `conf`, the path of the configuration; without it $FORECASTING_CONF counts, else conf/demo.toml.
Columns are those of docs/tables.md. Raises SettingsError for a configuration that cannot be read and StoreError where a
store refuses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import StoreError, TableError, some
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables import views
from forecasting.tables import warehouse as warehouse_tables

DEFAULT_CONF = "conf/demo.toml"
Names = str | Sequence[str] | None
Conf = str | Path | None


def latest(series: Names = None, conf: Conf = None) -> pd.DataFrame:
    """The newest vintage, a row a series and period: mean, quantiles, override, final. series: one name or several."""
    return _warehouse(conf).view(views.FORECASTS_LATEST, **_only(unique_id=series))


def levels(level: Names = None, conf: Conf = None) -> pd.DataFrame:
    """The newest vintage added up to every declared level, or to one or several of them."""
    return _warehouse(conf).view(views.FORECAST_LEVELS_LATEST, **_only(level=level))


def forecasts(cutoff: date | str, series: Names = None, conf: Conf = None) -> pd.DataFrame:
    """A past vintage as it was published, by its cutoff."""
    return _warehouse(conf).read(warehouse_tables.FORECASTS, cutoff=pd.Timestamp(cutoff), **_only(unique_id=series))


def cutoffs(conf: Conf = None) -> list[date]:
    """Cutoffs of the published vintages, newest first."""
    return _warehouse(conf).cutoffs()


def scores(level: Names = None, conf: Conf = None) -> pd.DataFrame:
    """Accuracy of past vintages, a column a metric: a row a vintage, level, group and bucket of the horizon."""
    return _warehouse(conf).view(views.SCORES_WIDE, **_only(level=level))


def series_scores(series: Names = None, conf: Conf = None) -> pd.DataFrame:
    """Accuracy of every series, as of the newest night that was scored."""
    found = _warehouse(conf).read(warehouse_tables.SERIES_SCORES, **_only(unique_id=series))
    newest: pd.DataFrame = found[found["scored_at"] == found["scored_at"].max()]
    return newest.reset_index(drop=True)


def replenishment(series: Names = None, conf: Conf = None) -> pd.DataFrame:
    """What to order after the newest night, and why: a row a series."""
    return _warehouse(conf).view(views.REPLENISHMENT_LATEST, **_only(unique_id=series))


def overrides(active: bool = True, conf: Conf = None) -> pd.DataFrame:
    """The newest version of every override; `active`: only those that were not withdrawn."""
    return _warehouse(conf).view(views.OVERRIDES_CURRENT, **({"state": "active"} if active else {}))


def history(series: str, conf: Conf = None) -> pd.DataFrame:
    """What was sold of a series: ds (first day of the period), y (units a period, NaN = unobserved), by period.

    From the panel of the newest vintage: closed days and days without stock are unobserved. Raises TableError for a
    series that it does not have.
    """
    settings = _settings(conf)
    newest = next(iter(Warehouse(settings.warehouse).cutoffs(most=1)), None)
    if newest is None:
        raise StoreError("There is no vintage yet, so there is no history to read: run a night first.")
    panel = Lake(settings.lake).read_panel(newest)
    where = np.flatnonzero(panel.unique_ids == series)
    if not len(where):
        raise TableError(f"There is no series {series!r}; there are {some(panel.unique_ids)}.")
    return pd.DataFrame({"ds": panel.periods, "y": np.asarray(panel.y[where[0]], dtype=np.float64)})


def table(name: str, conf: Conf = None, **where: Any) -> pd.DataFrame:
    """Any table or view by its name; `where`: column = value, or one of several values.

    Raises TableError for a name that there is not, StoreError for such a column.
    """
    known: dict[str, Any] = {one.name: one for one in (*warehouse_tables.WAREHOUSE, *views.VIEWS)}
    if name not in known:
        raise TableError(f"There is no table or view {name!r}; there are: {some(sorted(known), 60)}.")
    one, store = known[name], _warehouse(conf)
    return store.view(one, **where) if isinstance(one, views.View) else store.read(one, **where)


def _settings(conf: Conf) -> Settings:
    return configuration.load(conf or os.environ.get("FORECASTING_CONF", DEFAULT_CONF))


def _warehouse(conf: Conf) -> Warehouse:
    return Warehouse(_settings(conf).warehouse)


def _only(**where: Names) -> dict[str, Any]:
    """Conditions that were asked for."""
    return {name: value for name, value in where.items() if value is not None}
