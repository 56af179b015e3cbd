"""A running Airflow: forecasts that are not there by the hour promised become an alert, which closes when they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forecasting.core.config import settings as configuration
from forecasting.launcher.client import Client
from forecasting.launcher.server import airflow
from forecasting.steps.ingest.demo import tonight
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import ALERTS
from tests.support.airflow.people import plain_environment, until
from tests.support.servers.receivers import webhook
from tests.support.shops import small_shop


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    with plain_environment():
        yield


def test_a_missed_deadline_is_told_and_mended(tmp_path: Path) -> None:
    with webhook() as (url, calls, _):
        path = small_shop(
            tmp_path, train__models=["seasonal_mean"], health__lead_hours=0.002,
            alerts__webhooks__team={"url": url, "format": "slack"},
        )  # fmt: skip
        settings = configuration.load(path)
        cutoff = tonight(settings)
        warehouse = Warehouse(settings.warehouse)
        with airflow(path.parent / "airflow", path, clock=False) as server:
            client = Client(server)
            client.wait_for(("extract", "train", "forecast", "monitor", "promise"))
            client.make_pool("training", 1)
            client.trigger("promise", {"cutoff": cutoff.isoformat()})
            until(server, "an alert", lambda: len(warehouse.read(ALERTS, name="late")))
            alert = warehouse.read(ALERTS, name="late").iloc[0]
            assert alert["severity"] == "critical"
            assert f"no forecasts of {cutoff}" in alert["message"]
            until(server, "a call of the webhook", lambda: len(calls))
            assert "opened (critical) late, forecasts" in calls[0][1]["text"]
            client.trigger("extract", {"cutoff": cutoff.isoformat()})
            until(server, "the end of it", lambda: warehouse.read(ALERTS, name="late")["closed"].notna().all())
            assert "mended (critical) late, forecasts" in calls[-1][1]["text"]
