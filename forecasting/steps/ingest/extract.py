"""Extract: read what is new, screen it, commit a snapshot, build the panel. A night that is not worth it stops here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.errors import DataQualityError
from forecasting.core.night import Night
from forecasting.panel.build import build_panel
from forecasting.panel.chunks import Pieces
from forecasting.panel.memory import lean
from forecasting.quality import horizon_coverage, lake_rows
from forecasting.quality.gates import closed_for_good, gates, shrunk
from forecasting.quality.row_screen import Screened
from forecasting.quality.screening import Known, screen_by_item, screen_sales
from forecasting.sources import open_source
from forecasting.steps.ingest import other_tables, sales_rows
from forecasting.steps.ingest.other_tables import LONG, PART, Found
from forecasting.steps.run import Run, night_of, record
from forecasting.storage.lake.commits import Snapshot
from forecasting.storage.lake.lake import Lake
from forecasting.storage.locks import alone
from forecasting.storage.warehouse.changes import Change
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import QUALITY, QUARANTINE

# Nothing of a stopped night was taken in, so its rows are still at the source: examples are enough.
KEPT_OF_STOPPED = 1_000
COVERED = 28  # nights whose coverage of the horizon says what is usual
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def extract(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """One night's sales into a snapshot of the lake, and the panel of this cutoff.

    Returns cutoff, snapshot, digest, read, clean, quarantined (sales rows), series, periods. Raises SourceError for
    what cannot be read, DataQualityError where a stopping rule is broken: nothing is committed then, and the quality
    tables say why.
    """
    lean()
    night = night_of(settings, cutoff)
    with record(settings, run, "extract", night) as outcome, alone(settings.warehouse, "extract"):
        lake = Lake(settings.lake)
        before = _Before.of(settings, lake, night)
        since = before.since(settings)
        if night.within:
            tell(f"no period has ended since {night.cutoff}: its forecasts are made again from what is known by now")
        found = Found()
        other_tables.read(settings, cutoff, found, (lake, before.taken), tell)
        known = Known(cutoff, *_keys(found), lake.newest_cutoff())
        sales, read = _read_sales(settings, found, known, since, before.rows(settings, lake))
        found.read = read
        tell(f"sales: {read:,} rows read, {sales['y'].count():,} of {len(sales):,} days of series known")
        found.reports += _known_before(settings, lake, sales, before)
        broken = _broken(found)
        if broken:
            found.quarantined = [rows.groupby("rule", sort=False).head(KEPT_OF_STOPPED) for rows in found.quarantined]
            _publish_quality(settings, found, night, "", run)
            raise _stopped(cutoff, broken)
        snapshot = lake.commit(cutoff, sales, since, found.tables)
        outcome.snapshot = snapshot.id
        del sales
        found.tables.clear()  # what is built from is what was committed
        count, periods = _build(lake, settings, night, snapshot, found)
        broken = _broken(found)
        if broken:  # its rows are in the lake, but without a panel nothing is made of them
            _publish_quality(settings, found, night, snapshot.id, run)
            raise _stopped(cutoff, broken)
        tell(f"panel: {count:,} series x {periods:,} periods, snapshot {snapshot.id}")
        _publish_quality(settings, found, night, snapshot.id, run)
        quarantined, outcome.rows = len(found.quarantined[-1]), read
        outcome.message = f"{read - quarantined:,} of {read:,} sales rows clean, {count:,} series"
        return {
            "cutoff": cutoff.isoformat(),
            "snapshot": snapshot.id,
            "digest": snapshot.digest,
            "read": read,
            "clean": read - quarantined,
            "quarantined": quarantined,
            "series": count,
            "periods": periods,
        }


@dataclass(frozen=True)
class _Before:
    """The newest night of an earlier cutoff. taken: last day that its snapshot holds; cutoff: its own; None: no such.

    It is not the newest night of all, so that a night that runs again, and one more within the same week or month,
    reads the same days: what the newest night of a cutoff finds replaces what those before it found.
    """

    taken: date | None
    cutoff: date | None

    @classmethod
    def of(cls, settings: Settings, lake: Lake, night: Night) -> _Before:
        taken = lake.newest_cutoff(before=night.cutoff)
        return cls(taken, None if taken is None else night_of(settings, taken).cutoff)

    def since(self, settings: Settings) -> date | None:
        """First day that is read: new ones, and those that are corrected late. None on the first night: everything.

        Whole periods where rows name one: what is dated by its first day may come after the period.
        """
        if self.cutoff is None:
            return None
        first = pd.DatetimeIndex([self.cutoff + timedelta(days=1 - settings.extract.correction_days)])
        return sales_rows.read_from(settings, first)[0].date()

    def rows(self, settings: Settings, lake: Lake) -> pd.DataFrame | None:
        """Ready weeks, months or quarters that were taken in then; None where the sales are none."""
        if self.taken is None or not sales_rows.named(settings):
            return None
        return lake.read(lake.snapshot(self.taken).id, "sales")


def _read_sales(
    settings: Settings, found: Found, known: Known, since: date | None, history: pd.DataFrame | None
) -> tuple[pd.DataFrame, int]:
    """Clean sales by day, and the number of rows read. What lies between cutoff and future waits for its own night."""
    source, table, rules = open_source(settings, "sales"), settings.extract.sales, settings.screen
    raw = source.read(since, known.cutoff)
    known = replace(known, **sales_rows.dates(settings, raw, history))
    if rules.future_days is not None:
        known, later = sales_rows.later(settings, raw, known, rules.future_days)
        if len(later):
            raw = pd.concat([raw, later], ignore_index=True)
    screen = partial(screen_sales, table=table, rules=rules, known=known)
    # A line's id may repeat under another item, so lines that have one are compared all with all.
    screened = screen(raw) if "line" in raw else screen_by_item(raw, screen, PART)
    read = len(raw)
    del raw
    report = gates(screened, table, settings.panel.frequency, rules, known)
    reports = [screened.report, report]
    if known.labels is not None and len(screened.clean):
        reports.append(known.labels.report(screened.clean, pd.Timestamp(known.cutoff)))
    clean = found.take("sales", Screened(screened.clean, screened.quarantined, pd.concat(reports)))
    return lake_rows.daily(clean, table, _placed(screened.unknown, since, known.cutoff)), read


def _placed(unknown: pd.DataFrame | None, since: date | None, cutoff: date) -> pd.DataFrame | None:
    """Cells of unknown quantity within the days that this night commits."""
    if unknown is None:
        return None
    inside = unknown["ds"] <= pd.Timestamp(cutoff)
    if since is not None:
        inside &= unknown["ds"] >= pd.Timestamp(since)
    return unknown[inside]


def _keys(found: Found) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    keys: list[frozenset[str] | None] = []
    for name in ("items", "stores"):
        table = found.tables.get(name)
        keys.append(frozenset(table[name[:-1]].astype("str")) if isinstance(table, pd.DataFrame) else None)
    return keys[0], keys[1]


def _known_before(settings: Settings, lake: Lake, sales: pd.DataFrame, before: _Before) -> list[pd.DataFrame]:
    """QUALITY of the days that were read before too, up to the last night's cutoff."""
    since = before.since(settings)
    if before.taken is None or before.cutoff is None or since is None or since > before.cutoff:
        return []
    past = sales["ds"] < pd.Timestamp(before.cutoff + timedelta(days=1))
    read = int((past & sales["y"].notna()).sum())
    known = lake.count(lake.snapshot(before.taken).id, since, before.cutoff)
    return [shrunk(read, known, since, before.cutoff, settings.screen)]


