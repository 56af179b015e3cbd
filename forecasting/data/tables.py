"""Every table of the system: name, columns with type, unit and meaning, key, partition. docs/tables.md is made from it.

`LAKE` tables are the versioned inputs (Delta); `WAREHOUSE` tables are the outputs that people and tools read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from forecasting.errors import TableError, some

Kind = Literal["text", "date", "instant", "integer", "number", "flag"]


@dataclass(frozen=True)
class Column:
    """One column: its kind, meaning and unit, and whether it may be empty."""

    kind: Kind
    about: str
    unit: str = ""
    null: bool = False


@dataclass(frozen=True)
class Table:
    """One table. `key`: columns that name a row; `partition`: columns whose values a step replaces as a whole."""

    name: str
    about: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    partition: tuple[str, ...] = ()

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give the frame back with this table's columns, order and types.

        Raises TableError for a missing or surplus column, an empty cell where none is allowed, a wrong type or a
        repeated key; at most five examples are named.
        """
        missing = [name for name in self.columns if name not in frame.columns and not self.columns[name].null]
        surplus = [name for name in frame.columns if name not in self.columns]
        if missing or surplus:
            raise TableError(
                f"Table {self.name}: missing columns: {some(missing) or 'none'}; "
                f"unknown columns: {some(surplus) or 'none'}; it has: {some(self.columns, 40)}."
            )
        checked = pd.DataFrame(
            {name: self._typed(frame, name, column) for name, column in self.columns.items()}, index=frame.index
        )
        repeated = checked.duplicated(list(self.key))
        if repeated.any():
            rows = checked.loc[repeated, list(self.key)].head(5).to_dict("records")
            raise TableError(f"Table {self.name}: {int(repeated.sum()):,} repeated keys, such as {some(rows)}.")
        return checked

    def _typed(self, frame: pd.DataFrame, name: str, column: Column) -> pd.Series:
        if name not in frame.columns:
            return pd.Series(None, index=frame.index, dtype=_DTYPES[column.kind])
        try:
            values = _convert(frame[name], column.kind)
        except (ValueError, TypeError) as error:
            raise TableError(f"Table {self.name}, column {name}: not a {column.kind}: {error}") from None
        if not column.null and values.isna().any():
            empty = int(values.isna().sum())
            raise TableError(f"Table {self.name}, column {name}: {empty:,} empty cells, none allowed.")
        return values


_DTYPES: dict[str, str] = {
    "text": "str",
    "date": "datetime64[s]",
    "instant": "datetime64[us, UTC]",
    "integer": "Int64",
    "number": "float64",
    "flag": "boolean",
}


def _convert(values: pd.Series, kind: Kind) -> pd.Series:
    if kind == "text" and isinstance(values.dtype, pd.CategoricalDtype):
        return values
    if kind == "number" and values.dtype == np.float32:
        return values
    if kind == "date":
        return pd.to_datetime(values).astype("datetime64[s]")
    if kind == "instant":
        return pd.to_datetime(values, utc=True).astype("datetime64[us, UTC]")
    typed: pd.Series = values.astype(_DTYPES[kind])  # type: ignore[call-overload]  # the stubs want literals
    return typed


def _text(about: str, null: bool = False) -> Column:
    return Column("text", about, null=null)


UNITS = "units a period"
CUTOFF = Column("date", "last day whose sales are known")
UNIQUE_ID = _text("name of the series")
DS = Column("date", "first day of the period")
SNAPSHOT = _text("version of the sales table that the numbers come from")
RUN_ID = _text("run that wrote the row")


def _quantile(level: str) -> Column:
    return Column("number", f"{level} % quantile of demand", UNITS)


# ---------------------------------------------------------------- warehouse

_QUANTILES = {
    "mean": Column("number", "expected demand", UNITS),
    "p05": _quantile("5"),
    "p10": _quantile("10"),
    "p25": _quantile("25"),
    "p50": _quantile("50"),
    "p75": _quantile("75"),
    "p90": _quantile("90"),
    "p95": _quantile("95"),
}

