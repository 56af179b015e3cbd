"""Airflow's own metrics carry ours: real DAG runs, a real receiver of OpenTelemetry, and nothing when off."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from forecasting.core.config import settings as configuration
from forecasting.sources.demo import database
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import QUALITY
from tests.support.shops import ROOT, small_shop

# As a worker does it: a process of its own, whose last metrics are sent when it ends; its Airflow is its own too.
SCRIPT = """
import shutil
import sys
from datetime import UTC, datetime
from tests.support.airflow.home import HOME
from airflow.dag_processing.dagbag import DagBag
from airflow.utils import db
db.initdb()
bag = DagBag("dags")
for number, name in enumerate(sys.argv[1:]):
    moment = datetime(2026, 9, 1, 0, number, tzinfo=UTC)
    assert bag.dags[name].test(logical_date=moment, run_conf={"cutoff": "2026-06-30"}).state == "success"
shutil.rmtree(HOME)
"""


class Collector(HTTPServer):
    """Takes OTLP over HTTP; `gauges`: last value by name, `tags`: its attributes."""

    def __init__(self) -> None:
        self.gauges: dict[str, float] = {}
        self.tags: dict[str, dict[str, str]] = {}
        super().__init__(("127.0.0.1", 0), Receive)


class Receive(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportMetricsServiceRequest.FromString(sent).resource_metrics:
            for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
                for point in metric.gauge.data_points:
                    self.server.gauges[metric.name] = point.as_double or point.as_int
                    self.server.tags[metric.name] = {tag.key: tag.value.string_value for tag in point.attributes}
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(conf: Path, *dags: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *dags],
        cwd=ROOT, env=os.environ | {"FORECASTING_CONF": str(conf), "PYTHONPATH": str(ROOT)} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_what_tasks_found_becomes_gauges(tmp_path: Path, collector: Collector) -> None:
    conf = small_shop(tmp_path)
    settings = configuration.load(conf)
    database.create(settings)
    port = str(collector.server_port)
    run(
        conf, "extract", "monitor",
        AIRFLOW__METRICS__OTEL_ON="True", AIRFLOW__METRICS__OTEL_HOST="127.0.0.1", AIRFLOW__METRICS__OTEL_PORT=port,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    )  # fmt: skip
    ours = {name.removeprefix("airflow.forecasting."): value for name, value in collector.gauges.items()}
    sales = Warehouse(settings.warehouse).read(QUALITY, rule="all", table="sales").iloc[0]
    assert ours["read_and_screen_sales.read"] == sales["read"]
    assert ours["read_and_screen_sales.quarantined"] == sales["quarantined"] > 0
    assert ours["read_and_screen_sales.seconds"] > 0
    assert 0 < ours["check_health.signs.quarantined_share"] < 0.02
    assert ours["check_health.signs.failed_runs_ever"] >= 0
    assert ours["score_past_vintages.vintages"] == 0
    tags = collector.tags["airflow.forecasting.read_and_screen_sales.read"]
    assert tags == {"dag_id": "extract"}

    collector.gauges.clear()
    run(conf, "extract")  # switched off, as it is by default
    assert collector.gauges == {}
