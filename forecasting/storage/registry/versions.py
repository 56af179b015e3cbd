"""What the registry says of one registered version of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Version:
    """One registered version. cutoff: last day that it learnt from; name: what people call it, e.g. `lightgbm`."""

    version: str
    cutoff: date
    name: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    created: datetime = datetime(1970, 1, 1, tzinfo=UTC)  # immutable

    @property
    def promoted(self) -> bool:
        """Whether it became champion and was not withdrawn since."""
        return "promoted" in self.tags

    @property
    def state(self) -> str:
        """champion, waiting, shadow, rejected, withdrawn, or empty before any verdict."""
        return self.tags.get("state", "")

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each model in it."""
        found: dict[str, float] = json.loads(self.tags.get("weights", "{}"))
        return found

    @property
    def by_class(self) -> Mapping[str, Mapping[str, float]]:
        """Weights of their own of some demand classes; empty where there are none."""
        found: dict[str, dict[str, float]] = json.loads(self.tags.get("weights_by_class", "{}"))
        return found

    @property
    def since(self) -> date:
        """Cutoff that its age counts from: that of its training, or of the rollback that brought it back."""
        back = self.tags.get("rolled_back_at")
        return max(self.cutoff, date.fromisoformat(back)) if back else self.cutoff


def bare(made: ModelVersion) -> Version:
    """MLflow's version as ours, without its metrics."""
    created = datetime.fromtimestamp(made.creation_timestamp / 1000, UTC)
    return Version(str(made.version), cutoff_of(made), made.tags.get("name", ""), {}, dict(made.tags), created)


def cutoff_of(made: ModelVersion) -> date:
    """Last day that a version learnt from."""
    return date.fromisoformat(made.tags["cutoff"])
