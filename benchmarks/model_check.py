"""`make model-check`: is the working tree's model at least as good as the last released one?

Both learn from the same made-up retailer up to a day four weeks before its end; the released one did so with the code
of its release, and it and its forecasts of the four weeks lie in benchmarks/released/<version>. The rules of
`[train.judge]` say whether the working tree has become worse. On real data, `make bench` compares with the peers.

    python -m benchmarks.model_check            # exit code 1 on a regression; report in var/model-check
    python -m benchmarks.model_check --release  # keep the working tree's model as the released one
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import forecasting
from forecasting import models
from forecasting import settings as configuration
from forecasting.data.panel import Panel
from forecasting.evaluation.promotion import Verdict, Window, cutoffs, judge
from forecasting.models.base import Forecast, Forecaster
from forecasting.models.naive import SeasonalNaive
from forecasting.settings import Settings
from forecasting.steps.demo import tonight
from forecasting.steps.extract import extract
from forecasting.steps.promotion import markdown
from forecasting.steps.run import Run, code_version
from forecasting.steps.train import challenger
from forecasting.stores.lake import Lake
from forecasting.stores.manifest import verify, write_manifest

ROOT = Path(__file__).parents[1]
RELEASED = Path(__file__).parent / "released"
UNSEEN, CUTOFFS = 28, 4  # days that neither learns from, and cutoffs within them
KEPT = "forecasts.npz"
SMALL = (
    "demo.stores=5", "demo.items=30", "demo.days=400", "train.models=['seasonal_naive', 'seasonal_mean', 'lightgbm']",
    "train.lightgbm.rows=60000", "train.lightgbm.trees=80", "train.lightgbm.leaves=15", "train.lightgbm.bags=1",
    "runtime.threads=1",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="store_true", help="keep this model as the released one of this version")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "model-check", help="where the report goes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="model-check-") as place:
        settings = demo_settings(Path(place))
        panel = demo_panel(settings)
        model = challenger(settings, panel.first(len(panel.periods) - UNSEEN), print).final
    mine = forecasts(model, panel)
    if chosen.release:
        return _release(model, panel, mine)
    folder = sorted(RELEASED.iterdir(), key=lambda one: [int(part) for part in one.name.split(".")])[-1]
    theirs = released(folder, panel)
    verdict = compared(settings, panel, mine, theirs)
    report(chosen.out, panel, (mine[0], theirs[0]), verdict, folder.name)
    worse = regressed(verdict, settings)
    figures = f"{settings.train.metric} {verdict.challenger:.4f}, release {folder.name} {verdict.champion:.4f}"
    print(f"{'WORSE' if worse else 'not worse'}: {figures} ({verdict.improvement:+.1%})")
    print(f"report: {chosen.out}")
    return 1 if worse else 0


def places(panel: Panel) -> list[int]:
    """Cutoffs within the unseen weeks, as numbers of known periods."""
    return cutoffs(len(panel.periods) - UNSEEN, len(panel.periods), CUTOFFS)


def forecasts(model: Forecaster, panel: Panel) -> list[Forecast]:
    """From each of the cutoffs to the end of the panel."""
    return [model.predict(panel.first(cutoff), len(panel.periods) - cutoff) for cutoff in places(panel)]


def released(folder: Path, panel: Panel) -> list[Forecast]:
    """What the released model said; made again by its folder where the retailer has changed since.

    Raises ArtifactError for a folder that was tampered with, ModelError where the features have changed as well: then
    both cannot be compared any more, and the first model of the new kind has to be released with its eyes open.
    """
    verify(folder)
    model = models.load(folder)
    with np.load(folder / KEPT) as kept:
        if str(kept["panel"]) != digest(panel):
            return forecasts(model, panel)
        found = []
        for number in range(len(places(panel))):
            ok = Forecast.ok(kept[f"mean_{number}"])
            found.append(replace(ok, quantiles=kept[f"quantiles_{number}"]))
        return found


def digest(panel: Panel) -> str:
    """Of what the forecasts are compared on."""
    return hashlib.sha256(np.ascontiguousarray(panel.y).tobytes()).hexdigest()


def compared(settings: Settings, panel: Panel, mine: list[Forecast], theirs: list[Forecast]) -> Verdict:
    """The working tree's model as the challenger, the released one as the champion."""
    windows = []
    for cutoff, one, other in zip(places(panel), mine, theirs, strict=True):
        past, ahead = panel.first(cutoff), len(panel.periods) - cutoff
        naive = SeasonalNaive().fit(past, ahead).predict(past, ahead).mean
        windows.append(Window(past, panel.y[:, cutoff:], one, other, naive))
    return judge(windows, settings.train.metric, settings.train.judge, settings.train.seed)


def regressed(verdict: Verdict, settings: Settings) -> bool:
    """Worse beyond chance, by the metric or by the series, or out of the limits for segments, bias and coverage."""
    rows = verdict.rows.set_index("rule")
    beyond = (rows.loc[["better than the champion", "beyond chance"], "high"] < 0).any()
    limits = rows.drop(["better than the champion", "beyond chance"])["passed"].astype(bool).all()
    return bool(beyond and verdict.improvement < -settings.train.judge.improvement) or not limits


def report(out: Path, panel: Panel, both: tuple[Forecast, Forecast], verdict: Verdict, name: str) -> None:
    """report.md with the rules' table, and a plot of total demand with both forecasts of the four weeks."""
    out.mkdir(parents=True, exist_ok=True)
    head = f"# Model check: {code_version()} against release {name}\n\n"
    (out / "report.md").write_text(head + markdown(verdict.rows, verdict.reason, name) + "\n", encoding="utf-8")
    figure, start = Figure(figsize=(10, 4), layout="constrained"), len(panel.periods) - 3 * UNSEEN
    axes = figure.subplots()
    axes.plot(panel.periods[start:], np.nansum(panel.y[:, start:], axis=0), color="0.3", label="actual")
    for forecast, label in zip(both, ("working tree", f"release {name}"), strict=True):
        axes.plot(panel.periods[-UNSEEN:], forecast.mean.sum(axis=0), label=label)
    axes.set_ylabel("units a day, all series")
    axes.legend()
    figure.savefig(out / "total.png", dpi=110)


def demo_settings(place: Path) -> Settings:
    """A small demo retailer whose stores lie in a folder."""
    text = (ROOT / "conf" / "demo.toml").read_text(encoding="utf-8").replace("var/", f"{place}/")
    conf = place / "demo.toml"
    conf.write_text(text, encoding="utf-8")
    return configuration.load(conf, SMALL)


def demo_panel(settings: Settings) -> Panel:
    """Its first night, as screened."""
    cutoff = tonight(settings, print)
    extract(settings, cutoff, Run("model-check"), print)
    return Lake(settings.lake).read_panel(cutoff)


def _release(model: Forecaster, panel: Panel, made: list[Forecast]) -> int:
    """Write the model folder of this version and its forecasts; reviewed and committed like code."""
    folder = RELEASED / forecasting.__version__
    shutil.rmtree(folder, ignore_errors=True)
    models.save(model, folder)
    numbers = {f"mean_{k}": one.mean for k, one in enumerate(made)}
    numbers |= {f"quantiles_{k}": one.quantiles for k, one in enumerate(made) if one.quantiles is not None}
    np.savez_compressed(folder / KEPT, panel=np.array(digest(panel)), **numbers)
    write_manifest(folder)
    print(f"kept in {folder.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
