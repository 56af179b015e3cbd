"""Every output table: name, columns with type, unit and meaning, key, partition. docs/tables.md is made from it.

`WAREHOUSE` tables are what people and tools read; those of planning stand in planning.py, views over them in
views.py, and the versioned inputs in lake.py.
"""

from __future__ import annotations

from dataclasses import replace

from forecasting.tables.planner_page import PLANNER
from forecasting.tables.planning import PLANNING
from forecasting.tables.schema import Column, Table, text

UNITS = "units a period"
CUTOFF = Column("date", "last day whose sales are known")
NIGHT = Column("date", "last day that was read: after the cutoff where a week, month or quarter is not over", null=True)
UNIQUE_ID = text("name of the series")
DS = Column("date", "first day of the period")
SNAPSHOT = text("version of the sales table that the numbers come from")
RUN_ID = text("run that wrote the row")


def _quantile(level: str) -> Column:
    return Column("number", f"{level} % quantile of demand", UNITS)


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
        "model": text("champion that made the number, or the fallback that stood in"),
        "model_version": text("version in the registry"),
        "snapshot": SNAPSHOT,
        "run_id": RUN_ID,
        "status": text("ok, fallback, insufficient or discontinued"),
        "reason": text("why the status is not ok", null=True),
    },
    key=("cutoff", "unique_id", "ds"),
    partition=("cutoff",),
)

_GROUP = {
    "cutoff": CUTOFF,
    "level": text("hierarchy level: total, an attribute, several joined by |, or series"),
    "name": text("value of the level's attribute, `all` for the total, the unique_id for a series"),
}
_ORIGIN = {
    "model": text("champion that made the number"),
    "model_version": text("version in the registry"),
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
        "model": text("candidate"),
        "fold": Column("date", "cutoff that the candidate forecast from"),
        "level": text("hierarchy level: total, an attribute, or series; all = weighted over the levels"),
        "metric": text("wrmsse, rmsse, mase, wape, bias, pinball or coverage"),
        "value": Column("number", "the metric; bias and wape as shares", null=True),
        "weight": Column("number", "weight of the candidate in the blend, 0 where it has none"),
        "champion": Column("flag", "chosen by this backtest"),
        "model_version": text("registered version that came out of the training"),
        "snapshot": SNAPSHOT,
        "run_id": RUN_ID,
    },
    key=("cutoff", "model", "fold", "level", "metric"),
    partition=("cutoff",),
)

_SCORED_AT = Column("date", "cutoff of the actuals")

SCORES = Table(
    "scores",
    "Past vintages against the actuals known by now, but for periods without stock or with quarantined sales.",
    {
        "cutoff": Column("date", "cutoff of the scored vintage"),
        "scored_at": _SCORED_AT,
        "level": text("total, a level of the hierarchy, demand_class or volume_class (as of scored_at)"),
        "group": text("value of the level; all for total. Pooled over its series: their errors do not cancel out"),
        "bucket": text("periods ahead, e.g. 1-7; all = the whole horizon, as far as it is known"),
        "metric": text(
            "wape, bias, mase, pinball, coverage (of p05 to p95), naive_wape (seasonal naive, same cutoff) or "
            "value_added (1 - wape / naive_wape: above 0 is better than naive)"
        ),
        "value": Column("number", "the metric; wape and bias as shares of what was sold", null=True),
        "periods": Column("integer", "observations behind the value", "series x periods"),
        "model_version": text("version that made the vintage"),
        "run_id": RUN_ID,
    },
    key=("cutoff", "level", "group", "bucket", "metric"),
    partition=("cutoff",),
)