FORECASTS = Table(
    "forecasts",
    "Every published forecast: one vintage a cutoff, every series and period of the horizon.",
    {
        "cutoff": CUTOFF,
        "unique_id": UNIQUE_ID,
        "ds": DS,
        "horizon": Column("integer", "periods ahead of the cutoff, from 1", "periods"),
        **_QUANTILES,
        "model": _text("champion that made the number, or the fallback that stood in"),
        "model_version": _text("version in the registry"),
        "snapshot": SNAPSHOT,
        "run_id": RUN_ID,
        "status": _text("ok, fallback, insufficient or discontinued"),
        "reason": _text("why the status is not ok", null=True),
    },
    key=("cutoff", "unique_id", "ds"),
    partition=("cutoff",),
)

_GROUP = {
    "cutoff": CUTOFF,
    "level": _text("hierarchy level: total, an attribute, several joined by |, or series"),
    "name": _text("value of the level's attribute, `all` for the total, the unique_id for a series"),
}
_ORIGIN = {
    "model": _text("champion that made the number"),
    "model_version": _text("version in the registry"),
    "snapshot": SNAPSHOT,
    "run_id": RUN_ID,
}

FORECAST_LEVELS = Table(
    "forecast_levels",
    "The same vintages added up to every declared level: means are sums of the series' means, quantiles its own.",
    _GROUP
    | {"ds": DS, "horizon": Column("integer", "periods ahead of the cutoff, from 1", "periods")}
    | _QUANTILES
    | _ORIGIN,
    key=("cutoff", "level", "name", "ds"),
    partition=("cutoff",),
)

FORECAST_SUMS = Table(
    "forecast_sums",
    "Demand over the first periods of a vintage together, with the quantiles of the sum: what stock is planned by.",
    _GROUP
    | {"periods": Column("integer", "length of the sum, from the first period after the cutoff", "periods")}
    | {name: replace(column, unit="units in all") for name, column in _QUANTILES.items()}
    | _ORIGIN,
    key=("cutoff", "level", "name", "periods"),
    partition=("cutoff",),
)

BACKTESTS = Table(
    "backtests",
    "Accuracy of every candidate in the rolling-origin backtest of a training.",
    {
        "cutoff": CUTOFF,
        "model": _text("candidate"),
        "fold": Column("date", "cutoff that the candidate forecast from"),
        "level": _text("hierarchy level: total, an attribute, or series; all = weighted over the levels"),
        "metric": _text("wrmsse, rmsse, mase, wape, bias, pinball or coverage"),
        "value": Column("number", "the metric; bias and wape as shares", null=True),
        "weight": Column("number", "weight of the candidate in the blend, 0 where it has none"),
        "champion": Column("flag", "chosen by this backtest"),
        "model_version": _text("registered version that came out of the training"),
        "snapshot": SNAPSHOT,
        "run_id": RUN_ID,
    },
    key=("cutoff", "model", "fold", "level", "metric"),
    partition=("cutoff",),
)

SCORES = Table(
    "scores",
    "Past vintages against the actuals known by now.",
    {
        "cutoff": Column("date", "cutoff of the scored vintage"),
        "scored_at": Column("date", "cutoff of the actuals"),
        "level": _text("total, an attribute, or series"),
        "group": _text("value of the attribute, or unique_id; all for total"),
        "bucket": _text("periods ahead, e.g. 1-7"),
        "metric": _text("wape, bias, mase, pinball, coverage or naive_wape"),
        "value": Column("number", "the metric; wape and bias as shares", null=True),
        "periods": Column("integer", "observations behind the value", "series x periods"),
        "model_version": _text("version that made the vintage"),
        "run_id": RUN_ID,
    },
    key=("cutoff", "level", "group", "bucket", "metric"),
    partition=("cutoff",),
)

