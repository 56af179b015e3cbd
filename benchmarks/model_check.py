"""`make model-check`: is the working tree's model at least as good as the last released one?

On each data set of benchmarks/model_sets.py both learn up to one horizon before its end; the released one did so with
the code of its release, and it and its forecasts of that horizon lie in benchmarks/released/<version>/<data set>. The
rules of `[train.judge]` say whether the working tree has become worse. For peers and full settings: `make bench`.

    python -m benchmarks.model_check            # exit code 1 on a regression; report in var/model-check
    python -m benchmarks.model_check --release  # keep the working tree's models as the released ones
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import forecasting
from benchmarks import model_sets
from benchmarks.model_sets import ROOT, Sample
from forecasting import models
from forecasting.evaluation.promotion import Verdict, Window, cutoffs, judge
from forecasting.models.base import Forecast, Forecaster
from forecasting.models.baselines import SeasonalNaive
from forecasting.panel.panel import Panel
from forecasting.steps.run import code_version
from forecasting.steps.train.challenger import challenger
from forecasting.steps.train.promotion import markdown
from forecasting.storage.registry.manifest import verify, write_manifest

RELEASED = Path(__file__).parent / "released"
CUTOFFS = 4  # within the unseen horizon, at most
LUCK = 0.01  # of the metric: another seed alone moves these light models that far
KEPT = "forecasts.npz"


@dataclass(frozen=True)
class Result:
    """What came out on one data set. said: not worse, WORSE, or why there is no verdict."""

    name: str
    said: str
    metric: str = ""
    release: str = ""
    verdict: Verdict | None = None

    @property
    def worse(self) -> bool:
        """Whether the check fails for it."""
        return self.said == "WORSE"

    def __str__(self) -> str:
        if self.verdict is None:
            return f"{self.name}: {self.said}"
        figures = f"{self.metric} {self.verdict.challenger:.4f}, release {self.release} {self.verdict.champion:.4f}"
        return f"{self.name}: {self.said}: {figures} ({self.verdict.improvement:+.1%})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("FORECASTING_DATA", ROOT / "../shared/data"))
    parser.add_argument("--release", action="store_true", help="keep the models as the released ones of this version")
    parser.add_argument("--data", type=Path, default=data, help="folder of the public data sets; absent: demo only")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "model-check", help="where the report goes")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    absent = [name for name in model_sets.NAMES if not model_sets.there(name, chosen.data)]
    if chosen.release and absent:
        print(f"A release keeps a model of every data set; {', '.join(absent)} not found at {chosen.data} (--data).")
        return 2
    results = []
    for name in model_sets.NAMES:
        (chosen.out / f"{name}.png").unlink(missing_ok=True)  # an earlier check's
        if name in absent:
            results.append(Result(name, f"skipped: no shared data at {chosen.data} (--data, FORECASTING_DATA)"))
            continue
        print(f"== {name}")
        sample = model_sets.read(name, chosen.data)
        model = challenger(sample.settings, sample.learned, print).final
        results.append(keep(sample, model) if chosen.release else check(sample, model, chosen.out))
    print("==", *results, sep="\n")
    if not chosen.release:
        print(f"report: {report(chosen.out, results)}")
    return int(any(result.worse for result in results))


def check(sample: Sample, model: Forecaster, out: Path) -> Result:
    """The working tree's model on one data set against the newest release that kept one there; a plot into `out`."""
    folder = next((one / sample.name for one in reversed(releases()) if (one / sample.name).is_dir()), None)
    if folder is None:
        return Result(sample.name, "no release has kept a model of it")
    mine, theirs = forecasts(model, sample), released(folder, sample)
    verdict = compared(sample, mine, theirs)
    said = "WORSE" if regressed(verdict) else "not worse"
    result = Result(sample.name, said, sample.settings.train.metric, folder.parent.name, verdict)
    plot(out, sample, (mine[0], theirs[0]), result)
    return result


def releases() -> list[Path]:
    """Folders of the released versions, oldest first."""
    return sorted(RELEASED.iterdir(), key=lambda one: [int(part) for part in one.name.split(".")])


def known(sample: Sample) -> list[Panel]:
    """The panel as it was at each of the cutoffs within the unseen horizon."""
    end = len(sample.panel.periods)
    return [sample.panel.first(cutoff) for cutoff in cutoffs(end - sample.unseen, end, CUTOFFS)]


def forecasts(model: Forecaster, sample: Sample) -> list[Forecast]:
    """From each of the cutoffs to the end of the panel."""
    return [model.predict(past, len(sample.panel.periods) - len(past.periods)) for past in known(sample)]


