"""The rows of a vintage, in parts: from forecasts to long tables, and from these to totals. Whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.errors import PublishError, some
from forecasting.models.base import QUANTILES, Forecast
from forecasting.models.intervals.calibration import around
from forecasting.models.intervals.levels import Calibrations, Spread
from forecasting.panel.memory import blocks
from forecasting.panel.panel import Matrix, Panel

QUANTILE_COLUMNS = tuple(f"p{round(level * 100):02d}" for level in QUANTILES)
NUMBERS = ("mean", *QUANTILE_COLUMNS)
SLACK = 1e-5  # of the largest number of a row: what float32 leaves
SERIES = 4096  # of a part: with 28 days some 115,000 rows


@dataclass(frozen=True)
class Origin:
    """What made the rows: the same in every row of a run."""

    model: str
    model_version: str
    snapshot: str
    run_id: str


def tables(panel: Panel, forecast: Forecast, rows: NDArray[np.intp], origin: Origin) -> Iterator[pd.DataFrame]:
    """FORECASTS of the series `rows` of the panel, in their order and by date, some thousand series at a time.

    Names and texts are categories, to keep them small. Raises PublishError where there are no quantiles.
    """
    if forecast.quantiles is None:
        raise PublishError("The champion gives no quantiles: it was saved without a calibration; train again.")
    names, horizon = panel.unique_ids, forecast.mean.shape[1]
    for part in blocks(len(rows), SERIES):
        count, found = len(rows[part]), consistent(forecast.mean[part], forecast.quantiles[part])
        columns: dict[str, Any] = {
            "cutoff": pd.Timestamp(panel.cutoff),
            "unique_id": _repeated(names[rows[part]], horizon),
            "ds": np.tile(panel.future(horizon).to_numpy(), count),
            "horizon": np.tile(np.arange(1, horizon + 1), count),
            "mean": forecast.mean[part].ravel(),
        }
        columns |= {name: found[:, :, k].ravel() for k, name in enumerate(QUANTILE_COLUMNS)}
        table = pd.DataFrame(columns)
        for name, value in asdict(origin).items():
            table[name] = pd.Categorical.from_codes(np.zeros(len(table), dtype=np.int8), pd.Index([value], dtype="str"))
        table["status"] = pd.Categorical(np.repeat(forecast.status[part].astype(str), horizon))
        table["reason"] = pd.Categorical(np.repeat(forecast.reason[part].astype(str), horizon))
        yield table


def consistent(mean: Matrix, quantiles: Matrix, sums: bool = False) -> Matrix:
    """Quantiles (n, n_steps, n_quantiles) that rise, with the mean (n, n_steps) from p05 to p95.

    sums: steps are sums over the first periods, so that each is at least the one before. What does not hold, as models
    of releases up to 0.2 give it, is moved as little as possible. A p95 of 0 stays: more than 95 % of such periods have
    no demand, and the mean of the others lies above.
    """
    found = np.maximum.accumulate(
        around(quantiles.astype(np.float64), mean.astype(np.float64), np.asarray(QUANTILES)), axis=-1
    )
    if sums:
        found = np.maximum.accumulate(found, axis=1)
    return found.astype(np.float32)


def _repeated(names: NDArray[np.object_], times: int) -> pd.Categorical:
    return pd.Categorical.from_codes(np.repeat(np.arange(len(names)), times), pd.Index(names, dtype="str"))


@dataclass
class Gathered:
    """What one reading of a vintage tells. mean: (n_series, horizon) units, in the order of the panel.

    rows: of the vintage. statuses: series by status. first_version: of its first row. model, version: of the first row
    that this run made.
    """

    mean: Matrix
    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    first_version: str = ""
    model: str = ""
    version: str = ""

    @classmethod
    def of(cls, panel: Panel, horizon: int, run_id: str, pieces: Iterable[pd.DataFrame]) -> Self:
        """No series is lost: every one has its whole horizon, and every row a status and finite numbers.

        Raises PublishError where that is not so.
        """
        names = panel.unique_ids
        index, found = pd.Index(names), cls(np.full((len(names), horizon), np.nan, dtype=np.float32))
        counts = np.zeros((len(names), horizon), dtype=np.int16)
        bad: dict[str, None] = {}
        silent: dict[str, None] = {}
        crossed: dict[str, None] = {}
        for piece in pieces:
            ids = piece["unique_id"].astype("category").cat
            rows, steps = index.get_indexer(ids.categories)[ids.codes.to_numpy()], piece["horizon"].to_numpy() - 1
            inside = (rows >= 0) & (steps < horizon)
            np.add.at(counts, (rows[inside], steps[inside]), 1)
            found.mean[rows[inside], steps[inside]] = piece["mean"].to_numpy()[inside]
            found._take(piece, run_id)
            numbers = piece[["mean", *QUANTILE_COLUMNS]].to_numpy()
            wrong = ~(np.isfinite(numbers) & (numbers >= 0)).all(axis=1)
            bad |= dict.fromkeys(piece.loc[wrong, "unique_id"].astype(str))
            new = (piece["run_id"].astype(str) == run_id).to_numpy()
            crossed |= dict.fromkeys(piece.loc[new & _crossed(numbers), "unique_id"].astype(str))
            mute = (piece["status"] != "ok") & (piece["reason"].astype(str) == "")
            silent |= dict.fromkeys(piece.loc[mute, "unique_id"].astype(str))
        missing = names[(counts != 1).any(axis=1)]
        if len(missing):
            raise PublishError(f"{len(missing):,} series lack forecast rows and nothing is published: {some(missing)}.")
        if bad:
            raise PublishError(f"{len(bad):,} series have forecasts below zero or not finite: {some(bad)}.")
        if crossed:
            raise PublishError(
                f"{len(crossed):,} series have quantiles that fall, or a mean outside of p05 to p95: {some(crossed)}."
            )
        if silent:
            raise PublishError(f"{len(silent):,} series have a status without a reason: {some(silent)}.")
        return found

    def _take(self, piece: pd.DataFrame, run_id: str) -> None:
        self.rows += len(piece)
        self.statuses.update(piece.loc[piece["horizon"] == 1, "status"].astype(str))
        self.first_version = self.first_version or str(piece["model_version"].iloc[0])
        mine = piece if self.version else piece[piece["run_id"] == run_id]
        if not self.version and len(mine):
            self.model, self.version = str(mine["model"].iloc[0]), str(mine["model_version"].iloc[0])

    def origin(self, snapshot: str, run_id: str) -> Origin:
        """Of the totals over these rows."""
        return Origin(self.model, self.version, snapshot, run_id)


def levels(calibrations: Calibrations, panel: Panel, mean: Matrix, origin: Origin) -> Iterator[pd.DataFrame]:
    """FORECAST_LEVELS, a level at a time, from the (n_series, horizon) means."""
    horizon = mean.shape[1]
    days = {"ds": panel.future(horizon), "horizon": np.arange(1, horizon + 1)}
    for spread in calibrations.by_period(panel, mean, series=False):
        yield _long(spread, days, panel, origin)


def sums(calibrations: Calibrations, panel: Panel, mean: Matrix, origin: Origin) -> Iterator[pd.DataFrame]:
    """FORECAST_SUMS, a level at a time and the series in parts, from the (n_series, horizon) means."""
    for spread in calibrations.by_sum(panel, mean):
        yield _long(spread, {"periods": calibrations.windows}, panel, origin, sums=True)


def _crossed(numbers: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(n,) whether quantiles fall, or the mean, the first of the (n, 1 + n_quantiles) numbers, lies outside of them."""
    mean, quantiles = numbers[:, 0], numbers[:, 1:]
    slack = SLACK * np.maximum(np.abs(numbers).max(axis=1), SLACK)
    falling = (np.diff(quantiles, axis=1) < -slack[:, None]).any(axis=1)
    high = quantiles[:, -1]
    outside = (quantiles[:, 0] > mean + slack) | ((high > 0) & (mean > high + slack))
    return np.asarray(falling | outside)


def _long(spread: Spread, steps: Mapping[str, Any], panel: Panel, origin: Origin, sums: bool = False) -> pd.DataFrame:
    """(n_groups x n_steps) rows with the level, the group's name and the columns of its steps."""
    count, width = spread.mean.shape
    found = consistent(spread.mean, spread.quantiles, sums)
    columns: dict[str, Any] = {
        "cutoff": pd.Timestamp(panel.cutoff),
        "level": spread.level.name,
        "name": np.repeat(spread.level.labels.astype(str), width),
        **{name: np.tile(np.asarray(values)[:width], count) for name, values in steps.items()},
        "mean": spread.mean.ravel(),
    }
    columns |= {name: found[:, :, k].ravel() for k, name in enumerate(QUANTILE_COLUMNS)}
    return pd.DataFrame(columns).assign(**asdict(origin))
