"""Gradient boosted trees over feature rows: what every LightGBM candidate shares.

Demand is learnt relative to each series' recent level, so that series of any size share what they have in common.
Where there are few rows, several boosters are averaged, since most of what one training gets wrong is chance.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

# Waiting OpenMP threads that spin made a 25 s training last 270 s beside other work; read once, when libgomp loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from forecasting.core.config.sections import LightgbmSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, ModelError
from forecasting.features import Features
from forecasting.features.explanation_groups import LEVEL, groups
from forecasting.models.lightgbm.training_rows import MANY, Rows
from forecasting.panel.panel import Matrix

SPEC_FILE = "features.json"
MULTIPLIED = ("tweedie", "poisson")  # objectives with a log link: the level goes in as an offset of the score
LEAVES = 63
STILL = 1e-9  # of a score, below which nothing has moved it
BAGS = 3  # boosters that are averaged, up to MANY rows; with more, one is as good
SMALLEST_LEAF, LARGEST_LEAF = 20, 100  # rows; between them one row in 2,000
log = logging.getLogger(__name__)


class _Ends:
    """A callback that ends a training, between two trees, once the seconds given to the whole fit are over."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.perf_counter() + seconds

    def over(self) -> bool:
        return self._end is not None and time.perf_counter() >= self._end

    def __call__(self, now: Any) -> None:
        if self.over():
            raise lgb.callback.EarlyStopException(now.iteration, [])


