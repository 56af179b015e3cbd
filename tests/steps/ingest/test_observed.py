"""Nights of a shop whose rows are not all there: what cannot be read, is a zero, or was not delivered."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.core.config.settings import Settings
from forecasting.models.baselines import SeasonalMean, SeasonalNaive
from forecasting.models.blend import Blend
from forecasting.panel.observed.absence_codes import ENDED, NOT_DELIVERED, QUARANTINED
from forecasting.panel.panel import Panel
from forecasting.steps.ingest.extract import extract
from forecasting.steps.monitor.monitor import monitor
from forecasting.steps.operate.panel_again import rebuilt
from forecasting.steps.run import Run
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, QUALITY, SERIES_SCORES

CUTOFF = date(2026, 6, 30)
DAYS = 210


class Kiosk:
    """A source that writes a row for every item and day: a zero where nothing was sold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.days = [f"{CUTOFF - timedelta(days=age)}" for age in range(DAYS - 1, -1, -1)]
        weekday = [str(day % 3) for day in range(DAYS)]
        self.rows = {"bread": ["30"] * DAYS, "milk": ["20"] * DAYS, "tea": weekday, "jam": weekday[::-1]}

    def settings(self, **panel: object) -> Settings:
        lines = [
            {"ds": day, "store": "N", "item": item, "y": y}
            for item, values in self.rows.items() for day, y in zip(self.days, values, strict=True) if y != "no row"
        ]  # fmt: skip
        pd.DataFrame(lines).to_csv(self.folder / "sales.csv", index=False)
        return Settings.model_validate(
            {
                "sources": {"till": {"kind": "files", "path": str(self.folder)}},
                "extract": {"sales": {"source": "till", "path": "sales.csv"}},
                "panel": {"horizon": 7} | panel,
                "lake": {"path": str(self.folder / "lake")},
                "warehouse": {"url": f"sqlite:///{self.folder}/warehouse.db"},
            }
        )

    def night(self, cutoff: date = CUTOFF, **panel: object) -> Panel:
        settings = self.settings(**panel)
        extract(settings, cutoff, Run("night"))
        return Lake(settings.lake).read_panel(cutoff)

    def later(self, days: int = 1) -> date:
        """Every item goes on as it did a season ago."""
        for _ in range(days):
            self.days.append(f"{date.fromisoformat(self.days[-1]) + timedelta(days=1)}")
            for values in self.rows.values():
                values.append(values[-7])
        return date.fromisoformat(self.days[-1])


@pytest.fixture
def shop(tmp_path: Path) -> Kiosk:
    return Kiosk(tmp_path)


def row(panel: Panel, item: str) -> int:
    return panel.unique_ids.tolist().index(f"{item}_N")


def published(panel: Panel, item: str) -> tuple[np.ndarray, str, str]:
    forecast = Blend({"seasonal_naive": SeasonalNaive()}, {"seasonal_naive": 1.0}).predict(panel, 7)
    at = row(panel, item)
    return forecast.mean[at], str(forecast.status[at]), str(forecast.reason[at])


@pytest.mark.parametrize("wrong", ["", "a few", "1e12", "-4"])
def test_rows_that_cannot_be_read_are_no_zero_demand(shop: Kiosk, wrong: str) -> None:
    shop.rows["milk"][-4:] = [wrong] * 4
    panel = shop.night()
    assert panel.absence is not None
    assert np.flatnonzero(panel.absence[row(panel, "milk")]).tolist() == list(range(DAYS - 4, DAYS))
    assert set(panel.absence[row(panel, "milk"), -4:]) == {QUARANTINED}
    mean, status, _ = published(panel, "milk")
    assert (mean.tolist(), status) == ([20.0] * 7, "ok")
    seasonal = SeasonalMean().predict(panel, 7).mean[row(panel, "milk")]
    np.testing.assert_allclose(seasonal, 20, rtol=1e-4)
    settings = shop.settings()
    same = rebuilt(settings, CUTOFF, panel.snapshot)
    np.testing.assert_array_equal(same.absence, panel.absence)
    np.testing.assert_array_equal(same.y, panel.y)


