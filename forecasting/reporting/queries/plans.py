"""Plans: overrides that people made and what came of them, and what to order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from forecasting.panel.hierarchy import SERIES
from forecasting.reporting.queries.series import matching
from forecasting.reporting.queries.store import Store, Vintage
from forecasting.tables.planning import ACTIVE, OVERRIDDEN, OVERRIDE_SCORES, REPLENISHMENT
from forecasting.tables.views import OVERRIDES_CURRENT
from forecasting.tables.warehouse import RUNS

ORDERS = ("money", "order", "stock_out", "risk", "unique_id")


def overrides(store: Store, vintage: Vintage, every: bool) -> list[dict[str, Any]]:
    """Overrides, newest first, each with what it makes of the newest vintage: before and after, units in all.

    every: also those that were withdrawn or have expired.
    """
    found = store.warehouse.view(OVERRIDES_CURRENT, **({} if every else {"state": ACTIVE}))
    found = found.sort_values("at", ascending=False, ignore_index=True)
    if not every:
        found = found[found["expires"].isna() | (found["expires"] >= vintage.day)]
    rows = store.warehouse.read(OVERRIDDEN, ["name", "ds", "mean", "override", "ids"], cutoff=vintage.day, level=SERIES)
    through = rows.assign(id=rows["ids"].str.split(" ")).explode("id")
    sums = through.groupby("id")[["mean", "override"]].sum()
    series = through.groupby("id")["name"].nunique()
    found["before"], found["after"] = found["id"].map(sums["mean"]), found["id"].map(sums["override"])
    found["series"] = found["id"].map(series).fillna(0).astype(int)
    return [{str(name): value for name, value in row.items()} for row in found.to_dict("records")]


def changed(store: Store, vintage: Vintage, level: str, name: str) -> pd.DataFrame:
    """What overrides make of one series or total: rows of OVERRIDDEN of the newest vintage."""
    return store.warehouse.read(OVERRIDDEN, cutoff=vintage.day, level=level, name=name)


def worth(store: Store) -> pd.DataFrame:
    """What overrides were worth as of the newest night that counted: rows of OVERRIDE_SCORES."""
    nights = store.warehouse.distinct(OVERRIDE_SCORES, ["scored_at"])
    if nights.empty:
        return pd.DataFrame(columns=list(OVERRIDE_SCORES.columns))
    return store.warehouse.read(OVERRIDE_SCORES, scored_at=nights["scored_at"].iloc[-1])


def orders(store: Store, vintage: Vintage) -> int:
    """Series that the night proposes to order."""
    return int((_replenishment(store, vintage)["order"] > 0).sum())


def _replenishment(store: Store, vintage: Vintage) -> pd.DataFrame:
    """Rows of REPLENISHMENT of the vintage with attributes, price and money; read once for every time it was made."""
    runs = store.warehouse.read(RUNS, ["run_id", "started_at"], step="replenish", cutoff=vintage.day)

    def read() -> pd.DataFrame:
        rows = store.warehouse.read(REPLENISHMENT, cutoff=vintage.day)
        catalogue = store.catalogue(vintage)
        known = catalogue.frame.set_index("unique_id")
        rows = rows[rows["unique_id"].isin(known.index)]
        rows = rows.assign(**{name: rows["unique_id"].map(known[name]) for name in catalogue.attributes})
        rows["price"] = rows["unique_id"].map(known["price"]).astype(float) if "price" in known else float("nan")
        return rows.assign(money=rows["order"] * rows["price"])

    wrote = store.warehouse.distinct(REPLENISHMENT, ["run_id"], cutoff=vintage.day)["run_id"]
    newest = str(runs["started_at"].max()), len(runs), *wrote
    return store.keep(("replenishment", vintage, newest), read)


def proposals(store: Store, vintage: Vintage, wanted: Mapping[str, str], by: str) -> pd.DataFrame:
    """Rows of REPLENISHMENT of the vintage with attributes, price and money (order x price); what needs most first.

    wanted: attributes and classes by name, abc, xyz, and `only` = order for those with something to order. Raises
    KeyError for what there is not.
    """
    rows = _replenishment(store, vintage)
    own = {name: value for name, value in wanted.items() if name in ("abc", "xyz", "status")}
    catalogue = store.catalogue(vintage)
    others = {name: value for name, value in wanted.items() if name not in own and name != "only"}
    if others:
        rows = rows[rows["unique_id"].isin(matching(catalogue, "", others)["unique_id"])]
    for name, value in own.items():
        rows = rows[rows[name] == value]
    if wanted.get("only") == "order":
        rows = rows[rows["order"] > 0]
    if by == "money" and rows["money"].isna().all():
        by = "order"
    rising = by in ("stock_out", "unique_id")
    return rows.sort_values([by, "unique_id"], ascending=[rising, True], na_position="last", ignore_index=True)


def totals(found: pd.DataFrame) -> dict[str, Any]:
    """Of proposals: orders, units, money (None: no price is known), soon (will likely run out), unknown (no stock)."""
    return {
        "orders": int((found["order"] > 0).sum()),
        "units": float(found["order"].sum()),
        "money": float(found["money"].sum()) if found["money"].notna().any() else None,
        "soon": int((found["risk"] > 0.5).sum()),
        "unknown": int((found["status"] == "unknown").sum()),
    }
