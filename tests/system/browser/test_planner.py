"""The planner's page as people use it: inside Airflow, by mouse and by keyboard, in both languages, light and dark."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from forecasting.launcher.server import Airflow
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import OVERRIDDEN, OVERRIDES
from forecasting.tables.warehouse import FORECASTS
from tests.support.airflow.people import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page

    PageFor = Callable[[str], Page]
    Picture = Callable[[Page, str], None]

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
TABS = ("Today", "Series", "Overrides", "Replenishment", "Accuracy", "Models")
FRAME = "iframe[src*='/forecasts/']"


@pytest.fixture(scope="module")
def newest(shop: Shop, server: Airflow) -> pd.DataFrame:
    """Rows of the newest vintage. The tests before this file may have made one of a later night."""
    warehouse = Warehouse(shop.settings.warehouse)
    return warehouse.read(FORECASTS, cutoff=pd.Timestamp(warehouse.cutoffs(most=1)[0]))


@pytest.fixture
def series(newest: pd.DataFrame) -> str:
    return str(newest.groupby("unique_id")["mean"].sum().idxmax())


@pytest.fixture
def broken() -> Iterator[Callable[[Page], None]]:
    """Called with a page: the test fails where its scripts do, or where its policy has blocked something."""
    told: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("console", lambda line: told.append(line.text) if "Content Security Policy" in line.text else None)

    yield watch
    assert told == []


def opened(page: Page) -> Frame:
    """From Airflow's own navigation to the page."""
    page.get_by_role("link", name="Forecasts").first.click()
    page.wait_for_selector(FRAME)
    frame = page.query_selector(FRAME).content_frame()
    frame.get_by_role("heading", level=1).wait_for()
    return frame


def paths(series: str) -> list[str]:
    one = f"series/one?name={series}"
    return ["", "series", one, "series/one?name=all&level=total", "overrides", "replenishment", "accuracy", "models"]


def test_without_a_login_there_is_only_the_way_to_one(browser: Browser, server: Airflow) -> None:
    page = browser.new_context().new_page()
    for path in paths("x"):
        assert page.goto(f"{server.url}/forecasts/{path}").status == 401
    page.get_by_role("link", name="Log in to Airflow").click()
    page.get_by_label("Username").wait_for()
    page.context.close()


def test_every_view_inside_airflow(page_for: PageFor, picture: Picture, newest: pd.DataFrame, broken: object) -> None:
    page = page_for("ana")
    broken(page)
    frame = opened(page)
    frame.get_by_text("forecast is there").wait_for()
    picture(page, "planner-today")
    for tab in TABS:
        frame.get_by_role("navigation", name="Views").get_by_role("link", name=tab, exact=True).click()
        current = frame.locator(".tabs [aria-current=page]")
        current.filter(has_text=tab).wait_for()
        frame.get_by_role("heading", level=1).wait_for()
    # The address of the window follows, so that a view can be sent to somebody.
    page.wait_for_url("**/plugin/forecasts/forecasts/models")
    page.reload()
    page.frame_locator(FRAME).get_by_role("heading", name="Models", exact=True).wait_for()


def test_a_link_to_a_dag_leaves_the_frame(page_for: PageFor, server: Airflow, newest: pd.DataFrame) -> None:
    page = page_for("ana")
    frame = opened(page)
    frame.get_by_role("link", name="Models", exact=True).click()
    frame.get_by_role("link", name="DAG train").click()
    page.wait_for_url(f"{server.url}/dags/train**")


def test_the_chart_is_drawn_and_the_file_is_what_it_shows(
    page_for: PageFor, picture: Picture, newest: pd.DataFrame, series: str, tmp_path: Path, broken: object
) -> None:
    page = page_for("guest")
    broken(page)
    frame = opened(page)
    frame.get_by_role("link", name="Series", exact=True).click()
    frame.get_by_label("Search").fill(series)
    frame.get_by_label("Search").press("Enter")
    frame.get_by_role("link", name=series, exact=True).click()
    frame.locator("#chart[data-drawn] canvas").wait_for()
    painted = frame.evaluate(
        "() => { const c = document.querySelector('#chart canvas');"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return new Set(d).size; }"
    )
    assert painted > 10
    picture(page, "planner-series")
    mine = newest[newest["unique_id"] == series]
    assert frame.get_by_role("region", name="Forecast").get_by_role("row").count() == len(mine) + 1
    with page.expect_download() as got:
        frame.get_by_role("link", name="Download CSV").click()
    got.value.save_as(tmp_path / "file.csv")
    with (tmp_path / "file.csv").open(encoding="utf-8-sig", newline="") as file:
        told = [float(row["mean"]) for row in csv.DictReader(file)]
    assert told == pytest.approx(mine["mean"].tolist())


