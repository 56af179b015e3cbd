"""What the pages show is what the tables hold; nothing in a name or an address becomes SQL, HTML, a path, a formula."""

from __future__ import annotations

import csv
import html
import io
import re

import pandas as pd
import pytest

from forecasting.reporting.queries.store import Store
from forecasting.reporting.queries.today import today
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planner_page import EXCEPTION_STATES
from forecasting.tables.planning import OVERRIDDEN, OVERRIDES, REPLENISHMENT
from forecasting.tables.warehouse import ALERTS, EXCEPTIONS, FORECASTS, SCORES
from forecasting.web.responses import cell

VIEWS = ("", "series", "overrides", "replenishment", "accuracy", "accuracy?level=store", "models")
NASTY = [
    "' OR 1=1 --", "x'; DROP TABLE forecasts; --", '" UNION SELECT url FROM secrets --', "%27%20OR%20%271%27=%271",
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "../../../../etc/passwd", "a\x00b",
    "=cmd|' /C calc'!A0",
]  # fmt: skip


@pytest.fixture
def warehouse(shop):
    return Warehouse(shop.settings.warehouse)


@pytest.fixture(scope="session")
def store(shop):
    return Store(shop.settings)


def card(store, about, **more):
    return next(one for one in today(store, **({"scheduled": False} | more))["cards"] if one.about == about)


# ---------------------------------------------------------------- today


def test_today_says_that_the_forecast_is_there_and_lists_the_exception(viewer, shop):
    page = viewer.get("/forecasts/").text
    assert "forecast is there" in page
    assert "Forecast jumped" in page
    assert "1,310.5 units, 1,100.0 for the same periods in the vintage of" in page
    assert f"series/one?name={shop.series}" in page
    assert "210" in page


def test_today_tells_a_night_that_did_not_come(store, shop):
    good = card(store, "forecast")
    assert (good.state, good.facts["wanted"]) == ("good", shop.last.date())
    # By the clock the night of the next day was promised for 06:00 of the day after it.
    promised = (shop.last + pd.Timedelta(days=2, hours=6)).tz_localize("UTC")
    early = card(store, "forecast", scheduled=True, now=promised - pd.Timedelta(minutes=1))
    late = card(store, "forecast", scheduled=True, now=promised)
    assert (early.state, late.state) == ("good", "act")
    assert late.facts["wanted"] == shop.last.date() + pd.Timedelta(days=1)


def test_today_counts_scores_as_heavy_as_their_periods(store, shop, warehouse):
    kept = warehouse.read(SCORES, cutoff=shop.first)
    facts = card(store, "accuracy").facts
    total = kept[(kept["level"] == "total") & (kept["bucket"] == "all")].set_index("metric")
    assert facts["wape"] == pytest.approx(total.loc["wape", "value"])
    assert facts["nights"] == 1


def test_an_alert_is_shown_and_makes_the_card_red(viewer, store, shop, warehouse):
    alert = {
        "name": "quality", "subject": "<b>sales</b>", "severity": "critical", "message": "half a delivery",
        "opened": shop.last, "seen": shop.last, "nights": 1, "closed": pd.NaT, "told": "", "run_id": "x",
    }  # fmt: skip
    where = {"name": "quality", "subject": "<b>sales</b>", "opened": shop.last}
    warehouse.replace(ALERTS, pd.DataFrame([alert]), **where)
    try:
        assert card(store, "alerts").state == "act"
        page = viewer.get("/forecasts/").text
        assert "half a delivery" in page
        assert "&lt;b&gt;sales&lt;/b&gt;" in page
    finally:
        warehouse.remove([(ALERTS, where)])


