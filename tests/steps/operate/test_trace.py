"""Where a published number came from, and that it comes out the same again: bit for bit, and by training again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from forecasting.__main__ import main
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import PublishError, SettingsError, TableError
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.operate.reproduce import reproduce
from forecasting.steps.operate.trace import trace
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS
from tests.steps.test_night import night
from tests.support.shops import small_shop

Shop = tuple[Path, Settings, date]
both = pytest.mark.parametrize("shop", ["sqlite", "server"], indirect=True)


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory, request) -> Callable[[str], Shop]:
    """Two nights of a shop, made once for each kind of MLflow that is asked for."""

    @cache
    def made(kind: str) -> Shop:
        changes = {"train__models": ["seasonal_naive", "seasonal_mean", "lightgbm", "arima"]}
        if kind == "server":
            server = request.getfixturevalue("mlflow_server")
            changes = {"train__models": ["seasonal_mean", "lightgbm"], "mlflow__tracking_uri": server.address}
            changes |= dict.fromkeys(("mlflow__experiment", "mlflow__model"), "traced")
        path = small_shop(tmp_path_factory.mktemp("traced"), **changes)
        settings = configuration.load(path)
        first = tonight(settings)
        night(settings, first, "first")
        night(settings, tonight(settings), "second")
        return path, settings, first + timedelta(days=1)

    return made


@pytest.fixture
def shop(shops, request) -> Shop:
    return shops(getattr(request, "param", "sqlite"))


@both
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
    assert (found["sales"]["count"], found["sales"]["units"]) == (len(mine), mine["y"].sum())
    listed = pd.DataFrame(found["sales"]["rows"])
    assert dict(zip(listed["ds"], listed["y"], strict=True)) == dict(zip(mine["ds"].dt.date, mine["y"], strict=True))
    assert found["sales"]["version"] == int(found["snapshot"].removeprefix("sales@"))
    snapshot = lake.snapshot(cutoff)
    assert set(found["tables"]) == {"items", "stores", "prices", "promotions", "events", "stock", "signals"}
    for name, table in found["tables"].items():
        assert (table["version"], table["digest"]) == (snapshot.versions[name], snapshot.digests[name])
        assert table["count"] == len(table["rows"])
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
    assert told["sales"]["count"] == len(told["sales"]["rows"]) > 100  # every row, each
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert f"model_version        {told['model_version']}" in said
    assert len(re.findall(r"^    ds \S+, y ", said, re.MULTILINE)) == 28


def test_its_digests_can_be_taken_again_from_what_it_gives(shop, capsys) -> None:
    path, settings, cutoff = shop
    name = str(Warehouse(settings.warehouse).latest(["unique_id"])["unique_id"].iloc[0])
    assert (
        main(["trace", "--conf", str(path), "--series", name, "--ds", str(cutoff + timedelta(days=2)), "--json"]) == 0
    )
    told = json.loads(capsys.readouterr().out)

    def sha(content: object) -> str:
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    numbers = ("mean", "p05", "p10", "p25", "p50", "p75", "p90", "p95")
    expected = {name: sha(table["rows"]) for name, table in told["tables"].items()} | {
        "forecast": sha({name: told["forecast"][name] for name in numbers}),
        "sales": sha(told["sales"]["rows"]),
        "model": told["model"]["manifest"],
    }
    assert told["digests"] == expected


def test_without_the_kept_panel_it_is_built_anew_and_nothing_else_changes(shop, tmp_path) -> None:
    _, settings, cutoff = shop
    name, day = (
        str(Warehouse(settings.warehouse).latest(["unique_id"])["unique_id"].iloc[0]),
        cutoff + timedelta(days=2),
    )
    before = trace(settings, name, day)
    assert before["panel"] == "kept"
    panel = Path(settings.lake.path) / "panels" / f"cutoff={cutoff}"
    panel.rename(tmp_path / "away")
    try:
        after = trace(settings, name, day)
    finally:
        (tmp_path / "away").rename(panel)
    assert after.pop("panel") == f"built anew from {before['snapshot']} with settings {settings.digest()}"
    assert after == {key: value for key, value in before.items() if key != "panel"}
    other = settings.model_copy(update={"panel": settings.panel.model_copy(update={"unique_id": "{store}/{item}"})})
    panel.rename(tmp_path / "away")
    try:
        with pytest.raises(SettingsError, match=f"lacks series that were published: {name}. Use the settings of then"):
            trace(other, name, day)
    finally:
        (tmp_path / "away").rename(panel)


@both
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
    (again,) = facts["retrained"]
    assert again["digest"] == again["registered"]
    assert (again["differs"], again["moved"], again["largest_move"]) == ({}, 0.0, 0.0)
    client = MlflowClient(settings.mlflow.tracking_uri)
    tags = client.get_model_version(settings.mlflow.model, "1").tags
    then = json.loads(tags["packages"]) | {"lightgbm": "4.5.0", "scipy": "1.15.3"}  # as if trained with these
    client.set_model_version_tag(settings.mlflow.model, "1", "packages", json.dumps(then))
    try:
        train = settings.train.model_copy(update={"seed": 8})
        other = reproduce(settings.model_copy(update={"train": train}), cutoff, retrain=True)
    finally:
        client.set_model_version_tag(settings.mlflow.model, "1", "packages", tags["packages"])
    assert not other["equal"]
    assert other["different"] == 0  # the published rows still come out; the model would not
    (again,) = other["retrained"]
    assert again["differs"] == {
        "settings": {"then": settings.digest(), "now": again["differs"]["settings"]["now"]},
        "lightgbm": {"then": "4.5.0", "now": version("lightgbm")},
        "scipy": {"then": "1.15.3", "now": version("scipy")},
    }
    assert again["differs"]["settings"]["now"] != settings.digest()
    assert 0 < again["moved"] < 1
    assert again["largest_move"] > 0


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
