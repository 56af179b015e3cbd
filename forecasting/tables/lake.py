"""Every table of the lake: the versioned inputs (Delta) that everything is made from; warehouse.py has the outputs."""

from __future__ import annotations

from dataclasses import replace

from forecasting.tables.schema import Column, Table, text

_ITEM = text("item")
_STORE = text("store; empty where the business has none")
_DATE = Column("date", "business day, or first day of the period for ready periods")

SALES = Table(
    "sales",
    "Clean sales, one row a series and day; each version of the table is a snapshot.",
    {
        "item": _ITEM,
        "store": _STORE,
        "ds": _DATE,
        "y": Column("number", "units sold, returns by policy; empty: a row is in quarantine", "units a day", null=True),
    },
    key=("item", "store", "ds"),
)
PRICES = Table(
    "prices",
    "Prices, valid from a day until the next row.",
    {
        "item": _ITEM,
        "store": text("store; empty = all"),
        "ds": _DATE,
        "price": Column("number", "price", "money a unit"),
    },
    key=("item", "store", "ds"),
)
PROMOTIONS = Table(
    "promotions",
    "Promotions by day.",
    {
        "item": _ITEM,
        "store": text("store; empty = all"),
        "ds": _DATE,
        "value": Column("number", "1, or the depth of the discount as a share"),
    },
    key=("item", "store", "ds"),
)
EVENTS = Table(
    "events",
    "Named days.",
    {
        "ds": _DATE,
        "event": text("name"),
        "store": text("store; empty = all"),
        "group": text("value of the attribute in `by`; empty = all"),
    },
    key=("ds", "event", "store", "group"),
)
STOCK = Table(
    "stock",
    "Days on which an item was out of stock; every other day it was in stock.",
    {"item": _ITEM, "store": _STORE, "ds": _DATE, "in_stock": Column("flag", "could be bought")},
    key=("item", "store", "ds"),
)
INVENTORY = Table(
    "inventory",
    "Stock of every item and store as of the cutoff: what is there and under way, and terms of its own for an order.",
    {
        "item": _ITEM,
        "store": _STORE,
        "ds": Column("date", "day that the numbers are of"),
        "on_hand": Column("number", "what can be sold", "units"),
        "on_order": Column("number", "ordered and not yet there", "units", null=True),
        "lead_time": Column("number", "from an order to its arrival", "periods", null=True),
        "review": Column("number", "from one order to the next", "periods", null=True),
        "service_level": Column("number", "share of order cycles with stock to their end", null=True),
        "pack_size": Column("number", "an order is a multiple of it", "units", null=True),
        "minimum_order": Column("number", "an order is at least this", "units", null=True),
    },
    key=("item", "store", "ds"),
)
SIGNALS = Table(
    "signals",
    "Further signals by date.",
    {
        "signal": text("name of the signal"),
        "item": text("item; empty = all"),
        "store": text("store; empty = all"),
        "group": text("value of the attribute in `by`; empty = all"),
        "ds": Column("date", "date; empty for a static signal", null=True),
        "value": Column("number", "value, in the signal's own unit"),
    },
    key=("signal", "item", "store", "group", "ds"),
)
VINTAGES = Table(
    "vintages",
    "Rows of prices, promotions, events and signals that nights saw for the first time or no more: plans as they were.",
    {
        "table": text("prices, promotions, events or the name of the signal"),
        "item": text("item; empty = all"),
        "store": text("store; empty = all"),
        "group": text("name of the event, or the signal's value of the attribute in `by`"),
        "ds": Column("date", "day that the row is of"),
        "value": Column("number", "price, value of the promotion or signal; 1 for an event"),
        "known_since": Column("date", "cutoff of the first night that saw it; empty: seen by the first", null=True),
        "withdrawn": Column("date", "cutoff of the first night that saw it no more", null=True),
    },
    key=("table", "item", "store", "group", "ds", "value"),
)
_KNOWN_SINCE = Column("date", "day since which the row is known, where the source has it", null=True)


def with_known_since(table: Table) -> Table:
    """A table known ahead whose source says since when each row is known."""
    return replace(table, columns=dict(table.columns) | {"known_since": _KNOWN_SINCE})


# items and stores carry whatever attributes the business has, so they have no fixed columns.
LAKE = (SALES, PRICES, PROMOTIONS, EVENTS, STOCK, INVENTORY, SIGNALS, VINTAGES)
