"""Demand over the first periods of a forecast together, as a distribution of the sum: what stock is planned by.

The sum of quantiles is not the quantile of the sum. The champion is calibrated on sums of some lengths
(models/calibrations.py); for a length between two of them, the spread around the mean is taken from both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.data.hierarchy import SERIES
from forecasting.data.panel import Matrix, Panel
from forecasting.errors import PlanningError
from forecasting.models.calibration import GRID
from forecasting.models.calibrations import Calibrations

Numbers = NDArray[np.float64]


def distribution(
    calibrations: Calibrations, panel: Panel, mean: Matrix, periods: int, at: Sequence[float] = GRID
) -> Numbers:
    """(n_series, len(at)) quantiles of the demand of the first `periods` periods, from (n_series, horizon) means.

    Raises PlanningError for more periods than the horizon has.
    """
    if not 1 <= periods <= mean.shape[1]:
        raise PlanningError(
            f"Demand over {periods} periods cannot be told from a forecast of {mean.shape[1]}; allowed is 1 to that."
        )
    total = mean[:, :periods].sum(axis=1, dtype=np.float64)
    lengths = [1, *(width for width in calibrations.windows if 1 < width <= mean.shape[1])]
    below = max(length for length in lengths if length <= periods)
    above = min((length for length in lengths if length >= periods), default=below)
    ratio = _ratios(calibrations, panel, mean, below, at)
    if above != below:
        # Errors that are independent of each other shrink, seen beside the mean, by the root of the length.
        share = (below**-0.5 - periods**-0.5) / (below**-0.5 - above**-0.5)
        ratio = (1 - share) * ratio + share * _ratios(calibrations, panel, mean, above, at)
    found: Numbers = total[:, None] * ratio
    return found


def _ratios(calibrations: Calibrations, panel: Panel, mean: Matrix, length: int, at: Sequence[float]) -> Numbers:
    """(n_series, len(at)) quantiles over the mean of a sum of a length that was calibrated; 0 where the mean is."""
    if length == 1:
        total = mean[:, :1]
        found = calibrations.days[SERIES].quantiles(panel, total, at=at)[:, 0]
        return _over(found, total[:, 0])
    widths = [width for width in calibrations.windows if width <= mean.shape[1]]
    running = np.cumsum(mean, axis=1, dtype=np.float64)[:, [width - 1 for width in widths]].astype(np.float32)
    place = widths.index(length)
    found = calibrations.sums[SERIES].quantiles(panel, running, at=at)[:, place]
    return _over(found, running[:, place])


def _over(quantiles: Matrix, mean: Matrix) -> Numbers:
    some = np.where(mean > 0, mean, 1).astype(np.float64)
    return np.where(mean[:, None] > 0, quantiles / some[:, None], 0.0)


def quantile(distributed: Numbers, levels: Numbers, at: Sequence[float] = GRID) -> Numbers:
    """(n,) quantiles, each row of (n, len(at)) at a level of its own (n,); straight between the levels that are kept.

    Levels outside of those give the nearest one.
    """
    place = np.clip(np.searchsorted(at, levels, side="right") - 1, 0, len(at) - 2)
    low, high = np.asarray(at)[place], np.asarray(at)[place + 1]
    share = np.clip((levels - low) / (high - low), 0, 1)
    rows = np.arange(len(distributed))
    found: Numbers = distributed[rows, place] * (1 - share) + distributed[rows, place + 1] * share
    return found


def above(distributed: Numbers, limit: Numbers, at: Sequence[float] = GRID) -> Numbers:
    """(n,) probability that the sum is larger than a limit (n,), as far as the levels that are kept can tell."""
    risk = np.array([1 - np.interp(value, row, at) for value, row in zip(limit, distributed, strict=True)])
    # Below every quantile it is all but sure, above all of them all but impossible.
    found: Numbers = np.where(limit < distributed[:, 0], 1 - at[0], risk) if len(risk) else np.empty(0)
    return found
