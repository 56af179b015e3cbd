"""What ETS and Theta share: groups, covariates taken off and put back, the guard, saving."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.core.config.sections import ArimaSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, ModelError
from forecasting.models.base import Forecast
from forecasting.models.groups import Groups, Vector, finest, gather, insane, share_out
from forecasting.models.smoothing import covariate_effects as effects
from forecasting.models.smoothing.recursion import Form, Weights
from forecasting.panel.panel import Panel
from forecasting.panel.totals import level_of

LEAST = 10  # observations
CHEAPER = 4  # times as many series as ARIMA: 4 ms each for 120 weeks, since they are smoothed side by side
PENALTY = 2.0  # of a parameter, as in AIC
SEASONS = 4  # at most, that the first states are measured on


@dataclass(frozen=True)
class Fit:
    """One group's model. score: n log(mean squared error a step ahead) and a penalty. effects: units by covariate."""

    form: Form
    alpha: float
    beta: float = 0.0
    gamma: float = 0.0
    phi: float = 1.0
    score: float = 0.0
    scale: float = 1.0
    effects: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """What `asdict` gave."""
        form = content["form"]
        numbers = {name: float(content[name]) for name in ("alpha", "beta", "gamma", "phi", "score", "scale")}
        added = {str(name): float(value) for name, value in content["effects"].items()}
        return cls(
            Form(bool(form["trend"]), int(form["season"]), bool(form["multiplicative"])), **numbers, effects=added
        )


class Smoothed(ABC):
    """A smoothing method on groups. After `fit`, `level` names the level and `groups` holds each group's model."""

    name: str
    label: str  # in what people read

    def __init__(self, settings: ArimaSettings | None = None) -> None:
        self.settings = settings or ArimaSettings()
        self.level = ""
        self.groups: dict[str, Fit | None] = {}

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """Groups and history as ARIMA's, from `[train.arima]`."""
        return cls(settings.train.arima)

    @abstractmethod
    def learn(self, y: Vector, season: int) -> list[Fit]:
        """The best model of each row of (n_groups, n) demand in units of about 1."""

    @abstractmethod
    def extend(self, y: Vector, fits: list[Fit], season: int, horizon: int) -> Vector:
        """(n_groups, horizon) forecasts with the weights as learnt, from (n_groups, n) demand."""

    def fit(self, panel: Panel, horizon: int) -> Self:  # noqa: ARG002 (all models are fitted alike)
        """Choose the level, then each group's model, with the covariates known ahead where they lower the score."""
        level = finest(panel, CHEAPER * self.settings.max_series)
        groups = gather(panel, level, self.settings.history, 0)
        seen = np.isfinite(groups.y)
        scale = np.where(seen, np.abs(groups.y), 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        scale = np.where(scale > 0, scale, 1.0)
        y, season = groups.y / scale[:, None], panel.frequency.season
        best = self.learn(y, season)
        if names := effects.varying(groups):
            known = effects.stack(groups, names)
            measured = effects.measure(y, known, season)
            others = self.learn(y - effects.added(known, measured), season)
            for number, (plain, other) in enumerate(zip(best, others, strict=True)):
                if other.score + PENALTY * len(names) < plain.score:
                    found = dict(zip(names, measured[number].tolist(), strict=True))
                    best[number] = replace(other, effects=found)
        self.level = level.name
        enough = seen.sum(axis=1) >= LEAST
        self.groups = {
            str(name): replace(fit, scale=float(unit)) if there else None
            for name, fit, unit, there in zip(level.labels, best, scale, enough, strict=True)
        }
        return self

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Mean forecasts; groups without a sane one get the seasonal mean, and their rows say so."""
        if not self.level:
            raise ModelError(f"{self.label} was asked for a forecast before it was fitted.")
        level = level_of(panel, self.level)
        groups = gather(panel, level, self.settings.history, horizon)
        used = np.arange(len(level.labels)) if rows is None else np.unique(level.codes[rows])
        mean, reasons = np.zeros((len(groups.y), horizon)), np.full(len(groups.y), "", dtype=object)
        for number in used:
            name = str(level.labels[number])
            if self.groups.get(name) is None:
                why = "too short for" if name in self.groups else "not known to"
                reasons[number] = f"{why} {self.label}; seasonal mean instead"
        there = np.array([number for number in used if not reasons[number]], dtype=np.intp)
        if len(there):
            mean[there] = self._forecasts(groups, there, panel.frequency.season)
        for number in there:
            if wrong := insane(mean[number], groups.y[number], panel.frequency.season):
                reasons[number] = f"{self.label} {wrong}; seasonal mean instead"
        return share_out(panel, level, np.maximum(mean, 0), reasons, rows)

    def _forecasts(self, groups: Groups, there: NDArray[np.intp], season: int) -> Vector:
        """(len(there), horizon) units, covariates included."""
        fits = [fit for fit in (self.groups[str(groups.level.labels[number])] for number in there) if fit]
        names = tuple(dict.fromkeys(name for fit in fits for name in fit.effects))
        scale = np.array([fit.scale for fit in fits])[:, None]
        periods = groups.y.shape[1]
        added = effects.added(
            effects.stack(groups, names)[there], effects.as_columns([fit.effects for fit in fits], names)
        )
        y = groups.y[there] / scale - added[:, :periods]
        result: Vector = (self.extend(y, fits, season, added.shape[1] - periods) + added[:, periods:]) * scale
        return result

    def save(self, folder: Path) -> None:
        """Level, forms and weights as JSON."""
        content = {
            "settings": self.settings.model_dump(),
            "level": self.level,
            "groups": {name: fit and asdict(fit) for name, fit in self.groups.items()},
        }
        (folder / f"{self.name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises ArtifactError where it is not whole."""
        try:
            content: dict[str, Any] = json.loads((folder / f"{cls.name}.json").read_text(encoding="utf-8"))
            model = cls(ArimaSettings(**content["settings"]))
            model.level = str(content["level"])
            model.groups = {str(name): fit and Fit.from_json(fit) for name, fit in content["groups"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{folder} does not hold a model of {cls.label}: {error}") from None
        return model


def warming(y: Vector, season: int) -> tuple[int, NDArray[np.intp]]:
    """Periods that first states are measured on, and (n_series,) those from each start on whose errors do not count."""
    observed = np.isfinite(y).sum(axis=1)
    window = season * min(SEASONS, max(1, y.shape[1] // (4 * season)))
    return window, np.minimum(window, observed // 2)


def weights(fits: list[Fit]) -> Weights:
    """(n_series, 1) each."""
    return Weights(*(np.array([[getattr(fit, name)] for fit in fits]) for name in ("alpha", "beta", "gamma", "phi")))
