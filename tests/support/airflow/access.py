"""What each role of Airflow may do, by REST (docs/security.md has the same table for people)."""

from __future__ import annotations

import json

from forecasting.launcher.server import Airflow
from tests.support.airflow.people import Person, patient

USERS = {"guest": "viewer", "planner": "user", "operator": "op"}  # beside the administrator
PROBE = {"connection_id": "probe", "conn_type": "postgres", "login": "reader", "password": "hush-hush-hush"}
# What is asked, and the answers to viewer, user, op, admin. A request that would start something is wrong on purpose:
# 400, 404 and 422 come from behind the door, 403 from before it.
MATRIX = {
    ("GET", "dags"): (200, 200, 200, 200),
    ("GET", "dags/extract/dagRuns"): (200, 200, 200, 200),
    ("GET", "dagSources/extract"): (200, 200, 200, 200),
    ("GET", "dags/~/dagRuns/~/hitlDetails"): (200, 200, 200, 200),
    ("GET", "eventLogs"): (200, 200, 200, 200),
    ("POST", "dags/extract/dagRuns", '{"logical_date": null, "conf": {"cutoff": 7}}'): (403, 400, 400, 400),
    ("PATCH", "dags/extract", '{"is_paused": false}'): (403, 200, 200, 200),
    ("POST", "backfills", '{"dag_id": "nothing"}'): (403, 422, 422, 422),
    ("DELETE", "dags/extract/dagRuns/none"): (403, 404, 404, 404),
    ("POST", "assets/events", '{"asset_id": 999999}'): (403, 403, 404, 404),
    ("GET", "pools"): (200, 200, 200, 200),
    ("DELETE", "pools/none"): (403, 403, 404, 404),
    ("GET", "variables"): (403, 403, 200, 200),
    ("DELETE", "variables/none"): (403, 403, 404, 404),
    ("GET", "connections"): (403, 403, 200, 200),
    ("DELETE", "connections/none"): (403, 403, 404, 404),
    ("GET", "config"): (403, 403, 403, 403),
}


def answers(server: Airflow, *request: str) -> tuple[int, ...]:
    """Status for viewer, user, op, admin; then for nobody, and for a token whose signature is another one."""
    logins = [Person(server, name).login for name in (*USERS, server.user)]
    forged = {"Authorization": logins[-1]["Authorization"][:-4] + "AAAA"}
    body = json.loads(request[2]) if len(request) > 2 else None
    place = f"{server.url}/api/v2/{request[1]}"
    with patient(server) as session:
        return tuple(
            session.request(request[0], place, json=body, headers=login, timeout=60).status_code
            for login in (*logins, {}, forged)
        )


def check(server: Airflow) -> None:
    """Every request of the matrix gets its answers, and nobody is shown a connection's password."""
    found = {request: answers(server, *request) for request in MATRIX}
    assert found == {request: (*expected, 401, 403) for request, expected in MATRIX.items()}
    operator = Person(server, "operator")
    place = f"{server.url}/api/v2/connections"
    with patient(server) as session:
        session.headers.update(operator.login)
        assert session.post(place, json=PROBE, timeout=60).status_code == 201
        shown = session.get(f"{place}/probe", timeout=60).json()
        assert (shown["login"], shown["password"]) == ("reader", "***")
        assert session.delete(f"{place}/probe", timeout=60).status_code == 204


def check_silence(server: Airflow) -> None:
    """No password of a user, and none of a connection, stands in what Airflow's parts and tasks wrote."""
    secrets = [*json.loads((server.home / "passwords.json").read_text()).values(), PROBE["password"]]
    logs = [server.log, *(server.home / "logs").rglob("*.log")]
    assert len(logs) > 5
    for log in logs:
        text = log.read_text(encoding="utf-8", errors="replace")
        assert [secret for secret in secrets if secret in text] == [], log
