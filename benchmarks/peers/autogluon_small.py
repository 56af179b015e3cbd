"""AutoGluon-TimeSeries on the smaller data sets: `medium_quality` within a time limit, as its quick start does.

Pretrained models (Chronos, Toto) are left out: their weights are downloaded at run time, which a benchmark machine
without a network cannot do. Quantiles are its own.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from autogluon.timeseries import TimeSeriesDataFrame, TimeSeriesPredictor

from benchmarks.peers import arguments, hand_over
from benchmarks.small import SETS

QUANTILES = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]


def main() -> None:
    parser = arguments(__doc__, ["medium_quality"])
    parser.add_argument("--set", choices=list(SETS), required=True, help="data set")
    parser.add_argument("--position", type=int, required=True, help="number of known periods")
    parser.add_argument("--masked", action="store_true", help="fill unobserved periods from the last season")
    parser.add_argument("--metric", default="WAPE", help="AutoGluon's name of what it chooses by")
    parser.add_argument("--limit", type=int, default=240, help="seconds of training")
    chosen = parser.parse_args()
    given = SETS[chosen.set](chosen.data)
    history = given.long(chosen.position, chosen.masked)
    statics = [name for name in given.series.columns if name != "unique_id"]
    columns = ["unique_id", "ds", "y", *given.known]
    began = time.perf_counter()
    frame = TimeSeriesDataFrame.from_data_frame(
        history[columns], id_column="unique_id", timestamp_column="ds",
        static_features_df=given.series.astype(str) if statics else None,
    )  # fmt: skip
    predictor = TimeSeriesPredictor(
        prediction_length=given.horizon, target="y", freq=given.alias, eval_metric=chosen.metric,
        known_covariates_names=list(given.known) or None, quantile_levels=QUANTILES,
        path=str(chosen.out / "model"), verbosity=2,
    )  # fmt: skip
    predictor.fit(
        frame, presets=chosen.config, time_limit=chosen.limit, random_seed=7,
        excluded_model_types=["Chronos", "Chronos2", "Toto2"],
    )  # fmt: skip
    future = None
    if given.known:
        future = TimeSeriesDataFrame.from_data_frame(
            given.future(chosen.position), id_column="unique_id", timestamp_column="ds"
        )
    found = predictor.predict(frame, known_covariates=future).reset_index()
    names = {"item_id": "unique_id", "timestamp": "ds"} | {f"{q:g}": f"p{round(100 * q):02d}" for q in QUANTILES}
    found = pd.DataFrame(found).rename(columns={column: names.get(str(column), str(column)) for column in found})
    numbers = ["mean", *(f"p{round(100 * q):02d}" for q in QUANTILES)]
    found[numbers] = np.maximum(found[numbers], 0)
    facts = {"seconds": {"fit and predict": time.perf_counter() - began}, "chosen": predictor.model_best}
    hand_over(chosen.out, found, facts, ["autogluon.timeseries", "pandas"])


if __name__ == "__main__":
    main()
