"""Features of what a series' groups were like at the cutoff: their trend, and the price among its kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forecasting.data import totals
from forecasting.data.hierarchy import TOTAL
from forecasting.data.panel import Panel
from forecasting.features import history, known
from forecasting.features.history import Vector

Rows = NDArray[np.intp]


def among_others(panel: Panel, used: Rows) -> Iterator[tuple[str, Vector]]:
    """What each series' groups were like at the cutoff: (n_used,) each."""
    for name in (TOTAL, *panel.levels):
        yield f"trend_{name}", _group_trend(panel, name, used)
    if "price" in panel.known:
        finest = totals.level_of(panel, panel.levels[-1] if panel.levels else TOTAL)
        yield "price_position", known.price_position(panel, finest, used)


def _group_trend(panel: Panel, name: str, used: Rows) -> Vector:
    """Newest short window of the series' group against its longer past, (n_used,)."""
    short, middle, _, _ = panel.frequency.windows
    level = totals.level_of(panel, name)
    sold = totals.units(panel, level)
    newest, longer = (sold[:, -width:].mean(axis=1, dtype=np.float64).astype(np.float32) for width in (short, middle))
    trend = history.ratio(newest, longer)
    return trend[level.codes[used]]
