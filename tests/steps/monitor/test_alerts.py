"""Alerts: told once by every channel, open until mended, told again when worse, and never in the way of a night."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from forecasting import __main__ as command
from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import AlertSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import PlanningError
from forecasting.sources.demo import database
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.monitor import alerts
from forecasting.steps.run import Run, record
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import ALERTS, QUALITY, SCORE_TRENDS, SCORES
from tests.steps.test_night import forecast, night
from tests.support.servers.receivers import mailbox, webhook
from tests.support.shops import small_shop

DAY = date(2026, 6, 30)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return configuration.load(small_shop(tmp_path, train__models=["seasonal_mean"]))


def broken(settings: Settings, day: date, *rules: str, severity: str = "warn") -> None:
    """The quality table of a night in which these rules do not hold."""
    rows = [
        {
            "cutoff": pd.Timestamp(day), "snapshot": "sales@0", "table": "sales", "rule": rule, "severity": severity,
            "read": 1, "clean": 1, "quarantined": 0, "passed": False, "message": f"{rule} is broken", "run_id": "x",
        }
        for rule in rules
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(QUALITY.columns))
    Warehouse(settings.warehouse).replace(QUALITY, table, cutoff=pd.Timestamp(day))


def rows(settings: Settings) -> list[tuple]:
    table = Warehouse(settings.warehouse).read(ALERTS)
    closed = [value.date() if pd.notna(value) else None for value in table["closed"]]
    return list(zip(table["subject"], table["severity"], table["nights"], closed, strict=True))


def scored(settings: Settings, day: date, wape: float, added: float) -> None:
    """The tables of a night whose seven scored vintages came out like this; before, wape was 0.5."""
    stamp = {"scored_at": pd.Timestamp(day), "level": "total", "group": "all", "bucket": "all", "run_id": "x"}
    trend = {"vintages": 14, "wape": wape, "wape_before": 0.5, "change": wape / 0.5 - 1, "slope": None}
    warehouse = Warehouse(settings.warehouse)
    warehouse.replace(SCORE_TRENDS, pd.DataFrame([stamp | trend]), scored_at=pd.Timestamp(day))
    for back in range(7, 14):
        cutoff = pd.Timestamp(day - timedelta(days=back))
        value = {"cutoff": cutoff, "metric": "value_added", "value": added, "periods": 9, "model_version": "1"}
        warehouse.replace(SCORES, pd.DataFrame([stamp | value]), cutoff=cutoff)


@pytest.mark.parametrize(
    ("wape", "added", "told"),
    [
        (0.59, 0.1, []),
        (0.65, 0.1, ["wape of total all"]),  # 30 % above
        (0.50, -0.1, ["value added"]),
    ],
)
def test_forecasts_that_got_worse_are_told_of(settings: Settings, wape: float, added: float, told: list[str]) -> None:
    scored(settings, DAY, wape, added)
    assert [(one.name, one.subject) for one in alerts.findings(settings, DAY)] == [("accuracy", one) for one in told]


def test_opened_once_seen_every_night_closed_when_mended(settings: Settings) -> None:
    told: list[str] = []
    broken(settings, DAY, "gap", "silent")
    assert alerts.watch(settings, DAY, Run("1"), told.append)["opened"] == 2
    assert told == ["opened (warning) quality, sales: gap: gap is broken",
                    "opened (warning) quality, sales: silent: silent is broken"]  # fmt: skip
    alerts.watch(settings, DAY, Run("1 again"), told.append)
    broken(settings, DAY + timedelta(days=1), "gap")
    facts = alerts.watch(settings, DAY + timedelta(days=1), Run("2"), told.append)
    assert facts == {"cutoff": "2026-07-01", "opened": 0, "open": 1, "closed": 1}
    assert told[2:] == ["mended (warning) quality, sales: silent: silent is broken"]
    assert rows(settings) == [("sales: gap", "warning", 2, None), ("sales: silent", "warning", 1, date(2026, 7, 1))]
    broken(settings, DAY + timedelta(days=2), "silent")
    alerts.watch(settings, DAY + timedelta(days=2), Run("3"), told.append)
    assert [line.split()[0] for line in told[3:]] == ["opened", "mended"]  # a new one, the old one stays on record
    assert len(rows(settings)) == 3


def test_every_channel_is_told_once_and_of_the_end(settings: Settings) -> None:
    with mailbox() as (port, mails), webhook() as (url, calls, _):
        settings = with_channels(settings, port, slack=url, teams=url, json=url)
        broken(settings, DAY, "gap <b>&")
        for run in ("1", "1 again"):
            alerts.watch(settings, DAY, Run(run))
        assert len(mails) == 1
        assert (mails[0]["From"], mails[0]["To"]) == ("robot@shop", "ann@shop, bob@shop")
        assert mails[0]["Subject"] == "[demand] 1 to look at (night of 2026-06-30)"
        line = "opened (warning) quality, sales: gap <b>&: gap <b>& is broken"
        assert mails[0].get_content().strip() == line
        assert [path for path, _ in calls] == ["/hook/s3cret"] * 3
        slack, teams, plain = (content for _, content in calls)
        assert slack["text"].splitlines()[0] == "*[demand] 1 to look at (night of 2026-06-30)*"
        assert "&lt;b&gt;&amp;" in slack["text"]
        card = teams["attachments"][0]["content"]
        assert [block["text"] for block in card["body"]][1:] == [line]
        assert plain["alerts"][0] == {
            "what": "opened", "severity": "warning", "name": "quality", "subject": "sales: gap <b>&",
            "message": "gap <b>& is broken",
        }  # fmt: skip
        alerts.watch(settings, DAY + timedelta(days=1), Run("2"))
        assert mails[1]["Subject"] == "[demand] 1 mended (night of 2026-07-01)"
        assert len(calls) == 6


def with_channels(settings: Settings, port: int, **hooks: str) -> Settings:
    content = {
        "email": {"host": "127.0.0.1", "port": port, "sender": "robot@shop", "to": ["ann@shop", "bob@shop"]},
        "webhooks": {name: {"url": url, "format": name} for name, url in hooks.items()},
        "seconds": 5,
    }
    return settings.model_copy(update={"alerts": AlertSettings.model_validate(content)})


def test_a_channel_that_fails_is_tried_again_and_shows_no_secret(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with mailbox() as (port, mails), webhook(answer=503) as (url, calls, server):
        settings = with_channels(settings, port, slack=url)
        broken(settings, DAY, "gap")
        alerts.watch(settings, DAY, Run("1"))
        assert "not told by webhook slack: The webhook answered 503" in caplog.text
        server.answer = 200
        broken(settings, DAY + timedelta(days=1), "gap")
        alerts.watch(settings, DAY + timedelta(days=1), Run("2"))
        assert (len(mails), len(calls)) == (1, 2)
    broken(settings, DAY + timedelta(days=2), "gap", "new")
    alerts.watch(settings, DAY + timedelta(days=2), Run("3"))  # both servers are gone
    assert "sent no e-mail" in caplog.text
    assert "The webhook cannot be called" in caplog.text
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(settings) + settings.model_dump_json()
    told = Warehouse(settings.warehouse).read(ALERTS).set_index("subject")["told"]
    assert told["sales: gap"] == "log, email, webhook slack"
    assert told["sales: new"] == "log"


def test_worse_is_told_again_and_little_is_not_told(settings: Settings) -> None:
    with mailbox() as (port, mails):
        settings = with_channels(settings, port)
        least = settings.alerts.model_copy(update={"minimum": "critical"})
        settings = settings.model_copy(update={"alerts": least})
        broken(settings, DAY, "gap")
        alerts.watch(settings, DAY, Run("1"))
        assert mails == []
        broken(settings, DAY + timedelta(days=1), "gap", severity="stop")
        alerts.watch(settings, DAY + timedelta(days=1), Run("2"))
        assert [mail.get_content().split()[0] for mail in mails] == ["worse"]


def test_a_step_that_fails_and_forecasts_that_are_late(settings: Settings) -> None:
    alerts.failed(settings, DAY, Run("1"), "extract.read", ValueError("the disk is full"))
    alerts.late(settings, DAY, Run("1"), "3 h after the night's start")
    table = Warehouse(settings.warehouse).read(ALERTS).set_index("name")
    assert table["severity"].to_list() == ["critical", "critical"]
    assert table.loc["night", "message"] == "ValueError: the disk is full"
    assert table.loc["late", "message"] == (
        "no forecasts of 2026-06-30 by 3 h after the night's start; the newest are of no night yet"
    )
    assert alerts.watch(settings, DAY, Run("1"))["closed"] == 2  # the night came to its end after all


def test_a_failed_step_is_not_mended_by_the_rest_of_its_night(settings: Settings) -> None:
    """Orders fail while the night is monitored; the alert closes when they are done after all, or a night later."""

    def orders(run: str, outcome: str) -> None:
        try:
            with record(settings, Run(run), "replenish", DAY):
                if outcome == "failed":
                    raise PlanningError("no lead time")
        except PlanningError as error:
            alerts.failed(settings, DAY, Run(run), "forecast.propose_orders", error)

    orders("1", "failed")
    assert alerts.watch(settings, DAY, Run("1"))["closed"] == 0
    assert rows(settings) == [("forecast.propose_orders", "critical", 1, None)]
    orders("2", "done")
    assert alerts.watch(settings, DAY, Run("2"))["closed"] == 1
    orders("3", "failed")
    assert alerts.watch(settings, DAY + timedelta(days=1), Run("4"))["closed"] == 1


def test_a_refused_champion_is_told(tmp_path: Path) -> None:
    settings = configuration.load(small_shop(tmp_path, train__models=["seasonal_mean"]))
    first = tonight(settings)
    night(settings, first, "first")
    second = configuration.load(tmp_path / "conf.toml", ["train.force=true", "train.models=['seasonal_naive']"])
    from forecasting.steps.train.train import train

    version = train(second, first, Run("second"))["version"]
    registry = Registry(settings.mlflow)
    registry.promote(version, "for this test")
    file = next(path for path in registry.fetch(version).rglob("*.json") if path.name != "manifest.json")
    file.write_text(file.read_text() + " ")
    forecast(settings, first, "again")
    alerts.watch(settings, first, Run("again"))
    table = Warehouse(settings.warehouse).read(ALERTS, name="model")
    assert table["subject"].to_list() == [f"champion {version}"]
    assert table["severity"].to_list() == ["critical"]
    assert "is refused" in table["message"].iloc[0]


def test_a_backfill_opens_and_closes_nothing(tmp_path: Path) -> None:
    settings = configuration.load(small_shop(tmp_path, train__models=["seasonal_mean"]))
    first = tonight(settings)
    night(settings, first)
    database.advance(settings, first + timedelta(days=1))
    night(settings, first + timedelta(days=1))
    broken(settings, first, "gap")
    assert alerts.watch(settings, first, Run("backfill"))["opened"] == 0
    assert rows(settings) == []


def test_a_night_of_the_command_line_that_fails_leaves_an_alert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small_shop(tmp_path, screen__max_quarantined=0.0)
    assert command.main(["demo", "--conf", str(path)]) == 0
    assert command.main(["run", "--conf", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out.strip().splitlines()[-1])["error"] == "DataQualityError"
    table = Warehouse(configuration.load(path).warehouse).read(ALERTS)
    assert table[["name", "subject", "severity"]].to_numpy().tolist() == [["night", "extract", "critical"]]
