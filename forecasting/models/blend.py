"""What is registered: one model or a weighted blend of several, with the calibration that gives its quantiles.

Where a part fails, or gives no finite number for a series, the others carry on and the row says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from forecasting import models
from forecasting.core.errors import ArtifactError, ForecastingError, ModelError
from forecasting.models.base import STATUSES, Forecast, Forecaster
from forecasting.models.baselines import SeasonalMean
from forecasting.models.cold_start import named
from forecasting.models.intervals.levels import Calibrations
from forecasting.models.last_year import coming, turned, waiting
from forecasting.models.short_history import insufficient
from forecasting.panel.hierarchy import SERIES
from forecasting.panel.observed import closing_days
from forecasting.panel.observed.absence_codes import ENDED, OBSERVED, QUARANTINED
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.segments import demand_class

SPEC_FILE = "blend.json"
SEASONED = (*models.GLOBAL, "partitioned", "last_year")  # models that know the season of the year before
CALIBRATIONS_FILE = "calibrations.npz"
ROUNDING = 1e-4  # of the largest mean: what float32 leaves
ByClass = Mapping[str, Mapping[str, float]]  # demand class -> model -> weight
NO_CLASSES: ByClass = MappingProxyType({})
FAILURES = (ForecastingError, ValueError, ArithmeticError, np.linalg.LinAlgError)
log = logging.getLogger(__name__)


class Blend:
    """Weighted mean of fitted models. `discontinued_after`: periods without a sale after which demand is zero.

    by_class: weights of their own for the series of each demand class; empty = `weights` for all.
    """

    name = "blend"

    def __init__(
        self,
        parts: Mapping[str, Forecaster],
        weights: Mapping[str, float],
        calibrations: Calibrations | None = None,
        discontinued_after: int | None = None,
        by_class: ByClass = NO_CLASSES,
    ) -> None:
        self.by_class = by_class
        self.parts, self.weights = dict(parts), dict(weights)
        self.calibrations, self.discontinued_after = calibrations, discontinued_after

    @property
    def label(self) -> str:
        """What people call it: the model's name, or `blend` with its parts."""
        used = [name for name, weight in self.weights.items() if weight > 0]
        return used[0] if len(used) == 1 else f"blend({'+'.join(used)})"

    def fit(self, panel: Panel, horizon: int) -> Self:
        """Fit every part that carries weight."""
        for name, weight in self.weights.items():
            if weight > 0:
                self.parts[name].fit(panel, horizon)
        return self

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Mean, quantiles, status and reason for all series, or for `rows` of them seen within the whole panel."""
        forecasts, broken = {}, []
        for name, weight in self.weights.items():
            if weight <= 0:
                continue
            try:
                forecasts[name] = self.parts[name].predict(panel, horizon, rows)
            except FAILURES as error:
                log.exception("Model %s failed; the others stand in for it", name)
                broken.append(f"{name} failed: {error}"[:200])
        if not forecasts:
            forecasts["seasonal_mean"] = SeasonalMean().predict(panel, horizon, rows)
        self._turn(panel, forecasts, horizon, rows)
        combined = self._combine(forecasts, broken, self._classes(panel, rows))
        combined = insufficient(panel, horizon, self._end(panel, combined, rows))
        combined, nothing = _nothing(panel, combined, rows)
        if self.calibrations is None:
            return combined
        quantiles = self.calibrations.days[SERIES].quantiles(panel, combined.mean, rows)
        quantiles = np.where(nothing[:, :, None], np.float32(0), quantiles)
        return Forecast(combined.mean, quantiles, combined.status, combined.reason)

    def explain(self, panel: Panel, horizon: int, rows: NDArray[np.intp]) -> dict[tuple[str, str], NDArray[np.float64]]:
        """(len(rows), horizon) units by model and group of features, weighted as in the blend: they add up to the mean.

        Models that cannot tell more have one group, `history`. What the rules on series that ended or never began
        change afterwards stands under `rules`.
        """
        classes, found = self._classes(panel, rows), dict[tuple[str, str], NDArray[np.float64]]()
        for name in (name for name, weight in self.weights.items() if weight > 0):
            share = shares(name, self.weights, self.by_class, classes)
            part = self.parts[name]
            told = getattr(part, "explain", None)
            parts = told(panel, horizon, rows) if told else {"history": part.predict(panel, horizon, rows).mean}
            found |= {(name, group): np.asarray(values * share, np.float64) for group, values in parts.items()}
        mean = self.predict(panel, horizon, rows).mean
        rest = mean - sum(found.values(), np.zeros((len(rows), horizon)))
        changed = np.abs(rest).max(axis=1) > ROUNDING * np.maximum(1.0, mean.max(axis=1))
        if changed.any():
            found["rules", "rules"] = np.where(changed[:, None], rest, 0)
        return found

    def _classes(self, panel: Panel, rows: NDArray[np.intp] | None) -> NDArray[np.object_] | None:
        if not self.by_class:
            return None
        return demand_class(panel if rows is None else panel.take(rows))

    def _combine(
        self, forecasts: Mapping[str, Forecast], broken: list[str], classes: NDArray[np.object_] | None
    ) -> Forecast:
        """Weighted mean over the parts that are finite, row by row; the gravest status wins."""
        first = next(iter(forecasts.values()))
        total, weight = np.zeros_like(first.mean), np.zeros_like(first.mean)
        status, reason = np.full(len(first.mean), "ok", dtype=object), np.full(len(first.mean), "", dtype=object)
        for name, forecast in forecasts.items():
            share = shares(name, self.weights, self.by_class, classes) if name in self.weights else np.float32(1)
            finite = np.isfinite(forecast.mean)
            total += np.where(finite, forecast.mean, 0) * share
            weight += finite * share
            _worsen(status, reason, np.asarray(~finite.all(axis=1)), "fallback", f"{name} gave no finite forecast")
            for kind in STATUSES[1:]:
                there = (forecast.status == kind) & (status != kind)
                for why in np.unique(forecast.reason[there].astype(str)):
                    _worsen(status, reason, there & (forecast.reason == why), kind, why)
        for why in broken:
            _worsen(status, reason, np.ones(len(status), dtype=bool), "fallback", why)
        mean = np.where(weight > 0, total / np.maximum(weight, np.float32(1e-9)), 0)
        return Forecast(np.maximum(mean, 0).astype(np.float32), None, status, reason)

    @staticmethod
    def _turn(panel: Panel, forecasts: dict[str, Forecast], horizon: int, rows: NDArray[np.intp] | None) -> None:
        """Where a season begins or ends, the parts forecast like last year, the more so the less they know of it."""
        turn, like = coming(panel, horizon, np.arange(len(panel.y)) if rows is None else rows)
        if turn.any():
            for name, own in forecasts.items():
                forecasts[name] = replace(own, mean=turned(own.mean, turn, like, name in SEASONED))

    def _end(self, panel: Panel, forecast: Forecast, rows: NDArray[np.intp] | None) -> Forecast:
        """Series that sold nothing for so long that they are over, or whose rows ended: zero demand, and said so."""
        forecast = named(panel, _ended(panel, forecast, rows), rows)
        if self.discontinued_after is None:
            return forecast
        y = panel.y if rows is None else panel.y[rows]
        newest = y[:, -self.discontinued_after :]
        watched = np.isfinite(newest).sum(axis=1) >= self.discontinued_after // 2
        over = watched & ~(np.nan_to_num(newest) > 0).any(axis=1) & (np.nan_to_num(y) > 0).any(axis=1)
        if over.any():
            ended = np.flatnonzero(over)
            over[ended] = ~waiting(panel, self.discontinued_after, ended if rows is None else rows[ended])
        mean: Matrix = np.where(over[:, None], 0, forecast.mean).astype(np.float32)
        status, reason = forecast.status.copy(), forecast.reason.copy()
        status[over], reason[over] = "discontinued", f"no sale in the last {self.discontinued_after} periods"
        return Forecast(mean, forecast.quantiles, status, reason)

    def save(self, folder: Path) -> None:
        """A folder a part, weights as JSON, and the calibrations as arrays."""
        used = {name: weight for name, weight in self.weights.items() if weight > 0}
        for name in used:
            models.save(self.parts[name], folder / name)
        content = {
            "weights": used,
            "by_class": {name: dict(weights) for name, weights in self.by_class.items()},
            "discontinued_after": self.discontinued_after,
            "calibrations": CALIBRATIONS_FILE if self.calibrations else None,
        }
        if self.calibrations:
            self.calibrations.save(folder / CALIBRATIONS_FILE)
        (folder / SPEC_FILE).write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises ArtifactError where it is not whole."""
        try:
            content = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
            calibrations = _calibrations(folder, content["calibrations"])
            weights = {str(name): float(weight) for name, weight in content["weights"].items()}
            by_class = {str(name): dict(one) for name, one in content["by_class"].items()}
            ended = content["discontinued_after"]
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise ArtifactError(f"{folder} does not hold a blend: {error}") from None
        if not weights:
            raise ModelError(f"{folder}: the blend has no parts.")
        return cls({name: models.load(folder / name) for name in weights}, weights, calibrations, ended, by_class)


