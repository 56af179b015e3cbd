"""Whether a challenger takes over: only on periods that neither it nor the champion had been trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.data.panel import Panel
from forecasting.evaluation import metrics
from forecasting.models.base import Forecaster


@dataclass(frozen=True)
class Verdict:
    """Promote or not, why, and the two figures compared (lower is better; NaN where there was none)."""

    promote: bool
    reason: str
    challenger: float = float("nan")
    champion: float = float("nan")


def judge(panel: Panel, challenger: Forecaster, champion: Forecaster, known: int, improvement: float) -> Verdict:
    """Let both forecast the periods after the first `known`, which neither model was trained on.

    The figure is the weighted RMSSE over the panel's levels; the challenger needs `improvement` (a share) less.
    """
    horizon = len(panel.periods) - known
    past, actual = panel.first(known), panel.y[:, known:]
    mine, theirs = (_figure(past, actual, model, horizon) for model in (challenger, champion))
    return compare(mine, theirs, improvement, f"on the {horizon} periods to {panel.cutoff} that neither had seen")


def compare(challenger: float, champion: float, improvement: float, where: str) -> Verdict:
    """The rule itself. A figure that is not a number never wins."""
    wanted = champion * (1 - improvement)
    better = bool(np.isfinite(challenger)) and (not np.isfinite(champion) or challenger < wanted)
    text = (
        f"challenger {challenger:.4f} {'<' if better else 'not <'} {wanted:.4f} "
        f"(champion {champion:.4f}, improvement wanted {improvement:.1%}) {where}"
    )
    return Verdict(better, text, challenger, champion)


def _figure(past: Panel, actual: np.ndarray, model: Forecaster, horizon: int) -> float:
    mean = model.predict(past, horizon).mean
    table = metrics.hierarchical_rmsse(past, actual, mean)
    return float(table.loc[table["level"] == "all", "value"].iloc[0])
