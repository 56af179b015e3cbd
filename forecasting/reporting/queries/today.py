"""Today: is last night's forecast there, fresh and healthy, and which series need a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd

from forecasting.core.night import cutoff_of, promised
from forecasting.reporting.queries.models import waiting
from forecasting.reporting.queries.plans import orders
from forecasting.reporting.queries.store import Store, Vintage
from forecasting.tables.warehouse import ALERTS, HEALTH, MODEL_PROMOTIONS, QUALITY, RUNS, SCORES

GOOD, LOOK, ACT = "good", "look", "act"
LATEST = 70  # days: two months' nights and more


@dataclass(frozen=True)
class Card:
    """One answer: about what, how it stands (good, look or act), and the facts behind it."""

    about: str
    state: str
    facts: dict[str, Any] = field(default_factory=dict)


def today(store: Store, scheduled: bool, now: datetime | None = None) -> dict[str, Any]:
    """Cards, open alerts and breached signs. scheduled: nights start by the clock, so that one may be missing.

    Without a vintage only the card `forecast` is there.
    """
    vintage = store.vintage()
    if vintage is None:
        return {"vintage": None, "cards": [Card("forecast", ACT)], "alerts": [], "signs": []}
    runs = _runs(store)
    read = runs.loc[(runs["step"] == "extract") & (runs["outcome"] == "done"), "cutoff"]
    wanted = max([vintage.cutoff, *(cutoff_of(store.frequency, day) for day in read.dt.date.unique())])
    if scheduled:
        wanted = max([wanted, *_due(store, vintage, now or datetime.now(UTC))])
    return _standing(store, vintage, _forecast(runs, vintage, wanted), store.warehouse.read(ALERTS, closed=None))


def standing(store: Store, vintage: Vintage) -> dict[str, Any]:
    """The same of any vintage that there is, with the alerts that were open after its night."""
    alerts = store.warehouse.read(ALERTS)
    still = alerts["closed"].isna() | (alerts["closed"] > vintage.day)
    there = _forecast(_runs(store), vintage, vintage.cutoff)
    return _standing(store, vintage, there, alerts[still & (alerts["opened"] <= vintage.day)])


def _standing(store: Store, vintage: Vintage, there: Card, alerts: pd.DataFrame) -> dict[str, Any]:
    alerts = alerts.sort_values("opened", ascending=False, kind="stable")
    signs = store.warehouse.read(HEALTH, cutoff=vintage.day)
    breached = signs[signs["breached"].astype(bool)]
    cards = [
        there,
        _data(store, vintage),
        _model(store, vintage, signs),
        _accuracy(store, vintage),
        _alerts(alerts, breached),
    ]
    told = alerts.loc[alerts["name"] == "health", "subject"]
    return {
        "vintage": vintage,
        "cards": cards,
        "alerts": alerts.to_dict("records"),
        "signs": breached[~breached["sign"].isin(told)].to_dict("records"),
        "orders": orders(store, vintage),
        "end": store.ahead(vintage)[1],
    }


def _runs(store: Store) -> pd.DataFrame:
    """Every reading of the sources and every publication."""
    return store.warehouse.read(
        RUNS, ["run_id", "step", "cutoff", "outcome", "started_at", "seconds"], step=["extract", "forecast"]
    )


def _forecast(runs: pd.DataFrame, vintage: Vintage, wanted: date) -> Card:
    """Whether the vintage is that of the newest night that was due, or whose sales were read: `wanted`."""
    mine = runs[(runs["run_id"] == vintage.run_id) & (runs["step"] == "forecast")]
    at = mine["started_at"] + pd.to_timedelta(mine["seconds"], unit="s")
    missing = wanted > vintage.cutoff
    facts = {"cutoff": vintage.cutoff, "wanted": wanted, "at": None if mine.empty else at.max(), "missing": missing}
    return Card("forecast", ACT if missing else GOOD, facts)


def _due(store: Store, vintage: Vintage, now: datetime) -> list[date]:
    """Cutoffs from the vintage on, but no older ones than LATEST, whose forecasts were promised by now."""
    by = store.settings.health.publish_by
    if not by:
        return []
    last = now.date() + timedelta(days=1)
    # The newest one is asked for: of a vintage that is years old, not all nights since then are gone through.
    first = max(vintage.cutoff, last - timedelta(days=LATEST))
    nights = promised(store.settings.extract, store.frequency, time.fromisoformat(by), first, last)
    return [cutoff for cutoff, moment in nights.items() if moment <= now]


def _data(store: Store, vintage: Vintage) -> Card:
    """What screening has set aside, and which of its rules do not hold."""
    quality = store.warehouse.read(QUALITY, cutoff=vintage.day)
    everything = quality[quality["rule"] == "all"]
    broken = quality[~quality["passed"].astype(bool) & quality["severity"].isin(["warn", "stop"])]
    facts = {
        "read": int(everything["read"].sum()),
        "quarantined": int(everything["quarantined"].sum()),
        "broken": broken[["table", "rule", "message"]].to_dict("records"),
    }
    stopped = (broken["severity"] == "stop").any()
    return Card("data", ACT if stopped else LOOK if len(broken) else GOOD, facts)


def _model(store: Store, vintage: Vintage, signs: pd.DataFrame) -> Card:
    """Which version has forecast, on how many series a fallback stood in, whether a challenger waits."""
    by_sign = signs.set_index("sign")
    fallback = float(by_sign["value"].get("fallback_share", 0) or 0)
    age = by_sign["value"].get("champion_days")
    waits = waiting(store.warehouse.read(MODEL_PROMOTIONS))
    limit = by_sign["breached"].get("fallback_share", False)
    facts = {
        "model": vintage.model, "version": vintage.version, "fallback": fallback,
        "age": None if age is None or pd.isna(age) else int(age), "waiting": waits,
    }  # fmt: skip
    return Card("model", LOOK if limit or waits else GOOD, facts)


def _accuracy(store: Store, vintage: Vintage) -> Card:
    """The newest scored vintage as a whole, and whether it was better than seasonal naive."""
    metrics = ["wape", "bias", "coverage", "value_added"]
    cutoffs = [pd.Timestamp(day) for day in store.warehouse.cutoffs(before=vintage.cutoff, most=7)]
    where = {"level": "total", "bucket": "all", "metric": metrics}
    scores = store.warehouse.read(SCORES, ["cutoff", "metric", "value", "periods"], cutoff=cutoffs, **where)
    if scores.dropna().empty:
        return Card("accuracy", GOOD, {"nights": 0})
    # Short vintages say little: the last seven together, each as heavy as what is known of it.
    scores = scores.dropna()
    weighed = scores.assign(part=scores["value"] * scores["periods"]).groupby("metric")[["part", "periods"]].sum()
    known = (weighed["part"] / weighed["periods"]).to_dict()
    facts: dict[str, Any] = {name: known.get(name) for name in metrics}  # None: nothing was sold, or naive had no error
    added = facts["value_added"]
    facts["nights"] = int(scores["cutoff"].nunique())
    return Card("accuracy", LOOK if added is not None and added < 0 else GOOD, facts)


def _alerts(alerts: pd.DataFrame, breached: pd.DataFrame) -> Card:
    critical = (alerts["severity"] == "critical").any()
    facts = {"open": len(alerts), "signs": len(breached)}
    return Card("alerts", ACT if critical else LOOK if len(alerts) or len(breached) else GOOD, facts)
