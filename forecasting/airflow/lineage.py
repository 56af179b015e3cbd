"""Lineage events for OpenLineage: what the steps of a task have read and written, through Airflow's own provider.

Without the provider (`pip install 'forecasting[lineage]'`) or without a transport configured for it, nothing is told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from forecasting.core.errors import ForecastingError

if TYPE_CHECKING:
    from forecasting.core.config.settings import Settings
    from forecasting.steps.operate.lineage import Data
    from forecasting.steps.run import Run

TOLD = ("cutoff", "snapshot", "model_version", "settings", "code")
log = logging.getLogger(__name__)


def tell(settings: Settings, run: Run) -> None:
    """One event a step of the run, as part of the task that is running now. Never lets a task fail."""
    try:
        from airflow.providers.openlineage.api import emit_dataset_lineage, is_openlineage_active
    except ImportError:
        return  # the provider is an option
    if not is_openlineage_active():
        return
    from openlineage.client.facet_v2 import tags_run

    from forecasting.steps.operate.lineage import of

    for row in run.steps:
        try:
            read, written = of(settings, row)
        except ForecastingError:
            log.exception("What the step %s read and wrote cannot be told to OpenLineage", row["step"])
            continue
        if read or written:
            tags = [tags_run.TagsRunFacetFields(name, _text(row[name]), "forecasting") for name in TOLD if row[name]]
            facets = {"tags": tags_run.TagsRunFacet(tags=tags)}
            emit_dataset_lineage(inputs=_sets(read), outputs=_sets(written), additional_run_facets=facets)


def _sets(data: Iterable[Data]) -> list[Any]:
    """As OpenLineage has them: the version, the digest as a tag, and what the columns are."""
    from openlineage.client.event_v2 import Dataset

    return [Dataset(one.namespace, one.name, facets=_facets(one)) for one in data]


def _facets(one: Data) -> Mapping[str, Any]:
    from openlineage.client import facet_v2 as facets

    found: dict[str, Any] = {}
    if one.version:
        found["version"] = facets.dataset_version_dataset.DatasetVersionDatasetFacet(one.version)
    if one.digest:
        tag = facets.tags_dataset.TagsDatasetFacetFields("sha256", one.digest, "forecasting")
        found["tags"] = facets.tags_dataset.TagsDatasetFacet([tag])
    if one.table:
        fields = [
            facets.schema_dataset.SchemaDatasetFacetFields(
                name=name, type=column.kind, description=f"{column.about} ({column.unit})".removesuffix(" ()")
            )
            for name, column in one.table.columns.items()
        ]
        found["schema"] = facets.schema_dataset.SchemaDatasetFacet(fields=fields)
        found["documentation"] = facets.documentation_dataset.DocumentationDatasetFacet(one.table.about)
    return found


def _text(value: Any) -> str:
    return str(value.date()) if hasattr(value, "date") else str(value)
