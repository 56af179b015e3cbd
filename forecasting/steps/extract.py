"""Extract: read what is new, screen it, commit a snapshot, build the panel. A night that is not worth it stops here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import pandas as pd

from forecasting.data import canonical, coverage
from forecasting.data.blocks import lean
from forecasting.data.build import build_panel
from forecasting.data.frequency import Frequency
from forecasting.data.gates import gates, shrunk
from forecasting.data.lake_tables import EVENTS, INVENTORY, PRICES, PROMOTIONS, SIGNALS, STOCK, with_known_since
from forecasting.data.pieces import Pieces
from forecasting.data.quality import Known, goes_on_until, screen_attributes, screen_by_item, screen_sales, screen_table
from forecasting.data.schema import Table
from forecasting.data.sieve import Screened
from forecasting.data.tables import QUALITY, QUARANTINE
from forecasting.data.vintages import KNOWN_SINCE, RECORD
from forecasting.errors import DataQualityError
from forecasting.settings import Settings
from forecasting.sources import open_source
from forecasting.sources.mapping import days_of
from forecasting.steps.plans import Plans
from forecasting.steps.run import Run, record
from forecasting.stores.alone import alone
from forecasting.stores.changes import Change
from forecasting.stores.commits import Kept, Snapshot
from forecasting.stores.lake import Lake
from forecasting.stores.warehouse import Warehouse

# Nothing of a stopped night was taken in, so its rows are still at the source: examples are enough.
KEPT_OF_STOPPED = 1_000
LONG = ("sales", "prices")  # tables with a row a series and day, or nearly
PART = 500_000  # rows that are screened at once
GAPS = {"D": 7, "W": 14, "M": 62}  # days that a shop may be closed, by frequency, before its sales have ended
COVERED = 28  # nights whose coverage of the horizon says what is usual
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


@dataclass
class _Night:
    """What has been read and screened so far."""

    tables: dict[str, pd.DataFrame | Kept] = field(default_factory=dict)
    reports: list[pd.DataFrame] = field(default_factory=list)
    quarantined: list[pd.DataFrame] = field(default_factory=list)

    def take(self, name: str, screened: Screened) -> pd.DataFrame:
        """Keep a table's report and quarantine; give back its clean rows."""
        self.reports.append(screened.report)
        self.quarantined.append(screened.quarantined.assign(table=name))
        return screened.clean


def extract(settings: Settings, cutoff: date, run: Run, tell: Tell = log.info) -> dict[str, Any]:
    """One night's sales into a snapshot of the lake, and the panel of this cutoff.

    Returns cutoff, snapshot, digest, read, clean, quarantined (sales rows), series, periods. Raises SourceError for
    what cannot be read, DataQualityError where a stopping rule is broken: nothing is committed then, and the quality
    tables say why.
    """
    lean()
    with record(settings, run, "extract", cutoff) as outcome, alone(settings.warehouse, "extract"):
        lake = Lake(settings.lake)
        newest = lake.newest_cutoff()
        before = lake.newest_cutoff(before=cutoff)
        since = _since(settings, before)
        night = _Night()
        _read_others(settings, cutoff, night, (lake, before), tell)
        sales, read = _read_sales(settings, night, Known(cutoff, *_keys(night), newest), since)
        tell(f"sales: {read:,} rows read, {len(sales):,} days of series clean")
        night.reports += _known_before(settings, lake, sales, since, before)
        broken = _broken(night)
        if broken:
            night.quarantined = [rows.groupby("rule", sort=False).head(KEPT_OF_STOPPED) for rows in night.quarantined]
            _publish_quality(settings, night, cutoff, "", run)
            raise _stopped(cutoff, broken)
        snapshot = lake.commit(cutoff, sales, since, night.tables)
        outcome.snapshot = snapshot.id
        del sales
        night.tables.clear()  # what is built from is what was committed
        count, periods = _build(lake, settings, cutoff, snapshot, night)
        broken = _broken(night)
        if broken:  # its rows are in the lake, but without a panel nothing is made of them
            _publish_quality(settings, night, cutoff, snapshot.id, run)
            raise _stopped(cutoff, broken)
        tell(f"panel: {count:,} series x {periods:,} periods, snapshot {snapshot.id}")
        _publish_quality(settings, night, cutoff, snapshot.id, run)
        quarantined = len(night.quarantined[-1])
        outcome.rows = read
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


