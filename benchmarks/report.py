"""benchmarks/RESULTS.md from benchmarks/results/*.json."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks import duel, others, results, simulated
from benchmarks.hierarchy import NAMES
from benchmarks.tables import number, table

PLACE = Path(__file__).parent / "RESULTS.md"
HEAD = """# Results

The project against its peers on the same data, made by `make bench` (parts: `python -m benchmarks --help`) and
written from `benchmarks/results/*.json`. Every competitor runs in a process of its own, one after the other; peers in
an environment of their own, `requirements-peers.txt`. Wall and CPU time in seconds; peak memory in GB, resident, of
the whole process tree. `others`: cores that everything else on the machine kept busy meanwhile; where that is not near
0, wall times are too long and CPU times are the ones to compare (a dash: not taken). The data is not part of the
project.
"""
M5_TEXT = """`python -m benchmarks m5` (`--cutoffs 2016-04-24 --only mlforecast` runs a part). At 2016-04-24 the
official weights and scales; at the others the official rule on the data up to the cutoff.
"""


def write() -> None:
    """Render every part that has results."""
    parts = [HEAD, duel.summary(), _m5(results.load("m5")), *others.sections(), *simulated.sections()]
    parts += [_inventory(results.load("inventory")), _page(results.load("page")), _cluster(results.load("cluster"))]
    PLACE.write_text("\n".join(part for part in parts if part), encoding="utf-8")
    print(f"Wrote {PLACE.name}")


def _m5(runs: dict[str, Any]) -> str:
    if not runs:
        return ""
    cutoffs = sorted({key.split()[0] for key in runs})
    by_name: dict[str, dict[str, Any]] = {}
    for key, facts in runs.items():
        cutoff, name = key.split()
        by_name.setdefault(name, {})[cutoff] = facts
    ranked = sorted(by_name, key=lambda name: _mean_over(by_name[name], cutoffs, "all") or 9)
    return "\n".join(
        [
            "## M5: WRMSSE at monthly cutoffs, 28 days ahead, all twelve levels\n",
            M5_TEXT,
            _m5_overall(by_name, ranked, cutoffs),
            "### By level, mean over the cutoffs that a competitor ran at\n",
            _m5_levels(by_name, ranked),
            "### Time and memory, 2016-04-24 (ours: the whole night with backtest, choice, registry and tables)\n",
            _m5_cost(by_name, ranked),
            _m5_notes(runs),
            _m5_quantiles(by_name, ranked, cutoffs),
        ]
    )


def _inventory(runs: dict[str, Any]) -> str:
    """Orders replayed: of VN2 by policy, of the demo by target."""
    parts = ["## Orders, replayed\n", "`python -m benchmarks.inventory`; how: docs/planning.md.\n"] if runs else []
    if facts := runs.get("vn2"):
        parts.append(
            f"VN2, {facts['weeks']} weeks, {facts['series']} series: lead time 2 weeks, weekly orders, holding 0.2 and "
            "shortage 1.0 a unit and week, unmet demand lost. The contest's "
            "benchmark is the seasonal average with 4 weeks of cover; other covers are peers picked after the fact. "
            "Weeks out of stock filled with the mean of those around them.\n"
        )
        rows = facts["filled"]
        base = rows["seasonal average, 4 weeks"]["cost"]
        parts += ["| policy | cost | beside the benchmark | fill rate | stock |", "|---|---:|---:|---:|---:|"]
        for name, row in sorted(rows.items(), key=lambda item: item[1]["cost"]):
            beside = f"{row['cost'] / base - 1:+.1%}"
            parts.append(f"| {name} | {row['cost']:,.0f} | {beside} | {row['fill_rate']:.1%} | {row['stock']:,.0f} |")
    if facts := runs.get("demo"):
        parts.append(
            f"\nDemo, {facts['nights']} nights, {facts['series']} series, true demand, lead time 3 days, an order "
            "every 2, unmet demand lost, whole units to the nearest: share of order cycles without a stock-out beside "
            "its target. Slow movers are served better than asked for, as a unit is the least that there is.\n"
        )
        parts += ["| target | realised | fill rate | stock |", "|---:|---:|---:|---:|"]
        targets = {name: row for name, row in facts.items() if name.startswith("0.")}
        for name, row in targets.items():
            realised = f"{row['service']:.1%} | {row['fill_rate']:.1%} | {row['stock']:,.0f}"
            parts.append(f"| {float(name):.0%} | {realised} |")
    return "\n".join(parts) + "\n" if parts else ""


def _page(runs: dict[str, Any]) -> str:
    """Planners at once on the page."""
    if not (facts := runs.get("m5")):
        return ""
    rows = [
        [view, f"{facts['first'].get(view, 0):.2f}" if view in facts["first"] else "-"]
        + [
            f"{facts[how][view][name]:.2f}" if view in facts[how] else "-"
            for how in ("reading", "at once")
            for name in ("p50", "p95")
        ]
        for view in ("all", *facts["first"])
    ]
    text = (
        f"`python -m benchmarks.page`: {facts['planners']} planners on M5's {facts['series']:,} series in a running "
        "Airflow (SQLite, one server process), everything on one machine. *reading*: 2 to 6 seconds between two views, "
        f"{facts['reading']['a second']} views a second in all; *at once*: without a pause, "
        f"{facts['at once']['a second']} a second. Seconds to the last byte; *first*: of a server just started.\n"
    )
    head = ["view", "first", "reading p50", "reading p95", "at once p50", "at once p95"]
    return f"## The planner's page under load\n\n{text}\n{table(head, rows)}"


def _cluster(runs: dict[str, Any]) -> str:
    """Ten times M5 on the containers."""
    if not (facts := runs.get("x10")):
        return ""
    night = facts["night"]
    rows = [[name, f"{seconds:.0f}"] for name, seconds in night["steps"].items()]
    peaks = ", ".join(f"{name} {memory['peak']} GB" for name, memory in night["memory"].items())
    text = (
        "`python -m benchmarks.cluster`: 304,900 series, 28 days ahead, on the stack of docker-compose.yml: two Celery "
        "workers with one task at a time and one thread each, PostgreSQL, S3, MLflow, all on one machine. The night "
        f"took {night['wall']:.0f} s from the trigger to the published vintage. Most memory of a worker, files that it "
        f"had read included (limit 6 GiB, nothing killed): {peaks}. Of the shards, the last one is in the table.\n"
    )
    for size, facts in runs.items():
        if "ratio" in facts:
            one, two = facts["one worker"], facts["night"]["shards"]
            alone, used = sum(one["cpu"].values()), " + ".join(f"{seconds:.0f}" for seconds in two["cpu"].values())
            own = alone / max(two["cpu"].values())
            text += (
                f"\nThe same {one['shards']} shards ({size}) by one worker: {one['wall']:.0f} s, {alone:.0f} CPU "
                f"seconds; by two: {two['wall']:.0f} s, {used} CPU seconds: {facts['ratio']:.2f} times as fast. By CPU "
                "accounting, where each worker has cores of its own and S3, PostgreSQL and Airflow have others, "
                f"{own:.2f} times: the one's seconds over those of the busier of the two.\n"
            )
    return f"## A scoring night of ten times M5 on the stack\n\n{text}\n{table(['task', 'seconds'], rows)}"


def _m5_overall(by_name: dict[str, dict[str, Any]], ranked: list[str], cutoffs: list[str]) -> str:
    rows = []
    for name in ranked:
        runs = by_name[name]
        each = [runs[cutoff]["wrmsse"]["all"] if cutoff in runs else None for cutoff in cutoffs]
        whole = _mean_over(runs, cutoffs, "all")
        rows.append([name, number(whole), *(number(value) for value in each), str(max(_dropped(runs), default="-"))])
    return table(["competitor", "mean", *cutoffs, "series dropped (scored as 0)"], rows)


def _dropped(runs: dict[str, Any]) -> list[int]:
    return [facts["dropped"] for facts in runs.values() if "dropped" in facts]


def _mean_over(runs: dict[str, Any], cutoffs: list[str], level: str) -> float | None:
    """Mean over all the cutoffs; None where one is missing, since means over different windows do not compare."""
    return mean(runs[cutoff]["wrmsse"][level] for cutoff in cutoffs) if set(cutoffs) <= set(runs) else None


def _m5_levels(by_name: dict[str, dict[str, Any]], ranked: list[str]) -> str:
    rows = []
    for name in ranked:
        runs = by_name[name].values()
        rows.append(
            [name, *(number(mean(facts["wrmsse"][level] for facts in runs)) for level in NAMES), str(len(runs))]
        )
    return table(["competitor", *NAMES, "cutoffs"], rows)


def _m5_cost(by_name: dict[str, dict[str, Any]], ranked: list[str]) -> str:
    rows = []
    for name in ranked:
        facts = by_name[name].get("2016-04-24", {})
        measured = facts.get("measured")
        if measured:
            costs = [number(measured["wall"], 0), number(measured["cpu"], 0), number(measured["peak"], 2)]
            used = ", ".join(f"{package} {version}" for package, version in facts.get("versions", {}).items())
            rows.append([name, *costs, number(measured.get("others"), 2), facts["at"], used])
    return table(["competitor", "wall", "CPU", "peak", "others", "run at (UTC)", "with"], rows)


def _m5_notes(runs: dict[str, Any]) -> str:
    """What has to be known of single runs, such as one whose times were not taken."""
    return "".join(f"- {key}: {facts['note']}.\n" for key, facts in runs.items() if "note" in facts)


ABOVE = """### Share above p95 (0.05 is right)

