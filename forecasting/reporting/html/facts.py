"""What the report of a night tells, read from the tables: the same rows give the same report, whenever it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecasting.panel.hierarchy import SERIES, TOTAL
from forecasting.reporting.queries import accuracy, models, nights, plans
from forecasting.reporting.queries.exceptions import exceptions, ranked
from forecasting.reporting.queries.series import One, chart, one, reasons
from forecasting.reporting.queries.store import Store, Vintage
from forecasting.reporting.queries.today import standing
from forecasting.reporting.queries.vintage_changes import Changes, changes
from forecasting.tables.warehouse import FORECAST_SUMS

DRAWN = 6  # exceptions with a plot
MOVED = 10  # series listed up and down
GROUPS = 8  # groups of a level, those with the largest errors
ORDERS = 10  # orders listed
PARTS = 4  # reasons of a number
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Drawn:
    """One series or total with what a plot needs. why: the largest parts that its number is made of."""

    one: One
    chart: dict[str, Any]
    why: Rows


@dataclass(frozen=True)
class Level:
    """Accuracy of the groups of one level, the largest errors first. more: groups that are left out.

    Their `change` is that of the first periods ahead (Facts.near): of whole horizons it is known a horizon later.
    """

    name: str
    groups: Rows
    more: int


@dataclass(frozen=True)
class Facts:
    """Everything that the report tells.

    state: see `queries.today`. sum: the total's row of FORECAST_SUMS over the whole horizon. accuracy: see
    `queries.accuracy`, of the total. orders: None where nothing is planned.
    """

    name: str
    frequency: str
    vintage: Vintage
    state: dict[str, Any]
    total: Drawn | None
    sum: dict[str, Any]
    accuracy: dict[str, Any]
    levels: list[Level]
    near: str
    candidates: Rows
    exceptions: Rows
    money: bool
    drawn: list[Drawn]
    changes: Changes
    orders: dict[str, Any] | None
    signs: Rows
    steps: Rows


def gather(store: Store, vintage: Vintage) -> Facts:
    """The facts of a vintage. Raises StoreError where a store refuses."""
    every = accuracy.accuracy(store, vintage, TOTAL, "all")
    near = every["buckets"][min(1, len(every["buckets"]) - 1)]
    listed = ranked(exceptions(store, vintage), {"reason": "", "state": "", "owner": "", "by": "units"})
    drawn = [_drawn(store, vintage, SERIES, str(row["unique_id"])) for row in listed["exceptions"][:DRAWN]]
    return Facts(
        name=store.settings.name,
        frequency=store.settings.panel.frequency,
        vintage=vintage,
        state=standing(store, vintage),
        total=_drawn(store, vintage, TOTAL, "all"),
        sum=_sum(store, vintage),
        accuracy=every,
        levels=[_level(store, vintage, name, near) for name in every["levels"]] if every["vintages"] else [],
        near=near,
        candidates=_rows(models.candidates(store)),
        exceptions=listed["exceptions"],
        money=listed["money"],
        drawn=[one for one in drawn if one],
        changes=changes(store, vintage, MOVED),
        orders=_orders(store, vintage),
        signs=_rows(nights.signs(store, vintage)),
        steps=_rows(nights.steps(store, vintage)),
    )


def _drawn(store: Store, vintage: Vintage, level: str, name: str) -> Drawn | None:
    found = one(store, vintage, level, name)
    if found is None:
        return None
    plan = plans.changed(store, vintage, level, name)
    why = reasons(store, vintage, name).head(PARTS) if level == SERIES else pd.DataFrame()
    return Drawn(found, chart(vintage, found, store.settings.panel.frequency, plan), _rows(why))


def _sum(store: Store, vintage: Vintage) -> dict[str, Any]:
    rows = store.warehouse.read(FORECAST_SUMS, cutoff=vintage.day, level=TOTAL).sort_values("periods")
    return _rows(rows.tail(1))[0] if len(rows) else {}


def _level(store: Store, vintage: Vintage, name: str, near: str) -> Level:
    groups = pd.DataFrame(accuracy.accuracy(store, vintage, name, "all")["groups"])
    if groups.empty:
        return Level(name, [], 0)
    first = {row["group"]: row["change"] for row in accuracy.accuracy(store, vintage, name, near)["groups"]}
    groups["change"] = groups["group"].map(first).astype(float)
    groups = groups.sort_values("wape", ascending=False, na_position="last", kind="stable")
    return Level(name, _rows(groups.head(GROUPS)), max(0, len(groups) - GROUPS))


def _orders(store: Store, vintage: Vintage) -> dict[str, Any] | None:
    found = plans.proposals(store, vintage, {}, "money")
    if found.empty:
        return None
    wanted = found[found["order"] > 0]
    return plans.totals(found) | {"rows": _rows(wanted.head(ORDERS)), "more": max(0, len(wanted) - ORDERS)}


def _rows(frame: pd.DataFrame) -> Rows:
    return [
        {str(name): None if value is pd.NA else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
