"""Ours against the best peer, part by part: the first table of RESULTS.md.

The best peer is the one with the lowest mean over the cutoffs that it and ours both ran at, of those peers that ran at
the most cutoffs: chosen after the fact, which favours the peer.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean
from typing import Any

from benchmarks import results
from benchmarks.tables import number, table

Runs = dict[str, Any]
Score = Callable[[Runs], float]
OURS, BASELINE = "ours", "baseline."
PARTS: tuple[tuple[str, str, Score], ...] = (
    ("m5", "WRMSSE", lambda facts: facts["wrmsse"]["all"]),
    ("pasta", "WAPE", lambda facts: facts["wape"]),
    ("vn2", "WAPE, weeks in stock", lambda facts: facts["wape"]),
    ("vn2", "WAPE of the median", lambda facts: facts.get("wape_p50", facts["wape"])),
    ("spare_raf", "mean pinball", lambda facts: facts["pinball"]),
    ("spare_raf", "mean RMSSE", lambda facts: facts["rmsse"]),
    ("retail_days", "WAPE", lambda facts: facts["wape"]),
    ("retail_weeks", "WAPE", lambda facts: facts["wape"]),
    ("retail_weeks", "WAPE of the median", lambda facts: facts.get("wape_p50", facts["wape"])),
)


def summary() -> str:
    """A row a part in which ours and a peer ran at the same cutoff."""
    rows = [row for name, label, score in PARTS if (row := _row(name, label, score))]
    if not rows:
        return ""
    head = ["part, measure", "ours", "best peer", "its score", "ours / it", "cutoffs"]
    text = (
        "Below 1: ours is better. The median: p50 of a side that gives quantiles, else its forecast (that of `l1` is "
        "one).\n\n"
    )
    return f"## Ours against the best peer\n\n{text}{table(head, rows)}"


def _row(part: str, label: str, score: Score) -> list[str] | None:
    found = best(results.load(part), score)
    if not found:
        return None
    peer, ours, theirs, count = found
    return [f"{part}, {label}", number(ours), peer, number(theirs), number(ours / theirs), str(count)]


def best(runs: Runs, score: Score) -> tuple[str, float, float, int] | None:
    """(peer, our mean, its mean, cutoffs in common) of the best peer; None where none ran beside ours."""
    by_name: dict[str, dict[str, float]] = {}
    for key, facts in runs.items():
        cutoff, name = key.split(" ", 1)
        try:
            by_name.setdefault(name, {})[cutoff] = score(facts)
        except KeyError:
            continue  # a side without quantiles has no pinball loss
    ours = by_name.get(OURS, {})
    shared = {
        name: sorted(set(found) & set(ours))
        for name, found in by_name.items()
        if not name.startswith((OURS, BASELINE)) and set(found) & set(ours)
    }
    if not shared:
        return None
    most = max(map(len, shared.values()))
    peers = {name: mean(by_name[name][day] for day in days) for name, days in shared.items() if len(days) == most}
    peer = min(peers, key=lambda name: peers[name])
    return peer, mean(ours[day] for day in shared[peer]), peers[peer], most
