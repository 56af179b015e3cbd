"""What is done to the shop's database and the stores, night by night."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import sqlalchemy as sa

from forecasting.core.config.settings import Settings
from forecasting.sources.demo import database, shifts
from forecasting.sources.demo.shifts import recorded
from forecasting.storage.registry.registry import Registry
from tests.system.soak.plan import Plan

BROKEN = (  # sold_at, shop, sku, quantity, unit_price
    ("not a date", "S01", "?", 1, 1.0),
    (None, "S01", "?", 1, 1.0),
    ("2031-01-01 10:00:00", "S01", "?", 1, 1.0),
    ("{day} 10:00:00", None, "?", 1, 1.0),
    ("{day} 10:00:00", "S01", None, 1, 1.0),
    ("{day} 10:00:00", "S01", "NO-SUCH-ITEM", 1, 1.0),
    ("{day} 10:00:00", "NO-SUCH-SHOP", "?", 1, 1.0),
    ("{day} 10:00:00", "S01", "?", "many", 1.0),
    ("{day} 10:00:00", "S01", "?", 10_000_000, 1.0),
    ("{day} 10:00:00", "S01", "?", None, 1.0),
    ("{day} 10:00:00", "S01", "?", 1, 1e9),
)


def deliver(settings: Settings, plan: Plan, night: int) -> None:
    """Let the day pass, with all that the plan does to it. A delivery that was missing comes with the next one."""
    day = plan.day(night)
    made_up = [one for one in plan.silent if night == plan.silent[-1] + 1] + [night]
    for one in made_up:
        database.advance(settings, plan.day(one))
        shifts.apply(settings, plan.day(one), plan.shifts)
    table, events = database.TRANSACTIONS, plan.events.get(night, ())
    with database.opened(database.shop_url(settings)) as connection:
        if night in plan.silent:
            connection.execute(sa.delete(table).where(*recorded(day)))
        if "broken" in events:
            _break(connection, day, night)
        if "twice" in events:
            tonight = sa.select(table).where(*recorded(day))
            connection.execute(sa.insert(table).from_select(list(table.c), tonight))
        if "corrected" in events:
            before = recorded(day - timedelta(days=3))
            connection.execute(sa.update(table).where(*before).values(quantity=table.c.quantity + 1))


def _break(connection: sa.Connection, day: date, night: int) -> None:
    """Lines that no till should write, so many that the share of quarantined rows stays below its limit."""
    names = ("sold_at", "shop", "sku", "quantity", "unit_price")
    sku = connection.scalar(sa.select(sa.func.min(database.TRANSACTIONS.c.sku)))
    for number, values in enumerate(BROKEN):
        row = {
            name: value.format(day=day).replace("?", sku) if isinstance(value, str) else value
            for name, value in zip(names, values, strict=True)
        }
        row |= {"line_id": 10**12 + night * 1000 + number, "recorded_at": f"{day} 23:00:00.000000"}
        table = sa.table(database.TRANSACTIONS.name, *map(sa.column, row))  # without types, which would refuse the rows
        connection.execute(sa.insert(table).values(row))


class Tampered:
    """The newest champion's folder with a byte too many, until the end of the block."""

    def __init__(self, settings: Settings, cutoff: date) -> None:
        self._settings, self._cutoff = settings, cutoff
        self._file: Path | None = None
        self._before = b""

    def __enter__(self) -> Self:
        registry = Registry(self._settings.mlflow)
        champions = registry.champions(self._cutoff)
        if len(champions) > 1:  # with one alone nothing would be published, which is a test of its own
            folder = registry.fetch(champions[0].version)
            files = [path for path in folder.rglob("*") if path.is_file()]
            self._file = max(files, key=lambda path: path.stat().st_size)
            self._before = self._file.read_bytes()
            self._file.write_bytes(self._before + b" ")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.write_bytes(self._before)


def fingerprint(frame: pd.DataFrame) -> int:
    """Of a table's content, to tell whether readers saw it change."""
    return int(np.bitwise_xor.reduce(pd.util.hash_pandas_object(frame, index=False).to_numpy(), initial=np.uint64(0)))
