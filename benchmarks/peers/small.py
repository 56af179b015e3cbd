"""statsforecast and mlforecast on the smaller data sets: one fit, one predict. `--set NAME --position N`.

Models with their documented defaults; season and frequency are the data's. Quantiles, where they are asked for, are
conformal (`ConformalIntervals`), which statsforecast documents for its intermittent models.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import ExpandingMean, ExponentiallyWeightedMean, RollingMean
from mlforecast.target_transforms import LocalStandardScaler
from mlforecast.utils import PredictionIntervals
from statsforecast import StatsForecast
from statsforecast.models import (
    ADIDA,
    IMAPA,
    TSB,
    AutoARIMA,
    AutoETS,
    AutoTheta,
    CrostonClassic,
    CrostonOptimized,
    CrostonSBA,
    Naive,
    SeasonalNaive,
    WindowAverage,
    ZeroModel,
)
from statsforecast.utils import ConformalIntervals

from benchmarks.peers import arguments, hand_over
from benchmarks.small import SETS, Small, short_histories

LEVELS = [50, 80, 90]  # intervals whose ends are p05 p10 p25 p75 p90 p95
WINDOWS = 4  # of the conformal intervals
Make = Callable[[int, Any], Any]
STATISTICAL: dict[str, Make] = {
    "seasonal_naive": lambda season, _: SeasonalNaive(season, alias="mean"),
    "naive": lambda _, spread: Naive(alias="mean", prediction_intervals=spread),
    "zero": lambda _, spread: ZeroModel(alias="mean"),  # noqa: ARG005 (all are made alike)
    "window_average": lambda season, spread: WindowAverage(min(season, 13), alias="mean", prediction_intervals=spread),
    "auto_arima": lambda season, _: AutoARIMA(season_length=season, alias="mean"),
    "auto_arima_approximation": lambda season, _: AutoARIMA(season_length=season, approximation=True, alias="mean"),
    "auto_ets": lambda season, _: AutoETS(season_length=min(season, 24), alias="mean"),
    "auto_theta": lambda season, _: AutoTheta(season_length=season, alias="mean"),
    "croston": lambda _, spread: CrostonClassic(alias="mean", prediction_intervals=spread),
    "croston_optimized": lambda _, spread: CrostonOptimized(alias="mean", prediction_intervals=spread),
    "sba": lambda _, spread: CrostonSBA(alias="mean", prediction_intervals=spread),
    "tsb": lambda _, spread: TSB(0.2, 0.2, alias="mean", prediction_intervals=spread),
    "adida": lambda _, spread: ADIDA(alias="mean", prediction_intervals=spread),
    "imapa": lambda _, spread: IMAPA(alias="mean", prediction_intervals=spread),
}
OBJECTIVES = {"lightgbm_l2": {}, "lightgbm_l1": {"objective": "l1"}, "lightgbm_tweedie": {"objective": "tweedie"}}
LAGS = {7: [1, 2, 3, 7, 14, 21, 28], 52: [1, 2, 3, 4, 8, 13, 26, 52], 12: [1, 2, 3, 6, 12], 1: [1, 2, 3, 4, 8]}
VARIANTS = ("", "_scaled", "_masked", "_scaled_masked")  # see `learned`
CALENDAR = {"D": ["dayofweek", "day", "week", "month"], "W": ["week", "month"], "M": ["month"]}


def main() -> None:
    parser = arguments(__doc__, [*STATISTICAL, *(name + kind for name in OBJECTIVES for kind in VARIANTS)])
    parser.add_argument("--set", choices=list(SETS), required=True, help="data set")
    parser.add_argument("--position", type=int, required=True, help="number of known periods")
    parser.add_argument("--masked", action="store_true", help="fill unobserved periods from the last season")
    parser.add_argument("--quantiles", action="store_true", help="write p05..p95 too")
    parser.add_argument("--newest", type=int, default=0, help="periods of history that are used; 0 = all")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    chosen = parser.parse_args()
    given = SETS[chosen.set](chosen.data)
    history = given.long(chosen.position, chosen.masked or chosen.config.endswith("_masked"))
    if chosen.newest:
        history = history[history["ds"] >= given.periods[max(0, chosen.position - chosen.newest)]]
    began = time.perf_counter()
    if chosen.config in STATISTICAL:
        forecast, packages = statistical(chosen, given, history), ["statsforecast", "pandas"]
    else:
        forecast, packages = learned(chosen, given, history), ["mlforecast", "lightgbm", "pandas"]
    seconds = time.perf_counter() - began
    numbers = [name for name in forecast if name not in ("unique_id", "ds")]
    forecast[numbers] = np.maximum(short_histories(forecast, history)[numbers], 0)
    hand_over(chosen.out, forecast, {"rows": len(history), "seconds": {"fit and predict": seconds}}, packages)


def statistical(chosen: Any, given: Small, history: pd.DataFrame) -> pd.DataFrame:
    """One of statsforecast's models on every series; promotions go in as X where the model takes them."""
    spread = ConformalIntervals(h=given.horizon, n_windows=WINDOWS) if chosen.quantiles else None
    with_x = list(given.known) if chosen.config.startswith("auto_arima") else []
    model = STATISTICAL[chosen.config](given.season, spread)
    if chosen.quantiles:  # a series needs as many periods as its intervals are measured on
        counts = history.groupby("unique_id", observed=True)["ds"].transform("size")
        history = history[counts > WINDOWS * given.horizon + 1]
    forecaster = StatsForecast(models=[model], freq=given.alias, n_jobs=chosen.jobs, fallback_model=Naive(alias="mean"))
    future = given.future(chosen.position)
    future = future[future["unique_id"].isin(history["unique_id"].unique())] if with_x else None
    found = forecaster.forecast(
        df=history[["unique_id", "ds", "y", *with_x]],
        h=given.horizon,
        X_df=future,
        level=LEVELS if chosen.quantiles and chosen.config != "zero" else None,
    )
    return _named(found) if chosen.config != "zero" else _point(found)