def test_an_exception_is_taken_and_done_and_open_again_the_next_night(planner, viewer, shop, warehouse):
    for state, owner in (("taken", "the USER"), ("done", "the USER"), ("open", "")):
        answer = planner.post("/forecasts/api/exceptions", json={"unique_id": shop.series, "state": state})
        assert answer.status_code == 200
        row = warehouse.read(EXCEPTION_STATES, unique_id=shop.series).iloc[0]
        assert (row["state"], row["owner"], row["cutoff"]) == (state, owner, shop.last)
        shown = viewer.get("/forecasts/api/exceptions").json()["rows"][0]
        assert (shown["state"], shown["owner"]) == (state, owner)
    # As it was said the night before: done does not hold any more, who has taken it has it still.
    for state, expected in (("done", "open"), ("taken", "taken")):
        row = {"cutoff": shop.first, "unique_id": shop.series, "state": state, "owner": "ana", "note": ""}
        warehouse.replace(EXCEPTION_STATES, pd.DataFrame([row | {"at": pd.Timestamp.now("UTC")}]), cutoff=shop.first,
                          unique_id=shop.series)  # fmt: skip
        warehouse.remove([(EXCEPTION_STATES, {"cutoff": shop.last})])
        shown = viewer.get("/forecasts/api/exceptions").json()["rows"][0]
        assert (shown["state"], shown["owner"]) == (expected, "ana")
    warehouse.remove([(EXCEPTION_STATES, {"cutoff": shop.first})])
    wrong = planner.post("/forecasts/api/exceptions", json={"unique_id": "nothing", "state": "done"})
    assert wrong.status_code == 422
    assert "no exception" in wrong.json()["detail"]


# ---------------------------------------------------------------- series, accuracy


def test_series_are_searched_filtered_and_sorted(viewer, shop):
    everything = viewer.get("/forecasts/series").text
    assert shop.series in everything
    store = shop.series.split("_")[1]
    names = set(re.findall(r"series/one\?name=([^&\"]+)\"", viewer.get(f"/forecasts/series?store={store}").text))
    assert names
    assert {name.split("_")[1] for name in names} == {store}
    words = viewer.get("/forecasts/series", params={"q": shop.series.lower().replace("_", " ")}).text
    assert re.findall(r"series/one\?name=([^&\"]+)\"", words) == [shop.series]
    assert "No series fits" in viewer.get("/forecasts/series?q=nothing+at+all").text


def test_a_series_page_has_its_numbers_reasons_and_origin(viewer, shop, warehouse):
    page = viewer.get(f"/forecasts/series/one?name={shop.series}").text
    rows = warehouse.read(FORECASTS, cutoff=shop.last, unique_id=shop.series)
    assert page.count("</tr>") >= len(rows)
    for text in ("Why this number", "promotion", "-12.5", str(rows["run_id"].iloc[0]), str(rows["snapshot"].iloc[0])):
        assert text in page
    file = viewer.get(f"/forecasts/series/one.csv?name={shop.series}")
    assert file.headers["content-disposition"] == (
        f'attachment; filename="forecast_{shop.series}_{shop.last.date()}.csv"'
    )
    table = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert [float(row["mean"]) for row in table] == pytest.approx(rows["mean"].tolist())


def test_totals_have_a_page_too(viewer):
    page = viewer.get("/forecasts/series/one?name=all&level=total").text
    assert "Everything" in page
    source = html.unescape(re.search(r'data-source="([^"]+)"', page)[1])
    assert viewer.get(source).json()["level"] == "total"
    assert "its series" in viewer.get("/forecasts/series/one?name=S01&level=store").text


def test_accuracy_is_that_of_the_table(viewer, warehouse, shop):
    page = viewer.get("/forecasts/accuracy?level=store").text
    where = {"cutoff": shop.first, "level": "store", "group": "S01", "bucket": "all", "metric": "wape"}
    wape = warehouse.read(SCORES, **where)["value"].iloc[0]
    assert f"{wape:.1%}" in page
    assert "seasonal_mean" in page


# ---------------------------------------------------------------- plans


def change(shop, **more):
    start, end = (shop.last + pd.Timedelta(days=1)).date(), (shop.last + pd.Timedelta(days=3)).date()
    said = {"level": "series", "name": shop.series, "start": start.isoformat(), "end": end.isoformat()}
    return said | {"kind": "percent", "value": 50, "reason": "the fair"} | more


