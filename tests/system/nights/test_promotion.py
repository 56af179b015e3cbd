"""From a verdict to what people see: promotion, a person's answer, shadows, rollback, a champion tampered with."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import PublishError, SettingsError, StoreError
from forecasting.sources.demo import database
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.operate.reproduce import reproduce
from forecasting.steps.operate.rollback import newest_vintage, rollback
from forecasting.steps.run import Run
from forecasting.steps.train.promotion import Answer, decide, question
from forecasting.steps.train.shadow import watch
from forecasting.steps.train.train import due, train
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import BACKTESTS, FORECASTS, FORECASTS_WITHDRAWN, JUDGEMENTS, MODEL_PROMOTIONS
from tests.steps.test_night import forecast, night
from tests.support.shops import small_shop

Changed = Callable[..., Settings]


# The registry: an MLflow database of the shop's own, or a server that every client asks by HTTP.
both = pytest.mark.parametrize("changed", ["sqlite", "server"], indirect=True)


@pytest.fixture
def changed(tmp_path: Path, request: pytest.FixtureRequest, own_cache: None) -> Changed:
    """The same shop with other settings of `[train]`; its first night has the weaker of the two models."""
    own: dict[str, object] = {}
    if getattr(request, "param", "sqlite") == "server":
        own["mlflow__tracking_uri"] = request.getfixturevalue("mlflow_server").address
        own |= dict.fromkeys(("mlflow__experiment", "mlflow__model"), re.sub(r"\W", "_", request.node.name))
    path = small_shop(tmp_path, demo__items=20, demo__stores=4, **own)

    def made(*models: str, **train: object) -> Settings:
        changes = [f"train.models={list(models)}", *(f"train.{key.replace('__', '.')}={train[key]}" for key in train)]
        return configuration.load(path, changes)

    return made


def extracted(settings: Settings, cutoff: date) -> None:
    """The shop sells up to this day, and that is read."""
    database.advance(settings, cutoff)
    extract(settings, cutoff, Run("last"))


def a_week_later(weak: Settings) -> tuple[date, date]:
    """The first night with its champion, and the night a week later, extracted but not trained."""
    first = tonight(weak)
    night(weak, first, "first")
    last = first + timedelta(days=7)
    extracted(weak, last)
    return first, last


def decisions(settings: Settings) -> list[tuple[str, str, str]]:
    rows = Warehouse(settings.warehouse).read(MODEL_PROMOTIONS).sort_values("decided_at")
    return list(rows[["version", "decision", "by"]].itertuples(index=False, name=None))


def test_a_better_challenger_takes_over_on_what_neither_had_seen(changed: Changed) -> None:
    weak, strong = changed("seasonal_naive"), changed("seasonal_mean", "lightgbm")
    first, last = a_week_later(weak)
    facts = train(strong, last, Run("last"))
    assert (facts["promoted"], facts["decision"]) == (True, "promoted"), facts["reason"]
    assert f"on 7 periods from {first} that neither had seen" in facts["reason"]
    assert decisions(weak) == [("1", "promoted", "rules"), ("2", "promoted", "rules")]
    rows = Warehouse(weak.warehouse).read(JUDGEMENTS)
    assert set(rows["version"]) == {"2"}
    assert rows["passed"].all()
    assert {"better than the champion", "beyond chance", "better than seasonal naive", "bias"} <= set(rows["rule"])
    champion = Registry(weak.mlflow).champion(last)
    assert champion.version == "2"
    assert champion.state == "champion"
    client = MlflowClient(weak.mlflow.tracking_uri)
    made = client.get_model_version(weak.mlflow.model, "2")
    assert "| better than the champion | all |" in made.description
    assert "figures/judgement.png" in [one.path for one in client.list_artifacts(made.run_id, "figures")]
    earlier = Registry(weak.mlflow).champion(first)
    assert earlier.version == "1"  # a backfill of the first night would still use what was known then


def test_a_worse_challenger_is_kept_out_and_not_trained_again_the_next_night(changed: Changed) -> None:
    strong, weak = changed("seasonal_mean", "lightgbm"), changed("seasonal_naive")
    _, last = a_week_later(strong)
    facts = train(weak, last, Run("last"))
    assert (facts["promoted"], facts["decision"]) == (False, "kept")
    assert "failed: " in facts["reason"]
    registry = Registry(weak.mlflow)
    assert registry.champion(last).version == "1"
    assert registry.version("2").state == "rejected"
    is_due, reason = due(weak, last + timedelta(days=1))
    assert not is_due
    assert "1 days old" in reason
    assert watch(weak, last, Run("last"))["watched"] == 0


def a_champion_grown_stale(changed: Changed) -> tuple[Settings, date]:
    """Six weeks after its training, with settings by which no challenger of its own kind can win."""
    usual = changed("seasonal_mean", "lightgbm")
    first = tonight(usual)
    night(usual, first, "first")
    for week in range(1, 7):
        extracted(usual, first + timedelta(days=7 * week))
    return changed("seasonal_mean", "lightgbm", judge__improvement=0.9), first + timedelta(days=42)


def test_where_no_challenger_wins_the_champions_recipe_is_fitted_again(changed: Changed) -> None:
    settings, last = a_champion_grown_stale(changed)
    registry = Registry(settings.mlflow)
    before = registry.champion(last)
    facts = train(settings, last, Run("last"))
    assert (facts["promoted"], facts["weights"]) == (True, dict(before.weights)), facts["reason"]
    assert facts["reason"].startswith("champion 1 fitted again: ")
    assert f"on 7 periods from {last - timedelta(days=21)} that neither had seen" in facts["reason"]
    rows = Warehouse(settings.warehouse).read(JUDGEMENTS)
    assert "not worse beyond chance" in rows["rule"].tolist()
    assert "beyond chance" not in rows["rule"].tolist()
    again = registry.champion(last)
    assert (again.version, again.cutoff, again.tags["refit_of"]) == ("2", last, "1")
    assert again.tags["manifest"] != before.tags["manifest"]  # the same recipe on newer data is another model
    scores = Warehouse(settings.warehouse).read(BACKTESTS, cutoff=pd.Timestamp(last))
    assert set(scores.loc[scores["weight"].between(0.001, 0.999), "model"]) == set(before.weights)
    forecast(settings, last)
    facts = reproduce(settings, last, retrain=True)
    assert facts["equal"], facts
    # A week is wanted that neither has seen: the day after there is nothing yet to fit it again on.
    extracted(settings, last + timedelta(days=1))
    assert not train(settings, last + timedelta(days=1), Run("next"))["promoted"]


def test_too_little_to_judge_on_makes_a_shadow_that_later_wins(changed: Changed) -> None:
    weak, strong = changed("seasonal_naive"), changed("seasonal_mean", "lightgbm")
    first = tonight(weak)
    night(weak, first)
    facts = train(strong, first, Run("again"))
    assert "not judged yet: 0 periods" in facts["reason"]
    assert Registry(weak.mlflow).version("2").state == "shadow"
    last = first + timedelta(days=7)
    extracted(weak, last)
    watched = watch(strong, last, Run("last"))
    assert (watched["watched"], watched["version"], watched["decision"]) == (1, "2", "promoted")
    assert Registry(weak.mlflow).champion(last).version == "2"
    assert set(Warehouse(weak.warehouse).read(JUDGEMENTS)["cutoff"]) == {pd.Timestamp(last)}


def test_a_shadow_that_is_watched_too_long_is_rejected(changed: Changed) -> None:
    weak = changed("seasonal_naive", judge__shadow_days=5)
    first, last = a_week_later(weak)
    train(weak, first, Run("again"))
    assert Registry(weak.mlflow).version("2").state == "shadow"
    watch(weak, last, Run("last"))
    assert Registry(weak.mlflow).version("2").tags["verdict"] == "watched for 5 days and did not win"


@pytest.mark.parametrize("approved", [True, False])
def test_a_person_has_the_last_word_where_that_is_asked_for(changed: Changed, approved: bool) -> None:
    weak = changed("seasonal_naive")
    strong = changed("seasonal_mean", "lightgbm", approval="person")
    _, last = a_week_later(weak)
    assert question(strong, last) is None
    assert train(strong, last, Run("last"))["decision"] == "waiting"
    assert Registry(weak.mlflow).champion(last).version == "1"
    asked = question(strong, last)
    assert asked["version"] == "2"
    assert "Promote" in asked["subject"]
    assert "| better than the champion | all |" in asked["body"]
    facts = decide(strong, last, "2", Answer(approved, "lead", "looks right"), Run("answer"))
    assert facts["promoted"] is approved
    assert decisions(weak)[-1] == ("2", "promoted" if approved else "kept", "lead")
    assert Warehouse(weak.warehouse).read(MODEL_PROMOTIONS)["note"].dropna().tolist() == ["looks right"]
    assert Registry(weak.mlflow).champion(last).version == ("2" if approved else "1")
    with pytest.raises(StoreError, match="does not wait for an answer"):
        decide(strong, last, "2", Answer(True, "lead"), Run("late"))


@both
def test_back_in_one_step_with_the_withdrawn_vintage_kept(changed: Changed) -> None:
    weak, strong = changed("seasonal_naive"), changed("seasonal_mean", "lightgbm")
    _, last = a_week_later(weak)
    assert train(strong, last, Run("last"))["decision"] == "promoted"
    forecast(strong, last, "last")
    warehouse, registry = Warehouse(weak.warehouse), Registry(weak.mlflow)
    published = warehouse.read(FORECASTS, cutoff=pd.Timestamp(last))
    assert set(published["model_version"]) == {"2"}
    assert newest_vintage(weak) == last
    with pytest.raises(SettingsError, match="needs a reason"):
        rollback(weak, last, "1", " ", "lead", Run("back"))
    with pytest.raises(StoreError, match=r"has no version '9'. Newest first: 2"):
        rollback(weak, last, "9", "worse", "lead", Run("back"))
    facts = rollback(weak, last, "1", "Monday was far too high", "lead", Run("back"))
    assert (facts["version"], facts["champion"], facts["withdrawn"]) == ("1", "2", ["2"])
    forecast(weak, last, "back")
    assert set(warehouse.read(FORECASTS, cutoff=pd.Timestamp(last))["model_version"]) == {"1"}
    kept = warehouse.read(FORECASTS_WITHDRAWN)
    assert set(kept["withdrawn_by"]) == {"back"}
    assert kept["withdrawn_reason"].str.contains("lead: Monday was far too high").all()
    pd.testing.assert_frame_equal(kept[published.columns], published)
    assert decisions(weak)[-2:] == [("1", "rolled_back", "lead"), ("2", "withdrawn", "lead")]
    assert registry.version("2").state == "withdrawn"
    assert registry.champion().version == registry.champion(last).version == "1"
    assert not due(weak, last + timedelta(days=1))[0]  # nobody is challenged the night after
    with pytest.raises(StoreError, match=r"is the champion of cutoff .* already"):
        rollback(weak, last, "1", "again", "lead", Run("again"))
    forecast(weak, last, "same")  # the same model on the same snapshot is no other vintage
    assert set(warehouse.read(FORECASTS_WITHDRAWN)["withdrawn_by"]) == {"back"}
    rollback(weak, last, "2", "Monday was right after all", "lead", Run("forth"))
    forecast(weak, last, "forth")
    rollback(weak, last, "1", "no, it was not", "lead", Run("again"))
    forecast(weak, last, "again")
    why = warehouse.read(FORECASTS_WITHDRAWN).groupby("withdrawn_by")["withdrawn_reason"].first()
    assert why["forth"].startswith("replaced by version 2")  # what was once withdrawn is not so for good
    assert "no, it was not" in why["again"]


@pytest.mark.parametrize(
    ("changed", "harm"),
    [("sqlite", "altered"), ("sqlite", "truncated"), ("sqlite", "pickled"), ("sqlite", "gone"), ("server", "altered")],
    indirect=["changed"],
)
def test_a_champion_that_was_tampered_with_is_refused_and_the_one_before_stands_in(
    changed: Changed, harm: str, request: pytest.FixtureRequest
) -> None:
    weak, strong = changed("seasonal_naive"), changed("seasonal_mean")
    _, last = a_week_later(weak)
    train(strong, last, Run("last"))
    registry, warehouse = Registry(weak.mlflow), Warehouse(weak.warehouse)
    assert registry.champion(last).version == "2"
    served = weak.mlflow.tracking_uri.startswith("http")  # then it is the server's own copy that is tampered with
    where = partial(request.getfixturevalue("mlflow_server").folder, weak.mlflow) if served else registry.fetch
    folder = where("2")
    spec = folder / "blend.json"
    if harm == "altered":
        spec.write_text(spec.read_text().replace("1.0", "9.0"))
    elif harm == "truncated":
        spec.write_bytes(spec.read_bytes()[:20])
    elif harm == "pickled":
        (folder / "extra.pkl").write_bytes(b"\x80\x04.")
    else:
        spec.unlink()
    forecast(weak, last, "night")
    published = warehouse.read(FORECASTS, cutoff=pd.Timestamp(last))
    assert set(published["model_version"]) == {"1"}
    assert set(published["status"]) <= {"fallback", "insufficient", "discontinued"}
    fallen = published[published["status"] == "fallback"]
    assert fallen["reason"].str.contains("champion 2 is refused").all()
    assert fallen["reason"].str.contains("version 1 stands in").all()
    (registry.fetch("1") / "blend.json").unlink()  # with a server: what was downloaded from it
    with pytest.raises(PublishError, match="No champion can be loaded, and nothing is published"):
        forecast(weak, last, "later")
    pd.testing.assert_frame_equal(warehouse.read(FORECASTS, cutoff=pd.Timestamp(last)), published)


def test_a_champion_that_was_tampered_with_is_no_rival_and_does_not_stop_a_training(changed: Changed) -> None:
    weak, strong = changed("seasonal_naive"), changed("seasonal_mean")
    _, last = a_week_later(weak)
    train(strong, last, Run("last"))
    registry = Registry(weak.mlflow)
    (registry.fetch("2") / "blend.json").unlink()
    third = train(strong, last, Run("third"))
    assert (third["version"], third["decision"]) == ("3", "promoted")  # judged against version 1, as version 2 was
    rows = Warehouse(weak.warehouse).read(JUDGEMENTS, version="3")
    assert set(rows["rival"]) == {"1"}
    (registry.fetch("3") / "blend.json").unlink()
    (registry.fetch("1") / "blend.json").unlink()
    fourth = train(strong, last, Run("fourth"))
    assert fourth["decision"] == "promoted"
    assert "first champion" in fourth["reason"]
    assert "champion 3 is refused" in fourth["reason"]
    assert forecast(weak, last, "night")["model_version"] == "4"
