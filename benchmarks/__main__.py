"""`python -m benchmarks [PART ...] [--cutoffs D ...] [--only NAME ...]`: the project against its peers.

Same data, same run, a process each, one after the other. What is measured is kept in benchmarks/results/*.json and
written to benchmarks/RESULTS.md. Without a part, all of them run, which takes hours.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from benchmarks import arima, chain, contest, coverage, m5, m5_levels, night, report, scale

Part = Callable[..., None]
ROOT = Path(__file__).parents[1]
PARTS: dict[str, Part] = (
    {"m5": m5.part, "m5_levels": m5_levels.part}
    | {name: contest.part(name) for name in contest.CONTESTS}
    | {"chain": chain.part, "coverage": coverage.part}
    | {"arima": arima.part, "night": night.part, "scale": scale.part}
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}, report; none = all")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FORECASTING_DATA", ROOT / "../shared/data")))
    parser.add_argument("--cutoffs", type=date.fromisoformat, nargs="+", default=[], metavar="D", help="only these")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="competitors whose name contains one")
    parser.add_argument("--work", type=Path, default=ROOT / "var" / "benchmarks", help="where the forecasts are left")
    parser.add_argument("--rescore", action="store_true", help="m5: score what earlier runs left, run what is missing")
    parser.add_argument("--repetitions", type=int, default=night.REPETITIONS, metavar="N", help="night: times in turn")
    chosen = parser.parse_args()
    wanted = chosen.parts or [*PARTS]
    unknown = [name for name in wanted if name not in (*PARTS, "report")]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}, report")
    if not {*wanted} <= {"report", "chain"} and not chosen.data.is_dir():
        print(f"The data sets are not at {chosen.data}; give their folder with --data or FORECASTING_DATA.")
        return 2
    for name in wanted:
        if name in PARTS:
            more = {"m5": {"rescore": chosen.rescore}, "night": {"repetitions": chosen.repetitions}}.get(name, {})
            PARTS[name](chosen.data, tuple(chosen.cutoffs), chosen.only, chosen.work, **more)
    report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