LOST_DEMAND = Table(
    "lost_demand",
    "Periods without stock since the first vintage: what the newest vintage before them expected, and what was sold.",
    {
        "cutoff": Column("date", "cutoff of the vintage that expected it"),
        "unique_id": UNIQUE_ID,
        "ds": DS,
        "sold": Column("number", "units sold all the same", UNITS),
        "expected": Column("number", "demand that the vintage expected", UNITS),
        "lost": Column("number", "expected less sold, never below 0", UNITS),
        "model_version": _text("version that made the vintage"),
        "run_id": RUN_ID,
    },
    key=("cutoff", "unique_id", "ds"),
    partition=("cutoff",),
)

MODEL_PROMOTIONS = Table(
    "promotions",
    "Every decision on which model forecasts: by the rules, by a person, or back to an earlier one.",
    {
        "cutoff": Column("date", "cutoff that the decision was taken at"),
        "version": _text("version that was decided on"),
        "decision": _text("promoted, waiting (for a person), kept (the champion stays), rolled_back or withdrawn"),
        "champion": _text("version that was champion before", null=True),
        "by": _text("`rules`, or the person who answered"),
        "reason": _text("the rules' verdict, or why"),
        "note": _text("what the person wrote", null=True),
        "metric": _text("what was compared", null=True),
        "challenger_value": Column("number", "the version's figure, lower is better", null=True),
        "champion_value": Column("number", "the champion's figure", null=True),
        "naive_value": Column("number", "that of seasonal naive", null=True),
        "decided_at": Column("instant", "when, UTC"),
        "run_id": RUN_ID,
    },
    key=("run_id", "version", "decision"),
    partition=("run_id", "version", "decision"),
)

JUDGEMENTS = Table(
    "judgements",
    "A challenger beside the champion on periods that neither was trained on: a row a rule and segment.",
    {
        "cutoff": Column("date", "cutoff of the newest actuals in it"),
        "version": _text("challenger"),
        "rival": _text("champion that it was compared with"),
        "rule": _text("rule of [train.judge]"),
        "segment": _text("all, a demand class or a volume class"),
        "challenger": Column("number", "the challenger's figure; contributions to the metric for a segment", null=True),
        "champion": Column("number", "the champion's figure", null=True),
        "improvement": Column("number", "share by which the challenger's is lower", null=True),
        "low": Column("number", "lower bound of the improvement", null=True),
        "high": Column("number", "upper bound of the improvement", null=True),
        "passed": Column("flag", "the rule holds"),
        "periods": Column("integer", "periods that neither had seen", "periods"),
        "run_id": RUN_ID,
    },
    key=("cutoff", "version", "rule", "segment"),
    partition=("cutoff", "version"),
)

FORECASTS_WITHDRAWN = Table(
    "forecasts_withdrawn",
    "Vintages that were replaced by those of another model or snapshot, as they were published.",
    dict(FORECASTS.columns)
    | {
        "withdrawn_by": _text("run that replaced them"),
        "withdrawn_at": Column("instant", "when, UTC"),
        "withdrawn_reason": _text("why"),
    },
    key=("cutoff", "withdrawn_by", "unique_id", "ds"),
    partition=("cutoff", "withdrawn_by"),
)

QUALITY = Table(
    "quality",
    "What screening saw, a row a table and rule: read = clean + quarantined.",
    {
        "cutoff": CUTOFF,
        "snapshot": SNAPSHOT,
        "table": _text("source table"),
        "rule": _text("rule by name; all = every row that was read"),
        "severity": _text("quarantine, stop, warn or info"),
        "read": Column("integer", "rows read", "rows"),
        "clean": Column("integer", "rows that passed", "rows"),
        "quarantined": Column("integer", "rows set aside", "rows"),
        "passed": Column("flag", "the rule holds"),
        "message": _text("what was found", null=True),
        "run_id": RUN_ID,
    },
    key=("cutoff", "table", "rule"),
    partition=("cutoff",),
)

