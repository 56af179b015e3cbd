"""A running Airflow: a challenger waits for its approver, is approved by REST, forecasts, and is rolled back again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forecasting.launcher.client import Client
from forecasting.launcher.server import airflow
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS_WITHDRAWN, MODEL_PROMOTIONS
from tests.support.airflow import access
from tests.support.airflow.people import PENDING, Person, plain_environment, until, versions, week_old_shop
from tests.support.servers.outbound import guarded, outside


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    with plain_environment():
        yield


def waiting(person: Person) -> list[dict]:
    """Questions that are asked, by tasks that hold no worker; Airflow keeps the question first and then lets go."""
    asked = person.ask(PENDING)["hitl_details"]
    return [detail for detail in asked if detail["task_instance"]["state"] == "awaiting_input"]


def test_approved_by_rest_and_rolled_back_by_its_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, settings, last = week_old_shop(tmp_path, hours=1)
    for name, value in guarded(tmp_path / "connections.log").items():
        monkeypatch.setenv(name, value)
    users = {"lead": "op", "other": "op", **access.USERS}
    with airflow(path.parent / "airflow", path, clock=False, users=users) as server:
        client = Client(server)
        client.wait_for(("extract", "train", "approve", "forecast", "monitor", "rollback"))
        client.make_pool("training", 1)
        lead, other = Person(server, "lead"), Person(server, "other")
        client.trigger("extract", {"cutoff": last.isoformat()})
        detail = until(server, "a question that no worker waits with", lambda: waiting(lead))[0]
        assert "version 2, in place of version 1?" in detail["subject"]
        assert "| better than the champion | all |" in detail["body"]
        # The night itself did not wait: the champion's forecasts are there.
        until(server, "the champion's vintage", lambda: versions(settings, last) == {"1"})
        assert other.answer(detail, "Approve") == 403
        assert lead.answer(detail, "Approve", "agreed with purchasing") == 200
        until(server, "the challenger's vintage", lambda: versions(settings, last) == {"2"})
        decided = Warehouse(settings.warehouse).read(MODEL_PROMOTIONS).set_index(["version", "decision"])
        assert decided.loc[("2", "waiting"), "by"] == "rules"
        assert decided.loc[("2", "promoted"), ["by", "note"]].tolist() == ["lead", "agreed with purchasing"]
        assert set(Warehouse(settings.warehouse).read(FORECASTS_WITHDRAWN)["model_version"]) == {"1"}

        client.trigger("rollback", {"version": "1", "reason": "purchasing changed its mind"})
        until(server, "the vintage from before", lambda: versions(settings, last) == {"1"})
        decided = Warehouse(settings.warehouse).read(MODEL_PROMOTIONS).set_index(["version", "decision"])
        back = decided.loc[("1", "rolled_back")]
        assert (back["by"], back["reason"]) == ("admin", "purchasing changed its mind")
        assert set(Warehouse(settings.warehouse).read(FORECASTS_WITHDRAWN)["model_version"]) == {"1", "2"}
        access.check(server)
        access.check_silence(server)
    assert outside(tmp_path / "connections.log") == []


def test_without_an_answer_in_time_the_champion_stays(tmp_path: Path) -> None:
    path, settings, last = week_old_shop(tmp_path, hours=0.003)
    with airflow(path.parent / "airflow", path, clock=False) as server:
        client = Client(server)
        client.wait_for(("extract", "train", "approve", "forecast", "monitor"))
        client.make_pool("training", 1)
        client.trigger("extract", {"cutoff": last.isoformat()})

        def answered() -> list[dict]:
            rows = Warehouse(settings.warehouse).read(MODEL_PROMOTIONS, version="2")
            return rows[rows["decision"] == "kept"].to_dict("records")

        row = until(server, "the end of waiting", answered)[0]
        assert row["by"] == "nobody in time"
        # The night's forecast goes on beside the question, and may end after it.
        until(server, "the champion's vintage", lambda: versions(settings, last))
        assert versions(settings, last) == {"1"}
