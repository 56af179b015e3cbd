"""The tables of a night beside the sales: read whole, screened, and compared with those of the night before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.frequency import Frequency
from forecasting.panel.covariates.known_since import KNOWN_SINCE, RECORD
from forecasting.quality import lake_rows
from forecasting.quality.row_screen import Screened
from forecasting.quality.screening import screen_attributes, screen_by_item, screen_table
from forecasting.sources import open_source, public_holidays
from forecasting.steps.ingest.known_plans import Plans
from forecasting.storage.lake.commits import Kept
from forecasting.storage.lake.lake import Lake
from forecasting.tables.lake import EVENTS, INVENTORY, PRICES, PROMOTIONS, SIGNALS, STOCK, with_known_since
from forecasting.tables.schema import Table

LONG = ("sales", "prices")  # tables with a row a series and day, or nearly
PART = 500_000  # rows that are screened at once
Tell = Callable[[str], None]


@dataclass
class Found:
    """Tables that have been read and screened so far. read: rows of the sales."""

    tables: dict[str, pd.DataFrame | Kept] = field(default_factory=dict)
    reports: list[pd.DataFrame] = field(default_factory=list)
    quarantined: list[pd.DataFrame] = field(default_factory=list)
    read: int = 0

    def take(self, name: str, screened: Screened) -> pd.DataFrame:
        """Keep a table's report and quarantine; give back its clean rows."""
        self.reports.append(screened.report)
        self.quarantined.append(screened.quarantined.assign(table=name))
        return screened.clean


def read(settings: Settings, cutoff: date, found: Found, kept: tuple[Lake, date | None], tell: Tell) -> None:
    """Everything but the sales, whole: attributes, prices, promotions, events, stock, signals, and the plans' record.

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
        clean, read = _read_other(settings, name, (cutoff, last), found)
        if name.startswith("signal_"):
            signals.append(clean)
        else:
            if name != "events":
                plans.add(name, clean)
            found.tables[name] = lake.keep(name, clean) if name in LONG else clean
        tell(f"{name}: {read:,} rows read")
    if settings.extract.holidays is not None:
        stores, events = (found.tables.get(name) for name in ("stores", "events"))
        reach = frequency.range(horizon[-1], frequency.before_event + 2)[-1].date()
        own = public_holidays.rows(settings.extract.holidays, _frame(stores), cutoff, reach)
        found.tables["events"] = public_holidays.merged(_frame(events), own)
        tell(f"holidays: {len(own):,} rows made")
    if (named := _frame(found.tables.get("events"))) is not None:
        plans.add("events", named)
    if signals:
        rows = pd.concat(signals, ignore_index=True)
        plans.add("signals", rows)
        found.tables["signals"] = rows
    recorded = plans.recorded(cutoff)
    if len(recorded):
        found.tables[RECORD] = recorded


def _frame(table: pd.DataFrame | Kept | None) -> pd.DataFrame | None:
    return table if isinstance(table, pd.DataFrame) else None


def _read_other(
    settings: Settings, name: str, days: tuple[date, pd.Timestamp], found: Found
) -> tuple[pd.DataFrame, int]:
    """Clean rows of one table, and the number of rows read. days: the cutoff; the last that promotions are followed."""
    cutoff, last = days
    if name == "inventory":
        raw = open_source(settings, name).read(cutoff - timedelta(days=_stock_days(settings)), cutoff)
        clean = found.take(name, screen_table(raw, name, INVENTORY))
        return lake_rows.newest(clean, pd.Timestamp(cutoff)), len(raw)
    raw = open_source(settings, name).read(None, None)
    if name in ("items", "stores"):
        return found.take(name, screen_attributes(raw, name, name.removesuffix("s"))), len(raw)
    if name.startswith("signal_"):
        declared = next(one for one in settings.extract.signals if f"signal_{one.name}" == name)
        return found.take(name, screen_table(lake_rows.signal(raw, declared), name, _as_read(SIGNALS, raw))), len(raw)
    if name == "stock":
        if "on_hand" in raw and settings.planning and not settings.extract.inventory:
            on_hand = screen_table(raw, name, INVENTORY).clean  # its broken rows are those of `stock`
            found.tables["inventory"] = lake_rows.newest(on_hand, pd.Timestamp(cutoff))
        clean = found.take(name, screen_table(lake_rows.stock(raw), name, STOCK))
        return lake_rows.out_of_stock(clean), len(raw)
    target = _as_read({"prices": PRICES, "promotions": PROMOTIONS, "events": EVENTS}[name], raw)
    rows, read = [lake_rows.promotions(raw, last) if name == "promotions" else raw], len(raw)
    del raw
    screen = partial(screen_table, name=name, target=target, rules=settings.screen)
    if "item" not in rows[0]:
        return found.take(name, screen(rows.pop())), read
    return found.take(name, screen_by_item(rows.pop(), screen, PART)), read


def _as_read(table: Table, raw: pd.DataFrame) -> Table:
    return with_known_since(table) if KNOWN_SINCE in raw else table


def _stock_days(settings: Settings) -> int:
    return settings.planning.stock_days if settings.planning else 0
