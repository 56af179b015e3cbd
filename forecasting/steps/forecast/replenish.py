"""Replenish: from a published vintage and the stock of the night to what to order, with the numbers behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.sections import PlanningSettings
from forecasting.core.config.settings import Settings
from forecasting.core.errors import PlanningError, PublishError
from forecasting.models.intervals.calibration import GRID
from forecasting.models.intervals.levels import Calibrations
from forecasting.panel.hierarchy import SERIES
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.segments import volume_class
from forecasting.planning import demand_sums
from forecasting.planning import orders as inventory
from forecasting.planning.order_terms import terms_of, why
from forecasting.planning.orders import Levels, Terms
from forecasting.steps.forecast.forecast import calibrations_of
from forecasting.steps.run import Run, night_of, record
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import OVERRIDDEN, REPLENISHMENT
from forecasting.tables.warehouse import FORECASTS, RUNS

log = logging.getLogger(__name__)
Tell = Callable[[str], None]
Numbers = NDArray[np.float64]


def replenish(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Order proposals of the vintage of a cutoff into `replenishment`. Returns cutoff, series, orders, units, unknown.

    Without [planning] nothing is done. Raises PublishError where the vintage is not published, and PlanningError where
    its horizon does not reach over lead time and review.
    """
    night = night_of(settings, cutoff)
    cutoff = night.cutoff
    with record(settings, run, "replenish", night) as outcome:
        if settings.planning is None:
            outcome.outcome, outcome.message = "skipped", "There is no section [planning]."
            return {"cutoff": cutoff.isoformat(), "series": 0, "orders": 0, "units": 0.0, "unknown": 0}
        warehouse, panel = Warehouse(settings.warehouse), Lake(settings.lake).read_panel(cutoff)
        table = _made(settings, settings.planning, panel)
        version = str(table["model_version"].iloc[0])
        warehouse.replace(REPLENISHMENT, table.assign(run_id=run.run_id), cutoff=pd.Timestamp(cutoff))
        orders = table["order"] > 0
        unknown = int((table["status"] == "unknown").sum())
        outcome.snapshot, outcome.rows, outcome.model_version = panel.snapshot, len(table), version
        units = round(float(table.loc[orders, "order"].sum()), 3)
        outcome.message = f"{int(orders.sum()):,} orders of {units:,.0f} units in all"
        if unknown:
            outcome.message += f"; of {unknown:,} series the stock on hand is not known"
        tell(outcome.message)
        return {
            "cutoff": cutoff.isoformat(), "series": len(table), "orders": int(orders.sum()), "units": units,
            "unknown": unknown,
        }  # fmt: skip


def current(settings: Settings, panel: Panel) -> pd.DataFrame:
    """REPLENISHMENT of the newest forecast of the panel's cutoff: as it is there, or made now where it is older.

    Orders and what follows a vintage are made side by side. Without [planning] it has no rows.
    """
    warehouse, day = Warehouse(settings.warehouse), pd.Timestamp(panel.cutoff)
    done = warehouse.read(RUNS, ["step", "started_at"], cutoff=day, step=["forecast", "replenish"], outcome="done")
    newest = done.groupby("step")["started_at"].max()
    there = "replenish" in newest and newest["replenish"] >= newest.get("forecast", newest["replenish"])
    if settings.planning is None or there:
        return warehouse.read(REPLENISHMENT, cutoff=day)
    return _made(settings, settings.planning, panel)


def _made(settings: Settings, rules: PlanningSettings, panel: Panel) -> pd.DataFrame:
    """REPLENISHMENT but for run_id."""
    warehouse, lake = Warehouse(settings.warehouse), Lake(settings.lake)
    vintage = Vintage.of(warehouse, panel)
    terms = terms_of(rules, panel, abc_xyz(panel), _own(lake, panel))
    table = proposals(rules, panel, vintage, terms, calibrations_of(settings, vintage.version))
    return table.assign(cutoff=pd.Timestamp(panel.cutoff), model_version=vintage.version)