QUARANTINE = Table(
    "quarantine",
    "Every rejected row, whole, with the rule that rejected it; of a night that was stopped, the first 1,000 a rule.",
    {
        "cutoff": CUTOFF,
        "snapshot": SNAPSHOT,
        "table": _text("source table"),
        "row": Column("integer", "number of the row in what was read that night, from 0"),
        "rule": _text("rule by name"),
        "reason": _text("what is wrong with the row"),
        "content": _text("the row as JSON, in our column names"),
        "run_id": RUN_ID,
    },
    key=("cutoff", "table", "row"),
    partition=("cutoff",),
)

RUNS = Table(
    "runs",
    "One row a step of a run: what it worked on, how long it took, how it ended.",
    {
        "run_id": _text("run of the orchestrator, or of the command line"),
        "step": _text("extract, train, forecast, monitor, shadow, rollback or retention"),
        "cutoff": CUTOFF,
        "snapshot": _text("version of the sales table", null=True),
        "model_version": _text("version in the registry", null=True),
        "rows": Column("integer", "rows that the step wrote", "rows", null=True),
        "seconds": Column("number", "wall time", "seconds"),
        "outcome": _text("done, skipped or failed"),
        "message": _text("what came out, or the error", null=True),
        "started_at": Column("instant", "start, UTC"),
        "settings": _text("digest of the configuration"),
        "code": _text("version of the code"),
    },
    key=("run_id", "step"),
    partition=("run_id", "step"),
)

WAREHOUSE = (
    FORECASTS, FORECAST_LEVELS, FORECAST_SUMS, FORECASTS_WITHDRAWN, BACKTESTS, SCORES, LOST_DEMAND,
    MODEL_PROMOTIONS, JUDGEMENTS, QUALITY, QUARANTINE, RUNS,
)  # fmt: skip

# ---------------------------------------------------------------- lake

_ITEM = _text("item")
_STORE = _text("store; empty where the business has none")
_DATE = Column("date", "business day, or first day of the period for ready periods")

SALES = Table(
    "sales",
    "Clean sales, one row a series and day; each version of the table is a snapshot.",
    {
        "item": _ITEM,
        "store": _STORE,
        "ds": _DATE,
        "y": Column("number", "units sold, returns by policy", "units a day"),
    },
    key=("item", "store", "ds"),
)
PRICES = Table(
    "prices",
    "Prices, valid from a day until the next row.",
    {
        "item": _ITEM,
        "store": _text("store; empty = all"),
        "ds": _DATE,
        "price": Column("number", "price", "money a unit"),
    },
    key=("item", "store", "ds"),
)
PROMOTIONS = Table(
    "promotions",
    "Promotions by day.",
    {
        "item": _ITEM,
        "store": _text("store; empty = all"),
        "ds": _DATE,
        "value": Column("number", "1, or the depth of the discount as a share"),
    },
    key=("item", "store", "ds"),
)
EVENTS = Table("events", "Named days.", {"ds": _DATE, "event": _text("name")}, key=("ds", "event"))
STOCK = Table(
    "stock",
    "Days on which an item was out of stock; every other day it was in stock.",
    {"item": _ITEM, "store": _STORE, "ds": _DATE, "in_stock": Column("flag", "could be bought")},
    key=("item", "store", "ds"),
)
SIGNALS = Table(
    "signals",
    "Further signals by date.",
    {
        "signal": _text("name of the signal"),
        "item": _text("item; empty = all"),
        "store": _text("store; empty = all"),
        "group": _text("value of the attribute in `by`; empty = all"),
        "ds": Column("date", "date; empty for a static signal", null=True),
        "value": Column("number", "value, in the signal's own unit"),
    },
    key=("signal", "item", "store", "group", "ds"),
)
# items and stores carry whatever attributes the business has, so they have no fixed columns.
LAKE = (SALES, PRICES, PROMOTIONS, EVENTS, STOCK, SIGNALS)
