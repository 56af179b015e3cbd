"""Series: search in those of a vintage, and everything that is known of one (or of a total of many)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.frequency import Frequency
from forecasting.panel.observed.absence_codes import OBSERVED, OUT_OF_STOCK, REASONS
from forecasting.panel.panel import Panel
from forecasting.reporting.queries.store import Catalogue, Store, Vintage
from forecasting.tables.score_buckets import BUCKETS
from forecasting.tables.warehouse import EXPLANATIONS, FORECAST_LEVELS, FORECASTS, LOST_DEMAND, SERIES_SCORES

CLASSES = ("demand_class", "volume_class")
SORTS = ("unique_id", "units", "wape", "bias", "value_added")
SHOWN = 3  # past vintages in a chart
MANY = 200  # values of an attribute that are still offered as a list


def choices(catalogue: Catalogue) -> dict[str, list[str]]:
    """By attribute or class, the values to filter by; not those of which nearly every series has its own."""
    found = {}
    for name in (*catalogue.attributes, *CLASSES):
        values = list(catalogue.frame[name].dropna().unique())
        if 1 < len(values) <= MANY:
            found[name] = sorted(map(str, values))
    return found


def matching(catalogue: Catalogue, text: str, wanted: Mapping[str, str]) -> pd.DataFrame:
    """Series whose name or an attribute contains the text, and whose attributes and classes are as wanted.

    Raises KeyError for an attribute that there is not.
    """
    frame = catalogue.frame
    fits = np.ones(len(frame), dtype=bool)
    for name, value in wanted.items():
        if name not in (*catalogue.attributes, *CLASSES):
            raise KeyError(name)
        fits &= (frame[name].astype(str) == value).to_numpy()
    for word in text.lower().split():
        there = np.zeros(len(frame), dtype=bool)
        for name in ("unique_id", *catalogue.attributes):
            there |= frame[name].str.lower().str.contains(word, regex=False).to_numpy(dtype=bool)
        fits &= there
    return frame[fits]


def ordered(frame: pd.DataFrame, by: str) -> pd.DataFrame:
    """Largest (worst) first, names from A; what has no figure last."""
    if by == "unique_id":
        return frame.sort_values("unique_id")
    size = frame[by].astype(float)
    key = size.abs() if by == "bias" else size
    return frame.loc[key.sort_values(ascending=by == "value_added", na_position="last", kind="stable").index]


@dataclass(frozen=True)
class One:
    """One series, or a total of many. forecasts: rows of its newest vintage; past: of earlier ones, newest first."""

    level: str
    name: str
    facts: dict[str, Any]
    forecasts: pd.DataFrame
    past: pd.DataFrame
    history: pd.DataFrame


def one(store: Store, vintage: Vintage, level: str, name: str) -> One | None:
    """Everything for its page; None where the vintage has no such series or total.

    history: ds, y (NaN = not observed), price, promotion, out (out of stock), absence (why it was not observed, ""
    where it was), over the whole panel and the horizon.
    """
    catalogue = store.catalogue(vintage)
    if level == "series" and name not in catalogue.row:
        return None
    days = [vintage.day, *map(pd.Timestamp, store.warehouse.cutoffs(vintage.cutoff, store.settings.monitor.vintages))]
    if level == "series":
        rows = store.warehouse.read(FORECASTS, cutoff=days, unique_id=name)
    else:
        rows = store.warehouse.read(FORECAST_LEVELS, cutoff=days, level=level, name=name)
    mine = rows[rows["cutoff"] == vintage.day]
    if mine.empty:
        return None
    past = rows[rows["cutoff"] < vintage.day].sort_values(["cutoff", "ds"], ascending=[False, True])
    facts = _named(catalogue.frame.iloc[catalogue.row[name]].to_dict()) if level == "series" else {}
    history = _history(store, catalogue.panel, level, name, catalogue.row.get(name, 0))
    return One(level, name, facts, mine, past, history)


def _history(store: Store, panel: Panel | None, level: str, name: str, row: int) -> pd.DataFrame:
    if panel is None:
        return pd.DataFrame(
            {"ds": pd.DatetimeIndex([]), "y": [], "price": [], "promotion": [], "out": [], "absence": []}
        )
    horizon = store.settings.panel.horizon
    length = len(panel.periods) + horizon
    frame = pd.DataFrame({"ds": store.frequency.range(panel.periods[0], length)})
    y, known = _values(panel, level, name, row)
    frame["y"] = np.concatenate([y, np.full(horizon, np.nan)]).astype(float)
    for covariate in ("price", "promotion"):
        values = known.get(covariate)
        frame[covariate] = np.nan if values is None else np.asarray(values[:length], dtype=float)
    frame["out"], frame["absence"] = False, ""
    if level == "series" and panel.absence is not None:
        codes = np.concatenate([panel.absence[row], np.full(horizon, OBSERVED, dtype=np.uint8)])
        frame["out"] = codes == OUT_OF_STOCK
        frame["absence"] = ["" if code == OBSERVED else REASONS[code] for code in codes.tolist()]
    return frame


def _values(panel: Panel, level: str, name: str, row: int) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """What was sold by period, and the covariates known ahead, of a series or the total of a group."""
    if level == "series":
        known = {key: values[0 if len(values) == 1 else row] for key, values in panel.known.items()}
        return np.asarray(panel.y[row]), known
    totals = panel.totals.get(level)
    if totals is None or name not in totals.level.labels:
        return np.full(len(panel.periods), np.nan), {}
    at = np.flatnonzero(totals.level.labels == name)
    return np.asarray(totals.units[at[0]]), {"price": totals.means["price"][at[0]]} if "price" in totals.means else {}


def by_lead(found: One) -> list[dict[str, Any]]:
    """Accuracy of the kept vintages by part of the horizon: periods, wape, bias, coverage; unobserved ones left out."""
    actual = found.history.set_index("ds")
    rows = found.past.assign(y=found.past["ds"].map(actual["y"]), out=found.past["ds"].map(actual["out"]))
    rows = rows[rows["y"].notna() & ~rows["out"].fillna(False).astype(bool)]
    told = []
    for first, last in BUCKETS:
        part = rows[rows["horizon"].between(first, last)]
        if part.empty:
            continue
        error, sold = part["mean"] - part["y"], part["y"].sum()
        inside = part["y"].between(part["p05"] - 1e-9, part["p95"] + 1e-9)
        end = min(last, int(found.forecasts["horizon"].max()))
        told.append(
            {
                "bucket": f"{first}-{end}" if end > first else str(first),
                "periods": len(part),
                "wape": error.abs().sum() / sold if sold else None,
                "bias": error.sum() / sold if sold else None,
                "coverage": float(inside.mean()),
            }
        )
    return told


def scores(store: Store, vintage: Vintage, name: str) -> dict[str, Any] | None:
    """The row of SERIES_SCORES of a series as of the vintage; None in the first nights."""
    rows = store.warehouse.read(SERIES_SCORES, scored_at=vintage.day, unique_id=name)
    return None if rows.empty else _named(rows.iloc[0].to_dict())


def lost(store: Store, name: str) -> pd.DataFrame:
    """Days without stock since the first vintage and the units that they cost: rows of LOST_DEMAND."""
    return store.warehouse.read(LOST_DEMAND, ["cutoff", "ds", "sold", "expected", "lost"], unique_id=name)


def reasons(store: Store, vintage: Vintage, name: str) -> pd.DataFrame:
    """Why the number is what it is: group, units over the horizon, share; empty where the night explained nothing."""
    rows = store.warehouse.read(EXPLANATIONS, ["ds", "group", "units"], cutoff=vintage.day, unique_id=name)
    found = rows.groupby("group")[["units"]].sum().reset_index()
    whole = found["units"].abs().sum()
    found["share"] = found["units"].abs() / whole if whole else 0.0
    return found.sort_values("share", ascending=False, ignore_index=True)


def chart(vintage: Vintage, found: One, frequency: str, plan: pd.DataFrame) -> dict[str, Any]:
    """Columns for a chart, by period: ds (days as text), y, mean, p05..p95, out, promotion, price, past vintages, plan.

    absence: places of the periods that were not observed, by reason (panel/observed/absence_codes.py). plan: rows of
    OVERRIDDEN of this series or total.
    """
    history = found.history
    recent = Frequency(frequency).charted
    if found.history.empty:
        history = found.forecasts[["ds"]].assign(y=np.nan, price=np.nan, promotion=np.nan, out=False, absence="")
    start = max(0, len(history) - len(found.forecasts) - 4 * recent)
    history = history.iloc[start:].set_index("ds")
    mine = found.forecasts.set_index("ds").reindex(history.index)
    past = {
        f"{cutoff:%Y-%m-%d}": _list(rows.set_index("ds")["mean"].reindex(history.index))
        for cutoff, rows in list(found.past.groupby("cutoff"))[::-1][:SHOWN]
    }
    return {
        "name": found.name, "level": found.level, "cutoff": vintage.cutoff.isoformat(), "shown": recent,
        "ds": [day.isoformat(" ", "minutes") if frequency == "H" else f"{day:%Y-%m-%d}" for day in history.index],
        "y": _list(history["y"]),
        **{name: _list(mine[name]) for name in ("mean", "p05", "p25", "p75", "p95")},
        "out": [int(at) for at in np.flatnonzero(history["out"])],
        "absence": {
            why: [int(at) for at in np.flatnonzero(history["absence"] == why)]
            for why in sorted(set(history["absence"]) - {""})
        },
        "promotion": [int(at) for at in np.flatnonzero(history["promotion"].fillna(0) > 0)],
        "price": _list(history["price"]) if history["price"].notna().any() else [],
        "past": past,
        "plan": _list(plan.set_index("ds")["override"].reindex(history.index)) if len(plan) else [],
    }  # fmt: skip


def _list(values: pd.Series) -> list[float | None]:
    return [round(float(one), 4) if math.isfinite(one) else None for one in values.astype(float)]


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}