@dataclass(frozen=True)
class Vintage:
    """What people plan by: (n_series, horizon) means with overrides, in the order of the panel; status by series."""

    mean: Matrix
    overridden: NDArray[np.bool_]
    status: NDArray[np.object_]
    version: str

    @classmethod
    def of(cls, warehouse: Warehouse, panel: Panel) -> Vintage:
        """The published one of the panel's cutoff."""
        day = pd.Timestamp(panel.cutoff)
        rows = warehouse.read(FORECASTS, ["unique_id", "horizon", "mean", "status", "model_version"], cutoff=day)
        if rows.empty:
            raise PublishError(
                f"There is no vintage of {panel.cutoff} to order by: run forecast for this cutoff first."
            )
        names = pd.Index(panel.unique_ids)
        mean = np.zeros((len(names), int(rows["horizon"].max())), dtype=np.float32)
        where = names.get_indexer(pd.Index(rows["unique_id"]))
        there = where >= 0
        mean[where[there], rows["horizon"].to_numpy(dtype=int)[there] - 1] = rows["mean"].to_numpy()[there]
        status = np.full(len(names), "discontinued", dtype=object)
        status[where[there]] = rows["status"].to_numpy(dtype=object)[there]
        changed = warehouse.read(OVERRIDDEN, ["name", "ds", "override"], cutoff=day, level=SERIES)
        row = names.get_indexer(pd.Index(changed["name"]))
        column = panel.future(mean.shape[1]).get_indexer(pd.DatetimeIndex(changed["ds"]))
        inside = (row >= 0) & (column >= 0)
        overridden = np.zeros(mean.shape, dtype=bool)
        mean[row[inside], column[inside]] = changed["override"].to_numpy()[inside]
        overridden[row[inside], column[inside]] = True
        return cls(mean, overridden, status, str(rows["model_version"].iloc[0]))


def abc_xyz(panel: Panel) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """A, B, C by what is sold, and X, Y, Z by how steady demand is: (n_series,) each."""
    return volume_class(panel), inventory.xyz_class(panel.y, panel.frequency.code)


def proposals(
    rules: PlanningSettings, panel: Panel, vintage: Vintage, terms: pd.DataFrame, calibrations: Calibrations
) -> pd.DataFrame:
    """REPLENISHMENT but for cutoff, model_version and run_id. terms: as `ordering.terms_of` gives them."""
    horizon = vintage.mean.shape[1]
    if rules.lead_time + rules.review > horizon:
        raise PlanningError(
            f"planning.lead_time {rules.lead_time} + planning.review {rules.review} reach beyond panel.horizon "
            f"{horizon}: forecast at least {rules.lead_time + rules.review} periods ahead, or lower them."
        )
    table = terms.assign(unique_id=panel.unique_ids, **_demand(rules, panel, vintage, terms, calibrations))
    stock = Levels(*(table[name].to_numpy() for name in ("safety_stock", "reorder_point", "order_up_to")))
    position = _position(table)
    table["order"] = inventory.order(position, stock, _arrays(table), rules.rounding)
    discontinued = vintage.status == "discontinued"
    table.loc[discontinued, "order"] = 0.0
    beyond = table["demand_mean"].isna().to_numpy()
    table["status"] = np.select(
        [discontinued, np.isnan(position), beyond], ["discontinued", "unknown", "horizon"], default="ok"
    )
    used = vintage.mean.astype(np.float64)
    left = inventory.left_over(position, used, table["lead_time"].to_numpy(), table["lost"].fillna(0).to_numpy())
    table["projected_stock"] = np.where(np.isfinite(position), left, np.nan)
    table["stock_out"] = inventory.projected(position, used, panel.future(horizon))
    table["why"] = why(table, _touched(vintage, table))
    return table


