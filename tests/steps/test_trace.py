"""Where a published number came from, and that it comes out the same again: bit for bit, and by training again."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting import settings as configuration
from forecasting.__main__ import main
from forecasting.data.tables import FORECASTS
from forecasting.errors import PublishError, TableError
from forecasting.settings import Settings
from forecasting.steps.demo import tonight
from forecasting.steps.reproduce import reproduce
from forecasting.steps.trace import trace
from forecasting.stores.lake import Lake
from forecasting.stores.warehouse import Warehouse
from tests.shops import small_shop
from tests.steps.test_night import night


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings, date]:
    path = small_shop(
        tmp_path_factory.mktemp("traced"), train__models=["seasonal_naive", "seasonal_mean", "lightgbm", "arima"]
    )
    settings = configuration.load(path)
    first = tonight(settings)
    night(settings, first, "first")
    night(settings, tonight(settings), "second")
    return path, settings, first + timedelta(days=1)


def test_a_number_is_traced_to_its_run_model_snapshot_and_sales(shop) -> None:
    _, settings, cutoff = shop
    rows = Warehouse(settings.warehouse).read(FORECASTS, cutoff=pd.Timestamp(cutoff))
    row = rows.iloc[3]
    found = trace(settings, row["unique_id"], row["ds"].date())
    assert found["forecast"]["mean"] == row["mean"]
    assert found["forecast"]["cutoff"].date() == cutoff  # the newest vintage that has the day
    lake = Lake(settings.lake)
    assert found["digest"] == lake.snapshot(cutoff).digest
    assert found["run"]["run_id"] == "second"
    assert found["model_version"] == "1"
    assert found["model"]["trained_at"] == cutoff - timedelta(days=1)
    assert sum(found["model"]["weights"].values()) == pytest.approx(1, abs=1e-3)
    assert found["model"]["window"][1] == str(cutoff - timedelta(days=1))
    assert [one["decision"] for one in found["decisions"]] == ["promoted"]
    sales = lake.read(found["snapshot"], "sales")
    item, store = found["sales"]["item"], found["sales"]["store"]
    mine = sales[(sales["item"] == item) & (sales["store"] == store)]
    assert (found["sales"]["rows"], found["sales"]["units"]) == (len(mine), mine["y"].sum())
    assert {"price", "promotion"} <= set(found["covariates"])
    units = pd.DataFrame(found["explanation"])
    assert units["units"].sum() == pytest.approx(row["mean"], rel=1e-3, abs=1e-3)
    assert set(units["model"]) <= {*found["model"]["weights"], "rules"}
    earlier = trace(settings, row["unique_id"], row["ds"].date(), cutoff - timedelta(days=1))
    assert earlier["run"]["run_id"] == "first"


def test_what_was_never_forecast_is_said_with_what_there_is(shop) -> None:
    settings = shop[1]
    with pytest.raises(TableError, match="no forecast of series 'CAKE'"):
        trace(settings, "CAKE", date(2026, 7, 3))
    name = str(Warehouse(settings.warehouse).latest(["unique_id"])["unique_id"].iloc[0])
    with pytest.raises(TableError, match="it has 2026-07-01 to 2026-07-08, of the cutoffs 2026-07-01, 2026-06-30"):
        trace(settings, name, date(2027, 1, 1))


def test_on_the_command_line_it_is_json(shop, capsys) -> None:
    path, settings, cutoff = shop
    name = str(Warehouse(settings.warehouse).latest(["unique_id"])["unique_id"].iloc[0])
    asked = ["trace", "--conf", str(path), "--series", name, "--ds", str(cutoff + timedelta(days=2))]
    assert main([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"snapshot", "model_version", "code", "digest", "settings", "overrides"} <= set(told)
    assert main(asked) == 0
    assert f"model_version        {told['model_version']}" in capsys.readouterr().out


def test_a_vintage_comes_out_the_same_from_snapshot_and_registry(shop, capsys) -> None:
    path, settings, cutoff = shop
    for day in (cutoff - timedelta(days=1), cutoff):
        facts = reproduce(settings, day)
        assert facts["equal"], facts
        assert (facts["different"], facts["largest_difference"]) == (0, 0.0)
        assert facts["rows"] > 0
    with pytest.raises(PublishError, match="No vintage of cutoff 2020-01-01 was published; the newest are: 2026-07-01"):
        reproduce(settings, date(2020, 1, 1))
    assert main(["reproduce", "--conf", str(path), "--cutoff", str(cutoff), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"] is True


def test_training_again_arrives_at_the_same_model_and_says_what_differs_where_it_does_not(shop) -> None:
    _, settings, cutoff = shop
    facts = reproduce(settings, cutoff, retrain=True)
    assert facts["equal"], facts
    assert facts["retrained"][0]["digest"] == facts["retrained"][0]["registered"]
    train = settings.train.model_copy(update={"seed": 8})
    other = reproduce(settings.model_copy(update={"train": train}), cutoff, retrain=True)
    assert not other["equal"]
    assert other["different"] == 0  # the published rows still come out; the model would not
    assert "settings" in other["retrained"][0]["differs"]
    assert other["retrained"][0]["moved"] > 0


def test_a_number_that_was_changed_by_hand_is_found(shop) -> None:
    _, settings, cutoff = shop
    engine = sa.create_engine(settings.warehouse.url)
    change = "UPDATE forecasts SET mean = mean {} 1 WHERE cutoff = :cutoff AND horizon = 1"
    with engine.begin() as connection:
        changed = connection.execute(sa.text(change.format("+")), {"cutoff": cutoff.isoformat()}).rowcount
    try:
        facts = reproduce(settings, cutoff)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text(change.format("-")), {"cutoff": cutoff.isoformat()})
    assert not facts["equal"]
    assert facts["different"] == changed > 0
    assert facts["largest_difference"] == pytest.approx(1)
