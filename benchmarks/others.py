"""The sections of RESULTS.md beside M5's accuracy: nights timed in turn, ARIMA, the smaller data sets."""

from __future__ import annotations

from statistics import mean, median
from typing import Any

from benchmarks import results
from benchmarks.tables import number, table

Runs = dict[str, Any]
SETS = {
    "pasta": "Pasta: 118 products, daily, 28 days ahead, promotions known ahead to both sides",
    "vn2": "VN2: 599 series, weekly, 8 weeks ahead, weeks in stock only (`--masked`: stock-outs filled for the peer)",
    "spare_raf": "Spare parts: 5,000 series, the last 12 months as 4 x 3",
    "retail_days": "Online Retail by day, 14 days ahead",
    "retail_weeks": "Online Retail by week, 4 weeks ahead",
}
SCORES = ("wape", "wape_week", "wape_window", "wape_p50", "bias", "mase", "rmsse", "pinball")


def sections() -> list[str]:
    """Every part that has results, in the order of the page."""
    return [
        _night(results.load("night")),
        _scale(results.load("scale")),
        _arima(results.load("arima")),
        *(_contest(name) for name in SETS),
    ]


def _night(runs: Runs) -> str:
    if not runs:
        return ""
    by_name: dict[str, list[Runs]] = {}
    for key, facts in runs.items():
        by_name.setdefault(" ".join(key.split()[:2]), []).append(facts["measured"])
    scores = {" ".join(key.split()[:2]): facts["wrmsse"] for key, facts in runs.items() if "wrmsse" in facts}
    when = {" ".join(key.split()[:2]): facts["at"] for key, facts in sorted(runs.items())}  # of the last repetition
    rows = []
    for name, measured in by_name.items():
        middle = {what: median(one[what] for one in measured) for what in ("wall", "cpu", "peak")}
        # The same day's whole night of ours, against which everything else is put.
        night = [one["wall"] for one in by_name.get(f"{name.split()[0]} ours", [])]
        ratio = median(night) / middle["wall"] if night else None
        others = ", ".join(number(one.get("others"), 2) for one in measured)
        cells = [number(middle["wall"], 0), number(middle["cpu"], 0), number(middle["peak"], 2), number(ratio, 2)]
        rows.append(
            [name, *cells, number(scores.get(name) or _known_score(name)), str(len(measured)), others, when[name]]
        )
    head = ["cutoff, competitor", "wall", "CPU", "peak", "wall of our night / this", "WRMSSE", "runs", "others"]
    head.append("run at (UTC)")
    return "\n".join(
        [
            "## M5: nights timed in turn\n",
            "`python -m benchmarks night`; medians. Ours: the whole night with backtest; `ours.scoring`: the next",
            "day's `extract` and `forecast` with a champion at hand; `ours.direct`, `ours.recursive`: the whole night",
            "with one model, nothing to choose and so no rolling backtest (one horizon held back for the quantiles).",
            "mlforecast: read, one fit, one predict, no backtest, no quantiles. WRMSSE: of that forecast, or as in",
            "part `m5`.\n",
            table(head, rows),
        ]
    )


def _known_score(name: str) -> float | None:
    """Of the same competitor at the same cutoff in part `m5`."""
    cutoff, competitor = name.split()
    runs = results.load("m5")
    facts = runs.get(f"{cutoff} {competitor}") or runs.get(f"{cutoff} mlforecast.{competitor}")
    return facts["wrmsse"]["all"] if facts else None


def _scale(runs: Runs) -> str:
    if not runs:
        return ""
    once, rows = runs.get("x1", {}).get("measured"), []
    for key in sorted(runs, key=lambda name: int(name.removeprefix("x"))):
        for what in ("measured", "extract", "forecast"):
            cost = runs[key][what]
            ratios = [
                number(cost[name] / once[name] if once and what == "measured" else None, 2) for name in ("wall", "peak")
            ]
            name = {"measured": f"M5 {key}"}.get(what, f"M5 {key}, `{what}`")
            rows.append(
                [name, *(number(cost[one], 2) for one in ("wall", "cpu", "peak")), *ratios, number(cost["others"], 2)]
            )
    head = ["data, step", "wall", "CPU", "peak", "wall / x1", "peak / x1", "others"]
    return "\n".join(
        [
            "## M5 and ten times M5: a scoring night\n",
            "`python -m benchmarks scale`. The next day's `extract` and `forecast`, champion at hand (LightGBM, ARIMA",
            "and seasonal mean, equal weights, fitted on the same panel); x10: every series ten times with noise.\n",
            table(head, rows),
        ]
    )