def _demand(
    rules: PlanningSettings, panel: Panel, vintage: Vintage, terms: pd.DataFrame, calibrations: Calibrations
) -> dict[str, Numbers]:
    """Demand until the next order arrives, the levels that follow, and the risk until one of now does."""
    span, lead = (terms["lead_time"] + terms["review"]).to_numpy(), terms["lead_time"].to_numpy()
    position = _position(terms)
    mean, quantile, cover, risk = (np.full(len(span), np.nan) for _ in range(4))
    horizon = vintage.mean.shape[1]
    for width in np.unique(np.concatenate([span, lead[lead > 0]])).tolist():
        if width > horizon:
            continue
        spread = demand_sums.distribution(calibrations, panel, vintage.mean, width, GRID)
        mine = span == width
        total = vintage.mean[mine].astype(np.float64)
        mean[mine] = total[:, :width].sum(axis=1)
        quantile[mine] = demand_sums.quantile(spread[mine], terms["service_level"].to_numpy()[mine])
        cover[mine] = total[:, : rules.cover].sum(axis=1)
        until = (lead == width) & np.isfinite(position)
        risk[until] = demand_sums.above(spread[until], position[until])
    risk[(lead == 0) & np.isfinite(position)] = 0.0
    needed, lost = quantile, np.full(len(span), np.nan)
    if rules.unmet == "lost":
        needed, lost = _where_lost(panel, vintage, terms, calibrations, quantile)
    found = inventory.levels(mean, quantile, cover, needed)
    return {"demand_mean": mean, "demand_quantile": quantile, "risk": risk, "lost": lost} | vars(found)


def _where_lost(
    panel: Panel, vintage: Vintage, terms: pd.DataFrame, calibrations: Calibrations, quantile: Numbers
) -> tuple[Numbers, Numbers]:
    """(n_series,) levels to order at where unmet demand is lost, and units that are lost before an order arrives.

    quantile: the level where stock is not known, and so neither what will be lost.
    """
    position, level = _position(terms), terms["service_level"].to_numpy()
    needed, lost = quantile.copy(), np.full(len(terms), np.nan)
    costs = (terms["target"] == "costs").to_numpy()
    waits = terms["lead_time"].to_numpy(), terms["review"].to_numpy()
    for lead, review in sorted(set(zip(*(wait.tolist() for wait in waits), strict=True))):
        known = np.flatnonzero((waits[0] == lead) & (waits[1] == review) & np.isfinite(position))
        if lead + review > vintage.mean.shape[1] or not len(known):
            continue
        later = demand_sums.distribution(calibrations, panel, vintage.mean, review, after=lead)[known]
        ahead = np.zeros((len(known), len(GRID)))
        if lead:
            ahead = demand_sums.distribution(calibrations, panel, vintage.mean, lead)[known]
        before = vintage.mean[known, :lead].sum(axis=1, dtype=np.float64)
        found = inventory.where_lost(position[known], (before, ahead), later, level[known], costs[known])
        needed[known], lost[known] = found
    return needed, lost


def _position(terms: pd.DataFrame) -> Numbers:
    """(n_series,) units on hand + on order; NaN where stock is not known."""
    found: Numbers = terms["on_hand"].to_numpy() + terms["on_order"].fillna(0).to_numpy()
    return found


def _touched(vintage: Vintage, table: pd.DataFrame) -> NDArray[np.bool_]:
    """(n_series,) whether people changed a number that the order follows from."""
    span = (table["lead_time"] + table["review"]).to_numpy()
    within = np.arange(vintage.mean.shape[1])[None, :] < span[:, None]
    return np.asarray((vintage.overridden & within).any(axis=1))


def _arrays(table: pd.DataFrame) -> Terms:
    names = ("lead_time", "review", "service_level", "pack_size", "minimum_order")
    return Terms(*(table[name].to_numpy() for name in names))


def _own(lake: Lake, panel: Panel) -> pd.DataFrame:
    """Stock, and terms of its own, of every series of the panel, in its order; empty cells where nothing is known."""
    rows = lake.read(panel.snapshot, "inventory")
    keys = panel.series[["item", "store"]].astype("str")
    if rows.empty:
        return keys.drop(columns=["item", "store"])
    rows = rows.astype({"item": "str", "store": "str"})
    return keys.merge(rows, on=["item", "store"], how="left").drop(columns=["item", "store"])
