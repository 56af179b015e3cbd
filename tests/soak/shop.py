"""What is done to the shop's database and the stores, night by night."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import sqlalchemy as sa

from forecasting.settings import Settings
from forecasting.sources import demo, demo_shifts
from forecasting.stores.registry import Registry
from tests.soak.plan import Plan

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
        demo.advance(settings, plan.day(one))
        demo_shifts.apply(settings, plan.day(one), plan.shifts)
    if night in plan.silent:
        _execute(settings, f"DELETE FROM transactions WHERE {_RECORDED}", day)
    for event in plan.events.get(night, ()):
        if event == "broken":
            _break(settings, day, night)
        elif event == "twice":
            columns = "line_id, sold_at, shop, sku, quantity, unit_price, recorded_at"
            _execute(settings, f"INSERT INTO transactions SELECT {columns} FROM transactions WHERE {_RECORDED}", day)
        elif event == "corrected":
            before = day - timedelta(days=3)
            _execute(settings, f"UPDATE transactions SET quantity = quantity + 1 WHERE {_RECORDED}", before)


_RECORDED = "recorded_at >= :start AND recorded_at < :end"


def _execute(settings: Settings, statement: str, day: date) -> None:
    start = datetime.combine(day, datetime.min.time())
    with demo.opened(demo.shop_url(settings)) as connection:
        moments = {"start": str(start), "end": str(start + timedelta(days=1))}
        connection.execute(sa.text(statement), moments)


def _break(settings: Settings, day: date, night: int) -> None:
    """Lines that no till should write, so many that the share of quarantined rows stays below its limit."""
    names = ("sold_at", "shop", "sku", "quantity", "unit_price")
    with demo.opened(demo.shop_url(settings)) as connection:
        sku = connection.scalar(sa.select(sa.func.min(demo.TRANSACTIONS.c.sku)))
        for number, values in enumerate(BROKEN):
            row = {
                name: value.format(day=day).replace("?", sku) if isinstance(value, str) else value
                for name, value in zip(names, values, strict=True)
            }
            row |= {"line_id": 10**12 + night * 1000 + number, "recorded_at": f"{day} 23:00:00.000000"}
            columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"INSERT INTO transactions ({columns}) VALUES ({places})"), row)


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