def test_an_override_is_made_by_the_form_and_stands_in_the_tables(
    page_for: PageFor, picture: Picture, shop: Shop, newest: pd.DataFrame, series: str, broken: object
) -> None:
    warehouse, day = Warehouse(shop.settings.warehouse), newest["cutoff"].iloc[0]
    page = page_for("ana")
    broken(page)
    frame = opened(page)
    frame.get_by_role("link", name="Overrides", exact=True).click()
    form = frame.locator("#override")
    form.locator("[name=level]").select_option("store")
    form.get_by_label("Name").fill("S01")
    form.get_by_label("Value").fill("20")
    form.get_by_label("Reason").fill("street fair")
    form.get_by_role("button", name="What would it change?").click()
    frame.locator("#preview:not(:empty)").wait_for()
    assert warehouse.read(OVERRIDES).empty
    form.get_by_role("button", name="Save").click()
    row = frame.get_by_role("row", name="street fair")
    row.wait_for()
    picture(page, "planner-overrides")

    kept = warehouse.read(OVERRIDES).iloc[0]
    assert (kept["level"], kept["name"], kept["kind"], kept["value"], kept["by"]) == (
        "store",
        "S01",
        "percent",
        20,
        "ana",
    )
    mine = newest[newest["unique_id"].str.endswith("_S01")]
    changed = warehouse.read(OVERRIDDEN, cutoff=day, level="series")
    assert set(changed["name"]) <= set(mine["unique_id"])
    assert changed["override"].sum() == pytest.approx(1.2 * mine["mean"].sum(), rel=1e-4)
    after = warehouse.read(FORECASTS, cutoff=day)
    pd.testing.assert_frame_equal(after, newest)  # the statistical forecast is as it was
    row.get_by_role("link", name="S01").click()
    frame.locator("#chart[data-drawn]").wait_for()
    frame.get_by_text("Plan, with overrides").wait_for()

    frame.get_by_role("link", name="Overrides", exact=True).click()
    row.get_by_placeholder("Why").fill("it was called off")
    row.get_by_role("button", name="Withdraw").click()
    frame.get_by_text("Nobody has changed the forecast.").wait_for()
    assert warehouse.read(OVERRIDDEN, cutoff=day).empty
    assert warehouse.read(OVERRIDES)["state"].tolist() == ["active", "withdrawn"]


def test_a_viewer_may_look_and_no_more(page_for: PageFor, server: Airflow, shop: Shop, newest: pd.DataFrame) -> None:
    page = page_for("guest")
    frame = opened(page)
    frame.get_by_role("link", name="Overrides", exact=True).click()
    frame.get_by_role("heading", name="Overrides", exact=True).wait_for()
    assert frame.locator("#override").count() == 0
    before = len(Warehouse(shop.settings.warehouse).read(OVERRIDES))
    start = str((newest["ds"].min()).date())
    said = {"level": "total", "name": "all", "start": start, "end": start, "kind": "percent", "value": 9, "reason": "x"}
    status = frame.evaluate(
        "async (said) => (await fetch('/forecasts/api/overrides', {method: 'POST', body: JSON.stringify(said),"
        " headers: {'Content-Type': 'application/json'}})).status",
        said,
    )
    assert status == 403
    assert len(Warehouse(shop.settings.warehouse).read(OVERRIDES)) == before


def test_by_keyboard_alone(page_for: PageFor, server: Airflow, series: str) -> None:
    page = page_for("ana")
    page.goto(f"{server.url}/forecasts/")

    def focused() -> str:
        return str(page.evaluate("() => (document.activeElement.textContent || '').trim()"))

    def tab_to(text: str, most: int = 60) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if focused() == text:
                # What has the focus can be seen to have it.
                assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        pytest.fail(f"Tab never reached {text!r}")

    page.keyboard.press("Tab")
    assert focused() == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "content"
    page.goto(f"{server.url}/forecasts/")
    tab_to("Series")
    page.keyboard.press("Enter")
    page.wait_for_url("**/series")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.name") == "q":
            break
    page.keyboard.type(series)
    page.keyboard.press("Enter")
    page.get_by_text("1 of 72 series").wait_for()
    tab_to(series)
    page.keyboard.press("Enter")
    page.wait_for_url("**/series/one**")
    page.locator("#chart[data-drawn]").wait_for()
    tab_to("All")
    page.keyboard.press("Space")
    assert page.locator("[data-zoom=all]").get_attribute("aria-pressed") == "true"
    tab_to("Override")
    page.keyboard.press("Enter")
    page.wait_for_url("**/overrides**")
    assert page.get_by_label("Name").input_value() == series


@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "pt")])
def test_axe_finds_nothing_serious(page_for: PageFor, server: Airflow, series: str, scheme: str, language: str) -> None:
    page = page_for("ana")
    page.emulate_media(color_scheme=scheme)
    found = []
    for path in paths(series):
        page.goto(f"{server.url}/forecasts/{path}{'&' if '?' in path else '?'}lang={language}")
        page.evaluate("scheme => { document.documentElement.dataset.theme = scheme; }", scheme)
        if path.startswith("series/one"):
            page.locator("#chart[data-drawn]").wait_for()
        page.evaluate(AXE)
        report = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
        assert len(report["passes"]) > 20
        found += [
            f"{path or 'today'}: {one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
            for one in report["violations"]
            if one["impact"] in ("serious", "critical")
        ]
    assert found == []


def test_a_tablet_scrolls_tables_and_not_the_page(page_for: PageFor, server: Airflow, series: str) -> None:
    page = page_for("guest")
    page.set_viewport_size({"width": 768, "height": 1024})
    for path in paths(series):
        page.goto(f"{server.url}/forecasts/{path}")
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path


def test_the_first_paint_comes_within_a_second(page_for: PageFor, server: Airflow, series: str) -> None:
    page = page_for("guest")
    page.goto(f"{server.url}/forecasts/")  # the first one of all opens the stores
    told = {}
    for path in paths(series):
        page.goto(f"{server.url}/forecasts/{path}")
        page.goto(f"{server.url}/forecasts/{path}")
        painted = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        page.wait_for_function(painted)
        told[path] = page.evaluate(painted)
    print(told)  # noqa: T201 (shown where it fails)
    assert sorted(told.values())[len(told) // 2] < 1000
