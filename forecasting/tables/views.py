"""Every view of the warehouse: what people and BI tools read of the newest night, without having to know its cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecasting.tables.planning import OVERRIDES, REPLENISHMENT
from forecasting.tables.schema import Column, Table, text
from forecasting.tables.warehouse import FORECAST_LEVELS, FORECAST_SUMS, FORECASTS, HEALTH, SCORES

NUMBERS = ("mean", "p05", "p10", "p25", "p50", "p75", "p90", "p95")
METRICS = ("wape", "bias", "mase", "pinball", "coverage", "naive_wape", "value_added")
_UNITS = "units a period"
_CHANGED = {
    "override": Column("number", "what people made of it; empty: nobody changed it", _UNITS, null=True),
    "final": Column("number", "override where there is one, else mean: the number to plan by", _UNITS),
}
_GROUP = {name: FORECAST_LEVELS.columns[name] for name in ("cutoff", "level", "name")}


@dataclass(frozen=True)
class View:
    """Rows made from a table: by default those of its newest cutoff, or of each one's own where `each` names columns.

    columns, key: of the view, in place of the table's. newest: the column whose largest value counts.
    """

    name: str
    about: str
    table: Table
    each: tuple[str, ...] = ()
    newest: str = "cutoff"
    more: Mapping[str, Column] = field(default_factory=dict)
    only: Mapping[str, Column] = field(default_factory=dict)
    keys: tuple[str, ...] = ()

    @property
    def columns(self) -> Mapping[str, Column]:
        """Every column of the view."""
        return self.only or {**self.table.columns, **self.more}

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that name a row, in the order in which rows are read."""
        return self.keys or self.table.key


FORECASTS_LATEST = View(
    "forecasts_latest",
    "The newest published vintage, one row a series and period, with what people made of the number beside it.",
    FORECASTS,
    more=_CHANGED,
)
FORECAST_LEVELS_LATEST = View(
    "forecast_levels_latest",
    "The newest vintage added up to every declared level, overrides of the series below included.",
    FORECAST_LEVELS,
    more=_CHANGED,
)
FORECAST_SUMS_LATEST = View(
    "forecast_sums_latest",
    "Demand over the first periods of the newest vintage together, at every level.",
    FORECAST_SUMS,
)
FORECASTS_LONG = View(
    "forecasts_long",
    "The newest vintage of every level, series included, one row a number: `measure` is mean, override, final, p05 ...",
    FORECASTS,
    only={
        **_GROUP,
        "ds": FORECASTS.columns["ds"],
        "horizon": FORECASTS.columns["horizon"],
        "measure": text("mean, override (only where there is one), final, p05, p10, p25, p50, p75, p90 or p95"),
        "value": Column("number", "the number", _UNITS),
    },
    keys=("level", "name", "ds", "measure"),
)
SCORES_WIDE = View(
    "scores_wide",
    "`scores` with a column a metric: one row a vintage, level, group and bucket.",
    SCORES,
    only={name: SCORES.columns[name] for name in ("cutoff", "scored_at", "level", "group", "bucket")}
    | {"periods": SCORES.columns["periods"]}
    | {name: Column("number", f"metric {name} of `scores`", null=True) for name in METRICS},
    keys=("cutoff", "level", "group", "bucket"),
)
OVERRIDES_CURRENT = View(
    "overrides_current", "The newest version of every override, withdrawn ones too.", OVERRIDES, ("id",), "version"
)
REPLENISHMENT_LATEST = View("replenishment_latest", "What to order after the newest night.", REPLENISHMENT)
HEALTH_LATEST = View("health_latest", "The newest row of `health` for every sign.", HEALTH, each=("sign",))

VIEWS = (
    FORECASTS_LATEST, FORECAST_LEVELS_LATEST, FORECAST_SUMS_LATEST, FORECASTS_LONG, SCORES_WIDE, OVERRIDES_CURRENT,
    REPLENISHMENT_LATEST, HEALTH_LATEST,
)  # fmt: skip
