"""The Grafana dashboard: every query of it, as Grafana sends it, on the real tables in PostgreSQL."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config.sections import WarehouseSettings
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.schema import Table
from forecasting.tables.warehouse import ALERTS, DRIFT, FORECASTS, HEALTH, QUALITY, RUNS, SCORES

DASHBOARD = json.loads((Path(__file__).parents[3] / "docker" / "grafana" / "forecasting.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
DAY = pd.Timestamp("2026-07-01")
RANGE = ("2026-06-01T00:00:00Z", "2026-08-01T00:00:00Z")
EMPTY = {"text": "x", "date": DAY, "instant": DAY.tz_localize("UTC"), "integer": 1, "number": 0.5, "flag": True}


def rows(table: Table, *changes: dict) -> pd.DataFrame:
    """A row for each: what the case does not name is filled by kind."""
    filled = {name: EMPTY[column.kind] for name, column in table.columns.items()}
    return pd.DataFrame([filled | change for change in changes])


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[sa.Connection]:
    schema = f"test_{uuid.uuid4().hex[:12]}"
    warehouse = Warehouse(WarehouseSettings.model_validate({"url": postgres_url, "schema": schema}))
    states = ("ok", "ok", "ok", "fallback")
    series = [{"unique_id": f"s{number}", "status": status} for number, status in enumerate(states)]
    warehouse.replace(FORECASTS, rows(FORECASTS, *series), cutoff=DAY)
    signs = [
        {"sign": sign, "value": value, "breached": value > 90}
        for sign, value in [("champion_days", 99.0), ("lead_hours", 2.0), ("fallback_share", 0.25), ("rework", 1.0)]
    ]
    warehouse.replace(HEALTH, rows(HEALTH, *signs), cutoff=DAY)
    scores = [
        {"level": "total", "bucket": bucket, "metric": metric, "value": value}
        for bucket, value in [("15-28", 0.7), ("1-7", 0.4), ("8-14", 0.6)]
        for metric in ("wape", "naive_wape", "bias", "coverage")
    ]
    warehouse.replace(SCORES, rows(SCORES, *scores, {"level": "store", "metric": "wape"}), cutoff=DAY)
    quality = [{"rule": "all", "read": 10, "quarantined": 2}, {"rule": "range", "passed": False}]
    warehouse.replace(QUALITY, rows(QUALITY, *quality), cutoff=DAY)
    warehouse.replace(RUNS, rows(RUNS, {}), run_id="x", step="x")
    for subject, closed in [("open", None), ("mended", DAY)]:
        row = rows(ALERTS, {"subject": subject, "closed": closed})
        warehouse.replace(ALERTS, row, **{name: row[name].iloc[0] for name in ALERTS.partition})
    drift = [{"subject": "store=S1"}, {"subject": "store=S2", "drifted": False}]
    warehouse.replace(DRIFT, rows(DRIFT, *drift), cutoff=DAY)
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET search_path TO {schema}")
        yield connection
        connection.rollback()
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
        connection.commit()
    engine.dispose()


def asked(connection: sa.Connection, panel: dict) -> list[dict]:
    """The answer to a panel's query, with Grafana's one macro written out as Grafana does."""
    between = rf"\1 BETWEEN '{RANGE[0]}' AND '{RANGE[1]}'"
    sql = re.sub(r"\$__timeFilter\(([^()]+)\)", between, panel["targets"][0]["rawSql"])
    assert "$" not in sql
    return [dict(row) for row in connection.execute(sa.text(sql.replace(":", r"\:"))).mappings()]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_query_has_an_answer_in_the_shape_that_its_panel_wants(database: sa.Connection, panel: dict) -> None:
    answer = asked(database, panel)
    assert answer
    if panel["type"] == "timeseries":
        assert next(iter(answer[0])) == "time"
        assert len(answer[0]) >= 2


def test_the_figures_are_those_of_the_tables(database: sa.Connection) -> None:
    found = {panel["title"]: asked(database, panel) for panel in PANELS}
    stats = {title: next(iter(answer[0].values())) for title, answer in found.items()}
    assert stats["Newest vintage"] == "2026-07-01"
    assert (stats["Series forecast"], float(stats["On a fallback"])) == (4, 0.25)
    assert stats["WAPE of the newest scored vintage"] == 0.4
    assert (stats["Age of the champion"], stats["Warning signs breached"]) == (99, 1)
    assert [row["value"] for row in found["WAPE beside seasonal naive"]] == [0.4, 0.4]
    assert [row["subject"] for row in found["Open alerts"]] == ["open"]
    assert [row["subject"] for row in found["What has moved"]] == ["store=S1"]
    assert [row["rule"] for row in found["Broken quality rules"]] == ["range"]


def test_the_file_is_one_that_grafana_can_import() -> None:
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(DASHBOARD)
    everything = DASHBOARD["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert [one["type"] for one in DASHBOARD["templating"]["list"]] == ["datasource"]
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == panel["targets"][0]["datasource"] == {
                "type": DASHBOARD["templating"]["list"][0]["query"], "uid": "${warehouse}",
            }  # fmt: skip