SERIES_SCORES = Table(
    "series_scores",
    "Every series over the monitored vintages (monitor.vintages) together, as `scores` counts; a row a series.",
    {
        "scored_at": _SCORED_AT,
        "unique_id": UNIQUE_ID,
        "demand_class": text("smooth, erratic, intermittent, lumpy or none"),
        "volume_class": text("A, B or C"),
        "vintages": Column("integer", "vintages with a period that counts"),
        "periods": Column("integer", "observations behind the metrics", "vintages x periods"),
        "wape": Column("number", "sum of absolute errors over units sold, a share", null=True),
        "bias": Column("number", "sum of forecast - actual over units sold, a share", null=True),
        "mase": Column("number", "absolute error over the seasonal difference of the history", null=True),
        "pinball": Column("number", "mean loss over the quantiles", UNITS, null=True),
        "coverage": Column("number", "share of the actuals from p05 to p95", null=True),
        "naive_wape": Column("number", "wape of seasonal naive from the same cutoffs", null=True),
        "value_added": Column("number", "1 - wape / naive_wape: above 0 is better than naive", null=True),
        "tracking_signal": Column(
            "number",
            "sum of errors (forecast - actual) over their mean size (Brown, 1959), each period by the newest vintage "
            "before it; beyond +-4 is usually looked at, positive = forecast too high",
            null=True,
        ),
        "wape_trend": Column(
            "number",
            "wape of the newest 7 vintages less that of those before (7 at least), of the first bucket of vintages "
            "whose first bucket is over; positive = worse",
            null=True,
        ),
        "run_id": RUN_ID,
    },
    key=("scored_at", "unique_id"),
    partition=("scored_at",),
)

SCORE_TRENDS = Table(
    "score_trends",
    "WAPE of the newest 7 vintages whose bucket is over beside that of up to 28 before them (7 at least).",
    {
        "scored_at": _SCORED_AT,
        "level": text("as in `scores`"),
        "group": text("as in `scores`"),
        "bucket": text("as in `scores`; vintages count for a bucket once all of its periods have passed"),
        "vintages": Column("integer", "vintages behind the row, old and new"),
        "wape": Column("number", "mean over the newest 7 vintages"),
        "wape_before": Column("number", "mean over those before"),
        "change": Column("number", "wape / wape_before - 1: positive = worse", null=True),
        "slope": Column("number", "straight line through all of them (least squares)", "wape a vintage", null=True),
        "run_id": RUN_ID,
    },
    key=("scored_at", "level", "group", "bucket"),
    partition=("scored_at",),
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
        "model_version": text("version that made the vintage"),
        "run_id": RUN_ID,
    },
    key=("cutoff", "unique_id", "ds"),
    partition=("cutoff",),
)

DRIFT = Table(
    "drift",
    "Whether the world has moved: statistics of the newest window of periods, each with the limit that it may reach.",
    {
        "cutoff": CUTOFF,
        "kind": text("covariate, level, mix, missing, series or residual"),
        "subject": text("what it is measured on: a covariate, total, level=group, or a level for its mix"),
        "statistic": text("psi, ks, mean, change (of the log), share, new, vanished or cusum"),
        "value": Column("number", "the statistic"),
        "threshold": Column("number", "drift is what lies beyond it, on either side"),
        "drifted": Column("flag", "the value lies beyond the threshold"),
        "message": text("what was found, in plain words"),
        "run_id": RUN_ID,
    },
    key=("cutoff", "kind", "subject", "statistic"),
    partition=("cutoff",),
)

EXCEPTIONS = Table(
    "exceptions",
    "Series of a vintage that a planner should look at first, by the units at stake.",
    {
        "cutoff": CUTOFF,
        "unique_id": UNIQUE_ID,
        "rank": Column("integer", "1 = the most at stake"),
        "reason": text("stockout, new, fallback, jump, bias or error"),
        "stake": Column("number", "units over the horizon that the reason puts in doubt", "units"),
        "message": text("what was found, in plain words"),
        "model_version": text("version that made the vintage"),
        "run_id": RUN_ID,
    },
    key=("cutoff", "unique_id"),
    partition=("cutoff",),
)

EXPLANATIONS = Table(
    "explanations",
    "Why the exceptions' forecasts are what they are: units by model and group of features, which add up to the mean.",
    {"cutoff": CUTOFF, "unique_id": UNIQUE_ID, "ds": DS, "model": text("model of the blend")}
    | {"group": text("level, season, price, promotion, ...; history where the model tells no more")}
    | {"units": Column("number", "contribution to the mean", UNITS), "run_id": RUN_ID},
    key=("cutoff", "unique_id", "ds", "model", "group"),
    partition=("cutoff",),
)

