"""Features of what a series' groups were like at the cutoff: their trend, and the price among its kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forecasting.features import history, known
from forecasting.features.history import Vector
from forecasting.panel import totals
from forecasting.panel.hierarchy import TOTAL
from forecasting.panel.panel import Matrix, Panel

Rows = NDArray[np.intp]


def among_others(panel: Panel, used: Rows, old: bool = False) -> Iterator[tuple[str, Vector]]:
    """What each series' groups were like at the cutoff: (n_used,) each.

    old: for a model of an earlier release, which knows trends in which a member that was not observed counts as 0.
    """
    for name in (TOTAL, *panel.levels):
        yield f"trend_{name}", _group_trend(panel, name, used, old)
    if "price" in panel.known:
        finest = totals.level_of(panel, panel.levels[-1] if panel.levels else TOTAL)
        yield "price_position", known.price_position(panel, finest, used)


def _group_trend(panel: Panel, name: str, used: Rows, old: bool) -> Vector:
    """Newest short window of the series' group against its longer past, (n_used,); NaN where that is not known.

    A member that was not observed counts with its newest value at that place in the season, so that a group does not
    seem to fall where a store was closed or a delivery missing; a period in which no member was observed, not at all.
    """
    short, middle, _, _ = panel.frequency.windows
    level = totals.level_of(panel, name)
    sold = totals.units(panel, level) if old else totals.filled(panel, level, middle)
    newest, longer = (_mean(sold[:, -width:]) for width in (short, middle))
    trend = history.ratio(newest, longer)
    return trend[level.codes[used]]


def _mean(sold: Matrix) -> Vector:
    """(n,) means over the periods that are known, added up in double precision; NaN where none is."""
    known = np.isfinite(sold)
    if known.all():
        whole: Vector = sold.mean(axis=1, dtype=np.float64).astype(np.float32)
        return whole
    total, count = np.where(known, sold, 0).sum(axis=1, dtype=np.float64), known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
