"""Monitor: score past vintages against the actuals that are known by now, and count what stock-outs cost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.settings import Settings
from forecasting.evaluation.metrics import scales_at
from forecasting.evaluation.scores.series import SeriesScores
from forecasting.evaluation.scores.trends import BEFORE, NEWEST, trends
from forecasting.evaluation.scores.vintage import by_group, names, tally
from forecasting.models.baselines import SeasonalNaive
from forecasting.panel.hierarchy import SERIES, Level, levels
from forecasting.panel.panel import Matrix, Panel
from forecasting.panel.segments import segments
from forecasting.steps.forecast.vintage import QUANTILE_COLUMNS
from forecasting.steps.monitor import override_scores
from forecasting.steps.monitor.lost_demand import Stockouts
from forecasting.steps.run import Run, night_of, record
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.changes import Change
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS, LOST_DEMAND, SCORE_TRENDS, SCORES, SERIES_SCORES

MAX_GROUPS = 200  # levels with more are not scored group by group
TREND_COLUMNS = ("cutoff", "level", "group", "bucket", "value")
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def monitor(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """Score the newest vintages before `cutoff` on the periods known by it. Returns cutoff, vintages, rows, lost."""
    night = night_of(settings, cutoff)
    cutoff = night.cutoff
    with record(settings, run, "monitor", night) as outcome:
        warehouse = Warehouse(settings.warehouse)
        panel = Lake(settings.lake).read_panel(cutoff)
        outcome.snapshot = panel.snapshot
        past = _Past.of(settings, panel, warehouse.cutoffs(before=cutoff, most=settings.monitor.vintages))
        changes, scored, lost, newer = [], [], 0.0, None
        stockouts = Stockouts.of(Lake(settings.lake), settings, panel, min(past.vintages, default=cutoff))
        series = SeriesScores(len(panel.y))
        for vintage in past.vintages:
            numbers, version = _vintage(panel, vintage, past.known(vintage), warehouse)
            table, without = (
                past.score(vintage, newer, numbers, series),
                stockouts.lost(vintage, newer, numbers["mean"]),
            )
            day = pd.Timestamp(vintage)
            if len(table):
                scored.append(_told(table.assign(scored_at=pd.Timestamp(cutoff)), day, version, run))
                changes.append(Change(SCORES, scored[-1], {"cutoff": day}))
                tell(f"vintage {vintage}: {len(table)} scores")
            changes.append(Change(LOST_DEMAND, _told(without, day, version, run), {"cutoff": day}))
            lost, newer = lost + float(without["lost"].sum()), vintage
        if scored:
            stamp: dict[str, Any] = {"scored_at": pd.Timestamp(cutoff), "run_id": run.run_id}
            of_series = _of_series(past, series).assign(**stamp)
            over_time = trends(past.whole(pd.concat([_earlier(warehouse, past), *scored]))).assign(**stamp)
            changes.append(Change(SERIES_SCORES, of_series, {"scored_at": stamp["scored_at"]}))
            changes.append(Change(SCORE_TRENDS, over_time, {"scored_at": stamp["scored_at"]}))
            changes += override_scores.changes(warehouse, panel, past.actual, past.vintages, run)
            tell(f"{len(of_series):,} series scored")
        warehouse.publish(changes)
        outcome.rows = sum(len(table) for table in scored)
        outcome.message = f"{len(scored)} vintages scored"
        if newer is not None:
            outcome.message += f"; {lost:,.0f} units lost to stock-outs since {newer}"
        return {"cutoff": cutoff.isoformat(), "vintages": len(scored), "rows": outcome.rows, "lost": round(lost, 1)}


@dataclass(frozen=True)
class _Past:
    """What the vintages are scored against, newest vintage first.

    actual: (n_series, periods since the oldest vintage) units, NaN where it was not observed.
    scales: (n_series, n_vintages) denominators of MASE, each of the history at its vintage.
    """

    panel: Panel
    horizon: int
    vintages: Sequence[date]
    actual: Matrix
    scales: NDArray[np.float64]

    @classmethod
    def of(cls, settings: Settings, panel: Panel, vintages: Sequence[date]) -> _Past:
        first, periods = panel.frequency.end(panel.periods[0]), len(panel.periods)
        vintages = [day for day in vintages if day >= first and panel.position(day) < periods]
        ends = [panel.position(day) for day in vintages]
        start = min(ends, default=periods)
        actual = panel.y[:, start:]
        scales = scales_at(panel.y, panel.frequency.season, ends[::-1])[:, ::-1]
        return cls(panel, settings.panel.horizon, vintages, actual, scales)

    @cached_property
    def segments(self) -> list[Level]:
        """Demand and volume class of every series as of the cutoff of the actuals."""
        return segments(self.panel)

    @cached_property
    def levels(self) -> list[Level]:
        """Total, the declared levels and the segments, but for very fine ones."""
        found = levels(self.panel.series, self.panel.levels)
        found += [one for one in self.segments if one.name not in self.panel.levels]
        return [level for level in found if len(level.labels) <= MAX_GROUPS and level.name != SERIES]

    def known(self, vintage: date) -> int:
        """Periods of the vintage's horizon that have passed."""
        return min(len(self.panel.periods) - self.panel.position(vintage), self.horizon)

    def score(
        self, vintage: date, newer: date | None, numbers: dict[str, Matrix], series: SeriesScores
    ) -> pd.DataFrame:
        """Rows of SCORES of one vintage, which is also added to the scores by series. newer: the next vintage, if any.

        numbers: mean and quantiles, (n_series, periods known), NaN where the vintage has no such series.
        """
        known, start = self.known(vintage), self.panel.position(vintage)
        first = start - self.panel.position(self.vintages[-1])
        actual = np.where(np.isfinite(numbers["mean"]), self.actual[:, first : first + known], np.nan)
        naive = SeasonalNaive().predict(self.panel.until(vintage), known).mean
        buckets = names(self.horizon)
        scale = self.scales[:, self.vintages.index(vintage)]
        found = tally(actual, numbers, naive, scale, list(buckets.values()))
        series.add(found, whole=known >= next(iter(buckets.values()))[1])
        alone = known if newer is None else self.panel.position(newer) - start
        series.follow(actual[:, :alone], numbers["mean"][:, :alone])
        return by_group(found, self.levels, list(buckets))

    def whole(self, scores: pd.DataFrame) -> pd.DataFrame:
        """WAPE of the buckets that had passed as a whole when they were scored: cutoff, level, group, bucket, value."""
        last = scores["bucket"].map({bucket: last for bucket, (_, last) in names(self.horizon).items()})
        passed = self._count(scores["scored_at"]) - self._count(scores["cutoff"])
        return scores.loc[(scores["metric"] == "wape") & (passed >= last), list(TREND_COLUMNS)]

    def _count(self, days: pd.Series) -> pd.Series:
        """Periods of the panel that are over at each day."""
        frequency, periods = self.panel.frequency, self.panel.periods
        over = {day: periods.searchsorted(frequency.last_complete(day.date()), side="right") for day in days.unique()}
        return days.map(over)


