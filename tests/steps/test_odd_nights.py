"""A few of the odd shops of tests/system/nights/test_odd_shops.py, one or two nights each, with the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forecasting import models
from forecasting.__main__ import main
from forecasting.core.config import settings as configuration
from forecasting.core.errors import ModelError
from forecasting.models.baselines import SeasonalMean
from forecasting.reporting.queries.store import Store
from forecasting.reporting.queries.today import today
from forecasting.steps.train.challenger import challenger
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import BACKTESTS, FORECAST_SUMS, FORECASTS
from tests.support import odd_shops
from tests.support.odd_shops import ODD
from tests.support.panels import panel_of, seasonal_panel


def nights(folder: Path, frequency: str, kind: str, count: int, candidates: tuple[str, ...]) -> configuration.Settings:
    path = odd_shops.write(folder, frequency, ODD[kind](frequency), candidates)
    for cutoff in odd_shops.nights(frequency)[:count]:
        assert main(["run", "--conf", str(path), "--cutoff", str(cutoff)]) == 0
    assert list((folder / "report").glob("*.html"))
    return configuration.load(path)


def test_a_first_scored_day_without_sales_is_a_dash(tmp_path: Path) -> None:
    settings = nights(tmp_path, "D", "Sunday first scored", 2, ("seasonal_naive",))
    card = next(one for one in today(Store(settings), scheduled=False)["cards"] if one.about == "accuracy")
    assert card.facts["wape"] is None
    report = max((tmp_path / "report").glob("*.html")).read_text()
    assert "\N{EN DASH}" in report
    assert "nan" not in report.lower().replace("finance", "")


@pytest.mark.parametrize(("frequency", "kind"), [("D", "20 periods"), ("M", "one period, one series")])
def test_a_short_history_is_never_refused(tmp_path: Path, frequency: str, kind: str) -> None:
    settings = nights(tmp_path, frequency, kind, 1, ("seasonal_naive", "lightgbm"))
    table = Warehouse(settings.warehouse).read(FORECASTS)
    assert (table["status"] == "insufficient").all()
    periods = ODD[kind](frequency).units.shape[1] - odd_shops.NIGHTS + 1
    told = f"only {periods} period{'s' if periods > 1 else ''} of history: too few to compare models on"
    assert (table["reason"] == told).all()
    assert (table["p95"] > 1.2 * table["p05"]).all()
    assert Warehouse(settings.warehouse).read(BACKTESTS).empty == (periods == 1)
    assert isinstance(today(Store(settings), scheduled=False)["cards"], list)
    sums = Warehouse(settings.warehouse).read(FORECAST_SUMS)
    assert sums["periods"].max() == settings.panel.horizon


def test_one_period_that_sold_nothing_has_a_status_and_a_reason(tmp_path: Path) -> None:
    path = odd_shops.write(tmp_path, "M", odd_shops.Odd(np.array([[0.0, 0, 3], [5, 4, 6]])), ("seasonal_naive",))
    night = odd_shops.nights("M")[0]
    assert main(["run", "--conf", str(path), "--cutoff", str(night)]) == 0
    settings = configuration.load(path)
    table = Warehouse(settings.warehouse).read(FORECASTS).set_index("unique_id")
    assert (table["status"] == "insufficient").all()
    assert set(table.loc["I0_N", "reason"]) == {"no sale in 1 recorded period"}
    assert table.loc["I0_N", "mean"].max() < 0.1 * table.loc["I0_S", "mean"].min()
    assert np.isfinite(table[["mean", "p05", "p95"]].to_numpy()).all()


def settings_of(**train: object) -> configuration.Settings:
    return configuration.Settings.model_validate(
        {
            "sources": {"shop": {"kind": "files", "path": "."}},
            "extract": {"sales": {"source": "shop", "path": "sales.csv"}},
            "panel": {"horizon": 7},
            "train": train,
        }
    )


def test_a_candidate_that_cannot_be_fitted_drops_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, settings: configuration.Settings) -> object:
        if name in ("lightgbm", "theta"):
            raise ModelError("no target to learn from")
        return create(name, settings)

    create = models.create
    monkeypatch.setattr(models, "create", refuse)
    made = challenger(settings_of(models=["lightgbm", "theta"]), seasonal_panel(horizon=7), tell=lambda _: None)
    assert set(made.choice.weights) == {"seasonal_mean"}  # no candidate was left
    assert made.gave_up() == ["lightgbm: no target to learn from", "theta: no target to learn from"]
    both = challenger(settings_of(models=["seasonal_mean", "theta"]), seasonal_panel(horizon=7), tell=lambda _: None)
    assert set(both.choice.weights) <= {"seasonal_naive", "seasonal_mean"}


def test_one_that_fails_on_the_whole_panel_only_drops_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = seasonal_panel(horizon=7)

    class Late(SeasonalMean):
        name = "theta"

        def fit(self, known, horizon):
            if len(known.periods) == len(panel.periods):
                raise ModelError("too much for it")
            return self

        def predict(self, known, horizon, rows=None):
            forecast = super().predict(known, horizon, rows)
            ahead = panel.y[:, len(known.periods) : len(known.periods) + horizon]
            forecast.mean[:] = np.where(np.isfinite(ahead), ahead, forecast.mean)  # the best there is
            return forecast

    create = models.create
    monkeypatch.setattr(models, "create", lambda name, found: Late() if name == "theta" else create(name, found))
    made = challenger(settings_of(models=["seasonal_mean", "theta"]), panel, tell=lambda _: None)
    assert "theta" not in made.choice.weights


def test_one_period_of_two_series_gets_a_band() -> None:
    made = challenger(settings_of(), panel_of([[4.0], [10.0]]), tell=lambda _: None)
    forecast = made.final.predict(panel_of([[4.0], [10.0]]), 7)
    assert np.isfinite(forecast.quantiles).all()
    assert (forecast.quantiles[..., -1] > forecast.mean).all()
    assert (forecast.quantiles[..., 0] < forecast.mean).all()
    assert forecast.status.tolist() == ["insufficient"] * 2
    assert np.isnan(made.baseline)
