"""The sections of RESULTS.md on made-up demand, whose truth is known: coverage of quantiles, the chain of stores."""

from __future__ import annotations

from statistics import mean
from typing import Any

import pandas as pd

from benchmarks import coverage, results
from benchmarks.tables import number, table

Runs = dict[str, Any]
MEANS, LARGEST = ("wape", "wape_open", "wape_least", "bias"), ("bias_weekday", "bias_promotion")


def sections() -> list[str]:
    """Both parts, where they have results."""
    return [_coverage(results.load("coverage")), _chain(results.load("chain"))]


def _coverage(runs: Runs) -> str:
    if not (facts := runs.get("simulated")):
        return ""
    cells = pd.DataFrame(facts["cells"])
    text = (
        "`python -m benchmarks coverage`: six kinds of demand (Poisson, negative binomial, intermittent, weekday-only, "
        "seasonal, steady) in shops of 1 to 600 series, forecast by the seasonal mean; single periods and sums over 7, "
        f"14 and 28 periods; at least {int(cells['cases'].min()):,} cases a cell. By how much the shares seen miss "
        "0.95 at p95 and 0.90 between p05 and p95; counts are right where P(y < q) <= p <= P(y <= q). Cases of one "
        "shop go together, so that a share is known to about 0.01 only.\n"
    )
    return f"## Coverage on made-up shops\n\n{text}\n{coverage.summary(cells)}"


def _chain(runs: Runs) -> str:
    if not runs:
        return ""
    by_name: dict[str, dict[str, Runs]] = {}
    for key, facts in runs.items():
        seed, day, name = key.split(" ", 2)
        by_name.setdefault(name, {})[f"{seed} {day}"] = facts
    rows = []
    for name, found in by_name.items():
        scores = [number(mean(facts[score] for facts in found.values()), 4) for score in MEANS]
        scores += [number(max((facts[score] for facts in found.values()), key=abs), 4) for score in LARGEST]
        peak = max(facts["measured"]["peak"] for facts in found.values())
        rows.append([name, *scores, number(peak, 2), str(len(found)), ", ".join(found)])
    text = (
        "`python -m benchmarks chain`: 300 stores by day, closed on Sundays and movable holidays, a promotion every "
        "other week, some closed for half a year; 42 days ahead. `ours.items`: the stores are mapped as items, "
        "`ours.stores`: as stores. `_masked`: closed days are filled for the peer and 0 ahead. `wape_open`: stores "
        "open at the cutoff; `wape_least`: of the true expectation there. `bias_weekday`, `bias_promotion`: the "
        "largest of any window, against the truth. The others are means over the seeds and cutoffs that a row names.\n"
    )
    head = ["competitor", *MEANS, *LARGEST, "peak", "runs", "seed and cutoff"]
    return f"## A chain of stores, made up\n\n{text}\n{table(head, sorted(rows, key=lambda row: row[1]))}"
