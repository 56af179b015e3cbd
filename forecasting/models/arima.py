"""ARIMA on every series where there are few; where there are many, on groups of them, shared out by recent demand.

Classical models are strong where demand is smooth: on totals. Which level that is, the order of each group and every
fall-back are kept with the model.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from forecasting.data.panel import Panel
from forecasting.data.totals import level_of
from forecasting.errors import ArtifactError, ModelError
from forecasting.models.base import Forecast
from forecasting.models.grouped import Groups, finest, gather, insane, share_out
from forecasting.models.sarimax import FAILURES, Facts, Fitted, Vector, forecast, search
from forecasting.settings import ArimaSettings, Settings

SPEC_FILE = "arima.json"
WHOLE, QUICK = (0.06, 6e-4), (0.04, 1.5e-4)  # seconds a group and a period: with maximum likelihood, and without
LATE = 3.0  # times the allowed seconds, after which the rest is not fitted at all
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
        all_facts = _facts(panel, gather(panel, level, self.settings.history, 0))
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
        level = level_of(panel, self.level)
        groups = gather(panel, level, self.settings.history, horizon)
        used = np.arange(len(level.labels)) if rows is None else np.unique(level.codes[rows])
        mean, reasons = self._groups(panel, groups, used, horizon)
        return share_out(panel, level, mean, reasons, rows)

    def _groups(
        self, panel: Panel, groups: Groups, used: NDArray[np.intp], horizon: int
    ) -> tuple[Vector, NDArray[np.object_]]:
        """Forecasts of the groups in `used`: (n_groups, horizon), and why there is none: (n_groups,) text or empty."""
        labels = groups.level.labels
        mean, reasons = np.zeros((len(labels), horizon)), np.full(len(labels), "", dtype=object)
        all_facts = _facts(panel, groups)
        with threadpool_limits(1):
            for number in used:
                label, facts = str(labels[number]), all_facts[number]
                fitted = self.groups.get(label)
                if fitted is None:
                    note = self.notes.get(label, "not known when ARIMA was fitted")
                    reasons[number] = f"{note}; seasonal mean instead"
                    continue
                mean[number], reasons[number] = _guarded(fitted, facts, panel.frequency.season)
        return mean, reasons

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


def _facts(panel: Panel, groups: Groups) -> list[Facts]:
    return [Facts(y, groups.days, panel.frequency, groups.known_of(number)) for number, y in enumerate(groups.y)]


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