def learned(chosen: Any, given: Small, history: pd.DataFrame) -> pd.DataFrame:
    """mlforecast + LightGBM, recursive, over all series, with attributes and the covariates known ahead.

    `_scaled`: each series standardised. `_masked`: unobserved periods are filled for the lags and no training rows.
    """
    name = chosen.config.removesuffix("_masked").removesuffix("_scaled")
    weight = None
    if chosen.config.endswith("_masked"):
        row = pd.Index(given.series["unique_id"]).get_indexer(history["unique_id"])
        seen = np.isfinite(given.y[row, given.periods.get_indexer(history["ds"])])
        history, weight = history.assign(weight=seen.astype(np.float64)), "weight"
    lags, static = LAGS[given.season], [column for column in given.series.columns if column != "unique_id"]
    forecaster = MLForecast(
        models={"mean": lgb.LGBMRegressor(**OBJECTIVES[name], n_estimators=200, random_state=7, verbosity=-1)},
        freq=given.alias,
        lags=lags,
        lag_transforms={
            1: [ExpandingMean(), ExponentiallyWeightedMean(0.2), RollingMean(4, min_samples=1)],
            lags[3]: [RollingMean(min(28, max(lags)), min_samples=1)],
        },
        date_features=CALENDAR[given.code[0]],
        target_transforms=[LocalStandardScaler()] if "_scaled" in chosen.config else None,
        num_threads=2,
    )
    spread = PredictionIntervals(n_windows=WINDOWS, h=given.horizon) if chosen.quantiles else None
    forecaster.fit(history, static_features=static, prediction_intervals=spread, weight_col=weight)
    future = given.future(chosen.position) if given.known else None
    found = forecaster.predict(given.horizon, X_df=future, level=LEVELS if chosen.quantiles else None)
    return _named(found)


def _named(found: pd.DataFrame) -> pd.DataFrame:
    """`mean-lo-90` to p05 and so on; the point forecast stands for the median."""
    ends = {}
    for level in LEVELS:
        ends |= {f"mean-lo-{level}": f"p{(100 - level) // 2:02d}", f"mean-hi-{level}": f"p{(100 + level) // 2:02d}"}
    found = found.rename(columns=ends)
    if "p05" in found:
        found["p50"] = found["mean"]
    return found.reset_index(drop=True)


def _point(found: pd.DataFrame) -> pd.DataFrame:
    """A forecast that is sure of itself: every quantile is the point."""
    return found.assign(**{f"p{share:02d}": found["mean"] for share in (5, 10, 25, 50, 75, 90, 95)})


if __name__ == "__main__":
    main()
