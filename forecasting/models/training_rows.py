"""Training rows of the LightGBM candidates: which (series, step) pairs are drawn, and their features and targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.data.panel import Matrix, Panel
from forecasting.errors import ModelError
from forecasting.features import Features

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]  # series and steps ahead, from 1


@dataclass(frozen=True)
class Rows:
    """Training rows. values: (n, n_features) float32; target: (n,) units; scale: (n,) units, the recent levels."""

    values: Matrix
    target: Matrix
    scale: Matrix
    names: tuple[str, ...]
    categorical: tuple[str, ...]


def draw(panel: Panel, origin: int, horizon: int, quota: int, random: np.random.Generator) -> Pairs:
    """At most `quota` (series, step) pairs after the first `origin` periods whose target was observed."""
    target = panel.y[:, origin : origin + horizon]
    # Most were on sale lately, and only the whole history of the others is looked through.
    lately = panel.y[:, max(0, origin - panel.frequency.season) : origin]
    started = np.asarray(np.isfinite(lately).any(axis=1))
    late = np.flatnonzero(~started)
    started[late] = np.isfinite(panel.y[late, :origin]).any(axis=1)
    # Of a series that has ended nothing is asked, and after months of silence its features say nothing.
    ended = panel.ended[(panel.ended[:, 2] < origin) & (panel.ended[:, 3] >= origin), 0]
    started[ended] = False
    rows, steps = np.nonzero(np.isfinite(target) & started[:, None])
    if len(rows) > quota:
        chosen = np.sort(random.choice(len(rows), size=quota, replace=False))
        rows, steps = rows[chosen], steps[chosen]
    return rows, steps + 1


def gather(
    panel: Panel,
    drawn: Sequence[tuple[int, Pairs]],
    build: Callable[[Panel, NDArray[np.intp], NDArray[np.intp]], Features],
) -> Rows:
    """Features and targets of the (series, step) pairs drawn after each origin, in one matrix that is filled in place.

    Raises ModelError where nothing was sold in any of them.
    """
    count = sum(len(rows) for _, (rows, _) in drawn)
    target, scale = np.empty(count, dtype=np.float32), np.empty(count, dtype=np.float32)
    values, start = np.empty((0, 0), dtype=np.float32), 0
    names: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    for origin, (rows, steps) in drawn:
        if not len(rows):
            continue
        built = build(panel.first(origin), rows, steps)
        if not names:
            names, categorical = built.names, built.categorical
            values = np.empty((count, len(names)), dtype=np.float32)
        here = slice(start, start + len(rows))
        values[here], scale[here], target[here] = built.values, built.scale, panel.y[rows, origin - 1 + steps]
        start += len(rows)
    if not target.any():
        raise ModelError(
            f"LightGBM found no target to learn from in {len(panel.periods)} periods of {len(panel.y)} series: "
            "it needs at least two seasons of sales."
        )
    return Rows(values, target, scale, names, categorical)
