"""Training rows of the LightGBM candidates: which (series, step) pairs are drawn, and their features and targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.core.errors import ModelError
from forecasting.features import Features
from forecasting.panel.panel import Matrix, Panel

MANY = 200_000  # rows, up to which boosters are averaged, and so the rows of all of them are measured in one pass
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]  # series and steps ahead, from 1
Drawn = Sequence[tuple[int, Pairs]]  # after each past cutoff
Build = Callable[[Panel, NDArray[np.intp], NDArray[np.intp]], Features]


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


def batches(
    panel: Panel, drawn: Callable[[np.random.Generator], Drawn], randoms: Sequence[np.random.Generator], build: Build
) -> Iterator[Rows]:
    """Training rows of one booster after the other, drawn by each of `randoms` in turn; all from the same cutoffs.

    Boosters of up to MANY rows are measured together, since most of the work is done once a series and cutoff (demo,
    three boosters: 0.9 CPU seconds instead of 2.1); larger ones when their turn comes, to hold one in memory at a time.
    Raises ModelError where nothing was sold in the rows of one.
    """
    first = drawn(randoms[0])
    if sum(len(rows) for _, (rows, _) in first) > MANY:
        yield gather(panel, [first], build)[0]
        for random in randoms[1:]:
            yield gather(panel, [drawn(random)], build)[0]
        return
    found = gather(panel, [first, *(drawn(random) for random in randoms[1:])], build)
    while found:
        yield found.pop(0)


def gather(panel: Panel, bags: Sequence[Drawn], build: Build) -> list[Rows]:
    """Features and targets of the (series, step) pairs drawn after each origin: of each bag, filled in place.

    All bags have the same origins. Raises ModelError where nothing was sold in any of a bag's rows.
    """
    found: list[Rows] = []
    starts = np.zeros(len(bags), dtype=np.intp)
    for place, (origin, _) in enumerate(bags[0]):
        pairs = [drawn[place][1] for drawn in bags]
        rows, steps = (np.concatenate(column) for column in zip(*pairs, strict=True))
        if not len(rows):
            continue
        built = build(panel.first(origin), rows, steps)
        found = found or [_empty(drawn, built) for drawn in bags]
        target = panel.y[rows, origin - 1 + steps]
        ends = np.cumsum([len(mine) for mine, _ in pairs])
        for bag, (into, (mine, _)) in enumerate(zip(found, pairs, strict=True)):
            here, there = slice(ends[bag] - len(mine), ends[bag]), slice(starts[bag], starts[bag] + len(mine))
            into.values[there], into.target[there] = built.values[here], target[here]
            into.scale[there] = built.scale[here]
            starts[bag] += len(mine)
    if not found or not all(one.target.any() for one in found):
        raise ModelError(
            f"LightGBM found no target to learn from in {len(panel.periods)} periods of {len(panel.y)} series: "
            "it needs at least two seasons of sales."
        )
    return found


def _empty(drawn: Drawn, built: Features) -> Rows:
    """Matrices for all rows of a booster, not yet filled."""
    count = sum(len(rows) for _, (rows, _) in drawn)
    values = np.empty((count, len(built.names)), dtype=np.float32)
    target, scale = np.empty(count, dtype=np.float32), np.empty(count, dtype=np.float32)
    return Rows(values, target, scale, built.names, built.categorical)
