"""The report of a night as its readers have it: a file, light or dark, on a laptop, a phone or paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forecasting.steps.monitor.report import write
from forecasting.steps.run import Run
from forecasting.storage.warehouse.warehouse import Warehouse
from tests.support.airflow.people import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Browser

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def report(shop: Shop) -> Path:
    return Path(write(shop.settings, Warehouse(shop.settings.warehouse).cutoffs(most=1)[0], Run("report"))["place"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_else_is_asked_for(browser: Browser, report: Path, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # axe is a script, which the report forbids
    page, asked, told = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda line: told.append(line.text))
    page.goto(report.as_uri())
    page.locator("summary").first.click()
    page.evaluate(AXE)
    found = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
    assert len(found["passes"]) > 20
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
    assert (asked, told) == ([report.as_uri()], [])
    context.close()


@pytest.mark.parametrize("width", [390, 768, 1400])
def test_tables_and_plots_scroll_and_not_the_page(browser: Browser, report: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("svg[role=img]").first.bounding_box()["width"] > 300
    page.close()
