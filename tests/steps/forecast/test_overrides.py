"""Overrides through real nights of a small shop, on SQLite and PostgreSQL: taken, carried on, withdrawn, measured."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.__main__ import main
from forecasting.core.config import settings as configuration
from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import PlanningError, PublishError
from forecasting.panel.panel import Panel
from forecasting.planning.overrides import Override
from forecasting.sources.demo import database
from forecasting.steps.forecast import overrides
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.operate.trace import trace
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import OVERRIDDEN, OVERRIDE_SCORES, OVERRIDES
from forecasting.tables.views import FORECAST_LEVELS_LATEST, FORECASTS_LATEST, FORECASTS_LONG
from forecasting.tables.warehouse import FORECASTS
from tests.steps.test_night import night
from tests.support.shops import small_shop

FIRST = date(2026, 6, 30)
CHEAP = {"train__models": ["seasonal_mean"], "train__blend": False, "train__folds": 1}
DAY = FIRST + timedelta(days=2)
NUMBERS = ["mean", "p05", "p50", "p95"]


@pytest.fixture
def settings(tmp_path: Path, warehouse_settings: WarehouseSettings) -> Settings:
    path = small_shop(tmp_path, **CHEAP)
    return configuration.load(path).model_copy(update={"warehouse": warehouse_settings})


def override(**changes: object) -> Override:
    base = Override("series", "BAK-001_S01", DAY, DAY + timedelta(days=1), "absolute", 50.0, "fair", "ann")
    return replace(base, **changes)


def final(settings: Settings, **where: object) -> pd.Series:
    rows = Warehouse(settings.warehouse).view(FORECASTS_LATEST, **where)
    return rows.set_index(["unique_id", "ds"])["final"]


def test_an_override_lives_beside_the_forecast_from_night_to_night_until_it_is_withdrawn(settings):
    with pytest.raises(PublishError, match="no forecast to override yet"):
        overrides.submit(settings, override())
    night(settings, tonight(settings), "first")
    warehouse = Warehouse(settings.warehouse)
    statistical = warehouse.latest()
    one = overrides.submit(settings, override())
    assert (one["version"], one["series"], one["periods"], one["after"]) == (1, 1, 2, 100.0)
    group = overrides.submit(settings, override(level="store", name="S02", kind="percent", value=50.0, by="bob"))
    pd.testing.assert_frame_equal(warehouse.latest(), statistical)  # the statistical forecast is never touched
    day = pd.Timestamp(DAY)
    assert final(settings, unique_id="BAK-001_S01", ds=DAY).tolist() == [50.0]
    rows = warehouse.view(FORECASTS_LATEST).set_index(["unique_id", "ds"])
    south = rows[rows.index.get_level_values(0).str.endswith("_S02")]
    changed = south.index.get_level_values(1).isin([day, day + pd.Timedelta(days=1)])
    assert south.loc[changed, "final"].tolist() == pytest.approx((south.loc[changed, "mean"] * 1.5).tolist())
    assert south.loc[~changed, "override"].isna().all()
    assert (south.loc[~changed, "final"] == south.loc[~changed, "mean"]).all()
    levels = warehouse.view(FORECAST_LEVELS_LATEST, ds=DAY).set_index(["level", "name"])["final"]
    assert levels["total", "all"] == pytest.approx(rows.xs(day, level="ds")["final"].sum(), rel=1e-6)
    assert levels["store", "S02"] == pytest.approx(south.xs(day, level="ds")["final"].sum(), rel=1e-6)
    long = warehouse.view(FORECASTS_LONG, ds=DAY, level="series", name="BAK-001_S01").set_index("measure")["value"]
    assert (long["final"], long["override"]) == (50.0, 50.0)
    assert long["mean"] == rows.loc[("BAK-001_S01", day), "mean"]

    second = tonight(settings)
    night(settings, second, "second")
    assert final(settings, unique_id="BAK-001_S01", ds=DAY).tolist() == [50.0]  # it holds for the next vintage too
    (behind,) = trace(settings, "BAK-001_S01", DAY)["overrides"]
    assert (behind["id"], behind["by"], behind["final"]) == (one["id"], "ann", 50.0)
    assert trace(settings, "BAK-001_S01", DAY + timedelta(days=3))["overrides"] == []

    gone = overrides.withdraw(settings, group["id"], "eve", "was a mistake")
    assert gone["version"] == 2
    assert set(warehouse.read(OVERRIDDEN, cutoff=second, level="series")["name"]) == {"BAK-001_S01"}
    assert set(warehouse.read(OVERRIDDEN, cutoff=FIRST, level="store")["name"]) == {"S01", "S02"}  # as it was then
    assert list(overrides.listed(settings)["id"]) == [one["id"]]
    versions = overrides.history(settings, group["id"])
    assert versions["by"].tolist() == ["bob", "eve"]
    assert versions["state"].tolist() == ["active", "withdrawn"]
    with pytest.raises(PlanningError, match="was withdrawn already, by eve"):
        overrides.withdraw(settings, group["id"], "eve", "again")

    later = second + timedelta(days=3)
    for days in (1, 2, 3):
        database.advance(settings, second + timedelta(days=days))
    night(settings, later, "later")
    scores = warehouse.read(OVERRIDE_SCORES)
    newest = scores[scores["scored_at"] == scores["scored_at"].max()].set_index(["kind", "group"])
    assert set(newest.loc["by"].index) == {"ann", "bob"}  # she who withdrew it did not say it
    assert newest.loc[("id", one["id"]), "periods"] == newest.loc[("by", "ann"), "periods"] >= 2
    _worth_is_right(warehouse, newest, settings)


def _worth_is_right(warehouse: Warehouse, newest: pd.DataFrame, settings: Settings) -> None:
    """Counted once more from the sales, the vintages and what was said."""
    lake = Lake(settings.lake)
    panel = lake.read_panel(lake.newest_cutoff())
    y = pd.Series(panel.y[list(panel.unique_ids).index("BAK-001_S01")], index=panel.periods)
    rows = warehouse.read(OVERRIDDEN, level="series", name="BAK-001_S01")
    rows = rows[rows["ds"].isin(y.index) & (rows["cutoff"] < pd.Timestamp(panel.cutoff))]
    actual = y.reindex(rows["ds"]).to_numpy()
    seen = pd.notna(actual)
    saved = (rows["mean"] - actual).abs() - (rows["override"] - actual).abs()
    assert newest.loc[("by", "ann"), "saved"] == pytest.approx(saved[seen].sum(), rel=1e-5)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    path = small_shop(tmp_path_factory.mktemp("overrides"), **CHEAP)
    settings = configuration.load(path)
    night(settings, tonight(settings), "first")
    return path, settings


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> None:
    if "shop" in request.fixturenames:
        settings = request.getfixturevalue("shop")[1]
        for row in overrides.listed(settings).to_dict("records"):
            overrides.withdraw(settings, row["id"], "test", "next test")


def test_a_new_version_takes_the_place_of_the_old_one(shop):
    _, settings = shop
    made = overrides.submit(settings, override())
    again = overrides.submit(settings, override(value=60.0, by="bob"), replaces=made["id"])
    assert (again["id"], again["version"]) == (made["id"], 2)
    assert final(settings, unique_id="BAK-001_S01", ds=DAY).tolist() == [60.0]
    assert len(overrides.history(settings, made["id"])) == 2
    with pytest.raises(PlanningError, match="There is no override 'nobody'; active are: "):
        overrides.submit(settings, override(value=70.0), replaces="nobody")


def test_the_same_twice_is_refused_and_another_value_is_not(shop):
    _, settings = shop
    overrides.submit(settings, override(kind="percent", value=10.0))
    with pytest.raises(PlanningError, match="The same override is active already"):
        overrides.submit(settings, override(kind="percent", value=10.0, by="bob"))
    overrides.submit(settings, override(kind="percent", value=11.0))
    assert len(overrides.listed(settings)) == 2


def test_a_preview_keeps_nothing_and_tells_what_would_be(shop):
    _, settings = shop
    before = Warehouse(settings.warehouse).read(OVERRIDES)
    told = overrides.preview(settings, override())
    assert told[told["level"] == "series"]["override"].tolist() == [50.0, 50.0]
    assert set(told["level"]) == {"series", "store", "region", "category", "total"}
    pd.testing.assert_frame_equal(Warehouse(settings.warehouse).read(OVERRIDES), before)
    assert Warehouse(settings.warehouse).read(OVERRIDDEN).empty


def test_a_preview_of_a_change_goes_without_what_it_takes_the_place_of(shop):
    _, settings = shop
    made = overrides.submit(settings, override(kind="percent", value=100.0))
    other = override(kind="percent", value=50.0)
    for told, factor in (
        (overrides.preview(settings, other, made["id"]), 1.5),
        (overrides.preview(settings, other), 3),
    ):
        mine = told[told["level"] == "series"]
        assert mine["override"].tolist() == pytest.approx((mine["mean"] * factor).tolist())
    with pytest.raises(PlanningError, match="The same override is active already"):
        overrides.preview(settings, override(kind="percent", value=100.0))


def published(settings: Settings, days: int) -> tuple[Panel, np.ndarray]:
    """The panel and the means of a vintage so many days after the first one, or before it."""
    panel = Lake(settings.lake).read_panel(FIRST)
    first = panel.periods[0] + pd.Timedelta(days=days)
    mean = Warehouse(settings.warehouse).latest(["mean"])["mean"].to_numpy(dtype="float32")
    return replace(panel, periods=panel.frequency.range(first, len(panel.periods))), mean.reshape(len(panel.y), -1)


def test_an_expired_one_does_not_count(shop):
    _, settings = shop
    overrides.submit(settings, override(expires=FIRST))
    warehouse = Warehouse(settings.warehouse)
    assert len(warehouse.read(OVERRIDDEN, cutoff=FIRST, level="series")) == 2
    assert overrides.change(warehouse, *published(settings, 1), "run").frame.empty
    assert len(overrides.change(warehouse, *published(settings, 0), "run").frame) > 0


def test_a_vintage_from_before_knows_nothing_of_what_people_said_later(shop):
    _, settings = shop
    warehouse = Warehouse(settings.warehouse)
    made = overrides.submit(settings, override())
    assert overrides.change(warehouse, *published(settings, -1), "run").frame.empty
    # A new version and a withdrawal that come with a later vintage, as if it had been published: the first one holds.
    first = overrides.history(settings, made["id"])
    more = {"cutoff": pd.Timestamp(FIRST) + pd.Timedelta(days=1), "value": 70.0}
    warehouse.replace(OVERRIDES, first.assign(version=2, **more), id=made["id"], version=2)

    def said(days: int) -> list[float]:
        frame = overrides.change(warehouse, *published(settings, days), "run").frame
        return frame.loc[frame["level"] == "series", "override"].tolist()

    assert (said(0), said(1)) == ([50.0, 50.0], [70.0, 70.0])
    more["cutoff"] += pd.Timedelta(days=1)
    warehouse.replace(OVERRIDES, first.assign(version=3, state="withdrawn", **more), id=made["id"], version=3)
    assert (said(0), said(1), said(2)) == ([50.0, 50.0], [70.0, 70.0], [])


def test_the_same_as_an_expired_one_is_no_second_click(shop):
    _, settings = shop
    warehouse = Warehouse(settings.warehouse)
    made = overrides.submit(settings, override())
    with pytest.raises(PlanningError, match="The same override is active already"):
        overrides.submit(settings, override(by="bob"))
    gone = overrides.history(settings, made["id"]).assign(expires=pd.Timestamp(FIRST) - pd.Timedelta(days=1))
    warehouse.replace(OVERRIDES, gone, id=made["id"], version=1)  # as it will be when more nights have passed
    again = overrides.submit(settings, override(by="bob"))
    assert again["after"] == 100.0
    assert set(warehouse.read(OVERRIDDEN, cutoff=FIRST)["ids"]) == {again["id"]}


def test_a_withdrawal_is_checked_as_an_override_is(shop):
    _, settings = shop
    made = overrides.submit(settings, override())
    for by, reason, said in [
        ("eve", " ", "reason: it is empty; say why"),
        (" ", "over", "by: it is empty"),
        ("eve", "x" * 201, "reason: 201 characters, allowed are 200"),
        ("e" * 201, "over", "by: 201 characters"),
        ("eve", "o\x00ver", "reason: it holds control characters"),
    ]:
        with pytest.raises(PlanningError, match=said):
            overrides.withdraw(settings, made["id"], by, reason)
    assert overrides.listed(settings)["version"].tolist() == [1]


def test_many_at_once_lose_nothing(shop):
    _, settings = shop
    names = Warehouse(settings.warehouse).latest(["unique_id"], horizon=1)["unique_id"].tolist()[:6]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: overrides.submit(settings, override(name=name)), names))
    assert set(overrides.listed(settings)["name"]) == set(names)
    changed = Warehouse(settings.warehouse).read(OVERRIDDEN, level="series", ds=DAY)
    assert changed.set_index("name")["override"].to_dict() == dict.fromkeys(names, 50.0)


def test_texts_are_kept_as_they_were_written(shop):
    _, settings = shop
    reason = "'); DROP TABLE overrides; -- <b>=1+1</b>"
    made = overrides.submit(settings, override(reason=reason, note='a "note", 100 %'))
    assert overrides.history(settings, made["id"])["reason"].tolist() == [reason]


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container whose user has no entry in the list of users."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)


def test_a_user_without_a_name_may_list_and_says_who_changes(shop, nameless, capsys):
    path, _ = shop
    asked = ["override", "--conf", str(path)]
    assert main(asked) == 0
    made = ["--series", "BAK-001_S01", "--from", str(DAY), "--to", str(DAY), "--units", "40", "--reason", "fair"]
    for words in ([*asked, *made], [*asked, "--withdraw", "one", "--reason", "over"]):
        assert main(words) == 2
        assert "say who you are with --by" in capsys.readouterr().err
    assert main([*asked, *made, "--by", "ann"]) == 0
    assert main(["rollback", "--conf", str(path), "--to", "1", "--reason", "too high"]) == 2


def test_on_the_command_line(shop, capsys):
    path, settings = shop
    asked = ["override", "--conf", str(path)]
    span = ["--from", str(DAY), "--to", str(DAY), "--reason", "fair", "--by", "ann"]
    assert main([*asked, "--level", "category", "--name", "bakery", *span, "--percent", "10", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["after"] == pytest.approx(told["before"] * 1.1, rel=1e-3)
    assert main([*asked, "--series", "BAK-001_S01", *span, "--units", "40", "--preview"]) == 0
    assert "it would change" in capsys.readouterr().out
    assert main(asked) == 0
    assert re.search(rf"{told['id']} category bakery", capsys.readouterr().out)
    assert main([*asked, "--series", "nobody", *span, "--units", "40"]) == 1
    assert "level series has no 'nobody'" in capsys.readouterr().err
    assert main([*asked, "--units", "40"]) == 2
    assert "say also: --from, --to, --reason, one of --series ID and" in capsys.readouterr().err
    assert main([*asked, "--withdraw", told["id"], "--reason", "over", "--by", "bob"]) == 0
    assert f"Override {told['id']} is withdrawn (version 2)" in capsys.readouterr().out
    assert Warehouse(settings.warehouse).read(OVERRIDDEN).empty
    assert len(Warehouse(settings.warehouse).read(FORECASTS)) > 0