def _told(table: pd.DataFrame, day: pd.Timestamp, version: str, run: Run) -> pd.DataFrame:
    return table.assign(cutoff=day, model_version=version, run_id=run.run_id)


def _vintage(panel: Panel, vintage: date, known: int, warehouse: Warehouse) -> tuple[dict[str, Matrix], str]:
    """The first `known` periods of a published vintage as (n_series, known) matrices by column, and its version.

    They are NaN for series that the vintage lacks.
    """
    columns = ["unique_id", "horizon", "mean", *QUANTILE_COLUMNS, "model_version"]
    horizon = list(range(1, known + 1))
    forecasts = warehouse.read(FORECASTS, columns, cutoff=pd.Timestamp(vintage), horizon=horizon)
    rows = pd.Index(panel.unique_ids).get_indexer(pd.Index(forecasts["unique_id"]))
    there = rows >= 0
    at = (rows[there], forecasts["horizon"].to_numpy(dtype=int)[there] - 1)
    numbers = {}
    for name in ("mean", *QUANTILE_COLUMNS):
        numbers[name] = np.full((len(panel.y), known), np.nan, dtype=np.float32)
        numbers[name][at] = forecasts[name].to_numpy(dtype=np.float32)[there]
    return numbers, str(forecasts["model_version"].iloc[0])


def _of_series(past: _Past, series: SeriesScores) -> pd.DataFrame:
    """Rows of SERIES_SCORES but for those without a period that counts."""
    table = series.table().assign(unique_id=past.panel.unique_ids)
    for one in past.segments:
        table[one.name] = one.labels[one.codes]
    return table[table["periods"] > 0]


def _earlier(warehouse: Warehouse, past: _Past) -> pd.DataFrame:
    """What vintages before those that are scored had when they were scored last: as many as trends look back on."""
    first = past.panel.frequency.end(past.panel.periods[0])
    days = warehouse.cutoffs(before=past.vintages[-1], most=NEWEST + BEFORE + past.horizon)
    days = [day for day in days if day >= first]
    return warehouse.read(SCORES, ["scored_at", "metric", *TREND_COLUMNS], metric="wape", cutoff=days)
