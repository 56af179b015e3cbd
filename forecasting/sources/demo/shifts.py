"""The demo retailer's world moves: what drift detection has to find, done to the shop's database night by night.

`apply` is called once after each `demo.advance`, which writes the night anew: so a night may still be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self

import numpy as np
import pandas as pd
import sqlalchemy as sa

from forecasting.core.config.settings import Settings
from forecasting.core.errors import SettingsError, SourceError, some
from forecasting.sources.demo import database
from forecasting.sources.demo.day import dates_of
from forecasting.sources.demo.world import World

HIGHER = 1.25  # factor of a price regime
EVERYTHING = "all"


@dataclass(frozen=True)
class Shift:
    """What happens from a day on. kind: doubled (target: category), lost_store (shop) or price (category or all)."""

    kind: str
    target: str
    since: date

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kind:target@YYYY-MM-DD`. Raises SettingsError."""
        name, separator, day = text.partition("@")
        kind, colon, target = name.partition(":")
        if not (separator and colon and target) or kind not in KINDS:
            raise SettingsError(f"shift {text!r}: write kind:target@YYYY-MM-DD, with one of the kinds {some(KINDS)}")
        try:
            return cls(kind, target, date.fromisoformat(day))
        except ValueError:
            raise SettingsError(f"shift {text!r}: {day!r} is no date; write it as YYYY-MM-DD") from None


def apply(settings: Settings, day: date, shifts: Sequence[Shift]) -> None:
    """Do to the night after `day`, which `demo.advance` has just written, what these shifts do.

    Raises SourceError where the target of one is not in the shop.
    """
    if not any(day >= shift.since for shift in shifts):
        return
    world = World.make(database.section(settings))
    with database.opened(database.shop_url(settings)) as connection:
        for shift in shifts:
            _check(shift, world)
            if day >= shift.since:
                KINDS[shift.kind](connection, world, shift, day)


def _check(shift: Shift, world: World) -> None:
    shops, categories = sorted(world.shops["shop"]), sorted(world.items["category"].unique())
    there = shops if shift.kind == "lost_store" else categories
    if shift.target not in there and (shift.kind, shift.target) != ("price", EVERYTHING):
        raise SourceError(
            f"shift {shift.kind}: the demo retailer has no {shift.target!r}; there are {some(there, 20)}."
        )


def _doubled(connection: sa.Connection, world: World, shift: Shift, day: date) -> None:
    """Every sale of the category's items on this day counts twice."""
    table = database.TRANSACTIONS
    wanted = table.c.sku.in_(_skus(world, shift.target))
    connection.execute(sa.update(table).where(wanted, *recorded(day)).values(quantity=table.c.quantity * 2))


def _lost_store(connection: sa.Connection, world: World, shift: Shift, day: date) -> None:  # noqa: ARG001
    """The shop's tills send nothing any more."""
    table = database.TRANSACTIONS
    connection.execute(sa.delete(table).where(table.c.shop == shift.target, *recorded(day)))


def _price(connection: sa.Connection, world: World, shift: Shift, day: date) -> None:
    """Shelf prices are a quarter higher, those that are planned too; what people buy stays."""
    ahead, first = day.toordinal() + database.AHEAD, day == shift.since
    changes = world.price_changes(day.toordinal() + 1 if first else ahead, ahead)
    if first:
        now = world.prices(np.array([day.toordinal()]))[0]
        shop, item = np.indices(now.shape)
        begin = {"item": item.ravel(), "shop": shop.ravel(), "valid_from": day.toordinal(), "price": now.ravel()}
        changes = pd.concat([pd.DataFrame(begin), changes], ignore_index=True)
    skus, shops = (world.items["sku"].to_numpy(dtype=object), world.shops["shop"].to_numpy(dtype=object))
    rows = pd.DataFrame(
        {
            "sku": skus[changes["item"]], "shop": shops[changes["shop"]],
            "valid_from": dates_of(changes["valid_from"].to_numpy()), "price": (changes["price"] * HIGHER).round(2),
        }
    )  # fmt: skip
    rows, table = rows[rows["sku"].isin(_skus(world, shift.target))], database.PRICES
    span = table.c.valid_from.between(day if first else day + timedelta(days=database.AHEAD), date.fromordinal(ahead))
    connection.execute(sa.delete(table).where(span, table.c.sku.in_(_skus(world, shift.target))))
    database.insert(connection, table, rows)


def _skus(world: World, category: str) -> list[str]:
    items = world.items
    wanted = items if category == EVERYTHING else items[items["category"] == category]
    return [str(sku) for sku in wanted["sku"]]


def recorded(day: date) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Lines that came in the night after a day."""
    first, column = datetime.combine(day, datetime.min.time()), database.TRANSACTIONS.c.recorded_at
    return column >= first, column < first + timedelta(days=1)


KINDS: dict[str, Callable[[sa.Connection, World, Shift, date], None]] = {
    "doubled": _doubled, "lost_store": _lost_store, "price": _price,
}  # fmt: skip
