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

from forecasting.core.config.sections import ArimaSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, ModelError
from forecasting.core.frequency import Frequency
from forecasting.models.arima.estimation import Vector
from forecasting.models.arima.search import FAILURES, Facts, Fitted, forecast, search
from forecasting.models.arima.workers import spread, workers
from forecasting.models.base import Forecast
from forecasting.models.groups import Groups, finest, gather, insane, share_out
from forecasting.panel.panel import Panel
from forecasting.panel.totals import level_of

SPEC_FILE = "arima.json"
WHOLE, QUICK = (0.01, 8e-5), (0.003, 2e-5)  # seconds a group and a period: the search, and the first order alone
FORECAST = (0.004, 2e-5)  # seconds a group and a period
LATE = 3.0  # times the allowed seconds, after which the rest is not fitted at all
log = logging.getLogger(__name__)


class Arima:
    """Seasonal ARIMA with regressors. After `fit`, `level` names the level and `groups` holds each group's model."""

    name = "arima"

    def __init__(self, settings: ArimaSettings | None = None, threads: int = 1) -> None:
        self.settings, self.threads = settings or ArimaSettings(), threads
        self.level = ""
        self.groups: dict[str, Fitted | None] = {}
        self.notes: dict[str, str] = {}

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """From `[train.arima]` and `runtime.threads`."""
        return cls(settings.train.arima, settings.runtime.threads)

    def fit(self, panel: Panel, horizon: int) -> Self:  # noqa: ARG002 (all models are fitted alike)
        """Choose the level, then an order for each group, the largest first.

        How many groups an order is sought for, and not only the first one fitted, follows from `seconds` and a fixed
        price of a fit, so that the same data give the same model on any machine, in however many processes; only one
        several times slower than the price leaves groups unfitted.
        """
        level = finest(panel, self.settings.max_series)
        self.level, self.groups, self.notes = level.name, {}, {}
        all_facts = _facts(panel, gather(panel, level, self.settings.history, 0))
        order = np.argsort([-np.nansum(facts.y) for facts in all_facts], kind="stable")
        whole, quick = (a_group + len(all_facts[0].y) * a_period for a_group, a_period in (WHOLE, QUICK))
        spare = max(0.0, self.settings.seconds - len(order) * quick)
        searches = min(len(order), int(spare / (whole - quick)))
        late = time.time() + LATE * self.settings.seconds
        tasks = [[_sent(all_facts[number]), rank >= searches, late] for rank, number in enumerate(order)]
        count = workers(self.threads, searches * whole + (len(order) - searches) * quick)
        for number, (found, note) in zip(order, spread(fit_share, tasks, count), strict=True):
            label = str(level.labels[number])
            self.groups[label] = found and Fitted.from_json(found)
            if note:
                self.notes[label] = note
        log.info("ARIMA on %d groups of level %s in %d processes: %s", len(order), self.level, count, self.orders())
        return self

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
        all_facts, there, given = _facts(panel, groups), list[int](), list[Any]()
        for number in used:
            fitted = self.groups.get(str(labels[number]))
            if fitted is not None:
                there.append(number)
                given.append([fitted.to_json(), _sent(all_facts[number]), panel.frequency.season])
                continue
            note = self.notes.get(str(labels[number]), "not known when ARIMA was fitted")
            reasons[number] = f"{note}; seasonal mean instead"
        count = workers(self.threads, len(there) * (FORECAST[0] + FORECAST[1] * groups.y.shape[1]))
        for number, (values, why) in zip(there, spread(forecast_share, given, count), strict=True):
            mean[number], reasons[number] = values, why
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


def _sent(facts: Facts) -> dict[str, Any]:
    """Plain values, for another process."""
    known = {name: values.tolist() for name, values in facts.known.items()}
    days = facts.days.astype("datetime64[h]").astype(np.int64).tolist()
    return {"y": facts.y.tolist(), "days": days, "frequency": facts.frequency.code, "known": known}


def _received(content: dict[str, Any]) -> Facts:
    """What `_sent` gave."""
    days = np.array(content["days"], dtype=np.int64).astype("datetime64[h]")
    known = {name: np.array(values, dtype=np.float64) for name, values in content["known"].items()}
    return Facts(np.array(content["y"], dtype=np.float64), days, Frequency(content["frequency"]), known)


def fit_share(tasks: list[Any]) -> list[Any]:
    """The model as JSON and a note of each [facts, whether the first order must do, time when it is too late]."""
    return [_fit(_received(facts), quick, late) for facts, quick, late in tasks]


def _fit(facts: Facts, quick: bool, late: float) -> tuple[dict[str, Any] | None, str]:
    if time.time() > late:
        return None, "ARIMA ran out of time"
    fitted = search(facts, quick)
    if fitted is None:
        return None, "too short or degenerate for ARIMA"
    return fitted.to_json(), "the first order, for want of time" if quick else ""


def forecast_share(tasks: list[Any]) -> list[Any]:
    """The forecast and what is wrong with it of each [model, facts, season]."""
    found = [_guarded(Fitted.from_json(model), _received(facts), season) for model, facts, season in tasks]
    return [(mean.tolist(), why) for mean, why in found]


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