def test_an_item_of_which_no_row_can_be_read_is_a_series_with_a_reason(shop: Kiosk) -> None:
    shop.rows["ham"] = ["3,5"] * DAYS
    mean, status, reason = published(shop.night(), "ham")
    assert status == "insufficient"
    assert f"the rows of {DAYS} periods are in quarantine" in reason
    assert np.isfinite(mean).all()


def test_recorded_zeros_are_no_new_item(shop: Kiosk) -> None:
    shop.rows["saw"] = ["0"] * DAYS
    shop.rows["rake"] = ["no row"] * (DAYS - 3) + ["0"] * 3
    panel = shop.night()
    mean, status, reason = published(panel, "saw")
    assert mean.max() < 0.01
    assert (status, reason) == ("insufficient", f"no sale in {DAYS} recorded periods")
    mean, status, reason = published(panel, "rake")
    assert 0 < mean.max() < 1
    assert (status, reason) == ("insufficient", "no sale in 3 recorded periods")


def test_what_was_not_delivered_is_not_zero_and_what_stopped_has_ended(shop: Kiosk) -> None:
    shop.rows["milk"][-5:] = ["no row"] * 5
    shop.rows["ale"] = ["12"] * (DAYS - 60) + ["no row"] * 60
    panel = shop.night()
    assert panel.absence is not None
    assert set(panel.absence[row(panel, "milk"), -5:]) == {NOT_DELIVERED}
    assert published(panel, "milk")[0].tolist() == [20.0] * 7
    assert panel.absence[row(panel, "ale"), -1] == ENDED
    mean, status, reason = published(panel, "ale")
    assert (mean.max(), status) == (0, "discontinued")
    assert f"{CUTOFF - timedelta(days=60)}" in reason
    assert (shop.night(missing_rows="zero", closed="never").y[row(panel, "milk"), -5:] == 0).all()


def test_a_later_night_repairs_what_it_can_read_and_keeps_the_rest_unknown(shop: Kiosk) -> None:
    shop.rows["milk"][-2], shop.rows["bread"][-30] = "", ""
    shop.night()
    shop.rows["milk"][-2] = "21"
    panel = shop.night(shop.later())
    assert panel.y[row(panel, "milk"), -3:].tolist() == [21, 20, 20]
    assert panel.absence is not None
    assert [tuple(cell) for cell in np.argwhere(panel.absence)] == [(row(panel, "bread"), DAYS - 30)]
    settings = shop.settings()
    quality = Warehouse(settings.warehouse).read(QUALITY, table="sales", rule="shrunk")
    assert quality["passed"].all()


def test_scores_leave_out_what_the_panel_does_not_know(shop: Kiosk) -> None:
    vintage = CUTOFF - timedelta(days=4)
    shop.rows["milk"][-2], shop.rows["bread"][-1] = "", "no row"
    panel = shop.night()
    settings = shop.settings()
    numbers = dict.fromkeys(("mean", "p05", "p10", "p25", "p50", "p75", "p90", "p95"), 20.0)
    origin = {"model": "hand", "model_version": "1", "snapshot": "s", "run_id": "hand", "status": "ok"}
    rows = [
        {"unique_id": name, "cutoff": pd.Timestamp(vintage), "horizon": ahead,
         "ds": pd.Timestamp(vintage) + pd.Timedelta(days=ahead), **numbers, **origin}
        for name in panel.unique_ids for ahead in range(1, 8)
    ]  # fmt: skip
    warehouse = Warehouse(settings.warehouse)
    warehouse.replace(FORECASTS, pd.DataFrame(rows), cutoff=pd.Timestamp(vintage))
    monitor(settings, CUTOFF, Run("night"))
    scored = warehouse.read(SERIES_SCORES).set_index("unique_id")["periods"]
    assert scored[["milk_N", "bread_N", "tea_N"]].tolist() == [3, 3, 4]


def test_a_shop_whose_rows_cannot_be_read_for_long_has_not_closed(shop: Kiosk) -> None:
    shop.rows = {"milk": ["20"] * (DAYS - 40) + [""] * 40, "tea": shop.rows["tea"]}
    mean, status, _ = published(shop.night(discontinued_after=28), "milk")
    assert (mean.tolist(), status) == ([20.0] * 7, "ok")