def _broken(found: Found) -> list[str]:
    report = pd.concat(found.reports)
    failed = report[(report["severity"] == "stop") & ~report["passed"].astype(bool)]
    return [f"{row.table}, rule {row.rule}: {row.message}" for row in failed.itertuples()]


def _stopped(cutoff: date, broken: list[str]) -> DataQualityError:
    return DataQualityError(
        f"The night of {cutoff} is not worth forecasting from, and nothing was published:\n  "
        + "\n  ".join(broken)
        + "\nSee the tables quality and quarantine; limits are in [screen]."
    )


def _build(lake: Lake, settings: Settings, night: Night, snapshot: Snapshot, found: Found) -> tuple[int, int]:
    """The panel of this cutoff, into the lake: number of its series and periods. The long tables come in pieces.

    Closures and the plan's coverage of the horizon are reported first; there is no panel of a night that these stop.
    """
    tables: dict[str, pd.DataFrame | Pieces] = {
        name: partial(lake.pieces, snapshot.id, name) if name in LONG else lake.read(snapshot.id, name)
        for name in ("sales", *snapshot.versions)
    }
    with lake.scratch() as scratch:
        panel = build_panel(tables, settings, night.asked, snapshot.id, scratch)
        signals = [one.name for one in settings.extract.signals if one.known == "ahead"]
        found.reports.append(closed_for_good(panel, found.read))
        found.reports.append(horizon_coverage.report(panel, _covered_before(settings, night), settings.screen, signals))
        if not _broken(found):
            lake.write_panel(panel)
        return len(panel.y), len(panel.periods)


def _covered_before(settings: Settings, night: Night) -> dict[str, list[int]]:
    """By table, the cells of the horizon that the newest nights before recorded as covered."""
    rows = Warehouse(settings.warehouse).read(QUALITY, ["cutoff", "table", "read"], rule=horizon_coverage.RULE)
    rows = rows[rows["cutoff"] < night.day].sort_values("cutoff")
    return {str(name): found["read"].tail(COVERED).tolist() for name, found in rows.groupby("table")}


def _publish_quality(settings: Settings, found: Found, night: Night, snapshot: str, run: Run) -> None:
    """Reports and quarantine of this cutoff, replaced as a whole."""
    stamp: dict[str, Any] = {"cutoff": night.day, "snapshot": snapshot, "run_id": run.run_id}
    stamp["night"] = pd.Timestamp(night.asked)
    quality = pd.concat(found.reports, ignore_index=True).assign(**stamp)
    quarantine = pd.concat(found.quarantined, ignore_index=True).assign(**stamp)
    partition = {"cutoff": night.day}
    changes = [Change(QUALITY, quality, partition), Change(QUARANTINE, quarantine, partition)]
    Warehouse(settings.warehouse).publish(changes)
