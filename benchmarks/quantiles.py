"""Quantile forecasts on M5: WSPL (weighted scaled pinball loss) and coverage, level by level.

M5 Uncertainty asked for nine quantiles of all 42,840 groups (Makridakis et al., 2022). A side that publishes others is
read off between them, straight line by straight line, and at its outermost ones beyond: marked `interpolated`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.data import M5, Array
from benchmarks.hierarchy import KEYS, NAMES, Level, days_after
from benchmarks.scoring import M5_QUANTILES, coverage, scaled_pinball

BOTTOM = NAMES[-1]
OUTER = (0.05, 0.95)


def share(column: str) -> float:
    """The quantile that a column `pXX` or `pXXX` holds: p05 is 0.05, p025 is 0.025."""
    return float(f"0.{column[1:]}")


def score(
    m5: M5,
    groups: list[Level],
    actual: Array,
    cutoff: date,
    published: pd.DataFrame,
    totals: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """What `score_arrays` says of a vintage: `published` has unique_id, ds, pXX; `totals` has level, name, ds, pXX."""
    columns = sorted((name for name in published if name[0] == "p" and name[1:].isdigit()), key=share)
    if not columns:
        return {}
    given = {BOTTOM: cube(published, "unique_id", list(m5.series["unique_id"]), columns, cutoff, actual.shape[1])}
    if totals is not None:
        for level, own in zip(groups[:-1], map(own_name, KEYS), strict=False):
            rows = totals[totals["level"] == own]
            labels = list(rows["name"].unique()) if own == "total" else list(level.labels)
            if labels and set(labels) <= set(rows["name"]):
                rows = rows[rows["name"].isin(labels)]
                given[level.name] = cube(rows, "name", labels, columns, cutoff, actual.shape[1])
    return score_arrays(groups, actual, given, [share(name) for name in columns])


def own_name(keys: tuple[str, ...]) -> str:
    """The project's name of a level: `total`, or its attributes joined by `|`."""
    return "|".join(key if key not in ("item_id", "store_id") else key[:-3] for key in keys) or "total"


def cube(
    rows: pd.DataFrame, key: str, labels: list[str], columns: list[str], cutoff: date, horizon: int
) -> NDArray[np.float64]:
    """(len(labels), horizon, len(columns)) from long rows. Raises ValueError where a cell is missing."""
    group = pd.Index(labels).get_indexer(rows[key])
    day = days_after(cutoff, horizon).get_indexer(pd.to_datetime(rows["ds"]))
    if (group < 0).any() or (day < 0).any():
        raise ValueError(f"Quantiles at {cutoff} have rows of unknown groups or of days outside the window.")
    values = np.full((len(labels), horizon, len(columns)), np.nan)
    values[group, day] = rows[columns].to_numpy(dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError(f"Quantiles at {cutoff}: {int(np.isnan(values).any(axis=2).sum())} cells are missing.")
    return values


def score_arrays(groups: list[Level], actual: Array, given: dict[str, Array], quantiles: list[float]) -> dict[str, Any]:
    """WSPL of the nine quantiles, coverage of p05-p95 and the share above p95, by level.

    WSPL has `all` too where all twelve levels are given.

    actual: (n_series, horizon). given: level name to (n_groups, horizon, len(quantiles)).
    """
    wspl: dict[str, float] = {}
    covered: dict[str, float] = {}
    above: dict[str, float] = {}
    for level in groups:
        if level.name not in given:
            continue
        y, q = level.sum(actual), given[level.name]
        wspl[level.name] = round(scaled_pinball(level, y, at(q, quantiles, M5_QUANTILES), M5_QUANTILES), 5)
        outer = at(q, quantiles, OUTER)
        covered[level.name] = round(coverage(y, outer[..., 0], outer[..., 1]), 4)
        above[level.name] = round(1 - coverage(y, np.full_like(y, -np.inf), outer[..., 1]), 4)
    if len(wspl) == len(groups):
        wspl["all"] = round(float(np.mean(list(wspl.values()))), 5)
    exact = all(any(abs(share - wanted) < 1e-9 for share in quantiles) for wanted in M5_QUANTILES)
    return {"wspl": wspl, "coverage": covered, "above_p95": above, "interpolated": not exact}


def at(q: Array, quantiles: list[float], wanted: tuple[float, ...]) -> Array:
    """(n, horizon, len(wanted)): straight lines between the given quantiles, the outermost beyond them."""
    known = np.asarray(quantiles)
    place = np.interp(wanted, known, np.arange(len(known)))
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, len(known) - 1)
    part = place - low
    return q[..., low] * (1 - part) + q[..., high] * part
