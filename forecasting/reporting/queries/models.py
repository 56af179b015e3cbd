"""Models: which versions there are, what was decided on each and why, and what waits for a person."""

from __future__ import annotations

from typing import Any

import pandas as pd

from forecasting.reporting.queries.store import Store, Vintage
from forecasting.tables.warehouse import BACKTESTS, JUDGEMENTS, MODEL_PROMOTIONS


def waiting(decided: pd.DataFrame) -> list[str]:
    """Versions that wait for a person: handed over and not answered since."""
    last = decided.sort_values("decided_at").drop_duplicates("version", keep="last")
    return sorted(last.loc[last["decision"] == "waiting", "version"].astype(str))


def models(store: Store, vintage: Vintage | None) -> dict[str, Any]:
    """Versions (newest first, each with its last decision), decisions, waiting, and versions to go back to."""
    decided = store.warehouse.read(MODEL_PROMOTIONS).sort_values("decided_at", ascending=False)
    live = vintage.version if vintage else None
    versions = decided.drop_duplicates("version").copy()
    versions["live"] = versions["version"] == live
    once = set(decided.loc[decided["decision"].isin(["promoted", "rolled_back"]), "version"])
    gone = set(versions.loc[versions["decision"] == "withdrawn", "version"])
    back = [one for one in versions["version"] if one in once and one not in gone and one != live]
    return {
        "versions": versions.to_dict("records"),
        "decisions": decided.to_dict("records"),
        "waiting": waiting(decided),
        "back": back,
        "live": live,
    }


def duel(store: Store) -> pd.DataFrame:
    """The newest comparison of a challenger with the champion: rows of JUDGEMENTS; empty where there was none."""
    when = store.warehouse.distinct(JUDGEMENTS, ["cutoff", "version"])
    if when.empty:
        return store.warehouse.read(JUDGEMENTS, version="")
    newest = when.iloc[-1]
    return store.warehouse.read(JUDGEMENTS, cutoff=newest["cutoff"], version=newest["version"])


def candidates(store: Store) -> pd.DataFrame:
    """The newest training's candidates: model, value of the metric, size, weight, champion, cutoff; the best first.

    value: mean over the folds that define the metric; NaN where none does. size: value over the largest one, 0 to 1.
    """
    metric = store.settings.train.metric
    where = {"level": "all" if metric == "wrmsse" else "series", "metric": metric}
    trained = store.warehouse.distinct(BACKTESTS, ["cutoff"])
    if trained.empty:
        return pd.DataFrame()
    rows = store.warehouse.read(BACKTESTS, cutoff=trained["cutoff"].iloc[-1], **where)
    if rows.empty:
        return rows
    found = rows.groupby("model", as_index=False).agg(
        value=("value", "mean"), weight=("weight", "max"), champion=("champion", "max"), cutoff=("cutoff", "max")
    )
    found["value"] = found["value"].astype(float)
    most = found["value"].max()
    size = (found["value"] / most).fillna(0.0) if most > 0 else 0.0
    return found.assign(metric=metric, size=size).sort_values("value", ignore_index=True)
