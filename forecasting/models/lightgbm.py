"""One global LightGBM for all series and periods ahead, trained on sampled (series, past cutoff, horizon) rows.

Demand is learnt relative to each series' recent level, through LightGBM's init_score under a log link, so that
series of any size share what they have in common. Source: direct multi-horizon forecasting with a global model
(Montero-Manso and Hyndman, 2021); sampling of past cutoffs instead of recursion: see docs/decisions.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

# Waiting OpenMP threads that spin made a 25 s training last 270 s beside other work; read once, when libgomp loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from forecasting import features
from forecasting.data.panel import Matrix, Panel
from forecasting.errors import ArtifactError, ModelError
from forecasting.models.base import Forecast
from forecasting.models.coldstart import cold_start
from forecasting.settings import LightgbmSettings, Settings

MODEL_FILE = "lightgbm.txt"
SPEC_FILE = "features.json"
BATCH = 400_000
MIN_HISTORY = 2  # seasons before the first origin that rows are measured at


class DirectLightgbm:
    """Forecaster on features measured at the cutoff; the mean comes from one pass, whatever the horizon."""

    name = "lightgbm"

    def __init__(self, settings: LightgbmSettings, threads: int = 0, seed: int = 7) -> None:
        self.settings, self.threads, self.seed = settings, threads, seed
        self._booster: lgb.Booster | None = None
        self.spec: dict[str, Any] = {}

    @property
    def booster(self) -> lgb.Booster:
        """The trained trees. Raises ModelError before `fit`."""
        if self._booster is None:
            raise ModelError("LightGBM was asked for something before it was fitted.")
        return self._booster

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """From `[train.lightgbm]`, `runtime.threads` and `train.seed`."""
        return cls(settings.train.lightgbm, settings.runtime.threads, settings.train.seed)

    def fit(self, panel: Panel, horizon: int) -> Self:
        """Train on rows measured at past cutoffs. Raises ModelError where no past cutoff has a target."""
        words = features.vocabulary(panel)
        values, target, scale, names, categorical = self._rows(panel, horizon, words)
        data = lgb.Dataset(
            values,
            target,
            init_score=np.log(scale),
            feature_name=_safe(names),
            categorical_feature=_safe(categorical),
            free_raw_data=True,
            params={"verbosity": -1},
        )
        self._booster = lgb.train(self._parameters(), data, num_boost_round=self.settings.trees)
        self.spec = {
            "names": list(names),
            "categorical": list(categorical),
            "vocabulary": words,
            "rows": len(target),
            "horizon": horizon,
        }
        return self

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Mean forecasts; series without any observation get those of similar series."""
        wanted = np.arange(len(panel.y)) if rows is None else rows
        batch = max(1, BATCH // horizon)
        parts = [
            self._predict_rows(panel, wanted[start : start + batch], horizon) for start in range(0, len(wanted), batch)
        ]
        mean = np.concatenate(parts).reshape(len(wanted), horizon)
        return cold_start(panel, Forecast.ok(mean), rows)

    def _predict_rows(self, panel: Panel, rows: NDArray[np.intp], horizon: int) -> Matrix:
        steps = np.tile(np.arange(1, horizon + 1), len(rows))
        built = features.build(panel, np.repeat(rows, horizon), steps, self.spec["vocabulary"])
        if list(built.names) != self.spec["names"]:
            raise ModelError(
                f"LightGBM was trained on features {self.spec['names']}, this panel gives {list(built.names)}: "
                "the configuration of sources or levels changed; train again."
            )
        raw = self.booster.predict(built.values, raw_score=True, num_threads=self.threads)
        mean: Matrix = (np.exp(np.asarray(raw)) * built.scale).astype(np.float32)
        return mean

    def _rows(
        self, panel: Panel, horizon: int, words: features.Vocabulary
    ) -> tuple[Matrix, Matrix, Matrix, tuple[str, ...], tuple[str, ...]]:
        """Sampled training rows: values, target (units), scale, names, categorical."""
        origins = self._origins(panel, horizon)
        random = np.random.default_rng(self.seed)
        parts, targets = [], []
        quota = max(1, self.settings.rows // max(1, len(origins)))
        for origin in origins:
            rows, steps = _sample(panel, origin, horizon, quota, random)
            if len(rows):
                parts.append(features.build(panel.first(origin), rows, steps, words))
                targets.append(panel.y[rows, origin - 1 + steps])
        if not any(target.any() for target in targets):
            raise ModelError(
                f"LightGBM found no target to learn from in {len(panel.periods)} periods of {len(panel.y)} series: "
                "it needs at least two seasons of sales."
            )
        return (
            np.concatenate([part.values for part in parts]),
            np.concatenate(targets),
            np.concatenate([part.scale for part in parts]),
            parts[0].names,
            parts[0].categorical,
        )

    def _origins(self, panel: Panel, horizon: int) -> list[int]:
        """Past cutoffs as counts of known periods, back from the newest one that has a whole horizon after it."""
        periods, season = len(panel.periods), panel.frequency.season
        first = min(MIN_HISTORY * season, periods // 2)
        newest = max(first, periods - horizon)
        step = max(1, (newest - first) // max(1, self.settings.origins - 1))
        if panel.frequency.code == "D":
            step = min(step, season)  # the newest weeks say most about the next ones
        found = list(range(newest, max(first, 1) - 1, -step))[: self.settings.origins]
        return [origin for origin in found if 0 < origin < periods]

    def _parameters(self) -> dict[str, Any]:
        chosen = self.settings
        return {
            "objective": chosen.objective,
            "num_leaves": chosen.leaves,
            "learning_rate": chosen.learning_rate,
            "min_data_in_leaf": chosen.min_rows_leaf,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "tweedie_variance_power": 1.1,
            "max_bin": 127,
            "min_data_per_group": 50,
            "cat_smooth": 20,
            "num_threads": self.threads,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def importance(self) -> dict[str, float]:
        """Share of the total gain by feature."""
        gain = self.booster.feature_importance("gain")
        return dict(zip(self.spec["names"], (gain / max(gain.sum(), 1e-12)).tolist(), strict=True))

    def save(self, folder: Path) -> None:
        """LightGBM's own text format, and the feature list as JSON."""
        self.booster.save_model(folder / MODEL_FILE)
        content = {
            "spec": self.spec,
            "settings": self.settings.model_dump(),
            "threads": self.threads,
            "seed": self.seed,
        }
        (folder / SPEC_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises ArtifactError where it is not whole."""
        try:
            content = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
            model = cls(LightgbmSettings(**content["settings"]), content["threads"], content["seed"])
            text = (folder / MODEL_FILE).read_text(encoding="utf-8")
            if "\nend of parameters\n" not in text:
                raise ValueError(f"{MODEL_FILE} is cut off")  # LightGBM would end the whole process over it
            model._booster = lgb.Booster(model_str=text)
            model.spec = content["spec"]
        except (OSError, ValueError, KeyError, TypeError, lgb.basic.LightGBMError) as error:
            raise ArtifactError(f"{folder} does not hold a LightGBM model: {error}") from None
        return model


def _sample(
    panel: Panel, origin: int, horizon: int, quota: int, random: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """At most `quota` (series, step) pairs after the origin whose target was observed."""
    target = panel.y[:, origin : origin + horizon]
    started = np.isfinite(panel.y[:, :origin]).any(axis=1, keepdims=True)
    rows, steps = np.nonzero(np.isfinite(target) & started)
    if len(rows) > quota:
        chosen = np.sort(random.choice(len(rows), size=quota, replace=False))
        rows, steps = rows[chosen], steps[chosen]
    return rows, steps + 1


def _safe(names: tuple[str, ...]) -> list[str]:
    """LightGBM refuses JSON's special characters in feature names."""
    return ["".join(letter if letter.isalnum() or letter == "_" else "_" for letter in name) for name in names]
