"""Exceptions: the few series of a vintage that a planner should look at first, each with its reason and explained."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.errors import ArtifactError, PlanningError
from forecasting.models.blend import Blend
from forecasting.models.short_history import TOO_FEW
from forecasting.panel.hierarchy import SERIES
from forecasting.panel.panel import Panel
from forecasting.steps.forecast.replenish import current
from forecasting.steps.run import Run, night_of, record
from forecasting.steps.train.champion import loaded
from forecasting.storage.lake.lake import Lake
from forecasting.storage.registry.registry import Registry
from forecasting.storage.warehouse.changes import Change
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import OVERRIDDEN
from forecasting.tables.warehouse import EXCEPTIONS, EXPLANATIONS, FORECASTS, SERIES_SCORES

JUMP = 0.5  # share of the last vintage's units for the same periods
RISK = 0.5  # probability of running out before an order of now arrives
SIGNAL = 4.0  # tracking signal that is usually looked at (Brown, 1959)
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def find(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """List the `monitor.exceptions` series with the most units at stake, and explain their forecasts.

    Each stands there once, for the reason that puts the most in doubt. Returns cutoff, exceptions and explained.
    """
    night = night_of(settings, cutoff)
    cutoff = night.cutoff
    with record(settings, run, "exceptions", night) as outcome:
        warehouse, day = Warehouse(settings.warehouse), pd.Timestamp(cutoff)
        panel, columns = Lake(settings.lake).read_panel(cutoff), ["unique_id", "ds", "horizon", "mean"]
        vintage = warehouse.read(FORECASTS, [*columns, "status", "reason", "model_version"], cutoff=day)
        found = pd.concat(
            [
                _fallen(vintage), _new(vintage), _jumped(warehouse, cutoff, vintage), _off(warehouse, day, vintage),
                _running_out(settings, panel, vintage),
            ]
        )  # fmt: skip
        found = found.sort_values(["stake", "unique_id"], ascending=[False, True]).drop_duplicates("unique_id")
        found = found.head(settings.monitor.exceptions).assign(cutoff=day, run_id=run.run_id)
        found["rank"] = np.arange(1, len(found) + 1)
        made_by = vintage.drop_duplicates("unique_id").set_index("unique_id")["model_version"]
        found["model_version"] = found["unique_id"].map(made_by)
        outcome.snapshot, outcome.rows = panel.snapshot, len(found)
        why = pd.DataFrame(list(_why(settings, panel, found)), columns=list(EXPLANATIONS.columns)[1:-1])
        why = why.assign(cutoff=day, run_id=run.run_id)
        parts = {"cutoff": day}
        warehouse.publish([Change(EXCEPTIONS, found, parts), Change(EXPLANATIONS, why, parts)])
        for row in found.head(3).itertuples():
            tell(f"{row.unique_id}: {row.message}")
        outcome.message = f"{len(found)} series to look at"
        return {"cutoff": cutoff.isoformat(), "exceptions": len(found), "explained": int(why["unique_id"].nunique())}


def _fallen(vintage: pd.DataFrame) -> pd.DataFrame:
    """All that the forecasts of series say for which a fallback stood in."""
    units = vintage[vintage["status"] == "fallback"].groupby("unique_id")["mean"].sum()
    return _table(units, "fallback", [f"a fallback stands in for {value:,.1f} units" for value in units])


def _new(vintage: pd.DataFrame) -> pd.DataFrame:
    """All that is forecast of series which have sold nothing yet: it rests on similar ones."""
    short = vintage["reason"].fillna("").str.endswith(TOO_FEW)  # all series of a young shop, which have sold
    cold = (vintage["status"] == "insufficient") & ~short
    units = vintage[cold].groupby("unique_id")["mean"].sum()
    why = vintage[cold].groupby("unique_id")["reason"].first()
    told = [
        f"{reason}: {value:,.1f} units" if reason.startswith("no sale in") else
        f"new, no sales of its own yet: {value:,.1f} units by similar series"
        for reason, value in zip(why.fillna(""), units, strict=True)
    ]  # fmt: skip
    return _table(units, "new", told)


def _running_out(settings: Settings, panel: Panel, vintage: pd.DataFrame) -> pd.DataFrame:
    """Demand that is expected before an order of now arrives, and that stock does not reach for."""
    try:
        orders = pd.DataFrame() if vintage.empty else current(settings, panel)
    except PlanningError:
        log.exception("What runs out is not listed: no orders can be made")
        orders = pd.DataFrame()
    if orders.empty:
        return _table(pd.Series(dtype=float), "stockout", [])
    orders = orders[orders["status"] == "ok"].set_index("unique_id")
    mean = _planned(Warehouse(settings.warehouse), panel.cutoff, vintage)
    until = mean[mean["horizon"] <= mean["unique_id"].map(orders["lead_time"])].groupby("unique_id")["mean"].sum()
    missing = until.reindex(orders.index).fillna(0) - orders["on_hand"] - orders["on_order"].fillna(0)
    found = orders.assign(missing=missing.clip(lower=0))[(missing > 0) | (orders["risk"] > RISK)]
    days = panel.future(settings.panel.horizon + 1)
    told = [
        f"runs out before an order of now arrives on {days[lead]:%Y-%m-%d}, with a probability of {risk:.0%}: "
        f"{units:,.1f} units are missing"
        for lead, risk, units in zip(found["lead_time"].astype(int), found["risk"], found["missing"], strict=True)
    ]
    return _table(found["missing"], "stockout", told)


def _planned(warehouse: Warehouse, cutoff: date, vintage: pd.DataFrame) -> pd.DataFrame:
    """The vintage with what people made of it in `mean`."""
    changed = warehouse.read(OVERRIDDEN, ["name", "ds", "override"], cutoff=pd.Timestamp(cutoff), level=SERIES)
    both = vintage.merge(changed.rename(columns={"name": "unique_id"}), on=["unique_id", "ds"], how="left")
    return both.assign(mean=both["override"].fillna(both["mean"]))


def _jumped(warehouse: Warehouse, cutoff: date, vintage: pd.DataFrame) -> pd.DataFrame:
    """Series whose forecast of the same periods is far from that of the last vintage."""
    last = next(iter(warehouse.cutoffs(before=cutoff, most=1)), None)
    if last is None:
        return _table(pd.Series(dtype=float), "jump", [])
    before = warehouse.read(FORECASTS, ["unique_id", "ds", "mean"], cutoff=pd.Timestamp(last))
    both = vintage.merge(before, on=["unique_id", "ds"], suffixes=("", "_before"))
    sums = both.groupby("unique_id")[["mean", "mean_before"]].sum()
    change = sums["mean"] - sums["mean_before"]
    sums = sums[change.abs() > JUMP * sums["mean_before"]]
    told = [f"{now:,.1f} units, {then:,.1f} for the same periods in the vintage of {last}" for now, then in sums.values]
    return _table((sums["mean"] - sums["mean_before"]).abs(), "jump", told)


def _off(warehouse: Warehouse, day: pd.Timestamp, vintage: pd.DataFrame) -> pd.DataFrame:
    """Series that were forecast too high or too low again and again, or worse than seasonal naive would have."""
    scores = warehouse.read(SERIES_SCORES, scored_at=day).set_index("unique_id")
    scores["units"] = vintage.groupby("unique_id")["mean"].sum().reindex(scores.index).fillna(0)
    biased = scores[scores["tracking_signal"].abs() > SIGNAL]
    side = np.where(biased["tracking_signal"] > 0, "too high", "too low")
    told = [
        f"forecast {where} again and again: {abs(bias):.0%} (tracking signal {signal:+.1f})"
        for where, bias, signal in zip(side, biased["bias"], biased["tracking_signal"], strict=True)
    ]
    worse = scores[scores["wape"] > scores["naive_wape"]]
    said = [
        f"off by {one:.0%} of what was sold; simply repeating the last season would have been off by {naive:.0%}"
        for one, naive in worse[["wape", "naive_wape"]].values
    ]
    lost = (worse["wape"] - worse["naive_wape"]) * worse["units"]
    return pd.concat([_table(biased["bias"].abs() * biased["units"], "bias", told), _table(lost, "error", said)])


def _table(stake: pd.Series, reason: str, messages: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({"unique_id": stake.index.astype(str), "stake": stake.to_numpy(dtype=float)})
    table["reason"], table["message"] = reason, pd.Series(messages, dtype="str")
    return table.dropna(subset="stake")


def _why(settings: Settings, panel: Panel, found: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """unique_id, ds, model, group, units; nothing for a version that cannot be loaded or tells nothing."""
    where, days = {name: row for row, name in enumerate(panel.unique_ids)}, panel.future(settings.panel.horizon)
    for version, rows in found.groupby("model_version"):
        registry = Registry(settings.mlflow)
        try:
            model = loaded(registry, str(version))
        except ArtifactError:
            log.exception("Exceptions of version %s are not explained", version)
            continue
        if not isinstance(model, Blend):
            continue
        names = list(rows["unique_id"])
        # All at once: a model looks through the whole panel for one series as for many.
        parts = model.explain(panel, settings.panel.horizon, np.array([where[name] for name in names], dtype=np.intp))
        for (part, group), units in parts.items():
            for name, values in zip(names, units, strict=True):
                for ds, value in zip(days, values, strict=True) if values.any() else ():
                    yield name, ds, part, group, float(value)
