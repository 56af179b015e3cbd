"""A headless Chromium in front of a running Airflow: `make browser-test`; plain `make test` does not come here.

`BROWSER_PICTURES=docs/images` keeps the pictures of the documentation as the tests see them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forecasting.launcher.client import Client
from forecasting.launcher.server import Airflow, airflow
from tests.support.airflow.people import Shop, password, plain_environment, week_old_shop
from tests.support.needs import absent

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = 60_000  # milliseconds until what a page should show is missed
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium or Chrome."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        absent(f"no {' or '.join(PROGRAMS)} on PATH: install Chromium (Debian: apt install chromium) for these tests")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("playwright is not installed: `make env` brings it")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def shop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The small demo retailer a week after its first night. The browser comes first: without one, nothing is built."""
    with plain_environment():
        yield week_old_shop(tmp_path_factory.mktemp("shop"), hours=1)


@pytest.fixture(scope="session")
def server(shop: Shop) -> Iterator[Airflow]:
    """A running Airflow over the shop, its DAGs found: all but `guest` may run DAGs, `lead` may approve."""
    users = {"lead": "op", "other": "op", "ana": "user", "guest": "viewer"}
    with airflow(shop.path.parent / "airflow", shop.path, clock=False, users=users) as running:
        client = Client(running)
        client.wait_for(("extract", "train", "approve", "forecast", "monitor", "rollback"))
        client.make_pool("training", 1)
        yield running


@pytest.fixture
def page_for(browser: Browser, server: Airflow, tmp_path: Path) -> Iterator[Callable[[str], Page]]:
    """Called with a user's name: the home page, after this user has logged in through Airflow's own form."""
    pages: dict[str, Page] = {}

    def log_in(user: str) -> Page:
        context = browser.new_context(viewport={"width": 1400, "height": 1080})
        context.set_default_timeout(PATIENCE)
        page = pages[user] = context.new_page()
        page.goto(server.url)
        page.get_by_label("Username").fill(user)
        page.get_by_label("Password").fill(password(server, user))
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Welcome").wait_for()
        return page

    yield log_in
    for user, page in pages.items():
        last = tmp_path / f"{user}.png"
        page.screenshot(path=last)
        print(f"what {user} saw last, at {page.url}: {last}")  # noqa: T201 (shown where the test has failed)
        page.context.close()


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """Called with a page and a name: keeps NAME.png in the folder BROWSER_PICTURES; without that, nothing."""
    folder = os.environ.get("BROWSER_PICTURES")

    def keep(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")

    return keep
