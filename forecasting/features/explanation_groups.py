"""Features by what they speak of, for people who ask why a number is what it is."""

from __future__ import annotations

from collections.abc import Sequence

LEVEL, SEASON, PRICE, PROMOTION, EVENTS, KIND, MARKET, RHYTHM = (
    "recent level", "season", "price", "promotion", "events", "kind of product", "demand of its groups",
    "rhythm of demand",
)  # fmt: skip
PREFIXES = {
    LEVEL: ("level", "mean_", "trend", "last_"),
    SEASON: ("season_", "cycle_", "hour", "last_year", "growth", "month", "week", "weekday", "monthday", "horizon"),
    PRICE: ("price",),
    PROMOTION: ("promotion",),
    EVENTS: ("event",),
    MARKET: ("trend_",),
    RHYTHM: ("variation", "zeros_", "since_sale", "age", "observed", "peak_"),
}


def groups(names: Sequence[str], categorical: Sequence[str]) -> list[str]:
    """The group of each feature: one of the words above, or the signal's own name. The longest prefix decides."""
    return [_group(name, name in categorical) for name in names]


def _group(name: str, is_kind: bool) -> str:
    found = max(
        (
            (len(prefix), group)
            for group, prefixes in PREFIXES.items()
            for prefix in prefixes
            if name.startswith(prefix)
        ),
        default=(0, ""),
    )[1]
    if found:
        return found
    return KIND if is_kind else name
