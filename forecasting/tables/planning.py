"""Output tables of planning: what people change, what that is worth, what to order."""

from __future__ import annotations

from forecasting.tables.schema import Column, Table, text

ACTIVE, WITHDRAWN = "active", "withdrawn"  # column `state` of OVERRIDES
_UNITS = "units a period"
_CUTOFF = Column("date", "last day whose sales are known")
_LEVEL = text("hierarchy level: total, an attribute, several joined by |, or series")
_NAME = text("value of the level's attribute, `all` for the total, the unique_id for a series")
_RUN_ID = text("run that wrote the row")

OVERRIDES = Table(
    "overrides",
    "What people say instead of the statistical forecast. Rows are only added: the newest version of an id holds.",
    {
        "id": text("name of the override"),
        "version": Column("integer", "1 when it is made; one more with every change, its withdrawal too"),
        "level": _LEVEL,
        "name": _NAME,
        "start": Column("date", "first day: periods that begin from here on are changed"),
        "end": Column("date", "last day: periods that begin later are not changed"),
        "kind": text("absolute: value is the new number; percent: value is added to the forecast in percent"),
        "value": Column("number", "units a period (of the whole group), or percent: -20 = a fifth less"),
        "reason": text("why, in a few words: value added is measured by it"),
        "note": text("anything else that was written down", null=True),
        "by": text("who made this version"),
        "at": Column("instant", "when, UTC"),
        "cutoff": Column("date", "newest vintage at that moment"),
        "expires": Column("date", "last cutoff whose vintage it changes; empty: it has no end", null=True),
        "state": text("active or withdrawn"),
    },
    key=("id", "version"),
    partition=("id", "version"),
)

OVERRIDDEN = Table(
    "overridden",
    "Forecasts of a vintage that overrides change, spread down to the series and added up to every declared level.",
    {
        "cutoff": _CUTOFF,
        "level": _LEVEL,
        "name": _NAME,
        "ds": Column("date", "first day of the period"),
        "mean": Column("number", "statistical forecast", _UNITS),
        "override": Column("number", "what people made of it", _UNITS),
        "id": text("override that had the last word; of a group, the newest one among its series"),
        "ids": text("all overrides that it went through, oldest first, joined by a blank"),
        "run_id": _RUN_ID,
    },
    key=("cutoff", "level", "name", "ds"),
    partition=("cutoff",),
)

OVERRIDE_SCORES = Table(
    "override_scores",
    "What overrides were worth: periods of the monitored vintages that people changed, against what was sold.",
    {
        "scored_at": Column("date", "cutoff of the actuals"),
        "kind": text("all, by (a person), reason, or id (one override)"),
        "group": text("the person, the reason, the id; all"),
        "vintages": Column("integer", "vintages with a period that counts"),
        "periods": Column("integer", "observations behind the metrics", "series x vintages x periods"),
        "sold": Column("number", "units sold in them", "units"),
        "wape": Column("number", "sum of absolute errors of what people said over units sold", null=True),
        "statistical_wape": Column("number", "the same of the statistical forecast", null=True),
        "bias": Column("number", "sum of (what people said - sold) over units sold", null=True),
        "statistical_bias": Column("number", "the same of the statistical forecast", null=True),
        "saved": Column("number", "errors of the statistical forecast less those of people; below 0: worse", "units"),
        "value_added": Column("number", "saved over the errors of the statistical forecast, a share", null=True),
        "run_id": _RUN_ID,
    },
    key=("scored_at", "kind", "group"),
    partition=("scored_at",),
)

_ALL = "units in all"
REPLENISHMENT = Table(
    "replenishment",
    "What to order after the night of a cutoff, a row a series: the numbers that it follows from, and why.",
    {
        "cutoff": _CUTOFF,
        "unique_id": text("name of the series"),
        "status": text(
            "ok; unknown (stock on hand is not known, nothing is proposed); horizon (lead time and review reach beyond "
            "the forecast, nothing is proposed); discontinued (nothing is ordered)"
        ),
        "abc": text("A, B or C: the series with 80 %, the next 15 %, the last 5 % of sales (money, else units)"),
        "xyz": text("X, Y or Z: variation of demand to 0.5, to 1, above; of weeks where periods are days"),
        "stock_date": Column("date", "day that on_hand and on_order are of", null=True),
        "on_hand": Column("number", "what can be sold; empty: not known", "units", null=True),
        "on_order": Column("number", "ordered and not yet there; empty: not known, counts as 0", "units", null=True),
        "lead_time": Column("integer", "from an order to its arrival", "periods"),
        "review": Column("integer", "from one order to the next", "periods"),
        "service_level": Column("number", "share of order cycles that are to have stock to their end"),
        "target": text("service (a share of order cycles) or costs (the share follows from them)", null=True),
        "demand_mean": Column("number", "expected over lead time and review, overrides included", _ALL, null=True),
        "demand_quantile": Column("number", "quantile of the same sum at the service level", _ALL, null=True),
        "safety_stock": Column("number", "demand_quantile less demand_mean", "units", null=True),
        "lost": Column(
            "number",
            "expected to be missing before an order of now arrives; empty: unmet demand waits",
            "units",
            null=True,
        ),
        "reorder_point": Column("number", "order when on hand + on order is below this", "units", null=True),
        "order_up_to": Column("number", "what on hand + on order are brought to", "units", null=True),
        "pack_size": Column("number", "an order is a multiple of it", "units"),
        "minimum_order": Column("number", "an order is at least this", "units"),
        "order": Column("number", "what to order now; empty: nothing can be proposed", "units", null=True),
        "projected_stock": Column("number", "expected on hand when an order of now arrives", "units", null=True),
        "stock_out": Column(
            "date",
            "first day of the period in which expected demand uses up on hand and on order; empty: not within the "
            "horizon, or the stock is not known",
            null=True,
        ),
        "risk": Column("number", "probability that these run out before an order of now arrives", null=True),
        "why": text("how the order comes about, in plain words"),
        "model_version": text("version that made the forecast"),
        "run_id": _RUN_ID,
    },
    key=("cutoff", "unique_id"),
    partition=("cutoff",),
)

PLANNING = (OVERRIDES, OVERRIDDEN, OVERRIDE_SCORES, REPLENISHMENT)
