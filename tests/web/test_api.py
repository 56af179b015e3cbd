"""The REST part: what it says is what the tables hold, page by page; and what it refuses."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECAST_LEVELS, FORECASTS

API = "/forecasts/api/forecasts"


def test_pages_give_every_row_of_the_table_once(viewer, shop):
    found, after, sizes = [], "", []
    while True:
        answer = viewer.get(API, params={"limit": 5, "after": after})
        page = answer.json()
        sizes.append(len({row["unique_id"] for row in page["rows"]}))
        found += page["rows"]
        if page["next"] is None:
            assert "link" not in answer.headers
            break
        # The header leads to the same next page as the field.
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers["link"])[1]
        after = page["next"]
        assert viewer.get(link).json() == viewer.get(API, params={"limit": 5, "after": after}).json()
    table = Warehouse(shop.settings.warehouse).read(FORECASTS, cutoff=shop.last)
    assert page["total"] == table["unique_id"].nunique() == sum(sizes)
    assert sizes[:-1] == [5] * (len(sizes) - 1)
    told = pd.DataFrame(found).sort_values(["unique_id", "ds"], ignore_index=True)
    assert len(told) == len(table)
    pd.testing.assert_series_equal(told["mean"], table["mean"].reset_index(drop=True), check_dtype=False)
    assert told["ds"].tolist() == table["ds"].dt.strftime("%Y-%m-%d").tolist()


def test_filters_by_attribute_series_level_and_cutoff(viewer, shop):
    page = viewer.get(API, params={"store": "S01", "limit": 500}).json()
    names = {row["unique_id"] for row in page["rows"]}
    assert names
    assert all(name.endswith("_S01") for name in names)
    assert page["total"] == len(names)
    item = next(iter(names)).split("_")[0]
    one = viewer.get(API, params={"store": "S01", "item": item}).json()
    assert {row["unique_id"] for row in one["rows"]} == {f"{item}_S01"}
    assert viewer.get(API, params={"unique_id": shop.series}).json()["total"] == 1
    region = viewer.get("/forecasts/api/series", params={"limit": 1}).json()["rows"][0]["region"]
    there = viewer.get("/forecasts/api/series", params={"where": f"region:{region}"}).json()
    assert {row["region"] for row in there["rows"]} == {region}
    level = viewer.get(API, params={"level": "store", "store": "S01"}).json()["rows"]
    table = Warehouse(shop.settings.warehouse).read(FORECAST_LEVELS, cutoff=shop.last, level="store", name="S01")
    assert [row["mean"] for row in level] == pytest.approx(table["mean"].tolist())
    before = viewer.get(API, params={"cutoff": shop.first.date().isoformat(), "limit": 1}).json()
    assert before["cutoff"] == shop.first.date().isoformat()
    assert {row["cutoff"] for row in before["rows"]} == {before["cutoff"]}


def test_an_unchanged_answer_is_not_sent_again(viewer):
    first = viewer.get(API, params={"limit": 2})
    tag = first.headers["etag"]
    again = viewer.get(API, params={"limit": 2}, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert viewer.get(API, params={"limit": 2}, headers={"If-None-Match": f'"x", W/{tag}'}).status_code == 304
    assert viewer.get(API, params={"limit": 3}, headers={"If-None-Match": tag}).status_code == 200
    assert "private" in first.headers["cache-control"]


@pytest.mark.parametrize(
    "params",
    [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"level": "nothing"}, {"cutoff": "today"}, {"where": "region"},
     {"where": "secret:1"}, {"unknown": "1"}, {"store": "x" * 201}, {"level": "store", "item": "x"}],
)  # fmt: skip
def test_a_wrong_parameter_is_said(viewer, params):
    answer = viewer.get(API, params=params)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_a_vintage_that_is_not_there(viewer):
    answer = viewer.get(API, params={"cutoff": "1999-01-01"})
    assert answer.status_code == 404
    assert "1999-01-01" in answer.json()["detail"]


def test_openapi_describes_what_is_there(viewer):
    described = viewer.get("/forecasts/api/openapi.json").json()
    assert described["servers"] == [{"url": "/forecasts"}]
    assert {"/api/forecasts", "/api/series", "/api/chart", "/api/exceptions", "/api/overrides"} <= set(
        described["paths"]
    )
    assert not [path for path in described["paths"] if not path.startswith("/api/")]
    asked = {one["name"] for one in described["paths"]["/api/forecasts"]["get"]["parameters"]}
    assert {"cutoff", "level", "store", "item", "category", "limit", "after", "where"} <= asked
    for method in described["paths"].values():
        for operation in method.values():
            assert operation["summary"]
            assert {"401", "403"} <= set(operation["responses"])


def test_vintages_newest_first(viewer, shop):
    cutoffs = viewer.get("/forecasts/api/vintages").json()["cutoffs"]
    assert cutoffs == [shop.last.date().isoformat(), shop.first.date().isoformat()]


def test_a_chart_has_history_forecast_and_past_vintage(viewer, shop):
    chart = viewer.get("/forecasts/api/chart", params={"name": shop.series}).json()
    table = Warehouse(shop.settings.warehouse).read(FORECASTS, unique_id=shop.series)
    mine = table[table["cutoff"] == shop.last]
    assert [one for one in chart["mean"] if one is not None] == pytest.approx(mine["mean"].tolist(), abs=1e-4)
    assert list(chart["past"]) == [shop.first.date().isoformat()]
    at = chart["ds"].index(shop.last.date().isoformat())
    assert chart["mean"][at] is None
    assert chart["y"][at + 1 :] == [None] * (len(chart["ds"]) - at - 1)
    for low, high in (("p05", "p25"), ("p25", "p75"), ("p75", "p95")):
        assert all(a <= b for a, b in zip(chart[low], chart[high], strict=True) if a is not None)
    total = viewer.get("/forecasts/api/chart", params={"name": "all", "level": "total"}).json()
    assert sum(one or 0 for one in total["mean"]) > sum(one or 0 for one in chart["mean"])
    assert viewer.get("/forecasts/api/chart", params={"name": "nothing"}).status_code == 404
