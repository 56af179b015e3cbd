"""The report of a night: it says what the tables say, needs nothing else, reaches folder, MLflow and e-mail once."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import date, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import mlflow.artifacts
import pandas as pd
import pytest

from forecasting.__main__ import main
from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import AlertSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import SettingsError, StoreError
from forecasting.reporting.messages.languages import Words
from forecasting.sources.demo import database as demo
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.monitor.report import write
from forecasting.steps.run import Run
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import REPLENISHMENT
from forecasting.tables.warehouse import EXCEPTIONS, FORECAST_LEVELS, FORECASTS, RUNS, SCORE_TRENDS, SCORES
from tests.support.servers.receivers import mailbox
from tests.support.shops import small_shop

FIRST, LAST = date(2026, 6, 30), date(2026, 7, 1)
HOSTILE = """<script>alert("x")</script>' onload='y"""
EN = Words("en")


class Shop(NamedTuple):
    """A deployment after two nights of the command line, and its configuration file."""

    path: Path
    settings: Settings


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """One of its items has a name that would run a script, were it not text."""
    folder = tmp_path_factory.mktemp("report")
    path = small_shop(folder, train__models=["lightgbm"], train__blend=False, train__folds=1)
    settings = configuration.load(path)
    assert tonight(settings) == FIRST
    with sqlite3.connect(settings.sources["shop"].url.removeprefix("sqlite:///")) as database:
        for table in ("transactions", "items", "prices", "promotions", "stock_levels", "stock_positions"):
            database.execute(f"update {table} set sku = ? where sku = 'BAK-001'", [HOSTILE])
    database.close()
    assert main(["run", "--conf", str(path), "--cutoff", FIRST.isoformat()]) == 0
    demo.advance(settings, LAST)
    assert main(["run", "--conf", str(path), "--cutoff", LAST.isoformat()]) == 0
    return Shop(path, settings)


class Page(HTMLParser):
    """A report as a browser has it: rows of its tables by caption, elements with their attributes, its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._caption, self._rows, self._inside = "", [], ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        if tag in ("td", "th", "caption", "style"):
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        if self._inside in ("td", "th"):
            self._rows[-1][-1] += data
        elif self._inside == "caption":
            self._caption += data
        if self._inside != "style":
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def written(settings: Settings, cutoff: date = LAST, **changes: object) -> tuple[str, dict]:
    """The report of a cutoff with a setting or two changed, and what the step says of it."""
    settings = settings.model_copy(update={"report": settings.report.model_copy(update=changes)})
    facts = write(settings, cutoff, Run("report"))
    return Path(facts["place"]).read_text(), facts


def test_a_night_leaves_its_report_and_twice_is_once(shop: Shop) -> None:
    folder = Path(shop.settings.report.path)
    assert sorted(file.name for file in folder.iterdir()) == ["2026-06-30.html", "2026-07-01.html"]
    before = (folder / "2026-07-01.html").read_text()
    page, facts = written(shop.settings)
    assert page == before
    assert facts["bytes"] == len(page.encode())
    kept = mlflow.artifacts.load_text(facts["artifact"])
    assert kept == page
    assert facts["artifact"].endswith("/reports/2026-07-01.html")


@pytest.fixture(autouse=True)
def _registry(shop: Shop) -> None:
    import mlflow

    mlflow.set_tracking_uri(shop.settings.mlflow.tracking_uri)
    yield
    mlflow.set_tracking_uri(None)


def test_it_says_what_the_tables_say(shop: Shop) -> None:
    page, warehouse, day = Page(written(shop.settings)[0]), Warehouse(shop.settings.warehouse), pd.Timestamp(LAST)
    assert "Sales until 1 Jul 2026, forecast until 8 Jul 2026." in page.text
    forecasts = warehouse.read(FORECASTS, cutoff=day)
    total = warehouse.read(FORECAST_LEVELS, cutoff=day, level="total").sort_values("ds")
    assert f"7 periods together: {EN.units(total['mean'].sum())}" in " ".join(page.text.split())
    drawn = page.tables["Forecast of everything, units a period"]
    assert [row[1] for row in drawn[1:]] == [EN.units(value) for value in total["mean"]]
    scores = warehouse.read(SCORES, level="total", bucket="all", metric="wape")
    everything = page.tables["By level; of each the groups with the largest errors"][1]
    assert everything[:2] == ["everything", EN.share(scores["value"].iloc[0], 1)]
    exceptions = warehouse.read(EXCEPTIONS, cutoff=day).sort_values("rank")
    listed = page.tables.get("What to look at", [[]])[1:]
    assert [row[3] for row in listed] == [EN.units(stake) for stake in exceptions["stake"]]
    orders = warehouse.read(REPLENISHMENT, cutoff=day)["order"]
    assert f"{(orders > 0).sum()} orders, {EN.number(orders.sum())} units" in page.text
    for column in ("model", "model_version", "snapshot", "run_id"):
        assert str(forecasts[column].iloc[0]) in page.text


