"""ARIMA on every series where there are few; where there are many, on groups of them, shared out by recent demand.

Classical models are strong where demand is smooth: on totals. Which level that is, the order of each group and every
fall-back are kept with the model.
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from forecasting.data.hierarchy import SERIES, TOTAL, Level, group
from forecasting.data.panel import Panel
from forecasting.errors import ArtifactError, ModelError
from forecasting.models.base import Forecast
from forecasting.models.coldstart import cold_start
from forecasting.models.naive import SeasonalMean
from forecasting.models.sarimax import FAILURES, Facts, Fitted, Vector, forecast, search
from forecasting.settings import ArimaSettings, Settings

SPEC_FILE = "arima.json"
WHOLE, QUICK = (0.06, 6e-4), (0.04, 1.5e-4)  # seconds a group and a period: with maximum likelihood, and without
LATE = 3.0  # times the allowed seconds, after which the rest is not fitted at all
APART = ("price", "event_id")  # known covariates that mean nothing as a mean over a group
MOST_KNOWN = 4
HIGH, SHIFT = 3.0, 3.0  # guard: times the highest value, times the highest and lowest recent level
log = logging.getLogger(__name__)


class Arima:
    """Seasonal ARIMA with regressors. After `fit`, `level` names the level and `groups` holds each group's model."""

    name = "arima"

    def __init__(self, settings: ArimaSettings | None = None) -> None:
        self.settings = settings or ArimaSettings()
        self.level = ""
        self.groups: dict[str, Fitted | None] = {}
        self.notes: dict[str, str] = {}

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """From `[train.arima]`."""
        return cls(settings.train.arima)

    def fit(self, panel: Panel, horizon: int) -> Self:  # noqa: ARG002 (all models are fitted alike)
        """Choose the level, then an order for each group, the largest first.

        How many groups get maximum likelihood, and not least squares only, follows from `seconds` and a fixed price of
        a fit, so that the same data give the same model on any machine; only one several times slower than the price
        leaves groups unfitted.
        """
        level = finest(panel, self.settings.max_series)
        self.level, self.groups, self.notes = level.name, {}, {}
        all_facts = _facts(panel, level, self.settings.history, 0)
        order = np.argsort([-np.nansum(facts.y) for facts in all_facts], kind="stable")
        searches = self._searches(all_facts)
        began = time.perf_counter()
        with threadpool_limits(1):  # the matrices are tiny: more threads only wait for each other
            for rank, number in enumerate(order):
                label = str(level.labels[number])
                if time.perf_counter() - began > LATE * self.settings.seconds:
                    self.groups[label], self.notes[label] = None, "ARIMA ran out of time"
                    continue
                self._fit_group(label, all_facts[number], quick=rank >= searches)
        log.info("ARIMA on %d groups of level %s: %s", len(self.groups), self.level, self.orders())
        return self

    def _fit_group(self, label: str, facts: Facts, quick: bool) -> None:
        fitted = search(facts, quick)
        self.groups[label] = fitted
        if fitted is None:
            self.notes[label] = "too short or degenerate for ARIMA"
        elif quick:
            self.notes[label] = "by least squares only, for want of time"
        elif not fitted.converged:
            self.notes[label] = "the likelihood's maximum was not quite reached"

    def _searches(self, all_facts: list[Facts]) -> int:
        """How many groups get maximum likelihood within the time, by the fixed price of a period."""
        periods = len(all_facts[0].y)
        whole, quick = (a_group + periods * a_period for a_group, a_period in (WHOLE, QUICK))
        left = self.settings.seconds - len(all_facts) * quick
        return int(max(0.0, left) / (whole - quick))

    def orders(self) -> dict[str, int]:
        """Groups by order, `none` for those without a model."""
        found: dict[str, int] = {}
        for fitted in self.groups.values():
            key = str(fitted.order) if fitted else "none"
            found[key] = found.get(key, 0) + 1
        return found

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Mean forecasts; groups without a sane ARIMA forecast get the seasonal mean, and their rows say so."""
        if not self.level:
            raise ModelError("ARIMA was asked for a forecast before it was fitted.")
        wanted = np.arange(len(panel.y)) if rows is None else rows
        level = group(panel.series, self.level)
        seasonal = SeasonalMean().predict(panel, horizon).mean.astype(np.float64)
        used = np.unique(level.codes[wanted])
        totals, reasons = self._groups(panel, level, used, horizon)
        mean = _share_out(panel, level, seasonal, totals)[wanted]
        why = reasons[level.codes[wanted]]
        fell = why != ""
        mean[fell] = seasonal[wanted][fell]
        status = np.where(fell, "fallback", "ok").astype(object)
        return cold_start(panel, Forecast(mean.astype(np.float32), None, status, why), rows)

    def _groups(
        self, panel: Panel, level: Level, used: NDArray[np.intp], horizon: int
    ) -> tuple[Vector, NDArray[np.object_]]:
        """Forecasts of the groups in `used`: (n_groups, horizon), and why there is none: (n_groups,) text or empty."""
        totals = np.zeros((len(level.labels), horizon))
        reasons = np.full(len(level.labels), "", dtype=object)
        all_facts = _facts(panel, level, self.settings.history, horizon)
        with threadpool_limits(1):
            for number in used:
                label, facts = str(level.labels[number]), all_facts[number]
                fitted = self.groups.get(label)
                if fitted is None:
                    note = self.notes.get(label, "not known when ARIMA was fitted")
                    reasons[number] = f"{note}; seasonal mean instead"
                    continue
                totals[number], reasons[number] = _guarded(fitted, facts, panel.frequency.season)
        return totals, reasons

    def save(self, folder: Path) -> None:
        """Level, orders and parameters as JSON."""
        content = {
            "settings": self.settings.model_dump(),
            "level": self.level,
            "groups": {label: fitted and fitted.to_json() for label, fitted in self.groups.items()},
            "notes": self.notes,
        }
        (folder / SPEC_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises ArtifactError where it is not whole."""
        try:
            content: dict[str, Any] = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
            model = cls(ArimaSettings(**content["settings"]))
            model.level = str(content["level"])
            model.groups = {name: fitted and Fitted.from_json(fitted) for name, fitted in content["groups"].items()}
            model.notes = {str(name): str(note) for name, note in content["notes"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{folder} does not hold an ARIMA model: {error}") from None
        return model


def finest(panel: Panel, most: int) -> Level:
    """The series themselves, or the level, or pair of levels' attributes, with most groups but no more than `most`."""
    if len(panel.y) <= most:
        return group(panel.series, SERIES)
    single = dict.fromkeys(part for name in panel.levels for part in name.split("|") if part not in (TOTAL, SERIES))
    joined = ("|".join(pair) for pair in itertools.combinations(single, 2))
    names = dict.fromkeys([*(name for name in panel.levels if name not in (TOTAL, SERIES)), *single, *joined])
    found = [group(panel.series, TOTAL), *(group(panel.series, name) for name in names)]
    return max((level for level in found if len(level.labels) <= most), key=lambda level: len(level.labels))


def totals(panel: Panel, level: Level, history: int) -> Vector:
    """(n_groups, newest periods) demand; NaN where no member that is on sale was observed.

    A member that was not observed while others were counts with its newest value at that place in the season.
    """
    y = panel.y[:, -history:]
    if level.name == SERIES:
        return y.astype(np.float64)
    seen = np.isfinite(y)
    filled = y.copy()
    season = panel.frequency.season
    for place in range(season, y.shape[1]):
        gap = ~seen[:, place]
        filled[gap, place] = filled[gap, place - season]
    total = level.sum(filled)
    unseen = level.sum(seen.astype(np.float32)) == 0
    return np.where(unseen, np.nan, total)


def _facts(panel: Panel, level: Level, history: int, horizon: int) -> list[Facts]:
    """One a group, of its newest periods, with the mean over its members of the covariates known ahead."""
    y = totals(panel, level, history)
    periods, count = len(panel.periods), y.shape[1]
    days = np.asarray(panel.frequency.range(panel.periods[-count], count + horizon), dtype="datetime64[D]")
    members = level.sum(np.ones((len(panel.y), 1)))
    known: dict[str, Vector] = {}
    for name in [name for name in panel.known if name not in APART][:MOST_KNOWN]:
        values = panel.known[name][:, periods - count : periods + horizon].astype(np.float64)
        if values.shape[1] == len(days):
            known[name] = values if len(values) == 1 else level.sum(values) / members
    return [
        Facts(y[number], days, panel.frequency, {name: values[number % len(values)] for name, values in known.items()})
        for number in range(len(level.labels))
    ]


def _guarded(fitted: Fitted, facts: Facts, season: int) -> tuple[Vector, str]:
    """The forecast and an empty text, or zeros and why it cannot be trusted."""
    zeros = np.zeros(len(facts.days) - len(facts.y))
    try:
        mean = forecast(fitted, facts)
    except FAILURES as error:
        return zeros, f"ARIMA {fitted.order} failed ({error}); seasonal mean instead"
    found = insane(mean, facts.y, season)
    if found:
        return zeros, f"ARIMA {fitted.order} {found}; seasonal mean instead"
    return np.maximum(mean, 0), ""


def insane(mean: Vector, history: Vector, season: int) -> str:
    """What is wrong with a forecast, given the (n,) history; empty where nothing is. Units as in the history."""
    if not np.isfinite(mean).all():
        return "gave numbers that are not finite"
    seen = history[np.isfinite(history)]
    if not len(seen):
        return "has nothing to start from"
    top = float(seen.max())
    if mean.max() > HIGH * max(top, 1.0):
        return f"forecast {mean.max():.4g}, more than {HIGH:g} times the highest value {top:.4g}"
    if (mean < 0).mean() > 0.5:
        return "forecast less than nothing"
    width = min(season, len(seen))
    levels = np.convolve(seen[-4 * max(season, len(mean)) :], np.full(width, 1 / width), mode="valid")
    expected = float(np.maximum(mean, 0).mean())
    if expected > SHIFT * levels.max() + 1 or expected < levels.min() / SHIFT - 1:
        return f"forecast a level of {expected:.4g}, recent ones lay between {levels.min():.4g} and {levels.max():.4g}"
    return ""


def _share_out(panel: Panel, level: Level, seasonal: Vector, totals: Vector) -> Vector:
    """(n_series, horizon): each group's total, shared by the seasonal means of its observed members."""
    if level.name == SERIES:
        return totals.copy()
    observed = np.isfinite(panel.y).any(axis=1, keepdims=True)
    weight: Vector = np.where(observed, seasonal + 1e-9, 0)  # where all are zero, all get the same
    whole: Vector = np.maximum(level.sum(weight), 1e-30)
    return weight / whole[level.codes] * totals[level.codes]
