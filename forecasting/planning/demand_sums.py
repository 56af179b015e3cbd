"""Demand over the first periods of a forecast together, as a distribution of the sum: what stock is planned by.

The sum of quantiles is not the quantile of the sum. The champion is calibrated on sums of some lengths
(models/intervals/period_sums.py); for a length between two of them, the score of the error is taken from both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.core.errors import PlanningError
from forecasting.models.intervals.calibration import GRID
from forecasting.models.intervals.levels import Calibrations
from forecasting.models.intervals.ratio_cells import RatioCells
from forecasting.panel.hierarchy import SERIES
from forecasting.panel.memory import blocks
from forecasting.panel.panel import Matrix, Panel

Numbers = NDArray[np.float64]
# Share of the distribution that a level of GRID stands for: half of the way to the levels on either side.
WEIGHTS = np.diff(np.concatenate([[0.0], (np.array(GRID[1:]) + np.array(GRID[:-1])) / 2, [1.0]]))
CROSSED = 1024  # series whose two distributions are crossed at once, each in equal steps: 1,000 numbers a series
# (len(GRID), steps) that take a distribution from the levels of GRID to equal steps.
LATER, AHEAD = (
    np.array([np.interp((np.arange(n) + 0.5) / n, GRID, one) for one in np.eye(len(GRID))]) for n in (100, 10)
)


def distribution(
    calibrations: Calibrations, panel: Panel, mean: Matrix, periods: int, at: Sequence[float] = GRID, after: int = 0
) -> Numbers:
    """(n_series, len(at)) quantiles of the demand of `periods` periods, from (n_series, horizon) means.

    after: periods before them that do not count; theirs spreads beside its mean as that of the first ones would. Raises
    PlanningError for more periods than the horizon has.
    """
    horizon = mean.shape[1]
    if periods < 1 or after + periods > horizon:
        raise PlanningError(
            f"Demand over {periods} periods{f' after {after}' if after else ''} cannot be told from a forecast of "
            f"{horizon}; allowed is 1 to that."
        )
    if isinstance(one := calibrations.days[SERIES], RatioCells):
        return _of_ratios(calibrations, panel, mean[:, after : after + periods], horizon, at)
    found: Numbers = np.empty((len(mean), len(at)))
    for part in blocks(len(mean)):
        rows = np.arange(part.start, part.stop)
        found[part] = one.total(panel, mean[part], rows, at, (after, periods))[:, 0]
    return found


def _of_ratios(calibrations: Calibrations, panel: Panel, mean: Matrix, horizon: int, at: Sequence[float]) -> Numbers:
    """The same by ratios of sums, as a model of releases up to 0.2 has them. mean: of the periods that count."""
    periods = mean.shape[1]
    total = mean.sum(axis=1, dtype=np.float64)
    lengths = [1, *(width for width in calibrations.windows if 1 < width <= horizon)]
    below = max(length for length in lengths if length <= periods)
    above = min((length for length in lengths if length >= periods), default=below)
    # At its average rate: the first period alone may be a closed day, with nothing to learn a spread from.
    rate = total / periods
    ratio = _ratios(calibrations, panel, rate, (below, horizon), at)
    if above != below:
        # Errors that are independent of each other shrink, seen beside the mean, by the root of the length.
        share = (below**-0.5 - periods**-0.5) / (below**-0.5 - above**-0.5)
        ratio = (1 - share) * ratio + share * _ratios(calibrations, panel, rate, (above, horizon), at)
    found: Numbers = total[:, None] * ratio
    return found


def _ratios(
    calibrations: Calibrations, panel: Panel, rate: Numbers, span: tuple[int, int], at: Sequence[float]
) -> Numbers:
    """(n_series, len(at)) quantiles over the mean of a sum of a length that was calibrated; 0 where the mean is.

    rate: (n_series,) mean units a period. span: (length, horizon of the forecast).
    """
    length, horizon = span
    if length == 1:
        total = rate[:, None].astype(np.float32)
        found = calibrations.days[SERIES].quantiles(panel, total, at=at)[:, 0]
        return _over(found, total[:, 0])
    widths = [width for width in calibrations.windows if width <= horizon]
    running = (rate[:, None] * np.array(widths)).astype(np.float32)
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
    below = distributed[rows, place]
    found: Numbers = below + share * (distributed[rows, place + 1] - below)
    return found


def above(distributed: Numbers, limit: Numbers, at: Sequence[float] = GRID) -> Numbers:
    """(n,) probability that the sum is larger than a limit (n,), as far as the levels that are kept can tell."""
    risk = np.array([1 - np.interp(value, row, at) for value, row in zip(limit, distributed, strict=True)])
    # Below every quantile it is all but sure, above all of them all but impossible.
    found: Numbers = np.where(limit < distributed[:, 0], 1 - at[0], risk) if len(risk) else np.empty(0)
    return found


def excess(distributed: Numbers, limit: Numbers) -> Numbers:
    """(n,) units expected beyond a limit (n,), of distributions at GRID, (n, len(GRID))."""
    found: Numbers = np.maximum(distributed - limit[:, None], 0) @ WEIGHTS
    return found


def missing(later: Numbers, ahead: Numbers, position: Numbers, levels: Numbers) -> Numbers:
    """(n,) units that are to arrive so that `later` demand is served with a probability of `levels`, (n,).

    The quantile at that level of later demand less what demand `ahead` leaves of the position, which is never below 0:
    what is not there then is lost and not owed. Distributions at GRID, (n, len(GRID)), as if independent of each other.
    """
    found = np.empty(len(later))
    count = LATER.shape[1] * AHEAD.shape[1]
    steps = (np.arange(count) + 0.5) / count
    for part in blocks(len(later), CROSSED):
        left = np.maximum(position[part, None] - ahead[part] @ AHEAD, 0)
        wanted = ((later[part] @ LATER)[:, :, None] - left[:, None, :]).reshape(len(left), -1)
        found[part] = quantile(np.sort(wanted, axis=1), levels[part], steps.tolist())
    return found
