"""Does the backtest choose well where folds lie in a season of their own? Weekly sales with a strong December, made up.

Ends before April, so that with a horizon of 8 weeks the backtest's older folds lie in or around December, where last
year's week is hard to beat, and the weeks that are forecast do not. Writes a line a seed: the next window's WAPE and
WRMSSE of the champion over those of the best single candidate.

    python -m benchmarks.choice --seeds 10
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecasting import models
from forecasting.core.config.settings import Settings
from forecasting.core.frequency import Frequency
from forecasting.evaluation import metrics
from forecasting.evaluation.relative import BASELINE
from forecasting.panel.panel import Matrix, Panel
from forecasting.steps.train.challenger import challenger

HORIZON, WEEKS = 8, 115
CANDIDATES = ("seasonal_naive", "seasonal_mean", "lightgbm", "ets", "theta")
LAST = "2026-03-30"  # first day of the newest week that is known


def shop(seed: int, items: int = 100, weeks: int = WEEKS) -> tuple[Panel, Matrix]:
    """The panel, and what is sold in the HORIZON weeks after it: (items, HORIZON) units.

    Levels wander by 4 % a week, so that last year's week says little outside of December; in its weeks demand is
    multiplied by 2 to 6, alike from year to year for each item.
    """
    random = np.random.default_rng(seed)
    frequency = Frequency.parse("W-MON")
    periods = frequency.range(pd.Timestamp(LAST), HORIZON + 1)[1:]
    periods = frequency.range(pd.Timestamp(LAST), -(weeks - 1)).append(pd.DatetimeIndex([LAST])).append(periods)
    level = random.lognormal(2.5, 0.8, size=(items, 1)) * np.exp(
        np.cumsum(random.normal(0, 0.04, size=(items, len(periods))), axis=1)
    )
    week = periods.isocalendar().week.to_numpy()
    peak = np.exp(-0.5 * ((week - 50) / 1.8) ** 2) * random.uniform(1, 5, size=(items, 1))
    y = random.poisson(level * (1 + peak) * random.gamma(8, 1 / 8, size=level.shape)).astype(np.float32)
    names = [f"I{number:03d}" for number in range(items)]
    series = pd.DataFrame({"unique_id": names, "item": names, "store": "S"})
    panel = Panel(y[:, :weeks], periods[:weeks], series, frequency, "made up")
    return panel, y[:, weeks:]


def settings(candidates: Sequence[str], folds: int | None, trees: int) -> Settings:
    """The defaults, with these candidates."""
    train = {"models": list(candidates), "folds": folds, "lightgbm": {"trees": trees}}
    return Settings.model_validate(
        {
            "sources": {"shop": {"kind": "files", "path": "."}},
            "extract": {"sales": {"source": "shop", "path": "sales.csv"}},
            "panel": {"frequency": "W-MON", "horizon": HORIZON},
            "train": train,
        }
    )


def one(chosen: Settings, panel: Panel, actual: Matrix) -> tuple[str, dict[str, dict[str, float]]]:
    """The champion's label, and by metric the value of each candidate and of the champion on the next window."""
    made = challenger(chosen, panel, tell=lambda _: None)
    means = {
        name: models.create(name, chosen).fit(panel, HORIZON).predict(panel, HORIZON).mean
        for name in dict.fromkeys((BASELINE, *chosen.train.models))
    }
    means["champion"] = made.final.predict(panel, HORIZON).mean
    scores = {
        "wape": {name: metrics.wape(actual, mean) for name, mean in means.items()},
        "wrmsse": {
            name: float(metrics.hierarchical_rmsse(panel, actual, mean).set_index("level")["value"]["all"])
            for name, mean in means.items()
        },
    }
    return f"{made.final.label} {dict(made.choice.weights)}", scores


def compare(scores: dict[str, float]) -> float:
    """The champion's value over the best candidate's."""
    return scores["champion"] / min(value for name, value in scores.items() if name != "champion")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--trees", type=int, default=150)
    parser.add_argument("--folds", type=int, help="not set: as by default")
    parser.add_argument("--no-blend", action="store_true", help="one candidate instead of a blend")
    parser.add_argument("--models", nargs="+", default=CANDIDATES)
    asked = parser.parse_args()
    found = []
    for seed in range(asked.seeds):
        began = time.perf_counter()
        chosen = settings(asked.models, asked.folds, asked.trees)
        if asked.no_blend:
            chosen = chosen.model_copy(update={"train": chosen.train.model_copy(update={"blend": False})})
        label, scores = one(chosen, *shop(seed, asked.items))
        ratios = {metric: compare(values) for metric, values in scores.items()}
        found.append(ratios)
        each = ", ".join(f"{name} {value:.3f}" for name, value in scores["wape"].items())
        print(
            f"seed {seed}: {label}; WAPE {each}; over the best: {ratios}; {time.perf_counter() - began:.0f} s",
            flush=True,
        )
    print(pd.DataFrame(found).mean().round(4).to_dict())


if __name__ == "__main__":
    main()
