"""Demand with many zeros: the one of Croston, SBA, TSB, ADIDA and IMAPA that each kind of demand is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, ModelError
from forecasting.models.base import Forecast
from forecasting.models.cold_start import cold_start
from forecasting.models.intermittent.methods import METHODS
from forecasting.panel import segments
from forecasting.panel.hierarchy import TOTAL, group
from forecasting.panel.panel import Matrix, Panel

SPEC_FILE = "intermittent.json"
ORIGINS = 4  # past cutoffs that the methods are compared at
COMPARED = 2_000  # series of a class that they are compared on; more would say the same
FIRST = "sba"  # where nothing can be compared
WEEKS = 8  # newest weeks that a weekday profile is measured on
DOUBT = 10.0  # units a weekday whose profile is the group's; its own few sales are mostly chance


class Intermittent:
    """One of the five methods for each class of demand (`panel/segments.py`), by its error at past cutoffs.

    After `fit`, `chosen` holds the method of each class and `errors` what they were chosen by. Days get a weekday
    profile on top: a rate that is the same every day is wrong wherever weekends differ.
    """

    name = "intermittent"

    def __init__(self) -> None:
        self.chosen: dict[str, str] = {}
        self.errors: dict[str, dict[str, float]] = {}

    @classmethod
    def create(cls, settings: Settings) -> Self:  # noqa: ARG003 (all models are made alike)
        """Nothing to set."""
        return cls()

    def fit(self, panel: Panel, horizon: int) -> Self:
        """Compare the methods at the newest past cutoffs, a class at a time; a class without any takes SBA."""
        labels = segments.demand_class(panel)
        self.chosen, self.errors = {}, {}
        for label in segments.DEMAND_CLASSES[:-1]:
            rows = np.flatnonzero(labels == label)
            rows = rows[:: max(1, -(-len(rows) // COMPARED))]
            errors = _compare(panel.y[rows], horizon) if len(rows) else {}
            self.errors[label] = errors
            self.chosen[label] = min(errors, key=lambda method: errors[method]) if errors else FIRST
        return self

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Mean forecasts; a series never observed gets a cold start."""
        if not self.chosen:
            raise ModelError("The intermittent methods were asked for a forecast before they were fitted.")
        wanted = np.arange(len(panel.y)) if rows is None else rows
        labels = segments.demand_class(panel)[wanted]
        rate = np.zeros(len(wanted))
        for label, method in self.chosen.items():
            mine = np.flatnonzero(labels == label)
            if len(mine):
                rate[mine] = METHODS[method](panel.y[wanted[mine]])
        mean = rate[:, None] * _profile(panel, horizon)[wanted]
        return cold_start(panel, Forecast.ok(np.maximum(mean, 0).astype(np.float32)), rows)

    def save(self, folder: Path) -> None:
        """The methods and their errors as JSON."""
        content = {"chosen": self.chosen, "errors": self.errors}
        (folder / SPEC_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises ArtifactError where it is not whole."""
        model = cls()
        try:
            content: dict[str, Any] = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
            model.chosen = {str(label): str(method) for label, method in content["chosen"].items()}
            model.errors = {str(label): dict(errors) for label, errors in content["errors"].items()}
            if not set(model.chosen.values()) <= set(METHODS):
                raise ValueError(f"methods {sorted(set(model.chosen.values()))}, of which {sorted(METHODS)} are known")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{folder} does not hold the intermittent methods: {error}") from None
        return model


def _compare(y: Matrix, horizon: int) -> dict[str, float]:
    """Root mean squared error of each method over the periods after past cutoffs, in units of the series' own size.

    The root is taken a series and cutoff, as RMSSE does: without it a handful of parts that were once ordered by the
    hundred chooses for all (RAF spare parts: SBA for lumpy ones; over all parts it is 43 % too high, ADIDA 5 %). Empty
    where no period after a cutoff was observed.
    """
    periods = y.shape[1]
    span = min(horizon, max(1, periods // 4))
    origins = [periods - span * back for back in range(1, ORIGINS + 1) if periods - span * back >= periods // 2]
    total, count = dict.fromkeys(METHODS, 0.0), 0
    for origin in origins:
        past, actual = y[:, :origin], y[:, origin : origin + span]
        size = np.nan_to_num(past).sum(axis=1) / np.maximum(np.isfinite(past).sum(axis=1), 1)
        seen = np.isfinite(actual) & (size > 0)[:, None]
        periods_seen = seen.sum(axis=1)
        count += int((periods_seen > 0).sum())
        for name, method in METHODS.items():
            error = np.where(seen, np.nan_to_num(actual) - method(past)[:, None], 0)
            squared = (error**2).sum(axis=1) / np.maximum(periods_seen, 1)
            total[name] += float((np.sqrt(squared) / np.maximum(size, 1e-9)).sum())
    return {name: value / count for name, value in total.items()} if count else {}


def _profile(panel: Panel, horizon: int) -> Matrix:
    """(n_series, horizon) demand of the weekday over that of a mean day, drawn to the series' group; 1 but for days."""
    if panel.frequency.code != "D":
        return np.ones((len(panel.y), horizon), dtype=np.float32)
    level = group(panel.series, panel.levels[-1] if panel.levels else TOTAL)
    newest = panel.y[:, -7 * WEEKS :]
    sold, days = _by_weekday(np.nan_to_num(newest)), _by_weekday(np.isfinite(newest))
    expected = days * (sold.sum(axis=1) / np.maximum(days.sum(axis=1), 1))[:, None]
    common = ((level.sum(sold) + 1) / (level.sum(expected) + 1))[level.codes]
    profile = (sold + DOUBT * common) / (expected + DOUBT)
    result: Matrix = profile[:, np.arange(horizon) % 7].astype(np.float32)
    return result


def _by_weekday(values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n_series, 7) sums by weekday, from the one after the cutoff on."""
    missing = -values.shape[1] % 7
    whole = np.pad(values.astype(np.float64), ((0, 0), (missing, 0)))
    result: NDArray[np.float64] = whole.reshape(len(values), -1, 7).sum(axis=1)
    return result