def test_the_largest_changes_are_those_of_the_periods_that_both_vintages_have(shop: Shop) -> None:
    page, warehouse = Page(written(shop.settings)[0]), Warehouse(shop.settings.warehouse)
    then, now = (warehouse.read(FORECASTS, cutoff=pd.Timestamp(day)) for day in (FIRST, LAST))
    both = now.merge(then, on=["unique_id", "ds"], suffixes=("", "_before"))
    assert both["ds"].nunique() == 6
    moved = both.groupby("unique_id")[["mean", "mean_before"]].sum()
    change = (moved["mean"] - moved["mean_before"]).sort_values(ascending=False)
    up, down = page.tables["Largest changes up"][1:], page.tables["Largest changes down"][1:]
    assert len(up) + len(down) == (change != 0).sum() > 0
    for row, name in ((up[0], change.index[0]), (down[0], change.index[-1])):
        assert row[0].strip() == name
        assert row[1] == EN.units(moved["mean_before"][name])
        assert row[2] == EN.units(moved["mean"][name])
        assert row[3] == EN.units(change[name], sign=True)
    assert "This is the first forecast" in written(shop.settings, FIRST)[0]


def test_accuracy_that_gets_worse_is_told_from_the_nearest_periods(shop: Shop) -> None:
    warehouse, day = Warehouse(shop.settings.warehouse), pd.Timestamp(LAST)
    row = {"level": "total", "group": "all", "vintages": 14, "wape": 0.5, "wape_before": 0.4, "slope": None}
    trends = [row | {"bucket": bucket, "change": change} for bucket, change in (("1-7", 0.25), ("all", 0.99))]
    warehouse.replace(SCORE_TRENDS, pd.DataFrame(trends).assign(scored_at=day, run_id="x"), scored_at=day)
    page = Page(written(shop.settings)[0])
    warehouse.replace(SCORE_TRENDS, pd.DataFrame(columns=list(SCORE_TRENDS.columns)), scored_at=day)
    assert page.tables["By level; of each the groups with the largest errors"][1][-2] == "+25%"
    assert "Change: WAPE 1-7 periods ahead" in page.text


@pytest.mark.parametrize("language", ["en", "pt"])
def test_it_needs_nothing_else_and_runs_nothing(shop: Shop, language: str) -> None:
    text, _ = written(shop.settings, language=language)
    page = Page(text)
    assert HOSTILE in page.text  # as text, whole
    assert {"script", "link", "img", "iframe", "object", "form", "base"} & {name for name, _ in page.elements} == set()
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "action", "srcset")]
        assert (attributes.get("href") or "#").startswith("#")
    assert "://" not in text
    assert not re.search(r"url\(|@import", text)
    policy = next(one["content"] for one in page.named("meta") if one.get("http-equiv"))
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(("language", "tag", "word"), [("en", "en-GB", "Accuracy"), ("pt", "pt-BR", "Precisão")])
def test_screen_readers_find_their_way(shop: Shop, language: str, tag: str, word: str) -> None:
    text, _ = written(shop.settings, language=language)
    page = Page(text)
    assert page.named("html") == [{"lang": tag}]
    assert word in page.text
    headings = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert (headings[0], headings.count(1)) == (1, 1)
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert text.count("<caption") == text.count("<table") == len(page.tables)
    assert all(cell.get("scope") for cell in page.named("th"))
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    drawn = [one for one in page.named("svg") if one.get("role") == "img"]
    assert drawn
    assert all(set(one["aria-labelledby"].split()) <= set(names) for one in drawn)
    assert all("aria-hidden" in one for one in page.named("ul") if one.get("class") == "legend")
    assert {one["href"].removeprefix("#") for one in page.named("a")} <= set(names)


