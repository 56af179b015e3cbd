"""Terms of an order, each from the nearest place that says them; and why an order is what it is, in plain words."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.sections import PlanningSettings, Target
from forecasting.core.errors import PlanningError, some
from forecasting.panel.panel import Panel
from forecasting.planning.orders import critical_ratio

DEFAULT_SERVICE = 0.95
TERMS = ("lead_time", "review", "service_level", "pack_size", "minimum_order")
WHOLE = ("lead_time", "review")
LEAST = {"lead_time": 0, "review": 1, "service_level": 1e-9, "pack_size": 1e-9, "minimum_order": 0}
MOST = {"service_level": 1.0}  # a share: 95 is no service level
CALIBRATED = {"service_level": 0.995}
WORTH_SAYING = 0.05  # units; less is shown as 0.0
Labels = NDArray[np.object_]


def terms_of(rules: PlanningSettings, panel: Panel, classes: tuple[Labels, Labels], own: pd.DataFrame) -> pd.DataFrame:
    """A row a series: abc, xyz, stock_date, on_hand, on_order, TERMS and target, `costs` or `service`.

    A term comes from the stock table, else from the item's attribute that `planning.attributes` names, else from the
    class of the series, else from [planning]. own: the rows of the stock table, in the order of the panel; older than
    `stock_days`, they are not known. Raises PlanningError for an attribute that is not there or is no such number.
    """
    abc, xyz = classes
    count = len(panel.series)
    empty = pd.Series(np.nan, index=range(count))
    table = pd.DataFrame({"abc": abc, "xyz": xyz})
    day = own.get("ds", pd.Series(pd.NaT, index=range(count)))
    known = (pd.Timestamp(panel.cutoff) - day).dt.days.between(0, rules.stock_days)
    table["stock_date"] = day.where(known)
    for name in ("on_hand", "on_order"):
        table[name] = own.get(name, empty).astype("float64").where(known)
    for name in TERMS:
        value = own.get(name, empty).astype("float64")
        if name in rules.attributes:
            value = value.fillna(_attribute(panel, name, rules.attributes[name]))
        if name == "service_level":
            periods = table["review"] if rules.unmet == "lost" else pd.Series(1.0, index=empty.index)
            default, kind = _service(rules, classes, periods)
            table["target"] = kind.where(value.isna(), "service")
        else:
            default = pd.Series(float(getattr(rules, name)), index=empty.index)
        table[name] = _sensible(name, value.fillna(default), panel)
    return table.astype(dict.fromkeys(WHOLE, "int64"))


def _attribute(panel: Panel, name: str, column: str) -> pd.Series:
    if column not in panel.series:
        raise PlanningError(
            f"planning.attributes.{name}: the series have no attribute {column!r}; they have: "
            f"{some(panel.series.columns, 20)}."
        )
    texts = panel.series[column].astype("str").str.strip()
    found = pd.to_numeric(texts.where(texts != ""), errors="coerce")
    wrong = found.isna() & (texts != "")
    if wrong.any():
        raise PlanningError(
            f"planning.attributes.{name}, attribute {column}: no number: {some(texts[wrong].unique())}."
        )
    return found.astype("float64")


def _service(
    rules: PlanningSettings, classes: tuple[Labels, Labels], periods: pd.Series
) -> tuple[pd.Series, pd.Series]:
    """Service level of each series, by both letters of its class, one, or [planning]; and `costs` or `service`.

    periods: that a unit left over is held for, a series.
    """
    found = []
    for a, x, number in zip(*classes, periods, strict=True):
        said = [rules.classes[name] for name in (a + x, a, x) if name in rules.classes]
        found.append(_level([*said[:1], rules], number))
    levels, kinds = zip(*found, strict=True) if found else ((), ())
    return pd.Series(levels, dtype="float64"), pd.Series(kinds, dtype="str")


def _level(targets: Sequence[Target], periods: float) -> tuple[float, str]:
    """What the first one that says anything asks for."""
    for target in targets:
        if target.holding is not None and target.shortage is not None:
            return critical_ratio(target.holding, target.shortage, periods), "costs"
        if target.service_level is not None:
            return target.service_level, "service"
    return DEFAULT_SERVICE, "service"


def _sensible(name: str, values: pd.Series, panel: Panel) -> pd.Series:
    """Terms that can be met. A service level above what is calibrated counts as the highest one that is."""
    wrong = ~values.between(LEAST[name], MOST.get(name, np.inf)) | ~np.isfinite(values)
    if name in WHOLE:
        wrong |= values != values.round()
    kind, to = "whole " if name in WHOLE else "", f" to {MOST[name]:g}" if name in MOST else ""
    if wrong.any():
        raise PlanningError(
            f"{name} of {some(panel.unique_ids[wrong.to_numpy()])}: {some(values[wrong].unique())}; allowed are "
            f"{kind}numbers from {LEAST[name]:g}{to}. See extract.inventory and [planning]."
        )
    return values.clip(upper=CALIBRATED.get(name))


def why(table: pd.DataFrame, overridden: NDArray[np.bool_]) -> list[str]:
    """A sentence a series: how its order comes about."""
    return [_sentence(row, touched) for row, touched in zip(table.to_dict("records"), overridden, strict=True)]


def _sentence(row: Mapping[Hashable, Any], overridden: bool) -> str:
    span = f"{row['lead_time']} + {row['review']} periods"
    if row["status"] == "discontinued":
        return "Discontinued: nothing is ordered."
    if row["status"] == "horizon":
        return f"Lead time and review, {span}, reach beyond the forecast: nothing is proposed."
    changed = ", as changed by people" if overridden else ""
    demand = (
        f"Demand over lead time and review ({span}){changed} is {row['demand_mean']:,.1f}, and no more than "
        f"{row['demand_quantile']:,.1f} in {row['service_level']:.1%} of cases"
    )
    if row["status"] == "unknown":
        return f"{demand}. Stock on hand is not known, so nothing is proposed."
    known = pd.notna(row["on_order"])
    ordered = f"{row['on_order']:,.0f} on order" if known else "what is on order is not known"
    there = f"{row['on_hand']:,.0f} on hand, {ordered}"
    if row["lost"] >= WORTH_SAYING:
        there += f", {row['lost']:,.1f} will be missing before an order arrives"
    if row["order"] == 0:
        return f"{demand}; {there}: enough."
    packs = f", in packs of {row['pack_size']:g}" if row["pack_size"] != 1 else ""
    least = f", at least {row['minimum_order']:g}" if row["minimum_order"] else ""
    return f"{demand}; {there}: {row['order']:,.0f} bring it to {row['order_up_to']:,.1f}{packs}{least}."
