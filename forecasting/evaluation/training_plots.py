"""Plots of a training: what the backtest looked like, and what the model looked at."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from forecasting.evaluation.selection import Choice, Contest
from forecasting.models.blend import Blend

SHOWN = 24  # features
HISTORY = 8  # weeks of history before the oldest fold


def training(contest: Contest, choice: Choice, final: Blend, rows: NDArray[np.intp]) -> dict[str, Figure]:
    """Figures by name: `backtest`, and `importance` where LightGBM carries weight."""
    figures = {"backtest": _backtest(contest, choice, rows)}
    importance = getattr(final.parts.get("lightgbm"), "importance", None)
    if importance is not None and final.weights.get("lightgbm", 0) > 0:
        figures["importance"] = _importance(importance())
    return figures


def _backtest(contest: Contest, choice: Choice, rows: NDArray[np.intp]) -> Figure:
    """Total demand and the largest series: actuals, and each fold's forecast by the choice and by the baseline."""
    panel, baseline = contest.panel, contest.tests[0]
    shown = [("total", np.arange(len(panel.y))), *((str(panel.unique_ids[row]), np.array([row])) for row in rows[:5])]
    height = 2.4 * len(shown)
    figure = Figure(figsize=(11, height))  # its margins by hand: measuring every text takes as long as drawing
    figure.subplots_adjust(0.09, 0.35 / height, 0.96, 1 - 0.35 / height, hspace=0.35)
    start = max(0, min(contest.plan.folds, default=0) - HISTORY * 7)
    for axes, (title, members) in zip(np.atleast_1d(figure.subplots(len(shown), 1)), shown, strict=True):
        actual = np.nansum(panel.y[members, start:], axis=0)
        axes.plot(panel.periods[start:], actual, color="0.25", lw=1, label="actual")
        for number, fold in enumerate(contest.plan.folds):
            periods = panel.first(fold).future(contest.plan.horizon)
            naive = baseline.means[number][members].sum(axis=0)
            axes.plot(periods, naive, color="tab:orange", lw=0.8, label=baseline.model if number == 0 else None)
            forecast = contest.mix(choice.weights, number, choice.by_class)[members].sum(axis=0)
            axes.plot(periods, forecast, color="tab:blue", lw=1.5, label=choice.label if number == 0 else None)
        axes.set_title(f"{title}, units", loc="left", fontsize=9)
    figure.axes[0].legend(ncol=3, fontsize=8)
    return figure


def _importance(shares: dict[str, float]) -> Figure:
    top = sorted(shares.items(), key=lambda item: item[1])[-SHOWN:]
    figure = Figure(figsize=(8, 0.28 * len(top) + 1), layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in top], [share for _, share in top])
    axes.set_xlabel("share of LightGBM's total gain")
    return figure


def judgement(rows: pd.DataFrame) -> Figure:
    """Challenger against champion: the improvement with its interval, overall and by segment. rows: as of a Verdict."""
    shown = rows[rows["low"].notna()].iloc[::-1]
    figure = Figure(figsize=(8, 0.4 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    middle, place = 100 * shown["improvement"].to_numpy(dtype=float), np.arange(len(shown))
    low, high = (100 * shown[name].to_numpy(dtype=float) for name in ("low", "high"))
    reach = np.abs(np.stack([middle - low, high - middle]))
    axes.errorbar(middle, place, xerr=reach, fmt="o", color="tab:blue", ecolor="0.6", capsize=3)
    axes.axvline(0, color="0.3", lw=1)
    axes.set_yticks(place, [f"{row.rule}: {row.segment}" for row in shown.itertuples()], fontsize=8)
    axes.set_xlabel("challenger better than the champion by, %")
    return figure