def _arima(runs: Runs) -> str:
    if not runs:
        return ""
    rows = []
    for key, facts in runs.items():
        cost, ours = facts["measured"], runs.get(" ".join([*key.split()[:2], "ours"]), {}).get("measured")
        seconds = facts["seconds"]["fit and predict"]
        ratio = cost["wall"] / ours["wall"] if ours else None
        errors = [number(facts[name]) for name in ("mase", "mase_median", "wape")]
        times = [number(seconds, 1), number(cost["wall"], 1), number(cost["cpu"], 1), number(cost["peak"], 2)]
        rows.append([key, *errors, *times, number(ratio, 1), number(cost.get("others"), 2), str(facts["history"])])
    head = ["set, cutoff, competitor", "MASE", "median MASE", "WAPE", "fit + predict", "wall", "CPU", "peak"]
    return "\n".join(
        [
            "## ARIMA per series: ours against statsforecast's AutoARIMA, one process each\n",
            "`python -m benchmarks arima`. `history`: newest periods that both sides see.\n",
            table([*head, "wall / ours", "others", "history"], rows),
            _arima_means(runs),
        ]
    )


def _arima_means(runs: Runs) -> str:
    """Ours against a peer over the cutoffs that both ran at, where there is more than one."""
    shared: dict[tuple[str, str], list[tuple[Runs, Runs]]] = {}
    for key, facts in runs.items():
        name, cutoff, competitor = key.split()
        ours = runs.get(f"{name} {cutoff} ours")
        if ours and competitor != "ours":
            shared.setdefault((name, competitor), []).append((ours, facts))
    rows = []
    for (name, competitor), pairs in shared.items():
        if len(pairs) > 1:
            both = [
                mean(side[what] for side in sides)
                for what in ("mase", "mase_median", "wape")
                for sides in zip(*pairs, strict=True)
            ]
            rows.append([f"{name}, {competitor}", *map(number, both), str(len(pairs))])
    if not rows:
        return ""
    head = [f"{side}{what}" for what in ("MASE", "median MASE", "WAPE") for side in ("ours: ", "")]
    return "Means over the cutoffs that both ran at:\n\n" + table(["set, peer", *head, "cutoffs"], rows)


def _contest(name: str) -> str:
    runs = results.load(name)
    if not runs:
        return ""
    days = sorted({key.split(" ", 1)[0] for key in runs})
    by_name: dict[str, dict[str, Runs]] = {}
    for key, facts in runs.items():
        day, competitor = key.split(" ", 1)
        by_name.setdefault(competitor, {})[day] = facts
    shown = [score for score in SCORES if any(score in facts for facts in runs.values())]
    rows = [_row(key, found, shown, days) for key, found in by_name.items()]
    rows.sort(key=lambda row: (row[-1] != f"{len(days)} of {len(days)}", row[1]))
    return "\n".join(
        [
            f"## {SETS[name]}\n",
            f"`python -m benchmarks {name}`; means over the cutoffs {', '.join(days)}. A series that a competitor",
            "drops counts as a forecast of 0. Rows with fewer cutoffs stand last: their means are of other windows.\n",
            table(["competitor", *shown, "wall a cutoff", "peak", "dropped", "cutoffs"], rows),
        ]
    )


def _row(key: str, found: dict[str, Runs], shown: list[str], days: list[str]) -> list[str]:
    facts = list(found.values())
    scores = [number(mean(one[score] for one in facts)) if score in facts[0] else "-" for score in shown]
    wall, peak = mean(one["measured"]["wall"] for one in facts), max(one["measured"]["peak"] for one in facts)
    dropped = max(one["dropped"] for one in facts)
    return [key, *scores, number(wall, 0), number(peak, 2), str(dropped), f"{len(found)} of {len(days)}"]