class Boosted:
    """The trees, how they are trained, asked, saved and loaded. A candidate says which rows they learn from."""

    name: ClassVar[str] = ""

    def __init__(self, settings: LightgbmSettings, threads: int = 0, seed: int = 7) -> None:
        self.settings, self.threads, self.seed = settings, threads, seed
        self._boosters: list[lgb.Booster] = []
        self.spec: dict[str, Any] = {}

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """From `[train.lightgbm]`, `runtime.threads` and `train.seed`."""
        return cls(settings.train.lightgbm, settings.runtime.threads, settings.train.seed)

    @property
    def boosters(self) -> list[lgb.Booster]:
        """The trained trees. Raises ModelError before `fit`."""
        if not self._boosters:
            raise ModelError("LightGBM was asked for something before it was fitted.")
        return self._boosters

    def train(self, sample: Callable[[Sequence[np.random.Generator]], Iterator[Rows]], **spec: object) -> None:
        """Train `settings.bags` boosters, each on the rows that `sample` gives for it, one after the other.

        What was given up for want of time (`train.lightgbm.seconds`) stands in `spec["gave_up"]`.
        """
        boosters: list[lgb.Booster] = []
        gave_up: list[str] = []
        ends, bags = _Ends(self.settings.seconds), self.settings.bags or BAGS
        samples = sample([np.random.default_rng([self.seed, bag]) for bag in range(bags)])
        while len(boosters) < bags:
            bag = len(boosters)
            if bag and ends.over():
                gave_up.append(f"{bags - bag} of {bags} boosters")
                break
            rows = next(samples)
            bags = 1 if self.settings.bags is None and len(rows.target) > MANY else bags
            self.spec = {"names": list(rows.names), "categorical": list(rows.categorical), "rows": len(rows.target)}
            parameters = self.parameters(len(rows.target), bag)
            try:
                data = self.dataset(rows, parameters)
                del rows  # LightGBM has binned them by now
                boosters.append(lgb.train(parameters, data, num_boost_round=self.settings.trees, callbacks=[ends]))
            except lgb.basic.LightGBMError as error:
                raise ModelError(f"LightGBM could not be trained: {error}") from error
            if (done := boosters[-1].current_iteration()) < self.settings.trees and ends.over():
                gave_up.append(f"all but {done} of {self.settings.trees} trees of booster {bag + 1}")
        self._boosters = boosters
        self.spec |= {"bags": len(boosters), "gave_up": gave_up, **spec}
        if gave_up:
            log.warning("%s gave up within %g s: %s", self.name, self.settings.seconds, "; ".join(gave_up))

    def dataset(self, rows: Rows, parameters: dict[str, Any], reference: lgb.Dataset | None = None) -> lgb.Dataset:
        """The rows as LightGBM bins them, by the bins of `reference` where there is one."""
        multiplied = self.settings.objective in MULTIPLIED
        data = lgb.Dataset(
            rows.values,
            rows.target if multiplied else rows.target / rows.scale,
            # Errors count in units, as they do in the tables, not in shares of each series' level.
            weight=None if multiplied else rows.scale,
            init_score=np.log(rows.scale) if multiplied else None,
            feature_name=_safe(rows.names),
            categorical_feature=_safe(rows.categorical),
            reference=reference,
            free_raw_data=True,
            params=parameters,
        )
        return data.construct()

    def parameters(self, rows: int, bag: int) -> dict[str, Any]:
        """LightGBM's parameters for so many rows; bags differ in their seed."""
        chosen = self.settings
        least = int(np.clip(rows // 2_000, SMALLEST_LEAF, LARGEST_LEAF))
        return {
            "objective": chosen.objective,
            "num_leaves": chosen.leaves or (LEAVES if rows > 50_000 else LEAVES // 2),
            "learning_rate": chosen.learning_rate,
            "min_data_in_leaf": chosen.min_rows_leaf or least,
            # Thresholds drawn by chance (Geurts et al., 2006). M5, five cutoffs: 0.600 direct and 0.578 recursive
            # instead of 0.609 and 0.625, and a booster fewer that has to be trained.
            "extra_trees": True,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "tweedie_variance_power": 1.1,
            "max_bin": 127,
            "min_data_per_group": 50,
            "cat_smooth": 20,
            "num_threads": self.threads,
            "seed": self.seed + bag,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def expected(self, built: Features) -> Matrix:
        """(n_rows,) units. Raises ModelError where features that were trained on are missing."""
        built = self._learnt(built)
        total = np.zeros(len(built.values))
        for booster in self.boosters:
            raw = np.asarray(booster.predict(built.values, raw_score=True, num_threads=self.threads))
            total += np.exp(raw) if self.settings.objective in MULTIPLIED else np.maximum(raw, 0)
        mean: Matrix = (total / len(self.boosters) * built.scale).astype(np.float32)
        return mean

    def _learnt(self, built: Features) -> Features:
        """The features that were trained on, in their order; a panel may have others by now."""
        names = list(self.spec["names"])
        if list(built.names) == names:
            return built
        if not set(names) <= set(built.names):
            raise ModelError(
                f"LightGBM was trained on features {names}, this panel gives {list(built.names)}: "
                "the configuration of sources or levels changed; train again."
            )
        return built.only(names)

    def parts(self, built: Features) -> dict[str, NDArray[np.float64]]:
        """(n_rows,) units by group of features, which add up to `expected`.

        By LightGBM's own contributions (TreeSHAP: Lundberg et al., 2020). Under a log link they multiply, so each gets
        its share of the distance from the base by the logarithmic mean (LMDI: Ang, 2005), which leaves no rest.
        """
        built = self._learnt(built)
        labels = groups(built.names, built.categorical)
        found = {name: np.zeros(len(built.values)) for name in dict.fromkeys((LEVEL, *labels))}
        for booster in self.boosters:
            given = booster.predict(built.values, pred_contrib=True, num_threads=self.threads)
            shares = np.asarray(given, dtype=np.float64)
            total, base = shares.sum(axis=1), shares[:, -1]
            if self.settings.objective in MULTIPLIED:
                moved = total - base
                still = np.abs(moved) < STILL
                factor = np.where(still, np.exp(base), (np.exp(total) - np.exp(base)) / np.where(still, 1, moved))
                start = np.exp(total) - factor * moved
            else:
                # What a negative sum would have taken below zero is taken off everything alike.
                factor = np.where(total > 0, 1.0, 0.0)
                start = base * factor
            found[LEVEL] += start
            for column, name in enumerate(labels):
                found[name] += shares[:, column] * factor
        scale = built.scale / len(self.boosters)
        return {name: values * scale for name, values in found.items()}

    def importance(self) -> dict[str, float]:
        """Share of the total gain by feature."""
        gain = np.sum([booster.feature_importance("gain") for booster in self.boosters], axis=0)
        return dict(zip(self.spec["names"], (gain / max(gain.sum(), 1e-12)).tolist(), strict=True))

    def save(self, folder: Path) -> None:
        """LightGBM's own text format, a file a booster, and the feature list as JSON."""
        for bag, booster in enumerate(self.boosters):
            booster.save_model(folder / _file(bag))
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
            model._boosters = [_booster(folder / _file(bag)) for bag in range(content["spec"]["bags"])]
            model.spec = content["spec"]
        except (OSError, ValueError, KeyError, TypeError, lgb.basic.LightGBMError) as error:
            raise ArtifactError(f"{folder} does not hold a LightGBM model: {error}") from None
        return model


def _file(bag: int) -> str:
    return f"lightgbm-{bag}.txt"


def _booster(file: Path) -> lgb.Booster:
    text = file.read_text(encoding="utf-8")
    if "\nend of parameters\n" not in text:
        raise ValueError(f"{file.name} is cut off")  # LightGBM would end the whole process over it
    return lgb.Booster(model_str=text)


def _safe(names: tuple[str, ...]) -> list[str]:
    """LightGBM refuses JSON's special characters in feature names."""
    return ["".join(letter if letter.isalnum() or letter == "_" else "_" for letter in name) for name in names]
