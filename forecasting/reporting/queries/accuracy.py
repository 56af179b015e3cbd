"""Accuracy: how past vintages did, by level, segment, part of the horizon and time; and whether it gets worse."""

from __future__ import annotations

from typing import Any

import pandas as pd

from forecasting.reporting.queries.store import Store, Vintage
from forecasting.tables.warehouse import SCORE_TRENDS, SCORES

METRICS = ("wape", "bias", "coverage", "value_added")
SEGMENTS = ("demand_class", "volume_class")


def accuracy(store: Store, vintage: Vintage, level: str, bucket: str) -> dict[str, Any]:
    """levels, buckets to choose from; groups of the level; the total by bucket and by vintage; vintages counted.

    Figures are means over the vintages, each as heavy as the periods of it that are known by now.
    """
    cutoffs = store.warehouse.cutoffs(before=vintage.cutoff, most=store.settings.monitor.vintages)
    days = [pd.Timestamp(day) for day in cutoffs]
    columns = ["cutoff", "level", "group", "bucket", "metric", "value", "periods"]
    where = {"cutoff": days, "metric": list(METRICS)}
    total = store.warehouse.read(SCORES, columns, level="total", **where)
    mine = total if level == "total" else store.warehouse.read(SCORES, columns, level=level, bucket=bucket, **where)
    over = total[total["bucket"] == bucket]
    trends = store.warehouse.read(SCORE_TRENDS, scored_at=vintage.day, level=level, bucket=bucket)
    groups = _means(mine[mine["bucket"] == bucket], "group")
    change = trends.set_index("group")["change"] if len(trends) else pd.Series(dtype=float)
    groups["change"] = groups["group"].map(change).astype(float)
    return {
        "levels": ["total", *store.settings.panel.levels, *SEGMENTS],
        "buckets": _ordered(total["bucket"].unique()),
        "groups": groups.to_dict("records"),
        "horizon": sorted(_means(total[total["bucket"] != "all"], "bucket").to_dict("records"), key=_start),
        "time": _over_time(over),
        "vintages": int(total.dropna()["cutoff"].nunique()),
    }


def _over_time(scores: pd.DataFrame) -> pd.DataFrame:
    """Columns cutoff, the metrics; a row a vintage, NaN where a metric is not defined."""
    wide = scores.astype({"value": float}).pivot(index="cutoff", columns="metric", values="value")
    return wide.reindex(columns=list(METRICS)).rename_axis(columns=None).reset_index()


def _means(scores: pd.DataFrame, by: str) -> pd.DataFrame:
    """Columns `by`, the metrics, periods; a row a value of `by`."""
    known = scores.dropna(subset="value")
    part = known.assign(part=known["value"] * known["periods"])
    sums = part.groupby([by, "metric"], observed=True)[["part", "periods"]].sum()
    wide = (sums["part"] / sums["periods"]).unstack("metric").reindex(columns=list(METRICS))
    wide["periods"] = sums["periods"].groupby(by, observed=True).max()
    return wide.rename_axis(columns=None).reset_index()


def _start(row: dict[str, Any]) -> int:
    return int(str(row["bucket"]).split("-")[0])


def _ordered(buckets: Any) -> list[str]:
    return ["all", *sorted((str(one) for one in buckets if one != "all"), key=lambda one: int(one.split("-")[0]))]
