"""What past overrides were worth, measured against the sales that are known by now: a part of `monitor`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.panel.hierarchy import SERIES
from forecasting.panel.panel import Matrix, Panel
from forecasting.planning.override_value import worth
from forecasting.steps.run import Run
from forecasting.storage.warehouse.changes import Change
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import ACTIVE, OVERRIDDEN, OVERRIDE_SCORES, OVERRIDES

CHANGED = ("cutoff", "name", "ds", "mean", "override", "id")


def changes(warehouse: Warehouse, panel: Panel, actual: Matrix, vintages: Sequence[date], run: Run) -> list[Change]:
    """OVERRIDE_SCORES of the numbers that people changed in these vintages; none where they changed none.

    actual: (n_series, newest periods of the panel), NaN where a period does not count.
    """
    rows = warehouse.read(OVERRIDDEN, CHANGED, level=SERIES, cutoff=list(vintages))
    known = rows.assign(actual=_actual(panel, actual, rows)).dropna(subset="actual")
    scored_at = pd.Timestamp(panel.cutoff)
    # Who withdrew it is not who said it, nor is who changed it after that vintage.
    versions = warehouse.read(OVERRIDES, ["id", "cutoff", "by", "reason"], state=ACTIVE, id=list(known["id"].unique()))
    said = known.merge(versions.rename(columns={"cutoff": "since"}), on="id")
    said = said[said["since"] <= said["cutoff"]].drop_duplicates(["cutoff", "name", "ds"], keep="last")
    table = worth(said.drop(columns="since")) if len(said) else _empty()
    return [Change(OVERRIDE_SCORES, table.assign(scored_at=scored_at, run_id=run.run_id), {"scored_at": scored_at})]


def _actual(panel: Panel, actual: Matrix, rows: pd.DataFrame) -> NDArray[np.float64]:
    """What was sold in each row's period, NaN where it is not known or does not count."""
    first = len(panel.periods) - actual.shape[1]
    series = pd.Index(panel.unique_ids).get_indexer(pd.Index(rows["name"]))
    period = panel.periods.get_indexer(pd.DatetimeIndex(rows["ds"])) - first
    there = (series >= 0) & (period >= 0)
    found = np.full(len(rows), np.nan)
    found[there] = actual[series[there], period[there]]
    return found


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=list(OVERRIDE_SCORES.columns))