def told_by(settings: Settings, port: int, **changes: object) -> Settings:
    email = {"host": "127.0.0.1", "port": port, "sender": "robot@shop", "to": ["ann@shop", "bob@shop"]}
    alerts = AlertSettings.model_validate({"email": email, "seconds": 5})
    report = settings.report.model_copy(update=changes)
    return settings.model_copy(update={"alerts": alerts, "report": report})


def sending(settings: Settings) -> list[str]:
    return Warehouse(settings.warehouse).read(RUNS, ["outcome"], step="send_report")["outcome"].tolist()


def test_it_is_sent_once_with_its_gist(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with mailbox() as (port, mails):
        pass  # gone again
    assert write(told_by(shop.settings, port), LAST, Run("away"))["sent"] == 0
    assert "The report was not sent: 127.0.0.1" in caplog.text
    with mailbox() as (port, mails):
        assert write(told_by(shop.settings, port, to=()), LAST, Run("nobody"))["sent"] == 0
        assert write(told_by(shop.settings, port), LAST, Run("one"))["sent"] == 2
        assert write(told_by(shop.settings, port), LAST, Run("again"))["sent"] == 0
        assert write(told_by(shop.settings, port, to=("eve@shop",), language="pt"), FIRST, Run("first"))["sent"] == 1
    assert sorted(sending(shop.settings)) == ["done", "done", "failed"]
    mail, other = mails
    assert (mail["From"], mail["To"]) == ("robot@shop", "ann@shop, bob@shop")
    assert mail["Subject"].startswith("[demand] Last night")
    assert mail["Subject"].endswith("(1 Jul 2026)")
    gist = mail.get_body().get_content()
    total = Warehouse(shop.settings.warehouse).read(FORECAST_LEVELS, cutoff=pd.Timestamp(LAST), level="total")
    assert f"Forecast: {EN.units(total['mean'].sum())} units over 7 periods" in gist
    [attached] = mail.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("text/html", "forecast-report-2026-07-01.html")
    assert attached.get_content().splitlines() == written(shop.settings)[0].splitlines()
    assert (other["To"], other["Subject"].endswith("(30 de jun. de 2026)")) == ("eve@shop", True)


def test_where_none_is_wanted_or_there_is_nothing_to_tell_the_step_is_skipped(shop: Shop, tmp_path: Path) -> None:
    off = shop.settings.model_copy(update={"report": shop.settings.report.model_copy(update={"enabled": False})})
    assert write(off, LAST, Run("off"))["bytes"] == 0
    assert write(shop.settings, LAST + timedelta(days=9), Run("none"))["bytes"] == 0
    runs = Warehouse(shop.settings.warehouse).read(RUNS, step="report", run_id=["off", "none"])
    assert sorted(zip(runs["outcome"], runs["message"], strict=True)) == [
        ("skipped", "There are no forecasts of 2026-07-10."), ("skipped", "report.enabled is false."),
    ]  # fmt: skip


def test_a_folder_a_bucket_or_only_mlflow(shop: Shop, tmp_path: Path) -> None:
    import fsspec

    def at(path: str) -> dict:
        report = shop.settings.report.model_copy(update={"path": path})
        return write(shop.settings.model_copy(update={"report": report}), LAST, Run("places"))

    assert at("memory://nights/out")["place"] == "memory://nights/out/2026-07-01.html"
    assert fsspec.filesystem("memory").ls("/nights/out", detail=False) == ["/nights/out/2026-07-01.html"]
    nowhere = at("")
    assert (nowhere["place"], bool(nowhere["artifact"])) == (None, True)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot be written: .*Is report.path right"):
        at(str(tmp_path / "file"))


def test_on_the_command_line(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["report", "--conf", str(shop.path), "--json"]
    assert main([*call, "--cutoff", "2026-06-30"]) == 0
    assert json.loads(capsys.readouterr().out)["place"].endswith("/2026-06-30.html")
    assert main([*call, "--cutoff", "2020-01-01"]) == 1
    assert "no forecasts of 2020-01-01 to report on" in capsys.readouterr().out
    assert main([*call, "--set", "report.enabled=false"]) == 2


def test_settings_that_cannot_be_kept_are_refused(shop: Shop) -> None:
    with pytest.raises(SettingsError, match=r"report.to: no \[alerts.email\]"):
        configuration.load(shop.path, ['report.to=["ann@shop"]'])
    with pytest.raises(SettingsError, match=r"report\.language"):
        configuration.load(shop.path, ["report.language=de"])
    assert configuration.load(shop.path, ["report.language=pt"]).digest() == shop.settings.digest()
