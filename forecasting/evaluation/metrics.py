"""Accuracy measures over matrices of series by periods; NaN actuals (unobserved) never count.

y, f: (n, horizon) units. Conventions: bias = forecast - actual, positive = over-forecast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.panel.hierarchy import Level, levels
from forecasting.panel.memory import blocks, release
from forecasting.panel.panel import Panel

Array = NDArray[np.floating]
Recent = tuple[NDArray[np.float64], NDArray[np.float64]]  # money and units, (n_series,) each


def wape(y: Array, f: Array) -> float:
    """Sum of absolute errors over the sum of actuals, a share; NaN where nothing was sold."""
    seen = np.isfinite(y)
    sold = float(np.abs(y[seen]).sum(dtype=np.float64))
    return float(np.abs(y[seen] - f[seen]).sum(dtype=np.float64)) / sold if sold > 0 else float("nan")


def bias(y: Array, f: Array) -> float:
    """Sum of (forecast - actual) over the sum of actuals, a share."""
    seen = np.isfinite(y)
    sold = float(np.abs(y[seen]).sum(dtype=np.float64))
    return float((f[seen] - y[seen]).sum(dtype=np.float64)) / sold if sold > 0 else float("nan")


def scales(y: Array, season: int = 1, squared: bool = False) -> NDArray[np.float64]:
    """(n,) mean absolute (or squared) seasonal difference of each history from its first sale on; NaN where unknown.

    The denominator of MASE (Hyndman and Koehler, 2006) and, squared with season 1, of RMSSE (M5 competition, 2020).
    """
    sold = np.nan_to_num(y) > 0
    first = np.where(sold.any(axis=1), sold.argmax(axis=1), y.shape[1])
    live = np.where(np.arange(y.shape[1]) >= first[:, None], y, np.nan)
    difference = live[:, season:] - live[:, :-season]
    seen = np.isfinite(difference)
    error = np.where(seen, difference**2 if squared else np.abs(difference), 0)
    count = seen.sum(axis=1)
    scale = error.sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
    return np.where((count > 0) & (scale > 0), scale, np.nan)


def scales_at(y: Array, season: int, ends: Sequence[int]) -> NDArray[np.float64]:
    """(n, len(ends)): `scales` of the first so many periods, for rising `ends`, in one pass over the history."""
    result = np.empty((len(y), len(ends)))
    for part in blocks(len(y)):
        block = y[part]
        begun = np.maximum.accumulate(np.nan_to_num(block) > 0, axis=1)
        error = np.abs(block[:, season:] - block[:, :-season])
        seen = np.isfinite(error) & begun[:, :-season]
        error[~seen] = 0
        total, count, known = np.zeros(len(block)), np.zeros(len(block)), 0
        for column, end in enumerate(ends):
            new = slice(known, max(end - season, 0))
            total += error[:, new].sum(axis=1, dtype=np.float64)
            count += seen[:, new].sum(axis=1)
            result[part, column] = np.where(total > 0, total / np.maximum(count, 1), np.nan)
            known = new.stop
        release(y)
    return result


def _mean_by_row(values: Array, seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    count = seen.sum(axis=1)
    total = np.where(seen, values, 0).sum(axis=1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mase(y: Array, f: Array, scale: Array) -> float:
    """Mean over series of the mean absolute error over the series' scale; series without a scale are left out."""
    return _nanmean(_mean_by_row(np.abs(y - f), np.isfinite(y)) / scale)


def rmsse(y: Array, f: Array, scale: Array) -> NDArray[np.float64]:
    """(n,) root of the mean squared error over the series' squared scale; NaN where unknown."""
    return np.sqrt(_mean_by_row((y - f) ** 2, np.isfinite(y)) / scale)


def pinball(y: Array, q: Array, quantiles: Sequence[float]) -> float:
    """Mean pinball loss over all quantiles, units. q: (n, horizon, n_quantiles)."""
    error = y[..., None] - q
    level = np.asarray(quantiles)
    return _nanmean(np.maximum(level * error, (level - 1) * error))