MODEL_PROMOTIONS = Table(
    "promotions",
    "Every decision on which model forecasts: by the rules, by a person, or back to an earlier one.",
    {
        "cutoff": Column("date", "cutoff that the decision was taken at"),
        "version": text("version that was decided on"),
        "decision": text("promoted, waiting (for a person), kept (the champion stays), rolled_back or withdrawn"),
        "champion": text("version that was champion before", null=True),
        "by": text("`rules`, or the person who answered"),
        "reason": text("the rules' verdict, or why"),
        "note": text("what the person wrote", null=True),
        "metric": text("what was compared", null=True),
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
        "version": text("challenger"),
        "rival": text("champion that it was compared with"),
        "rule": text("rule of [train.judge]"),
        "segment": text("all, a demand class or a volume class"),
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
        "withdrawn_by": text("run that replaced them"),
        "withdrawn_at": Column("instant", "when, UTC"),
        "withdrawn_reason": text("why"),
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
        "table": text("source table"),
        "rule": text("rule by name; all = every row that was read"),
        "severity": text("quarantine, stop, warn or info"),
        "read": Column("integer", "rows read", "rows"),
        "clean": Column("integer", "rows that passed", "rows"),
        "quarantined": Column("integer", "rows set aside", "rows"),
        "passed": Column("flag", "the rule holds"),
        "message": text("what was found", null=True),
        "run_id": RUN_ID,
        "night": NIGHT,
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
        "table": text("source table"),
        "row": Column("integer", "number of the row in what was read that night, from 0"),
        "rule": text("rule by name"),
        "reason": text("what is wrong with the row"),
        "content": text("the row as JSON, in our column names"),
        "run_id": RUN_ID,
        "night": NIGHT,
    },
    key=("cutoff", "table", "row"),
    partition=("cutoff",),
)

RUNS = Table(
    "runs",
    "One row a step of a run: what it worked on, how long it took, how it ended.",
    {
        "run_id": text("run of the orchestrator, or of the command line"),
        "step": text(
            "extract, train, forecast, monitor, drift, exceptions, shadow, approve, rollback, health, alerts, ..."
        ),
        "cutoff": CUTOFF,
        "snapshot": text("version of the sales table", null=True),
        "model_version": text("version in the registry", null=True),
        "rows": Column("integer", "rows that the step wrote", "rows", null=True),
        "seconds": Column("number", "wall time", "seconds"),
        "outcome": text("done, skipped or failed"),
        "message": text("what came out, or the error", null=True),
        "started_at": Column("instant", "start, UTC"),
        "settings": text("digest of the configuration"),
        "code": text("version of the code"),
        "attempt": Column("integer", "how often the step was started in this run, from 1", null=True),
        "night": NIGHT,
    },
    key=("run_id", "step"),
    partition=("run_id", "step"),
)

ALERTS = Table(
    "alerts",
    "What needs a person: opened once, told once, seen again every night, closed when it is mended.",
    {
        "name": text("what kind: night, late, model, quality, ..."),
        "subject": text("what it is about"),
        "severity": text("info, warning or critical"),
        "message": text("what was found, as of the night that it was last seen"),
        "opened": Column("date", "cutoff of the night that it was first seen"),
        "seen": Column("date", "cutoff of the night that it was last seen"),
        "nights": Column("integer", "nights that it was seen", "nights"),
        "closed": Column("date", "cutoff of the night that it was mended; empty while it is open", null=True),
        "told": text("channels that have told of it"),
        "run_id": RUN_ID,
    },
    key=("name", "subject", "opened"),
    partition=("name", "subject", "opened"),
)

HEALTH = Table(
    "health",
    "Warning signs of the process itself, a row a night and sign.",
    {
        "cutoff": CUTOFF,
        "sign": text("what is measured; limits stand in [health]"),
        "value": Column("number", "the figure, in the sign's unit; empty where nothing can be said", null=True),
        "unit": text("unit of value, threshold and trend"),
        "threshold": Column("number", "largest value that is in order; empty: there is no limit", null=True),
        "breached": Column("flag", "the value is above the threshold"),
        "trend": Column(
            "number", "mean of the last 4 weeks less that of the 4 before; empty: too few nights", null=True
        ),
        "message": text("what was found, in plain words"),
        "run_id": RUN_ID,
    },
    key=("cutoff", "sign"),
    partition=("cutoff",),
)

WAREHOUSE = (
    FORECASTS, FORECAST_LEVELS, FORECAST_SUMS, FORECASTS_WITHDRAWN, BACKTESTS, SCORES, SERIES_SCORES, SCORE_TRENDS,
    LOST_DEMAND, DRIFT, EXCEPTIONS, EXPLANATIONS, MODEL_PROMOTIONS, JUDGEMENTS, QUALITY, QUARANTINE, RUNS, HEALTH,
    ALERTS, *PLANNING, *PLANNER,
)  # fmt: skip
