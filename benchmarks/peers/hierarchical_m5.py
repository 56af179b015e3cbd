"""hierarchicalforecast on M5: a bottom forecast (`--bottom`, a Parquet file) reconciled with AutoETS of levels 1-9.

As its documentation does for large hierarchies: a sparse summing matrix and MinTraceSparse. `--totals` is what
`levels_m5 --config auto_ets` wrote.
"""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from hierarchicalforecast.methods import MinTraceSparse
from scipy import sparse

from benchmarks.data import read_m5
from benchmarks.hierarchy import days_after, group_of
from benchmarks.peers import arguments, hand_over

METHODS = {"mint_wls_struct": MinTraceSparse("wls_struct"), "mint_ols": MinTraceSparse("ols")}
LEVELS = range(1, 10)


def main() -> None:
    parser = arguments(__doc__, METHODS)
    parser.add_argument("--cutoff", type=date.fromisoformat, required=True, help="last day whose sales are known")
    parser.add_argument("--horizon", type=int, default=28, help="days")
    parser.add_argument("--bottom", type=Path, required=True)
    parser.add_argument("--totals", type=Path, required=True)
    chosen = parser.parse_args()
    m5, began = read_m5(chosen.data / "m5"), time.perf_counter()
    days, names = days_after(chosen.cutoff, chosen.horizon), list(m5.series["unique_id"])
    bottom = _wide(pd.read_parquet(chosen.bottom), "unique_id", names, days)
    totals, rows, values = pd.read_parquet(chosen.totals), [], []
    for level in LEVELS:
        codes, labels = group_of(m5.series, level)
        ones = np.ones(len(codes))
        rows.append(sparse.csr_matrix((ones, (codes, np.arange(len(codes)))), shape=(len(labels), len(codes))))
        values.append(_wide(totals[totals["level"] == level], "name", list(labels), days))
    summing = sparse.vstack([*rows, sparse.identity(len(names))], format="csr")
    base = np.vstack([*values, bottom])
    places = np.arange(summing.shape[0] - len(names), summing.shape[0])
    found = METHODS[chosen.config].fit_predict(S=summing, y_hat=base)["mean"][places]
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(names, chosen.horizon),
            "ds": np.tile(days, len(names)),
            "mean": np.maximum(found, 0).ravel(),
        }
    )
    facts = {"seconds": {"reconcile": time.perf_counter() - began}}
    hand_over(chosen.out, frame, facts, ["hierarchicalforecast", "statsforecast", "pandas"])


def _wide(frame: pd.DataFrame, key: str, labels: list[str], days: pd.DatetimeIndex) -> np.ndarray:
    """(len(labels), days); 0 where there is no row."""
    wide = frame.pivot(index=key, columns="ds", values="mean").reindex(index=labels, columns=days)
    return wide.fillna(0).to_numpy(dtype=np.float64)


if __name__ == "__main__":
    main()
