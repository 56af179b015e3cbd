"""Every address wants a login; reading and planning want their roles; another site can change nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

CHANGE = {"level": "total", "name": "all", "kind": "percent", "value": 1, "reason": "x"}


def addresses(application):
    """Method and path of every address of the application, those that OpenAPI does not show too."""
    app = next(one.app for one in application.routes if getattr(one, "path", "") == "/forecasts")
    return {(method, one.path) for one in app.routes for method in one.methods}


def test_no_address_answers_without_a_login(application, client_of):
    nobody, found = client_of(), addresses(application)
    assert {("GET", "/"), ("GET", "/static/{name}"), ("GET", "/api/forecasts"), ("POST", "/api/overrides")} <= found
    assert len(found) >= 23
    for method, path in sorted(found):
        answer = nobody.request(method, f"/forecasts{path}".replace("{name}", "page.css"))
        assert answer.status_code == 401, (method, path)


@pytest.mark.parametrize(
    "path",
    ["", "exceptions.csv", "series", "series/one?name=x", "series/one.csv?name=x", "accuracy", "models", "overrides",
     "replenishment", "replenishment.csv", "static/page.css", "static/look.css", "static/uPlot.iife.min.js",
     "api/openapi.json", "api/forecasts", "api/vintages", "api/series", "api/chart?name=x", "api/exceptions",
     "api/overrides", "api/replenishment"],
)  # fmt: skip
def test_each_view_and_its_data_want_a_login(client_of, path):
    answer = client_of().get(f"/forecasts/{path}")
    assert answer.status_code == 401
    forged = client_of()
    forged.cookies.set("_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.")
    assert forged.get(f"/forecasts/{path}").status_code == 403


@pytest.mark.parametrize("path", ["api/exceptions", "api/overrides", "api/overrides/preview", "api/overrides/withdraw"])
def test_changes_want_a_login_and_the_right_to_run(client_of, viewer, path):
    assert client_of().post(f"/forecasts/{path}", json={}).status_code == 401
    refused = viewer.post(f"/forecasts/{path}", json={})
    assert refused.status_code == 403
    assert "right to run the DAG forecast" in refused.json()["detail"]


def test_a_page_without_a_login_says_where_to_log_in(client_of):
    answer = client_of().get("/forecasts/")
    assert "/auth/login" in answer.text
    assert "Log in" in answer.text


def test_who_may_only_read_sees_no_buttons_to_plan(viewer, planner, shop):
    name = f"/forecasts/series/one?name={shop.series}"
    assert viewer.get("/forecasts/").status_code == viewer.get(name).status_code == 200
    for path, what in (("/forecasts/", "data-mark"), ("/forecasts/overrides", 'id="override"'), (name, ">Override<")):
        assert what in planner.get(path).text
        assert what not in viewer.get(path).text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://airflow.test.evil.example"}, 403),
        ({}, 403),
        ({"Origin": "http://airflow.test"}, 422),
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://airflow.test"}, 403),
    ],
)
def test_a_change_must_come_from_the_page_itself(client_of, headers, status):
    client = client_of("USER")
    del client.headers["Sec-Fetch-Site"]
    # 422: let in, and refused for what it says.
    assert client.post("/forecasts/api/overrides", json={}, headers=headers).status_code == status


def test_a_form_of_another_site_is_no_json(planner):
    for media in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        answer = planner.post(
            "/forecasts/api/overrides", content=b'{"level": "total"}', headers={"Content-Type": media}
        )
        assert answer.status_code == 422


def test_a_program_with_a_token_needs_no_origin(client_of, shop):
    client = client_of("USER", bearer=True)
    start = (shop.last + timedelta(days=1)).date().isoformat()
    answer = client.post("/forecasts/api/overrides/preview", json=CHANGE | {"start": start, "end": start})
    assert answer.status_code == 200
    assert answer.json()["after"] == pytest.approx(1.01 * answer.json()["before"], rel=1e-4)


def test_nothing_from_outside_is_loaded(viewer, shop):
    for path in ("", "series", f"series/one?name={shop.series}", "overrides", "replenishment", "accuracy", "models"):
        answer = viewer.get(f"/forecasts/{path}")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http://" not in answer.text.replace("http://www.w3.org/", "")
        assert "https://" not in answer.text
        assert " style=" not in answer.text
        assert " onclick=" not in answer.text
