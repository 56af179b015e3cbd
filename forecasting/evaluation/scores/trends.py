"""Do forecasts get worse? The WAPE of the newest vintages beside that of those before them, like with like.

A vintage counts for a part of the horizon once all of it has passed: tomorrow is easier than the end of the month.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NEWEST, BEFORE = 7, 28  # vintages that are compared
ENOUGH = 7  # vintages before the newest ones that it takes
GROUP = ["level", "group", "bucket"]


def trends(scores: pd.DataFrame) -> pd.DataFrame:
    """Columns level, group, bucket, vintages, wape, wape_before, change, slope.

    scores: WAPE of whole buckets, columns cutoff, level, group, bucket, value. slope: least squares over all those
    vintages, by vintage. Without ENOUGH vintages a bucket has no rows.
    """
    parts = [_bucket(rows) for _, rows in scores.groupby("bucket", sort=False)]
    found = [part for part in parts if len(part)]
    columns = [*GROUP, "vintages", "wape", "wape_before", "change", "slope"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def _bucket(rows: pd.DataFrame) -> pd.DataFrame:
    wide = rows.pivot_table(index=GROUP, columns="cutoff", values="value", dropna=False, observed=True).sort_index()
    values = wide.iloc[:, -(NEWEST + BEFORE) :].to_numpy(dtype=np.float64)
    if values.shape[1] < NEWEST + ENOUGH:
        return pd.DataFrame()
    new, old = _mean(values[:, -NEWEST:]), _mean(values[:, :-NEWEST])
    table = wide.index.to_frame(index=False).assign(vintages=np.isfinite(values).sum(axis=1), wape=new, wape_before=old)
    known = np.isfinite(new) & np.isfinite(old) & (old > 0)
    table["change"] = np.where(known, new / np.where(known, old, 1) - 1, np.nan)
    table["slope"] = _slope(values)
    return table[np.isfinite(new) & np.isfinite(old)]


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    seen = np.isfinite(values)
    count = seen.sum(axis=1)
    return np.where(count > 0, np.where(seen, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _slope(values: NDArray[np.float64]) -> NDArray[np.float64]:
    seen = np.isfinite(values)
    place = np.where(seen, np.arange(values.shape[1], dtype=np.float64), np.nan)
    away = np.where(seen, place - _mean(place)[:, None], 0)
    above = (away * np.where(seen, values, 0)).sum(axis=1)
    below = (away**2).sum(axis=1)
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
