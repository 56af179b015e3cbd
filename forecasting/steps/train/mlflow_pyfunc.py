"""The script that MLflow runs when somebody loads a version as a pyfunc: history in, forecasts out.

    model = mlflow.pyfunc.load_model("models:/demand@champion")
    model.predict(frame, params={"horizon": 28})

frame: unique_id, ds (first day of the period), y (units a period), one row a series and period. Text columns are the
series' attributes; number columns are covariates known ahead, and rows with an empty y after the newest sale carry
their future. Result: unique_id, ds, mean, p05..p95 (units a period), status, reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from forecasting import models
from forecasting.core.errors import TableError, some
from forecasting.core.frequency import Frequency
from forecasting.models.base import QUANTILES
from forecasting.panel.panel import Matrix, Panel
from forecasting.storage.registry.manifest import verify

KEY = ("unique_id", "ds", "y")


class Served(PythonModel):
    """A registered version behind MLflow's own interface; the nightly forecast loads the same folder directly."""

    def load_context(self, context: PythonModelContext) -> None:
        """Check the model folder, then load it. Raises ArtifactError where it is not what was registered."""
        folder = Path(context.artifacts["model"])
        verify(folder)
        self._model = models.load(folder)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Forecast every series of `model_input`; params: `horizon` in periods, `frequency` (0, "" = as trained)."""
        asked = {key: value for key, value in (params or {}).items() if value}
        options = {**(context.model_config or {}), **asked}
        panel = panel_of(model_input, options)
        horizon = int(options["horizon"])
        forecast = self._model.predict(panel, horizon)
        table = pd.DataFrame(
            {
                "unique_id": np.repeat(panel.unique_ids, horizon),
                "ds": np.tile(panel.future(horizon).to_numpy(), len(panel.y)),
                "mean": forecast.mean.ravel().astype(float),
            }
        )
        for position, level in enumerate(QUANTILES):
            values = np.nan if forecast.quantiles is None else forecast.quantiles[:, :, position].ravel().astype(float)
            table[f"p{round(level * 100):02d}"] = values
        table["status"] = np.repeat(forecast.status.astype(str), horizon)
        table["reason"] = np.repeat(forecast.reason.astype(str), horizon)
        return table


def panel_of(frame: pd.DataFrame, options: Mapping[str, Any]) -> Panel:
    """A Panel from long rows. Raises TableError for a missing column, a repeated key, or no sales at all."""
    missing = [name for name in KEY if name not in frame.columns]
    if missing:
        raise TableError(f"The model's input lacks {some(missing)}; it needs unique_id, ds and y, found {some(frame)}.")
    frequency, horizon = Frequency.parse(str(options["frequency"])), int(options["horizon"])
    rows = frame.assign(ds=frequency.starts(pd.DatetimeIndex(pd.to_datetime(frame["ds"]))), y=frame["y"].astype(float))
    repeated = rows.duplicated(["unique_id", "ds"])
    if repeated.any():
        raise TableError(f"The model's input repeats series and period: {some(rows.loc[repeated, 'unique_id'])}.")
    observed = rows.loc[rows["y"].notna(), "ds"]
    if observed.empty:
        raise TableError("The model's input holds no sales: every y is empty.")
    periods = frequency.range(observed.min(), frequency.count(observed.min(), observed.max()))
    names = pd.Index(rows["unique_id"].unique())
    extra = [name for name in rows.columns if name not in KEY]
    numbers = [name for name in extra if pd.api.types.is_numeric_dtype(rows[name])]
    series = rows.groupby("unique_id", sort=False)[[name for name in extra if name not in numbers]].first()
    ahead = frequency.range(periods[0], len(periods) + horizon)
    return Panel(
        y=_matrix(rows, "y", names, periods),
        periods=periods,
        series=series.reindex(names).astype(str).rename_axis("unique_id").reset_index(),
        frequency=frequency,
        snapshot=str(options.get("snapshot", "")),
        known={name: _matrix(rows, name, names, ahead) for name in numbers},
        levels=tuple(level for level in options.get("levels", ()) if level in series.columns),
    )


def _matrix(rows: pd.DataFrame, name: str, series: pd.Index, periods: pd.DatetimeIndex) -> Matrix:
    """(n_series, n_periods) of one column; NaN where there is no row."""
    values: Matrix = np.full((len(series), len(periods)), np.nan, dtype=np.float32)
    at = periods.get_indexer(pd.Index(rows["ds"]))
    inside = at >= 0
    row = series.get_indexer(pd.Index(rows["unique_id"]))
    values[row[inside], at[inside]] = rows[name].to_numpy(np.float32)[inside]
    return values


set_model(Served())