def coverage(y: Array, low: Array, high: Array) -> float:
    """Share of actuals from `low` to `high`, both included."""
    seen = np.isfinite(y)
    inside = (y[seen] >= low[seen]) & (y[seen] <= high[seen])
    return float(inside.mean()) if len(inside) else float("nan")


def _nanmean(values: Array) -> float:
    seen = np.isfinite(values)
    return float(values[seen].mean(dtype=np.float64)) if seen.any() else float("nan")


def mae(y: Array, f: Array) -> float:
    """Mean absolute error, units a period; NaN where nothing was observed."""
    seen = np.isfinite(y)
    return _nanmean(np.abs(y[seen] - f[seen]))


def hierarchical_rmsse(panel: Panel, y: Array, f: Array) -> pd.DataFrame:
    """RMSSE of each level, groups weighted by `weights`: the M5 competition's WRMSSE by level.

    `panel` ends at the cutoff and gives scales (its history) and weights. Gives level, value; the row `all` is the mean
    over the levels that have a value. NaN where no group has a scale and an actual.
    """
    seen, recent = np.isfinite(y), recent_sales(panel)
    rows = []
    for level in levels(panel.series, panel.levels):
        observed = level.sum(seen.astype(np.float32)) > 0
        actual = np.where(observed, level.sum(np.where(seen, y, 0)), np.nan)
        error = rmsse(actual, level.sum(np.where(seen, f, 0)), scales(_level_history(panel, level), squared=True))
        good = np.isfinite(error)
        value = float((np.where(good, error, 0) * weights(recent, level, good)).sum()) if good.any() else float("nan")
        rows.append({"level": level.name, "value": value})
    table = pd.DataFrame(rows)
    return pd.concat([table, pd.DataFrame([{"level": "all", "value": table["value"].mean()}])], ignore_index=True)


def weights(recent: Recent, level: Level, measurable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n_groups,) shares of a level's groups in its score, adding to 1; 0 where a group is not measurable.

    recent: as `recent_sales` gives them. By sales in money; in units where the money of all measurable groups is 0
    (prices of 0, or none known at the cutoff); alike where they sold nothing. All 0 where no group is measurable.
    """
    for sales in recent:
        weight = np.where(measurable, level.sum(sales[:, None])[:, 0], 0)
        total = float(weight.sum())
        if total > 0:
            return np.asarray(weight / total, dtype=np.float64)
    return np.asarray(measurable / max(int(measurable.sum()), 1), dtype=np.float64)


def recent_sales(panel: Panel) -> Recent:
    """Sales of the newest 4 seasons (of 13 periods at most): (n_series,) money at the price of the day, and units.

    A day without a price counts at the series' mean price of these days; a series without any, at the mean price of
    the others, weighted by their units. Where no price is known at all, both are units.
    """
    periods = len(panel.periods)
    width = min(periods, panel.frequency.weighed)
    units = np.nan_to_num(panel.y[:, -width:]).astype(np.float64)
    sums: NDArray[np.float64] = units.sum(axis=1)
    if "price" not in panel.known:
        return sums, sums
    price = np.broadcast_to(panel.known["price"][:, periods - width : periods], units.shape)
    priced = np.isfinite(price)
    if not priced.any():
        return sums, sums
    money = np.where(priced, units * np.where(priced, price, 0), 0).sum(axis=1)
    rest, sold = np.where(priced, 0, units).sum(axis=1), np.where(priced, units, 0).sum(axis=1)
    if not (rest > 0).any():
        return money, sums
    count = priced.sum(axis=1)
    own = np.where(priced, price, 0).sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
    usual = float(money.sum() / sold.sum()) if sold.sum() > 0 else float(own[count > 0].mean())
    return money + rest * np.where(count > 0, own, usual), sums


def _level_history(panel: Panel, level: Level) -> Array:
    return panel.y if level.name == "series" else level.sum(panel.y)
