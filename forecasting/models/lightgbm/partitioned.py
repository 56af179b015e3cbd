"""A global model for each partition of the business, where one over everything is too large; together they are one.

Each partition's model sees the series of its partition and nothing else, so it does not matter in which order or by how
many workers they are trained. A shared model over all series stands beside them: for partitions that are too small to
learn from, and for those that did not exist when it was trained.
"""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasting import models
from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, ModelError, SettingsError, some
from forecasting.models.base import Forecast, Forecaster
from forecasting.panel.hierarchy import group
from forecasting.panel.panel import Panel

SPEC_FILE = "partitions.json"
REST = "rest"  # folder of the shared model
log = logging.getLogger(__name__)


class Partitioned:
    """Answers to the name of the candidate that it stands in for (`kind`), so that nothing around it changes.

    parts: model by partition. rest: the shared model. small: by partition without a model of its own, the reason.
    """

    name = "partitioned"

    def __init__(self, kind: str, by: str | None, settings: Settings | None = None) -> None:
        self.kind, self.by, self._settings = kind, by, settings
        self.parts: dict[str, Forecaster] = {}
        self.rest: Forecaster | None = None
        self.small: dict[str, str] = {}

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """LightGBM by `train.partition_by`; over everything where that is not set."""
        return cls("lightgbm", settings.train.partition_by, settings)

    @classmethod
    def over(cls, kind: str, settings: Settings) -> Self:
        """Any global candidate by `train.partition_by`, under its own name."""
        made = cls(kind, settings.train.partition_by, settings)
        made.name = kind
        return made

    @property
    def spec(self) -> dict[str, Any]:
        """`gave_up`: what the models had no time for, by partition."""
        gone = [
            f"{name}: {one}"
            for name, model in (*self.parts.items(), (REST, self.rest))
            for one in getattr(model, "spec", {}).get("gave_up", ())
        ]
        return {"gave_up": gone}

    def fit(self, panel: Panel, horizon: int) -> Self:
        """Train the shared model, and one for every partition that is large enough.

        Raises SettingsError where the series lack the attribute, ModelError where there is nothing to learn from.
        """
        if self._settings is None:
            raise ModelError("A partitioned model that was loaded is not fitted again: create a new one.")
        least, workers = self._settings.train.partition_series, self._settings.runtime.partition_workers
        members = self._members(panel)
        self.small = {
            name: f"{len(rows):,} series, fewer than train.partition_series = {least:,}"
            for name, rows in members.items()
            if len(rows) < least
        }
        self.rest = self._fitted(panel, horizon, 1)
        wanted = [name for name in members if name not in self.small]
        with ThreadPoolExecutor(workers, thread_name_prefix="partition") as pool:
            # Each takes its copy of the series when its turn comes: as many are in memory as there are workers.
            found = list(pool.map(lambda name: self._own(panel, members[name], horizon, workers), wanted))
        self.parts = {name: one for name, one in zip(wanted, found, strict=True) if not isinstance(one, str)}
        self.small |= {name: one for name, one in zip(wanted, found, strict=True) if isinstance(one, str)}
        for name, why in self.small.items():
            log.info("%s, partition %r of %s goes to the shared model: %s", self.name, name, self.by, why)
        return self

    def _own(self, panel: Panel, rows: NDArray[np.intp], horizon: int, workers: int) -> Forecaster | str:
        """The model of one partition, or why it has none."""
        try:
            return self._fitted(panel.take(rows), horizon, workers)
        except ModelError as error:
            return str(error)

    def _fitted(self, panel: Panel, horizon: int, workers: int) -> Forecaster:
        if self._settings is None:
            raise ModelError("A partitioned model that was loaded is not fitted again: create a new one.")
        runtime = self._settings.runtime
        # Side by side, they share the cores; LightGBM's numbers do not depend on its threads (deterministic).
        cores = runtime.threads or len(os.sched_getaffinity(0))
        threads = runtime.threads if workers == 1 else max(1, cores // workers)
        narrow = self._settings.model_copy(update={"runtime": runtime.model_copy(update={"threads": threads})})
        made = models.plain(self.kind, narrow).fit(panel, horizon)
        if hasattr(made, "threads"):
            made.threads = runtime.threads  # what is saved does not tell how many were trained side by side
        return made

    def predict(self, panel: Panel, horizon: int, rows: NDArray[np.intp] | None = None) -> Forecast:
        """Each series by the model of its partition, the others by the shared one. Raises ModelError before `fit`."""
        if self.rest is None:
            raise ModelError("A partitioned model was asked for something before it was fitted.")
        wanted = np.arange(len(panel.y)) if rows is None else rows
        open_ = np.ones(len(wanted), dtype=bool)
        mean = np.empty((len(wanted), horizon), dtype=np.float32)
        status, reason = np.full(len(wanted), "ok", dtype=object), np.full(len(wanted), "", dtype=object)

        def keep(here: NDArray[np.intp], found: Forecast) -> None:
            mean[here], status[here], reason[here], open_[here] = found.mean, found.status, found.reason, False

        for name, members in self._members(panel).items() if self.parts else ():
            here = np.flatnonzero(np.isin(wanted, members))
            if name in self.parts and len(here):
                places = np.searchsorted(members, wanted[here])
                keep(here, self.parts[name].predict(panel.take(members), horizon, places))
        left = np.flatnonzero(open_)
        if len(left):
            keep(left, self.rest.predict(panel, horizon, wanted[left]))
        return Forecast(mean, None, status, reason)

    def explain(self, panel: Panel, horizon: int, rows: NDArray[np.intp]) -> dict[str, NDArray[np.float64]]:
        """(len(rows), horizon) units by group of features, as each series' own model tells it; `history` where none."""
        names = self._names(panel)[rows].astype(str) if self.by else np.full(len(rows), "")
        found: dict[str, NDArray[np.float64]] = {}
        for name in dict.fromkeys(one if one in self.parts else "" for one in names):
            here = np.flatnonzero(names == name if name else ~np.isin(names, list(self.parts)))
            known, places, model = panel, rows[here], self.parts.get(name, self.rest)
            if name:
                members = self._members(panel)[name]
                known, places = panel.take(members), np.searchsorted(members, places)
            for features, values in _told(model, known, horizon, places).items():
                found.setdefault(features, np.zeros((len(rows), horizon)))[here] = values
        return found

    def importance(self) -> dict[str, float]:
        """Share of the total gain by feature: the mean over the models that series go to, as far as they gained at all.

        The shared model counts where partitions go to it. Raises ModelError before `fit`.
        """
        if self.rest is None:
            raise ModelError("A partitioned model was asked for something before it was fitted.")
        asked: list[Any] = [*self.parts.values(), *([self.rest] if self.small or not self.parts else [])]
        told = [shares for shares in (one.importance() for one in asked) if sum(shares.values()) > 0]
        names = dict.fromkeys(name for one in told for name in one)
        return {name: sum(one.get(name, 0.0) for one in told) / len(told) for name in names}

    def _names(self, panel: Panel) -> NDArray[np.object_]:
        """(n_series,) partition of each series."""
        missing = [part for part in (self.by or "").split("|") if part not in panel.series]
        if missing:
            raise SettingsError(
                f"train.partition_by = {self.by!r}: the series have no attribute {some(missing)}; they have: "
                f"{some(panel.series.columns, 20)}."
            )
        level = group(panel.series, str(self.by))
        return np.asarray(level.labels[level.codes], dtype=object)

    def _members(self, panel: Panel) -> dict[str, NDArray[np.intp]]:
        """Positions of the series of every partition, rising; partitions in the order of their names."""
        if not self.by:
            return {}
        names = self._names(panel)
        order = np.argsort(names.astype(str), kind="stable")
        found, starts = np.unique(names[order].astype(str), return_index=True)
        return dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True))

    def save(self, folder: Path) -> None:
        """A folder a partition, numbered (names may hold anything), one for the shared model, and the list as JSON."""
        if self.rest is None:
            raise ModelError("A partitioned model cannot be saved before it was fitted.")
        places = {name: f"part-{number}" for number, name in enumerate(self.parts)}
        for name, place in places.items():
            models.save(self.parts[name], folder / place)
        models.save(self.rest, folder / REST)
        content = {"name": self.name, "kind": self.kind, "by": self.by, "parts": places, "small": self.small}
        (folder / SPEC_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises ArtifactError where it is not whole."""
        try:
            content = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
            made = cls(str(content["kind"]), content["by"])
            made.name = str(content["name"])
            made.small = {str(name): str(why) for name, why in content["small"].items()}
            places = {str(name): Path(str(place)).name for name, place in content["parts"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{folder} does not hold a partitioned model: {error}") from None
        made.parts = {name: models.load(folder / place) for name, place in places.items()}
        made.rest = models.load(folder / REST)
        return made


def _told(model: Any, panel: Panel, horizon: int, rows: NDArray[np.intp]) -> dict[str, Any]:
    """What a model tells of these series; of one that tells nothing, its forecast."""
    told = getattr(model, "explain", None)
    return dict(told(panel, horizon, rows)) if told else {"history": model.predict(panel, horizon, rows).mean}