def _ended(panel: Panel, forecast: Forecast, rows: NDArray[np.intp] | None) -> Forecast:
    """Zero demand for the series that have ended as of the cutoff by the panel's own codes."""
    if panel.absence is None:
        return forecast
    wanted = np.arange(len(panel.y)) if rows is None else rows
    over = np.flatnonzero(panel.absence[wanted, -1] == ENDED)
    if not len(over):
        return forecast
    mean, status, reason = forecast.mean.copy(), forecast.status.copy(), forecast.reason.copy()
    there = np.isin(panel.absence[wanted[over]], (OBSERVED, QUARANTINED))
    newest = there.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
    mean[over], status[over] = 0, "discontinued"
    reason[over] = [f"no row of sales since {panel.frequency.end(panel.periods[last])}" for last in newest]
    return Forecast(mean, forecast.quantiles, status, reason)


def _calibrations(folder: Path, content: object) -> Calibrations | None:
    """From a file beside the weights; from these themselves, in models of releases up to 0.2."""
    if isinstance(content, dict):
        return Calibrations.from_json(content)
    return Calibrations.load(folder / CALIBRATIONS_FILE) if content else None


def shares(
    name: str, weights: Mapping[str, float], by_class: ByClass, classes: NDArray[np.object_] | None
) -> NDArray[np.float32]:
    """Weight of one model: (n_series, 1) by the class of each series, or one number where there are no classes."""
    if classes is None:
        return np.array(weights.get(name, 0.0), dtype=np.float32)
    table = {label: own.get(name, 0.0) for label, own in by_class.items()}
    return np.array([table.get(label, weights.get(name, 0.0)) for label in classes], dtype=np.float32)[:, None]