def _since(settings: Settings, before: date | None) -> date | None:
    """First day that is read: new ones, and those that are corrected late. None on the first night: everything.

    It follows from the night before, not from the newest one, so that a night that runs again reads the same days.
    """
    return None if before is None else before + timedelta(days=1 - settings.extract.correction_days)


def _read_sales(settings: Settings, night: _Night, known: Known, since: date | None) -> tuple[pd.DataFrame, int]:
    """Clean sales by day, and the number of rows read. What lies between cutoff and future waits for its own night."""
    source, table, rules = open_source(settings, "sales"), settings.extract.sales, settings.screen
    raw = source.read(since, known.cutoff)
    if rules.future_days is not None:
        later = source.read(known.future_from.date() + timedelta(days=1), None)
        days = days_of(later["ds"])
        gap = GAPS[settings.panel.frequency[0]]
        newest = goes_on_until(days_of(raw["ds"]), days, known.future_from.date(), gap)
        known = replace(known, newest=newest)
        # Without a day a row came with the first reading too, unless it looks like a later one, as 2026-13-01 does.
        undated = raw.loc[days_of(raw["ds"]).isna(), "ds"]
        missed = days.isna() & later["ds"].notna() & ~later["ds"].isin(undated.unique())
        later = later[(days > pd.Timestamp(newest) + pd.Timedelta(days=rules.future_days)) | missed]
        if len(later):
            raw = pd.concat([raw, later], ignore_index=True)
    screen = partial(screen_sales, table=table, rules=rules, known=known)
    # A line's id may repeat under another item, so lines that have one are compared all with all.
    screened = screen(raw) if "line" in raw else screen_by_item(raw, screen, PART)
    read = len(raw)
    del raw
    report = gates(screened, table, settings.panel.frequency, rules, known)
    clean = night.take("sales", Screened(screened.clean, screened.quarantined, pd.concat([screened.report, report])))
    return canonical.daily(clean, table), read


def _read_others(settings: Settings, cutoff: date, night: _Night, kept: tuple[Lake, date | None], tell: Tell) -> None:
    """Everything but the sales, whole: attributes, prices, promotions, events, stock, signals, and what was planned.

    A long table goes to the lake at once; it belongs to no snapshot until the night is committed. kept: the lake, and
    the cutoff of the night before.
    """
    lake, before = kept
    plans = Plans(settings, lake, before)
    frequency, signals = Frequency.parse(settings.panel.frequency), []
    horizon = frequency.range(frequency.last_complete(cutoff), settings.panel.horizon + 1)
    last = pd.Timestamp(frequency.end(horizon[-1]))
    for name in settings.source_tables():
        if name == "sales":
            continue
        clean, read = _read_other(settings, name, (cutoff, last), night)
        if name.startswith("signal_"):
            signals.append(clean)
        else:
            plans.add(name, clean)
            night.tables[name] = lake.keep(name, clean) if name in LONG else clean
        tell(f"{name}: {read:,} rows read")
    if signals:
        rows = pd.concat(signals, ignore_index=True)
        plans.add("signals", rows)
        night.tables["signals"] = rows
    recorded = plans.recorded(cutoff)
    if len(recorded):
        night.tables[RECORD] = recorded


def _read_other(
    settings: Settings, name: str, days: tuple[date, pd.Timestamp], night: _Night
) -> tuple[pd.DataFrame, int]:
    """Clean rows of one table, and the number of rows read. days: the cutoff; the last that promotions are followed."""
    cutoff, last = days
    if name == "inventory":
        raw = open_source(settings, name).read(cutoff - timedelta(days=_stock_days(settings)), cutoff)
        clean = night.take(name, screen_table(raw, name, INVENTORY))
        return canonical.newest(clean, pd.Timestamp(cutoff)), len(raw)
    raw = open_source(settings, name).read(None, None)
    if name in ("items", "stores"):
        return night.take(name, screen_attributes(raw, name, name.removesuffix("s"))), len(raw)
    if name.startswith("signal_"):
        declared = next(one for one in settings.extract.signals if f"signal_{one.name}" == name)
        return night.take(name, screen_table(canonical.signal(raw, declared), name, _as_read(SIGNALS, raw))), len(raw)
    if name == "stock":
        if "on_hand" in raw and settings.planning and not settings.extract.inventory:
            on_hand = screen_table(raw, name, INVENTORY).clean  # its broken rows are those of `stock`
            night.tables["inventory"] = canonical.newest(on_hand, pd.Timestamp(cutoff))
        clean = night.take(name, screen_table(canonical.stock(raw), name, STOCK))
        return canonical.out_of_stock(clean), len(raw)
    target = _as_read({"prices": PRICES, "promotions": PROMOTIONS, "events": EVENTS}[name], raw)
    rows, read = [canonical.promotions(raw, last) if name == "promotions" else raw], len(raw)
    del raw
    screen = partial(screen_table, name=name, target=target)
    if "item" not in rows[0]:
        return night.take(name, screen(rows.pop())), read
    return night.take(name, screen_by_item(rows.pop(), screen, PART)), read


