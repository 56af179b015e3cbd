"""Nights in the middle of a week, and nights of hours; tests/system/nights/test_frequencies.py has all frequencies."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from forecasting.core.errors import SettingsError
from forecasting.core.night import Night
from forecasting.reporting.queries.store import Store
from forecasting.reporting.queries.today import today
from forecasting.steps.forecast import forecast
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.monitor import monitor
from forecasting.steps.operate import trace
from forecasting.steps.run import Run
from forecasting.steps.train.train import train
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, QUALITY, SCORES
from tests.support.frequencies import sales, shop


def publish(settings, cutoff: date, run: Run) -> None:
    for shard in forecast.plan(settings, cutoff):
        forecast.predict(settings, cutoff, shard, run)
    forecast.publish(settings, cutoff, run)


@pytest.mark.parametrize(
    ("frequency", "asked", "cutoff"),
    [
        ("D", date(2026, 7, 1), date(2026, 7, 1)),
        ("W-MON", date(2026, 7, 1), date(2026, 6, 28)),
        ("M", date(2026, 7, 1), date(2026, 6, 30)),
        ("Q", date(2026, 7, 1), date(2026, 6, 30)),
        ("H", date(2026, 7, 1), date(2026, 7, 1)),
    ],
)
def test_a_night_has_the_cutoff_of_its_last_whole_period(frequency: str, asked: date, cutoff: date) -> None:
    night = Night.of(frequency, asked)
    assert (night.cutoff, night.within) == (cutoff, asked > cutoff)


def test_a_failed_rule_is_seen_on_a_night_in_the_middle_of_a_week(tmp_path: Path) -> None:
    rows = sales("W-MON", date(2026, 6, 28), items=2)
    broken = rows.tail(1).assign(units="none", item="I9")
    settings = shop(tmp_path, "W-MON", pd.concat([rows, broken]), train__models=["seasonal_naive"])
    extract(settings, date(2026, 6, 28), Run("sunday"))
    train(settings, date(2026, 6, 28), Run("sunday"))
    for asked in (date(2026, 6, 28), date(2026, 7, 1)):
        extract(settings, asked, Run(str(asked)))
        publish(settings, asked, Run(str(asked)))
        quality = Warehouse(settings.warehouse).read(QUALITY, cutoff=pd.Timestamp("2026-06-28"), rule="type")
        assert quality["night"].tolist() == [pd.Timestamp(asked)]
        card = next(one for one in today(Store(settings), scheduled=False)["cards"] if one.about == "data")
        assert (card.facts["read"], card.facts["quarantined"]) == (len(rows) + 1, 1)


def test_hours_are_forecast_scored_and_traced(tmp_path: Path) -> None:
    rows = sales("H", date(2026, 6, 29), items=2)
    settings = shop(tmp_path, "H", rows, train__models=["seasonal_naive"], panel__horizon=24)
    for asked in (date(2026, 6, 28), date(2026, 6, 29)):
        extract(settings, asked, Run(str(asked)))
        if asked == date(2026, 6, 28):
            train(settings, asked, Run(str(asked)))
        publish(settings, asked, Run(str(asked)))
    monitor(settings, date(2026, 6, 29), Run("monitor"))
    warehouse, noon = Warehouse(settings.warehouse), pd.Timestamp("2026-06-29 12:00")
    found = warehouse.read(FORECASTS, cutoff=pd.Timestamp("2026-06-28"), unique_id="I0_S")
    assert found["ds"].tolist() == list(pd.date_range("2026-06-29", periods=24, freq="h"))
    assert len(warehouse.read(FORECASTS, ds=noon)) == 2
    panel = Lake(settings.lake).read_panel(date(2026, 6, 29))
    assert panel.periods[-1] == pd.Timestamp("2026-06-29 23:00")
    before = rows[(rows["item"] == "I0") & (rows["day"] == noon - pd.Timedelta(days=7))]["units"].iloc[0]
    assert found.set_index("ds")["mean"][noon] == before  # the same hour of the week before
    scores = warehouse.read(SCORES, bucket="all", level="total", metric="wape")
    assert scores["periods"].tolist() == [48]
    facts = trace.trace(settings, "I0_S", noon.to_pydatetime(), date(2026, 6, 28))
    assert facts["forecast"]["mean"] == before
    assert facts["sales"]["rows"][-1]["ds"] == "2026-06-28 23:00"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"panel__horizon": 30}, "whole days: 24, 48"),
        ({"warehouse__url": "postgresql+psycopg://host/db"}, "needs a warehouse in SQLite"),
    ],
)
def test_what_hours_cannot_do_yet_is_refused_before_anything_is_read(tmp_path: Path, changes, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        shop(tmp_path, "H", sales("H", date(2026, 6, 29), items=1), **changes)
