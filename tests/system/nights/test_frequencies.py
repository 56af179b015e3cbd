"""Whole nights, report and page included, with hours, days, weeks, months and quarters."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.core.config.settings import Settings
from forecasting.core.frequency import Frequency
from forecasting.core.night import Night
from forecasting.panel.observed.absence_codes import QUARANTINED
from forecasting.reporting.queries.nights import steps
from forecasting.reporting.queries.store import Store
from forecasting.reporting.queries.today import today
from forecasting.steps.ingest.extract import extract
from forecasting.steps.run import Run
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, FORECASTS_WITHDRAWN, QUALITY, RUNS
from tests.support.frequencies import HORIZON, night, sales, shop

DEFAULTS = ["lightgbm", "recursive", "arima", "ets", "theta", "seasonal_mean", "seasonal_naive"]
FAST = {"rows": 3000, "trees": 15, "leaves": 7, "min_rows_leaf": 20, "origins": 6}
NIGHTS = {
    "D": [date(2026, 6, 28), date(2026, 6, 29), date(2026, 6, 30)],
    "W-MON": [date(2026, 6, 28), date(2026, 7, 1), date(2026, 7, 5)],
    "W-SUN": [date(2026, 6, 27), date(2026, 7, 1), date(2026, 7, 4)],
    "M": [date(2026, 4, 30), date(2026, 5, 15), date(2026, 5, 31)],
    "Q": [date(2026, 3, 31), date(2026, 5, 15), date(2026, 6, 30)],
    "H": [date(2026, 6, 28), date(2026, 6, 29), date(2026, 6, 30)],
}


def sound(settings: Settings, asked: date, series: int = 4) -> None:
    """Every series has its horizon in finite numbers, and the page says of this night that it is in order."""
    store = Store(settings)
    vintage = store.vintage()
    assert vintage is not None
    assert vintage.cutoff == store.frequency.end(store.frequency.last_complete(asked))
    rows = store.warehouse.read(FORECASTS, cutoff=vintage.day)
    horizon = settings.panel.horizon
    assert len(rows) == series * horizon
    assert np.isfinite(rows[["mean", "p05", "p50", "p95"]].to_numpy()).all()
    ahead = store.frequency.range(store.frequency.last_complete(vintage.cutoff), horizon + 1)[1:]
    assert sorted(rows["ds"].unique()) == list(ahead)
    cards = {card.about: card for card in today(store, scheduled=False)["cards"]}
    assert cards["data"].facts["read"] > 0
    assert not cards["forecast"].facts["missing"]
    assert {"extract", "forecast", "monitor"} <= set(steps(store, vintage)["step"])
    assert (Path(settings.report.path) / f"{vintage.cutoff}.html").stat().st_size > 10_000


@pytest.mark.parametrize("frequency", NIGHTS)
def test_three_nights_with_the_default_models(tmp_path: Path, frequency: str) -> None:
    nights = NIGHTS[frequency]
    rows = sales(frequency, nights[-1])
    settings = shop(tmp_path, frequency, rows, train__models=DEFAULTS, train__lightgbm=FAST)
    for cutoff in nights:
        night(settings, cutoff)
        sound(settings, cutoff)
    last = Warehouse(settings.warehouse).read(FORECASTS, cutoff=Store(settings).vintage().day)
    usual = rows.groupby("item")["units"].mean()
    mean = last.groupby(last["unique_id"].str[:2])["mean"].mean()
    assert ((mean / usual).between(0.6, 1.6)).all()


@pytest.mark.parametrize(("frequency", "first"), [("W-MON", date(2026, 6, 27)), ("M", date(2026, 5, 28))])
def test_seven_nights_one_after_the_other(tmp_path: Path, frequency: str, first: date) -> None:
    rows = sales(frequency, first + timedelta(days=7))
    newest = rows.loc[rows["day"] <= pd.Timestamp(first) - pd.Timedelta(days=6), "day"].max()
    broken = rows[rows["day"] == newest].head(1).assign(item="I9", units="none")
    settings = shop(tmp_path, frequency, pd.concat([rows, broken]), screen__max_quarantined=0.5)
    warehouse = Warehouse(settings.warehouse)
    for number in range(7):
        cutoff = first + timedelta(days=number)
        night(settings, cutoff)
        known = newest <= pd.Timestamp(Night.of(frequency, cutoff).cutoff)
        sound(settings, cutoff, series=5 if known else 4)  # an item of which no row can be read is a series too
        vintage = Store(settings).vintage()
        quality = warehouse.read(QUALITY, cutoff=vintage.day)
        assert set(quality["night"]) == {pd.Timestamp(cutoff)}
        assert quality.loc[quality["rule"] == "type", "quarantined"].sum() == 1  # on each of them
    assert len(warehouse.cutoffs()) == 2
    assert warehouse.read(RUNS, step="extract")["night"].nunique() == 7
    assert warehouse.read(FORECASTS_WITHDRAWN).empty  # the same forecasts replace nothing that was said
    assert HORIZON[frequency[0]] == settings.panel.horizon


LATE = {
    "W-MON": ["2026-06-24", "2026-06-28", "2026-06-29", "2026-07-02", "2026-07-05"],
    "M": ["2026-04-15", "2026-04-30", "2026-05-10", "2026-06-30", "2026-07-09"],
    "Q": ["2026-02-01", "2026-03-31", "2026-05-05", "2026-06-30", "2026-07-05"],
}


@pytest.mark.parametrize("grain", ["transactions", "periods"])
@pytest.mark.parametrize("frequency", LATE)
def test_whatever_nights_there_were_the_panel_is_that_of_one_reading(
    tmp_path: Path, frequency: str, grain: str
) -> None:
    random, code = np.random.default_rng(3), Frequency.parse(frequency)
    days = pd.date_range("2025-01-01", "2026-07-10")
    rows = pd.DataFrame({"item": "I0", "store": "S", "day": days, "units": random.poisson(5, len(days)) + 1})
    if grain == "periods":
        rows = rows.assign(day=code.starts(pd.DatetimeIndex(rows["day"])))
        rows = rows.groupby(["item", "store", "day"], as_index=False)["units"].sum()
    old = rows[rows["day"] <= pd.Timestamp("2025-06-01")].tail(1).assign(units="none")
    rows, changes = pd.concat([rows, old]), {"extract__sales__grain": grain, "extract__correction_days": 3}
    settings = shop(tmp_path / "nights", frequency, rows, **changes)
    for number, asked in enumerate(map(date.fromisoformat, LATE[frequency])):
        extract(settings, asked, Run(str(asked)))
        once = shop(tmp_path / f"once{number}", frequency, rows, **changes)
        extract(once, asked, Run("once"))
        cutoff = Night.of(frequency, asked).cutoff
        panel = Lake(settings.lake).read_panel(cutoff)
        assert np.array_equal(panel.y, Lake(once.lake).read_panel(cutoff).y, equal_nan=True)
        unknown = int((panel.absence == QUARANTINED).sum())  # the row that the first night quarantined
        assert unknown == (grain == "transactions")  # a ready period that is there twice is known


def test_a_month_that_comes_late_is_read_by_the_next_night(tmp_path: Path) -> None:
    rows = sales("M", date(2026, 5, 31))
    late = (rows["item"] == "I0") & (rows["day"] == pd.Timestamp("2026-05-01"))
    settings = shop(tmp_path, "M", rows[~late])
    night(settings, date(2026, 5, 31))
    rows.to_csv(tmp_path / "sales.csv", index=False)
    night(settings, date(2026, 6, 4))
    panel = Lake(settings.lake).read_panel(date(2026, 5, 31))
    assert panel.y[0, -1] == rows.loc[late, "units"].iloc[0]
