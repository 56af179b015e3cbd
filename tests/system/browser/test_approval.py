"""By clicks: a challenger waits for its approver, is refused to others, is approved, forecasts, and is rolled back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from forecasting.launcher.client import Client
from forecasting.launcher.server import Airflow
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS_WITHDRAWN, JUDGEMENTS, MODEL_PROMOTIONS
from tests.support.airflow.people import PENDING, Person, Shop, until, versions

if TYPE_CHECKING:
    from playwright.sync_api import Page

    PageFor = Callable[[str], Page]
    Picture = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def question(server: Airflow, shop: Shop) -> dict:
    """Version 2 waits for `lead`; the night itself did not, and has forecast with version 1."""
    lead = Person(server, "lead")
    Client(server).trigger("extract", {"cutoff": shop.last.isoformat()})
    detail = until(server, "a question", lambda: lead.ask(PENDING)["hitl_details"])[0]
    until(server, "the champion's vintage", lambda: versions(shop.settings, shop.last) == {"1"})
    return detail


@pytest.fixture
def second_champion(server: Airflow, shop: Shop, question: dict) -> None:
    """Version 2 has taken over: by the clicks of the test above or, where that did not run, by REST."""
    lead = Person(server, "lead")
    if lead.ask(PENDING)["hitl_details"]:
        assert lead.answer(question, "Approve") == 200
    until(server, "the challenger's vintage", lambda: versions(shop.settings, shop.last) == {"2"})


def open_question(page: Page, question: dict) -> None:
    """From anywhere in Airflow to the page where the question is answered."""
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Required Actions").click()
    page.get_by_role("link", name=question["subject"]).click()
    page.get_by_role("button", name="Approve", exact=True).wait_for()


def decisions(shop: Shop) -> pd.DataFrame:
    return Warehouse(shop.settings.warehouse).read(MODEL_PROMOTIONS).set_index(["version", "decision"])


def withdrawn(shop: Shop) -> set[str]:
    found = Warehouse(shop.settings.warehouse).read(FORECASTS_WITHDRAWN, cutoff=pd.Timestamp(shop.last))
    return set(found["model_version"])


def test_nobody_but_an_approver_can_answer(page_for: PageFor, server: Airflow, shop: Shop, question: dict) -> None:
    page = page_for("other")
    open_question(page, question)
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as answer:
        page.get_by_role("button", name="Approve", exact=True).click()
    assert answer.value.status == 403
    page.get_by_text("You do not have permission to perform this action.").wait_for()
    still = Person(server, "lead").ask(PENDING)["hitl_details"]
    assert [one["task_instance"]["id"] for one in still] == [question["task_instance"]["id"]]
    assert ("2", "promoted") not in decisions(shop).index


def test_approved_with_a_note(page_for: PageFor, picture: Picture, server: Airflow, shop: Shop, question: dict) -> None:
    page = page_for("lead")
    open_question(page, question)
    # What is shown is what was judged: a row of the comparison for each of the table.
    page.get_by_role("row", name="better than the champion").wait_for()
    judged = Warehouse(shop.settings.warehouse).read(JUDGEMENTS, version="2")
    shown = page.get_by_role("row").all_inner_texts()[1:]
    assert sorted(row.split("\t")[:2] for row in shown) == sorted(judged[["rule", "segment"]].to_numpy().tolist())
    page.locator("[name=element_note]").fill("agreed with purchasing")
    picture(page, "approval")
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_text("from lead").wait_for()  # "Response received at ... from lead"

    until(server, "the challenger's vintage", lambda: versions(shop.settings, shop.last) == {"2"})
    row = decisions(shop).loc[("2", "promoted")]
    assert (row["by"], row["note"]) == ("lead", "agreed with purchasing")
    assert withdrawn(shop) == {"1"}


def test_rolled_back_by_the_form(
    page_for: PageFor, picture: Picture, server: Airflow, shop: Shop, second_champion: None
) -> None:
    page = page_for("lead")
    page.get_by_role("link", name="Dags", exact=True).click()
    page.get_by_role("link", name="rollback", exact=True).click()
    page.get_by_role("navigation", name="breadcrumb").wait_for()  # the list of DAGs, with a button for each, is gone
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog")
    start = form.get_by_role("button", name="Trigger", exact=True)
    form.get_by_text("This field is required").nth(1).wait_for()  # no version, no reason
    assert start.is_disabled()
    form.locator("[name=element_version]").fill("1")
    form.locator("[name=element_reason]").fill("purchasing changed its mind")
    picture(page, "rollback")
    start.click()

    until(server, "the vintage from before", lambda: versions(shop.settings, shop.last) == {"1"})
    back = decisions(shop).loc[("1", "rolled_back")]
    assert (back["by"], back["reason"]) == ("lead", "purchasing changed its mind")
    assert withdrawn(shop) == {"1", "2"}
