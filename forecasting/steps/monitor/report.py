"""Report: what the night has brought, as one HTML file, in MLflow beside the model's run, and by e-mail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.errors import StoreError
from forecasting.reporting.alerts.channels import mail_page
from forecasting.reporting.html.facts import Facts, gather
from forecasting.reporting.html.render import gist, render, title
from forecasting.reporting.queries.store import Store, Vintage
from forecasting.steps.run import Run, night_of, record
from forecasting.storage.atomic_files import write_whole
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import RUNS

ARTIFACTS = "reports"  # folder of the model's run in MLflow
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def write(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Write `report.path`/CUTOFF.html in place of an earlier one, log it beside the model's run, and send it once.

    Returns cutoff, place (None: no file), artifact, sent (to how many), bytes (0: nothing was written, where
    `report.enabled` is false or there is no vintage). Raises StoreError where it cannot be kept.
    """
    night, wanted = night_of(settings, cutoff), settings.report
    cutoff = night.cutoff
    facts: dict[str, Any] = {"cutoff": cutoff.isoformat(), "place": None, "artifact": None, "sent": 0, "bytes": 0}
    with record(settings, run, "report", night) as outcome:
        if not wanted.enabled:
            outcome.outcome, outcome.message = "skipped", "report.enabled is false."
            return facts
        store = Store(settings)
        vintage = store.vintage(cutoff)
        if vintage is None:
            outcome.outcome, outcome.message = "skipped", f"There are no forecasts of {cutoff}."
            return facts
        outcome.snapshot, outcome.model_version = vintage.snapshot, vintage.version
        found = gather(store, vintage)
        page, name = render(found, wanted.language), f"{cutoff}.html"
        facts["bytes"] = len(page.encode())
        if wanted.path:
            facts["place"] = f"{wanted.path.rstrip('/')}/{name}"
            write_whole(facts["place"], page.encode(), wanted.options, "report.path")
            tell(str(facts["place"]))
        trained_by = Registry(settings.mlflow).attach(vintage.version, f"{ARTIFACTS}/{name}", page)
        facts["artifact"] = f"runs:/{trained_by}/{ARTIFACTS}/{name}"
        facts["sent"] = _send(settings, vintage, run, found, page)
        outcome.message = f"{facts['place'] or 'no file'}; {facts['artifact']}; sent to {facts['sent']}"
    return facts


def _send(settings: Settings, vintage: Vintage, run: Run, found: Facts, page: str) -> int:
    """Hand the report to the e-mail server, once for what a vintage says; returns to how many it went.

    A server that refuses is logged, and tried again when the step is: it never stops a night.
    """
    email, wanted = settings.alerts.email, settings.report
    to = () if email is None else email.to if wanted.to is None else wanted.to
    if not to or _sent(settings, vintage):
        return 0
    try:
        with record(settings, run, "send_report", vintage.cutoff) as outcome:
            outcome.snapshot, outcome.model_version, outcome.rows = vintage.snapshot, vintage.version, 0
            name = f"forecast-report-{vintage.cutoff}.html"
            mail_page(settings.alerts, to, title(found, wanted.language), gist(found, wanted.language), (name, page))
            outcome.message = f"to {', '.join(to)}"
    except StoreError as error:
        log.error("The report was not sent: %s", error)  # noqa: TRY400  # the cause is in the message
        return 0
    return len(to)


def _sent(settings: Settings, vintage: Vintage) -> bool:
    """Whether the report on this model's forecasts from this snapshot has gone out already."""
    key = {"model_version": vintage.version, "snapshot": vintage.snapshot}
    where = {"step": "send_report", "cutoff": pd.Timestamp(vintage.cutoff), "outcome": "done"}
    return len(Warehouse(settings.warehouse).read(RUNS, ["run_id"], **where, **key)) > 0