def test_an_override_is_previewed_made_shown_and_withdrawn(planner, viewer, shop, warehouse):
    before = warehouse.read(FORECASTS, cutoff=shop.last)
    look = planner.post("/forecasts/api/overrides/preview", json=change(shop)).json()
    assert (look["series"], look["periods"]) == (1, 3)
    assert look["after"] == pytest.approx(1.5 * look["before"], rel=1e-5)
    assert warehouse.read(OVERRIDES).empty
    made = planner.post("/forecasts/api/overrides", json=change(shop)).json()
    rows = warehouse.read(OVERRIDDEN, cutoff=shop.last, level="series", name=shop.series)
    assert rows["override"].sum() == pytest.approx(look["after"], rel=1e-5)
    row = warehouse.read(OVERRIDES, id=made["id"]).iloc[0]
    assert (row["by"], row["reason"], row["state"]) == ("the USER", "the fair", "active")
    pd.testing.assert_frame_equal(warehouse.read(FORECASTS, cutoff=shop.last), before)  # never an edit of these
    assert "the fair" in viewer.get("/forecasts/overrides").text
    assert viewer.get("/forecasts/api/overrides").json()["rows"][0]["after"] == pytest.approx(look["after"], rel=1e-5)
    assert any(viewer.get("/forecasts/api/chart", params={"name": shop.series}).json()["plan"])
    assert planner.post("/forecasts/api/overrides", json=change(shop)).status_code == 422  # a second click
    taken = planner.post("/forecasts/api/overrides/withdraw", json={"id": made["id"], "reason": "it rains"})
    assert taken.json()["version"] == 2
    assert warehouse.read(OVERRIDDEN, cutoff=shop.last).empty
    assert viewer.get("/forecasts/api/overrides").json()["rows"] == []
    assert "withdrawn" in planner.get("/forecasts/overrides?every=true").text


@pytest.mark.parametrize(
    "wrong",
    [{"name": "nothing"}, {"kind": "double"}, {"value": -101}, {"value": "much"}, {"reason": " "}, {"level": "secret"},
     {"end": "1999-01-01"}, {"by": "somebody else"}, {"start": "soon"}, {"note": "x" * 2001}, {"value": 1e308}],
)  # fmt: skip
def test_an_override_that_cannot_be_is_refused_in_words(planner, shop, warehouse, wrong):
    count = len(warehouse.read(OVERRIDES))
    answer = planner.post("/forecasts/api/overrides", json=change(shop, **wrong))
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.json()["detail"]
    assert len(warehouse.read(OVERRIDES)) == count


def test_what_to_order_comes_with_its_reason_and_as_a_file(viewer, shop, warehouse):
    kept = warehouse.read(REPLENISHMENT, cutoff=shop.last)
    row = {name: 1.0 for name, column in REPLENISHMENT.columns.items() if column.kind in ("number", "integer")}
    row |= {name: "x" for name, column in REPLENISHMENT.columns.items() if column.kind == "text"}
    row |= {
        "cutoff": shop.last,
        "unique_id": shop.series,
        "status": "ok",
        "abc": "A",
        "xyz": "Z",
        "order": 48.0,
        "stock_date": shop.last,
        "stock_out": shop.last + pd.Timedelta(days=4),
    }
    row |= {"why": "=HYPERLINK(1) runs out"}
    table = pd.DataFrame([row]).astype({"lead_time": int, "review": int})
    warehouse.replace(REPLENISHMENT, table, cutoff=shop.last)
    try:
        page = viewer.get("/forecasts/replenishment?only=order&abc=A").text
        assert shop.series in page
        assert "48" in page
        assert "runs out" in page
        assert "No proposals" in viewer.get("/forecasts/replenishment?abc=C").text
        file = viewer.get("/forecasts/replenishment.csv?abc=A").content.decode("utf-8-sig")
        told = next(csv.DictReader(io.StringIO(file)))
        assert told["why"] == "'=HYPERLINK(1) runs out"
        assert float(told["order"]) == 48
    finally:
        warehouse.replace(REPLENISHMENT, kept, cutoff=shop.last)


# ---------------------------------------------------------------- injection