def released(folder: Path, sample: Sample) -> list[Forecast]:
    """What the released model said; made again by its folder where the data has changed since.

    Raises ArtifactError for a folder that was tampered with, ModelError where the features have changed as well: then
    both cannot be compared any more, and the first model of the new kind has to be released with its eyes open.
    """
    verify(folder)
    model = models.load(folder)
    with np.load(folder / KEPT) as kept:
        if str(kept["panel"]) != digest(sample.panel):
            return forecasts(model, sample)
        found = []
        for number in range(len(known(sample))):
            ok = Forecast.ok(kept[f"mean_{number}"])
            found.append(replace(ok, quantiles=kept[f"quantiles_{number}"]))
        return found


def digest(panel: Panel) -> str:
    """Of what the forecasts are compared on."""
    return hashlib.sha256(np.ascontiguousarray(panel.y).tobytes()).hexdigest()


def compared(sample: Sample, mine: list[Forecast], theirs: list[Forecast]) -> Verdict:
    """The working tree's model as the challenger, the released one as the champion."""
    windows, train = [], sample.settings.train
    for past, one, other in zip(known(sample), mine, theirs, strict=True):
        cutoff, ahead = len(past.periods), len(sample.panel.periods) - len(past.periods)
        naive = SeasonalNaive().fit(past, ahead).predict(past, ahead).mean
        windows.append(Window(past, sample.panel.y[:, cutoff:], one, other, naive))
    return judge(windows, train.metric, train.judge, train.seed)


def regressed(verdict: Verdict) -> bool:
    """Worse beyond chance, by the metric or by the series, or out of the limits for segments, bias and coverage.

    The interval is of the data drawn; a training draws too, which is why less than LUCK says nothing.
    """
    rows = verdict.rows.set_index("rule")
    beyond = (rows.loc[["better than the champion", "beyond chance"], "high"] < 0).any()
    limits = rows.drop(["better than the champion", "beyond chance"])["passed"].astype(bool).all()
    return bool(beyond and verdict.improvement < -LUCK) or not limits


def report(out: Path, results: list[Result]) -> Path:
    """report.md: a row a data set, then the rules behind each verdict."""
    lines = [f"# Model check: {code_version()} against the last release", ""]
    lines += ["| data set | metric | working tree | release | better by | from | to | |", "|---" * 8 + "|"]
    for one in results:
        if one.verdict is None:
            lines.append(f"| {one.name} | | | | | | | {one.said} |")
            continue
        first = one.verdict.rows.iloc[0]
        shares = " | ".join(f"{share:+.1%}" for share in first[["improvement", "low", "high"]])
        figures = f"{one.verdict.challenger:.4f} | {one.verdict.champion:.4f} ({one.release})"
        lines.append(f"| {one.name} | {one.metric} | {figures} | {shares} | {'**WORSE**' if one.worse else one.said} |")
    for one in results:
        if one.verdict is not None:
            rules = markdown(one.verdict.rows, one.verdict.reason, one.release)
            lines += ["", f"## {one.name}", "", f"![forecasts]({one.name}.png)", "", rules]
    file = out / "report.md"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def plot(out: Path, sample: Sample, both: tuple[Forecast, Forecast], result: Result) -> None:
    """Total demand with both forecasts of the unseen horizon; what was not observed counts for none of the three."""
    panel, figure = sample.panel, Figure(figsize=(10, 4), layout="constrained")
    axes, start = figure.subplots(), len(panel.periods) - 3 * sample.unseen
    axes.plot(panel.periods[start:], np.nansum(panel.y[:, start:], axis=0), color="0.3", label="actual")
    observed = np.isfinite(panel.y[:, -sample.unseen :])
    for forecast, line, label in zip(both, ("-", "--"), ("working tree", f"release {result.release}"), strict=True):
        axes.plot(panel.periods[-sample.unseen :], (forecast.mean * observed).sum(axis=0), line, label=label)
    axes.set_ylabel("units a period, all series")
    axes.set_title(str(result))
    axes.legend()
    figure.savefig(out / f"{sample.name}.png", dpi=110)


def keep(sample: Sample, model: Forecaster) -> Result:
    """Write the model folder of this version and what it forecasts; reviewed and committed like code."""
    folder = RELEASED / forecasting.__version__ / sample.name
    shutil.rmtree(folder, ignore_errors=True)
    models.save(model, folder)
    made = forecasts(model, sample)
    numbers = {f"mean_{k}": one.mean for k, one in enumerate(made)}
    numbers |= {f"quantiles_{k}": one.quantiles for k, one in enumerate(made) if one.quantiles is not None}
    np.savez_compressed(folder / KEPT, panel=np.array(digest(sample.panel)), **numbers)
    write_manifest(folder)
    return Result(sample.name, f"kept in {folder.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
