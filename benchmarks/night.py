"""Part `night`: a whole training night of ours and a scoring night after it, against a peer's plain script; in turn.

Ours: `python -m forecasting run` (extract, screening, snapshot, backtest, choice, registry, tables) in a process and
with stores of its own; then the next day's `extract` and `forecast` with the champion that exists. The peer's: read
the files, one fit, one predict, no backtest, a Parquet file.

`ours.direct` and `ours.recursive`: the whole night of ours with one model, nothing to choose and so no rolling
backtest: one horizon is held back, which gives the quantiles, then comes the fit on everything. WRMSSE beside the time.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks import environment, m5, ours, results
from benchmarks.data import read_m5
from benchmarks.hierarchy import levels
from benchmarks.measure import Measured, run

CUTOFF = date(2016, 4, 24)
ALONE = {"ours.direct": "lightgbm", "ours.recursive": "recursive"}
ORDER = ("ours", "recursive_notebook", "ours.direct", "recursive_l2", "ours.recursive", "recursive_tweedie")
REPETITIONS = 3


def part(data: Path, cutoffs: tuple[date, ...], only: list[str], work: Path, repetitions: int = REPETITIONS) -> None:
    """Ours and the peers' scripts in turn, so many times; `--only ours` or a configuration for fewer."""
    cutoff = cutoffs[0] if cutoffs else CUTOFF
    names = [name for name in ORDER if not only or any(wanted in name for wanted in only)]
    for repetition in range(1, repetitions + 1):
        for name in names:
            out = work / "night" / name
            out.mkdir(parents=True, exist_ok=True)
            for kind, facts in _run(name, data, cutoff, out).items():
                key = f"{cutoff} {name}{'' if kind == 'night' else '.' + kind} {repetition}"
                results.save("night", key, facts)
                print(f"{key}: {facts}", flush=True)


def _run(name: str, data: Path, cutoff: date, out: Path) -> dict[str, dict[str, Any]]:
    if name in ALONE:
        return {"night": _alone(ALONE[name], data, cutoff, out)}
    found = _ours(data, cutoff, out) if name == "ours" else _peer(name, data, cutoff, out)
    return {kind: {"measured": measured} for kind, measured in found.items()}


def _alone(model: str, data: Path, cutoff: date, out: Path) -> dict[str, Any]:
    changes = (f'train.models=["{model}"]', "train.blend=false", "train.folds=1")
    with ours.shop("m5", data, changes) as shop:
        measured, published = shop.do("run", cutoff), shop.forecasts(cutoff)
        (out / "night.log").write_text((shop.place / f"run-{cutoff}.log").read_text(encoding="utf-8"), encoding="utf-8")
    whole = read_m5(data / "m5")
    mean = m5.wide(published, whole, cutoff, "mean")
    scored = m5.score(levels(whole, cutoff, data / "m5"), whole.actual(cutoff, m5.HORIZON), mean)
    return {"measured": measured.facts(), "wrmsse": scored["wrmsse"]["all"]}


def _ours(data: Path, cutoff: date, out: Path) -> dict[str, Any]:
    with ours.shop("m5", data) as shop:
        night = shop.do("run", cutoff)
        following = cutoff + timedelta(days=1)
        parts = [shop.do("extract", following), shop.do("forecast", following)]
        (out / "night.log").write_text((shop.place / f"run-{cutoff}.log").read_text(encoding="utf-8"), encoding="utf-8")
    scoring = Measured(
        sum(one.wall for one in parts),
        sum(one.cpu for one in parts),
        max(one.peak for one in parts),
        parts[0].load,
        max(one.others for one in parts),
    )
    return {"night": night.facts(), "scoring": scoring.facts()}


def _peer(config: str, data: Path, cutoff: date, out: Path) -> dict[str, Any]:
    command = [environment.python(), "-m", "benchmarks.peers.mlforecast_m5", "--config", config]
    command += ["--data", str(data.resolve()), "--cutoff", str(cutoff), "--out", str(out)]
    measured = run(command, out / "log.txt").facts()
    seconds = json.loads((out / "facts.json").read_text(encoding="utf-8"))["seconds"]
    return {"night": measured | {"seconds": {name: round(value, 1) for name, value in seconds.items()}}}