def _nothing(panel: Panel, forecast: Forecast, rows: NDArray[np.intp] | None) -> tuple[Forecast, NDArray[np.bool_]]:
    """Zero demand for series that have ended, with status and reason, and on days that are expected to be closed.

    Gives (n, horizon) flags of these cells too: nothing at all is sold there, so their quantiles are 0 as well.
    """
    nothing = closing_days.ahead(panel, forecast.mean.shape[1], rows)
    last = panel.ended_now() if rows is None else panel.ended_now()[rows]
    over = np.flatnonzero(last >= 0)
    nothing[over] = True
    status, reason = forecast.status.copy(), forecast.reason.copy()
    stores = panel.series["store"].to_numpy() if "store" in panel.series else np.full(len(panel.y), "")
    for place in over:
        row = place if rows is None else rows[place]
        named = f"store {stores[row]}" if stores[row] else str(panel.unique_ids[row])
        day = panel.frequency.end(panel.periods[last[place]])
        silent = len(panel.periods) - 1 - int(last[place])
        status[place] = "discontinued"
        reason[place] = f"{named}: last sale on {day}, {silent} periods ago, longer than panel.closed_periods allows"
    return replace(
        forecast, mean=np.where(nothing, np.float32(0), forecast.mean), status=status, reason=reason
    ), nothing


def _worsen(
    status: NDArray[np.object_], reason: NDArray[np.object_], where: NDArray[np.bool_], kind: str, why: str
) -> None:
    graver = where & np.array([STATUSES.index(kind) > STATUSES.index(old) for old in status], dtype=bool)
    status[graver], reason[graver] = kind, why
