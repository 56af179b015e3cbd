"""What goes wrong in a night, made to go wrong: `make chaos`, or python -m tests.system.chaos --kills 50 --seed 1.

Ends with a table of what was done and what was found, in OUT/report.json and OUT/report.md; exit code 1 where anything
was partial, lost or different after the re-run.
"""

from __future__ import annotations

import argparse
import collections
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.support.servers.postgres import Server, binaries
from tests.system.chaos import faults, fuzz
from tests.system.chaos.deployment import STEPS, Deployment, warm
from tests.system.chaos.kills import THIRDS, kills


def run(arguments: argparse.Namespace) -> int:
    """All parts that are asked for; the report is written whatever they find."""
    clock, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="chaos-"))
    programs = binaries()
    server = None
    if programs:
        place = folder / "postgres"
        place.mkdir()
        folder.chmod(0o755)  # its user is not ours
        server = Server(programs, place)
        server.start()
    try:
        warm()
        report: dict = {"seed": arguments.seed, "postgresql": server is not None}
        shops = [Deployment(folder / "sqlite")] + ([Deployment(folder / "postgresql", server)] if server else [])
        if arguments.kills or arguments.faults:
            for shop in shops:
                shop.prepare(third=arguments.kills >= THIRDS)
        report["kills"] = kills(shops, arguments.kills, arguments.seed) if arguments.kills else []
        report["fuzz"] = fuzz.rows(folder, server, arguments.rows, arguments.seed) if arguments.rows else []
        report["faults"] = faults.all_of(shops, server, arguments.faults) if arguments.faults else []
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    report["minutes"] = round((time.monotonic() - clock) / 60, 1)
    return tell(report, arguments.out)


def tell(report: dict, out: Path) -> int:
    """Write and print the report; 1 where there is a problem."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report, indent=1))
    lines = [f"# Chaos, seed {report['seed']}, {report['minutes']} minutes", ""]
    if report["kills"]:
        lines += ["| step | kills | before it wrote | after it wrote | partial or lost | not equal after the re-run |"]
        lines += ["|---|---|---|---|---|---|"]
        for step in STEPS:
            mine = [one for one in report["kills"] if one["step"] == step]
            early = sum(one["found"] == "nothing written yet" for one in mine)
            problems = collections.Counter(
                "partial" in text or "not readable" in text for one in mine for text in one["problems"]
            )
            cells = (step, len(mine), early, len(mine) - early, problems[True], problems[False])
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        lines.append("")
    for part in ("fuzz", "faults"):
        if report[part]:
            lines += [f"| {part} | | found |", "|---|---|---|"]
            for one in report[part]:
                told = "; ".join(one["problems"]) or one["found"]
                lines.append(f"| {one['name']} | {'**wrong**' if one['problems'] else 'well'} | {told} |")
            lines.append("")
    wrong = sum(bool(one["problems"]) for part in ("kills", "fuzz", "faults") for one in report[part])
    lines.append(f"{wrong} problems")
    (out / "report.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.system.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="SIGKILLs, over all steps and both warehouses")
    parser.add_argument("--rows", type=int, default=10_000, help="malformed source rows")
    parser.add_argument("--faults", nargs="*", default=list(faults.FAULTS), help=f"of: {', '.join(faults.FAULTS)}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("var/chaos"))
    sys.exit(run(parser.parse_args()))