@pytest.mark.parametrize("text", NASTY)
def test_what_is_typed_becomes_neither_sql_nor_html_nor_a_path(viewer, planner, shop, warehouse, text):
    rows = len(warehouse.read(FORECASTS, cutoff=shop.last))
    asked = [
        ("series", {"q": text}), ("series", {"store": text}), ("series", {text: "x"}), ("series", {"sort": text}),
        ("series/one", {"name": text}), ("series/one", {"name": "all", "level": text}),
        ("series/one.csv", {"name": text}),
        ("accuracy", {"level": text}), ("accuracy", {"bucket": text}), ("replenishment", {"abc": text}),
        ("replenishment", {"sort": text}), ("overrides", {"name": text, "level": text}),
        ("", {"reason": text, "by": text}),
        ("", {"lang": text}), ("api/forecasts", {"store": text}), ("api/forecasts", {"level": text}),
        ("api/forecasts", {"after": text}), ("api/series", {"q": text}), ("api/chart", {"name": text}),
    ]  # fmt: skip
    for path, params in asked:
        answer = viewer.get(f"/forecasts/{path}", params=params)
        assert answer.status_code in (200, 404, 422), (path, params)
        if "html" in answer.headers["content-type"]:
            assert "<script>alert" not in answer.text
            assert "<img src=x" not in answer.text
        assert "root:" not in answer.text
        assert "secrets" not in answer.text or "UNION" in answer.text  # at most what was typed
    posted = planner.post("/forecasts/api/overrides", json=change(shop, name=text))
    assert posted.status_code == 422
    assert len(warehouse.read(FORECASTS, cutoff=shop.last)) == rows


@pytest.mark.parametrize(
    "path", ["../routes.py", "..%2froutes.py", "%2e%2e%2froutes.py", "..%5croutes.py", "%2fetc%2fpasswd", "page.css%00",
             "../../conf.toml", "templates/base.html", "__init__.py", "."],
)  # fmt: skip
def test_only_static_files_by_their_name_are_given_out(viewer, path):
    answer = viewer.get(f"/forecasts/static/{path}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_names_and_messages_are_text_wherever_they_stand(viewer, shop, warehouse):
    kept = warehouse.read(EXCEPTIONS, cutoff=shop.last)
    evil = kept.assign(message='<script>alert("x")</script>', reason="<i>jump</i>")
    warehouse.replace(EXCEPTIONS, evil, cutoff=shop.last)
    try:
        for path in ("", f"series/one?name={shop.series}"):
            page = viewer.get(f"/forecasts/{path}").text
            assert "<script>alert" not in page
            assert "<i>jump" not in page
            assert "&lt;script&gt;alert" in page
    finally:
        warehouse.replace(EXCEPTIONS, kept, cutoff=shop.last)


@pytest.mark.parametrize(
    ("value", "written"),
    [("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), (" =1", "' =1"), ("\t=1", "'\t=1"),
     ("\r=1", "'\r=1"), ("|x", "'|x"), ("milk", "milk"), (-1.5, -1.5), (7, 7), (None, ""), (float("nan"), ""),
     (pd.Timestamp("2026-07-01"), "2026-07-01"), ("a=b", "a=b")],
)  # fmt: skip
def test_no_cell_is_a_formula(value, written):
    assert cell(value) == written


# ---------------------------------------------------------------- languages


@pytest.mark.parametrize("path", VIEWS)
def test_every_view_is_there_in_portuguese(viewer, path):
    english = viewer.get(f"/forecasts/{path}")
    answer = viewer.get(f"/forecasts/{path}", headers={"Accept-Language": "pt-PT,pt;q=0.9,en;q=0.5"})
    assert '<html lang="en-GB">' in english.text
    assert '<html lang="pt-BR">' in answer.text
    assert "Previsões" in answer.text
    assert "Forecasts" not in answer.text


def test_a_chosen_language_is_kept(viewer):
    answer = viewer.get("/forecasts/?lang=pt")
    assert "forecasts_lang=pt" in answer.headers["set-cookie"]
    assert 'lang="pt-BR"' in viewer.get("/forecasts/series").text
    assert 'lang="en-GB"' in viewer.get("/forecasts/series?lang=en").text
