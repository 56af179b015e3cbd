"""mlforecast + LightGBM on M5: read, one fit, one predict. `python -m benchmarks.peers.mlforecast_m5 --help`.

Set up as mlforecast's documentation and its M5 notebook (linked from its README) do: lags of whole weeks, rolling and
expanding means, calendar features, static attributes, and price, event and SNAP as covariates known ahead.
LightGBM's parameters of the `tweedie` configurations are those that M5's public kernels settled on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import ExpandingMean, ExponentiallyWeightedMean, RollingMean, RollingStd
from mlforecast.target_transforms import Differences, LocalStandardScaler

from benchmarks.data import ATTRIBUTES, m5_long, read_m5
from benchmarks.peers import arguments, hand_over

WEEKS = [7 * week for week in range(1, 9)]
NOTEBOOK = {"num_leaves": 256, "force_col_wise": True}
KERNEL = {
    "objective": "tweedie", "tweedie_variance_power": 1.1, "learning_rate": 0.075, "num_leaves": 128,
    "min_child_samples": 100, "subsample": 0.75, "subsample_freq": 1, "reg_lambda": 0.1, "force_col_wise": True,
}  # fmt: skip
RECURSIVE = {
    1: [ExpandingMean(), ExponentiallyWeightedMean(0.1)],
    **{lag: [RollingMean(7), RollingMean(14), RollingMean(28)] for lag in (7, 14, 28)},
}


@dataclass(frozen=True)
class Setup:
    """One configuration: LightGBM's parameters, and what MLForecast and its fit are handed.

    newest: days of history that are kept as training rows where all of them would take hours.
    """

    model: dict[str, Any]
    lags: list[int] = field(default_factory=lambda: [1, *WEEKS])
    transforms: dict[int, Any] = field(default_factory=lambda: RECURSIVE)
    target: list[Any] = field(default_factory=list)
    fit: dict[str, Any] = field(default_factory=dict)
    newest: int | None = None


LAG_28 = {28: [RollingMean(7), RollingMean(28), RollingMean(56), RollingStd(28), ExponentiallyWeightedMean(0.1)]}
SETUPS = {
    "recursive_l2": Setup({**NOTEBOOK, "n_estimators": 200, "learning_rate": 0.05}),
    "recursive_notebook": Setup({**NOTEBOOK, "n_estimators": 50}, lags=WEEKS),
    "recursive_tweedie": Setup({**KERNEL, "n_estimators": 250}),
    "no_recursion_tweedie": Setup({**KERNEL, "n_estimators": 250}, lags=[28, 35, 42, 49, 56], transforms=LAG_28),
    "recursive_scaled_l2": Setup(
        {**NOTEBOOK, "n_estimators": 200, "learning_rate": 0.05}, target=[LocalStandardScaler()]
    ),
    "recursive_differences_l2": Setup(
        {**NOTEBOOK, "n_estimators": 200, "learning_rate": 0.05}, target=[Differences([7])]
    ),
    "direct_tweedie": Setup({**KERNEL, "n_estimators": 80}, fit={"max_horizon": 28}, newest=150),
}


def main() -> None:
    parser = arguments(__doc__, SETUPS)
    parser.add_argument("--cutoff", type=date.fromisoformat, required=True, help="last day whose sales are known")
    parser.add_argument("--horizon", type=int, default=28, help="days")
    chosen = parser.parse_args()
    setup, seconds, began = SETUPS[chosen.config], {}, time.perf_counter()
    history, future = m5_long(read_m5(chosen.data / "m5"), chosen.cutoff, chosen.horizon)
    if setup.newest:
        history = history[history["ds"] > history["ds"].max() - pd.Timedelta(days=setup.newest)]
        history["unique_id"] = history["unique_id"].cat.remove_unused_categories()
    seconds["read"] = time.perf_counter() - began
    forecaster = MLForecast(
        models={"mean": lgb.LGBMRegressor(**setup.model, random_state=7, verbosity=-1, n_jobs=-1)},
        freq="D",
        lags=setup.lags,
        lag_transforms=setup.transforms,
        date_features=["dayofweek", "day", "week", "month", "year"],
        target_transforms=setup.target or None,
        num_threads=2,
    )
    forecaster.fit(history, static_features=ATTRIBUTES, **setup.fit)
    seconds["fit"] = time.perf_counter() - began - seconds["read"]
    known = ["unique_id", "ds", "price", "price_change", "event", "snap"]
    forecast = forecaster.predict(chosen.horizon, X_df=future[known])
    seconds["predict"] = time.perf_counter() - began - seconds["read"] - seconds["fit"]
    forecast["mean"] = np.maximum(forecast["mean"], 0)
    hand_over(chosen.out, forecast, {"rows": len(history), "seconds": seconds}, ["mlforecast", "lightgbm", "pandas"])


if __name__ == "__main__":
    main()