Most items of a store sell nothing on most days: their p05 is 0, nothing can lie below it, and what is covered comes to
0.95, not to 0.90, where p95 is right.
"""


def _m5_quantiles(by_name: dict[str, dict[str, Any]], ranked: list[str], cutoffs: list[str]) -> str:
    found = {f"{name} {cutoff}": by_name[name].get(cutoff, {}) for name in ranked for cutoff in cutoffs}
    for key, facts in results.load("m5_levels").items():
        cutoff, name = key.split()
        found[f"{name} {cutoff}"] = facts
    rows, covered, above = [], [], []
    for key, facts in found.items():
        if "wspl" not in facts:
            continue
        label = key + (" (interpolated)" if facts["interpolated"] else "")
        rows.append([label, *(number(facts["wspl"].get(level)) for level in ("all", *NAMES))])
        covered.append([key, *(number(facts["coverage"].get(level)) for level in NAMES)])
        if "above_p95" in facts:
            above.append([key, *(number(facts["above_p95"].get(level)) for level in NAMES)])
    if not rows:
        return ""
    return "\n".join(
        [
            "### WSPL of the nine M5 quantiles, by level (`python -m benchmarks m5 m5_levels`)\n",
            "`interpolated`: the side does not publish all nine, and was read off between those that it does. A dash:",
            "the side gives no quantiles of that level. Absolute scales are of the data up to the cutoff.\n",
            table(["competitor, cutoff", "all", *NAMES], rows),
            "### Coverage of p05-p95 (0.90 is right)\n",
            table(["competitor, cutoff", *NAMES], covered),
            ABOVE,
            table(["competitor, cutoff", *NAMES], above),
        ]
    )