def _as_read(table: Table, raw: pd.DataFrame) -> Table:
    return with_known_since(table) if KNOWN_SINCE in raw else table


def _stock_days(settings: Settings) -> int:
    return settings.planning.stock_days if settings.planning else 0


def _keys(night: _Night) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    found: list[frozenset[str] | None] = []
    for name in ("items", "stores"):
        table = night.tables.get(name)
        found.append(frozenset(table[name[:-1]].astype("str")) if isinstance(table, pd.DataFrame) else None)
    return found[0], found[1]


def _known_before(
    settings: Settings, lake: Lake, sales: pd.DataFrame, since: date | None, before: date | None
) -> list[pd.DataFrame]:
    """QUALITY of the days that were read before too, up to the last night's cutoff."""
    if before is None or since is None or since > before:
        return []
    read = int((sales["ds"] <= pd.Timestamp(before)).sum())
    return [shrunk(read, lake.count(lake.snapshot(before).id, since, before), since, before, settings.screen)]


def _broken(night: _Night) -> list[str]:
    report = pd.concat(night.reports)
    failed = report[(report["severity"] == "stop") & ~report["passed"].astype(bool)]
    return [f"{row.table}, rule {row.rule}: {row.message}" for row in failed.itertuples()]


def _stopped(cutoff: date, broken: list[str]) -> DataQualityError:
    return DataQualityError(
        f"The night of {cutoff} is not worth forecasting from, and nothing was published:\n  "
        + "\n  ".join(broken)
        + "\nSee the tables quality and quarantine; limits are in [screen]."
    )


def _build(lake: Lake, settings: Settings, cutoff: date, snapshot: Snapshot, night: _Night) -> tuple[int, int]:
    """The panel of this cutoff, into the lake: number of its series and periods. The long tables come in pieces.

    What it has of the horizon is reported first; there is no panel of a night that this stops.
    """
    tables: dict[str, pd.DataFrame | Pieces] = {
        name: partial(lake.pieces, snapshot.id, name) if name in LONG else lake.read(snapshot.id, name)
        for name in ("sales", *snapshot.versions)
    }
    with lake.scratch() as scratch:
        panel = build_panel(tables, settings, cutoff, snapshot.id, scratch)
        signals = [one.name for one in settings.extract.signals if one.known == "ahead"]
        night.reports.append(coverage.report(panel, _covered_before(settings, cutoff), settings.screen, signals))
        if not _broken(night):
            lake.write_panel(panel)
        return len(panel.y), len(panel.periods)


def _covered_before(settings: Settings, cutoff: date) -> dict[str, list[int]]:
    """By table, the cells of the horizon that the newest nights before recorded as covered."""
    rows = Warehouse(settings.warehouse).read(QUALITY, ["cutoff", "table", "read"], rule=coverage.RULE)
    rows = rows[rows["cutoff"] < pd.Timestamp(cutoff)].sort_values("cutoff")
    return {str(name): found["read"].tail(COVERED).tolist() for name, found in rows.groupby("table")}


def _publish_quality(settings: Settings, night: _Night, cutoff: date, snapshot: str, run: Run) -> None:
    """Reports and quarantine of this cutoff, replaced as a whole."""
    stamp: dict[str, Any] = {"cutoff": pd.Timestamp(cutoff), "snapshot": snapshot, "run_id": run.run_id}
    quality = pd.concat(night.reports, ignore_index=True).assign(**stamp)
    quarantine = pd.concat(night.quarantined, ignore_index=True).assign(**stamp)
    partition = {"cutoff": pd.Timestamp(cutoff)}
    changes = [Change(QUALITY, quality, partition), Change(QUARANTINE, quarantine, partition)]
    Warehouse(settings.warehouse).publish(changes)
