"""Hours of the clock on the wall: which it shows twice, and which it leaves out, where summer time ends and begins.

Periods of hours are local time without gaps: what was sold in an hour that comes twice is summed, and an hour that
does not come was not observed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LAST = 59  # minute


def twice(first: pd.Timestamp, last: pd.Timestamp, zone: str) -> pd.DatetimeIndex:
    """Local hours from first to last that the clock of the time zone shows twice."""
    hours = pd.date_range(first, last, freq="h")
    found: pd.DatetimeIndex = hours[hours.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna()]
    return found


def occurrence(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, ... for each row of the same code, in their order."""
    found = pd.Series(codes)
    return np.asarray(found.groupby(found).cumcount(), dtype=np.int64)


def minutes(moments: pd.Series) -> NDArray[np.int64]:
    """Minute of each row that is part of an hour, 0 for one that names an hour, by its first or its last minute."""
    if pd.api.types.is_datetime64_any_dtype(moments.dtype):
        minute = moments.dt.minute
    else:
        minute = pd.to_numeric(moments.astype("str").str.strip().str.slice(14, 16), errors="coerce")
    found = minute.fillna(0).to_numpy(dtype=np.int64)
    return np.where(found == LAST, 0, found)


def left_out(hours: pd.DatetimeIndex, zone: str) -> NDArray[np.bool_]:
    """Which local hours the clock of the time zone never shows."""
    first = np.ones(len(hours), dtype=bool)
    return np.asarray(hours.tz_localize(zone, ambiguous=first, nonexistent="NaT").isna())
