"""Scores of every series over several vintages together, added up vintage by vintage."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.evaluation.scores.trends import BEFORE, ENOUGH, NEWEST
from forecasting.evaluation.scores.vintage import Sums, Tally
from forecasting.panel.panel import Matrix

METRICS = ("wape", "bias", "mase", "pinball", "coverage", "naive_wape", "value_added")


class SeriesScores:
    """Sums over the vintages added so far; they are added from the newest to the oldest one."""

    def __init__(self, count: int) -> None:
        self._sums: dict[str, Sums] = {}
        self._vintages = np.zeros(count)
        self._signal = np.zeros((3, count))  # periods, errors, absolute errors of the shortest lead
        self._trend: list[tuple[Sums, Sums]] = []  # absolute errors and units sold of whole first buckets

    def add(self, vintage: Tally, *, whole: bool) -> None:
        """One vintage's sums by series. whole: the actuals of its first bucket are all known.

        The last bucket is the whole horizon (scores.names).
        """
        for name, values in vars(vintage).items():
            self._sums[name] = self._sums.get(name, 0) + values[:, -1:]
        self._vintages += vintage.count[:, -1] > 0
        if whole and len(self._trend) < NEWEST + BEFORE:
            self._trend.append((vintage.absolute[:, 0], vintage.sold[:, 0]))

    def follow(self, actual: Matrix, mean: Matrix) -> None:
        """(n, periods) actuals and forecasts from a vintage to the next newer one: no newer forecast of them exists."""
        seen = np.isfinite(actual)
        error = np.where(seen, mean - actual, 0)
        self._signal += [part.sum(axis=1, dtype=np.float64) for part in (seen, error, np.abs(error))]

    def table(self) -> pd.DataFrame:
        """A row a series, in their order: vintages, periods, the metrics, tracking_signal, wape_trend."""
        if not self._sums:
            return pd.DataFrame(columns=["vintages", "periods", *METRICS, "tracking_signal", "wape_trend"])
        tally = Tally(**self._sums)
        return pd.DataFrame(
            {"vintages": self._vintages.astype(int), "periods": tally.count[:, 0].astype(int)}
            | {name: values[:, 0] for name, values in tally.metrics().items()}
            | {"tracking_signal": self._tracking_signal(), "wape_trend": self._wape_trend()}
        )

    def _tracking_signal(self) -> NDArray[np.float64]:
        """Sum of the errors over the mean absolute deviation: n with all of n on one side, around 0 without a bias.

        Source: Brown (1959), Statistical forecasting for inventory control; Trigg (1964), Monitoring a forecasting
        system, who smooths both.
        """
        count, error, absolute = self._signal
        signal = count * error / np.where(absolute > 0, absolute, 1)
        return np.where(count > 0, signal, np.nan)

    def _wape_trend(self) -> NDArray[np.float64]:
        if len(self._trend) < NEWEST + ENOUGH:
            return np.full(len(self._vintages), np.nan)
        new, old = (np.sum(part, axis=0) for part in (self._trend[:NEWEST], self._trend[NEWEST:]))
        sold = (new[1] > 0) & (old[1] > 0)
        trend = new[0] / np.where(sold, new[1], 1) - old[0] / np.where(sold, old[1], 1)
        return np.where(sold, trend, np.nan)
