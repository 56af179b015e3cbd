"""What one day leaves behind in the demo retailer's systems: sales lines with their faults, stock-outs, the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from forecasting.sources.demo.facts import Days, Numbers
from forecasting.sources.demo.world import World

LINES_A_DAY = 1_000_000  # room for the numbers of a day's lines
LATE_DAYS = 2  # nights later that a late line arrives
LATE, RETURNED, SPLIT = 0.004, 0.008, 0.25  # share of lines late; of sales returned; of sales in two lines
DUPLICATED, NEGATIVE, UNKNOWN, FUTURE = 0.0010, 0.0004, 0.0004, 0.0002  # shares of lines: extra, broken ones


@dataclass(frozen=True)
class History:
    """Tables of a range of days, rows in order of day."""

    transactions: pd.DataFrame
    stock_levels: pd.DataFrame
    truth: pd.DataFrame


def live(world: World, days: Days) -> History:
    """Let these days (ordinals, rising) pass. A day's rows are the same whatever range it is part of."""
    expected, (first, out) = world.expected(days), world.stockouts(days)
    paid = np.round(world.prices(days) * (1 - world.discounts(days)), 2)
    lines, stock, truth = [], [], []
    for index, day in enumerate(days.tolist()):
        demand, draw = world.demand(day, expected[index])
        left = np.where(first[index], draw.binomial(demand, 0.5), 0)
        sold = np.where(out[index], left, demand)
        lines.append(_lines(sold, paid[index], day, draw))
        on_sale = expected[index] > 0
        stock.append(_positions(out[index] & on_sale, day))
        truth.append(_positions(on_sale, day) | {"demand": demand[on_sale], "expected": expected[index][on_sale]})
    return History(
        _transactions(world, _stacked(lines)),
        _named(world, _stacked(stock)).assign(on_hand=0),
        _named(world, _stacked(truth)),
    )


Columns = dict[str, np.ndarray]


def _lines(sold: np.ndarray, price: Numbers, day: int, draw: np.random.Generator) -> Columns:
    """Lines of a day: shop, item (positions, item -1 = a code that nobody knows), quantity, price, times, number."""
    shop, item = np.nonzero(sold)
    units = sold[shop, item]
    count = len(units)
    second = np.where(
        (draw.random(count) < SPLIT) & (units > 1), np.maximum(units * draw.uniform(0.2, 0.6, count), 1), 0
    )
    returned = draw.random(count) < RETURNED
    parts = [(units - second.astype(np.int64), np.ones(count, bool)), (second.astype(np.int64), second > 0)]
    parts.append((np.full(count, -1), returned))
    quantity = np.concatenate([part[chosen] for part, chosen in parts])
    series = np.concatenate([np.flatnonzero(chosen) for _, chosen in parts])
    total = len(quantity)
    rows: Columns = {
        "number": np.arange(total),
        "shop": shop[series],
        "item": item[series],
        "quantity": quantity,
        "unit_price": price[shop[series], item[series]],
        "day": np.full(total, day),
        "second": np.clip(draw.normal(14.5, 3.0, total) * 3600, 8 * 3600, 20 * 3600 - 1).astype(np.int64),
        "night": day + np.where(draw.random(total) < LATE, LATE_DAYS, 0),
    }
    return _with_faults(rows, total, day, draw)


def _with_faults(rows: Columns, total: int, day: int, draw: np.random.Generator) -> Columns:
    """Extra rows that screening has to find: the honest ones stay, so that clean sales still tell the truth."""
    counts = draw.poisson(total * np.array([DUPLICATED, NEGATIVE, UNKNOWN, FUTURE]))
    chosen = [draw.integers(0, max(total, 1), count) if total else np.empty(0, np.int64) for count in counts]
    duplicated, negative, unknown, future = ({name: values[rows_] for name, values in rows.items()} for rows_ in chosen)
    negative["unit_price"] = -negative["unit_price"]
    unknown["item"] = np.full(len(chosen[2]), -1)
    future["day"] = np.full(len(chosen[3]), day + 3653)
    fresh = [negative, unknown, future]
    start = total
    for extra in fresh:
        extra["number"] = start + np.arange(len(extra["number"]))
        extra["night"] = np.full(len(extra["number"]), day)
        start += len(extra["number"])
    return _stacked([rows, duplicated, *fresh]) | {"origin": np.full(total + int(counts.sum()), day)}


def _transactions(world: World, rows: Columns) -> pd.DataFrame:
    """Lines as the tills' export has them. `night` (ordinal) says when a line arrives."""
    shops = world.shops["shop"].to_numpy(dtype=object)
    skus = np.append(world.items["sku"].to_numpy(dtype=object), "XXX-999")
    return pd.DataFrame(
        {
            "line_id": rows["origin"] * LINES_A_DAY + rows["number"],
            "sold_at": _instants(rows["day"], rows["second"]),
            "shop": shops[rows["shop"]],
            "sku": skus[rows["item"]],
            "quantity": rows["quantity"],
            "unit_price": rows["unit_price"],
            "recorded_at": _instants(
                rows["night"], np.where(rows["night"] > rows["origin"], 22 * 3600, rows["second"])
            ),
            "night": rows["night"],
        }
    )


def _positions(mask: np.ndarray, day: int) -> Columns:
    shop, item = np.nonzero(mask)
    return {"day": np.full(len(shop), day), "shop": shop, "sku": item}


def _named(world: World, rows: Columns) -> pd.DataFrame:
    names = {"shop": world.shops["shop"], "sku": world.items["sku"]}
    texts = {column: values.to_numpy(dtype=object)[rows[column]] for column, values in names.items()}
    return pd.DataFrame(rows | {"day": dates_of(rows["day"])} | texts)


def _stacked(parts: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def dates_of(days: np.ndarray) -> np.ndarray:
    """Ordinals as datetime64[D]."""
    return np.datetime64("0001-01-01", "D") + (np.asarray(days, dtype=np.int64) - date(1, 1, 1).toordinal())


def _instants(days: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    instants: np.ndarray = dates_of(days).astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    return instants
