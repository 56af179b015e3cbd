"""The first series of a data set only, where a peer would take too long on all of them. Used in both environments."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.small import Small


def first(small: Small, count: int) -> Small:
    """The first `count` series; 0 = all."""
    if not count:
        return small
    return replace(
        small,
        y=small.y[:count],
        series=small.series.head(count),
        known={name: values[:count] for name, values in small.known.items()},
    )
