"""Two months of nights in one go, with all that a seeded plan does to them: `make soak`.

    python -m tests.system.soak --nights 60 --scheduled 5 --seed 1 --out var/soak

Ends with a report of every night (OUT/report.md, OUT/report.json); exit code 1 where a table is not what it must be.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

from forecasting.core.config import settings as configuration
from forecasting.sources.demo import database
from tests.support.shops import small_shop
from tests.system.soak.nights import Soak
from tests.system.soak.plan import Plan


def lived(folder: Path, nights: int, scheduled: int, seed: int) -> tuple[Soak, dict]:
    """A small shop in a folder and its nights; what they came to."""
    conf = small_shop(
        folder, demo__stores=4, demo__items=20, demo__days=240, demo__seed=11,
        train__models=["seasonal_naive", "seasonal_mean", "lightgbm"], train__every_days=7,
        screen__max_quarantined=0.15,
    )  # fmt: skip
    settings = configuration.load(conf)
    database.create(settings)
    first = database.next_cutoff(settings)
    targets = {"doubled": "bakery", "lost_store": "S02", "price": "all"}
    soak = Soak(conf, settings, Plan.of(seed, nights, date.fromordinal(first.toordinal() + 1), targets))
    rng = np.random.default_rng(seed)
    soak.live(scheduled, rng)
    return soak, soak.end(rng)


def main() -> int:
    """Parse, live, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--scheduled", type=int, default=5, help="nights at the end that go through Airflow")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("var/soak"))
    asked = parser.parse_args()
    clock = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak, found = lived(Path(folder), asked.nights, asked.scheduled, asked.seed)
    found |= {"seed": asked.seed, "minutes": round((time.monotonic() - clock) / 60, 1), "problems": soak.problems}
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "report.json").write_text(json.dumps({"nights": soak.rows, **found}, default=str, indent=1))
    report = "\n".join(_report(soak, found))
    (asked.out / "report.md").write_text(report + "\n")
    print(report)
    return 1 if soak.problems else 0


def _report(soak: Soak, found: dict) -> list[str]:
    lines = [f"# Soak: {soak.plan.nights} nights, seed {found['seed']}, {found['minutes']} minutes", ""]
    lines += ["| night | cutoff | what is done to it | through | exit code | seconds |", "|---|---|---|---|---|---|"]
    for row in soak.rows:
        columns = ("night", "cutoff", "done", "via", "code", "seconds")
        lines.append(f"| {' | '.join(str(row[name]) for name in columns)} |")
    lines += ["", f"{found['vintages']} vintages, {found['versions']} model versions"]
    lines += [f"- alerts, {name}: {count}" for name, count in found["alerts"].items()]
    lines += [f"- drift, {name}: {count}" for name, count in found["drift"].items()]
    lines += ["", "Nothing is wrong." if not soak.problems else "What is wrong:"]
    return lines + [f"- {one}" for one in soak.problems]


if __name__ == "__main__":
    sys.exit(main())
