"""The demo retailer's database: `create` writes its history, `advance` lets one more day pass.

Public: create, advance, exists, next_cutoff, truth_url; for `demo_shifts` also section, shop_url, opened, insert. The
shop's tables lie in the database that the sales are extracted from; the truth (demand that stock-outs hide) is kept in
a file of its own, for measuring only.

What is planned ahead (promotions, prices, holidays, launches) is written when it becomes known, LEAD days before it
begins; a night's rows are replaced as a whole, so a night may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from forecasting.core.config.sections import DemoSettings, SqlSource
from forecasting.core.config.settings import Settings
from forecasting.core.errors import SourceError
from forecasting.sources.demo.day import LATE_DAYS, dates_of, live
from forecasting.sources.demo.facts import REGIONS, named_days
from forecasting.sources.demo.stock import stock
from forecasting.sources.demo.world import World

BATCH = 50_000  # rows inserted at a time
AHEAD, HOLIDAYS_AHEAD, LAUNCH_AHEAD = 90, 400, 30  # days that prices and promotions, holidays, items are known before

SHOP, TRUTH = sa.MetaData(), sa.MetaData()


def _table(metadata: sa.MetaData, name: str, /, **columns: Any) -> sa.Table:
    return sa.Table(name, metadata, *(sa.Column(column, kind) for column, kind in columns.items()))


TRANSACTIONS = _table(
    SHOP, "transactions", line_id=sa.BigInteger, sold_at=sa.DateTime, shop=sa.Text, sku=sa.Text,
    quantity=sa.Integer, unit_price=sa.Float, recorded_at=sa.DateTime,
)  # fmt: skip
ITEMS = _table(SHOP, "items", sku=sa.Text, category=sa.Text, brand=sa.Text, launched=sa.Date, list_price=sa.Float)
SHOPS = _table(SHOP, "shops", shop=sa.Text, city=sa.Text, region=sa.Text, size=sa.Text, opened=sa.Date)
PROMOTIONS = _table(SHOP, "promotions", sku=sa.Text, shop=sa.Text, start=sa.Date, end=sa.Date, discount=sa.Float)
PRICES = _table(SHOP, "prices", sku=sa.Text, shop=sa.Text, valid_from=sa.Date, price=sa.Float)
HOLIDAYS = _table(SHOP, "holidays", day=sa.Date, name=sa.Text)
STOCK_LEVELS = _table(SHOP, "stock_levels", day=sa.Date, shop=sa.Text, sku=sa.Text, on_hand=sa.Integer)
WEATHER = _table(SHOP, "weather", day=sa.Date, region=sa.Text, temperature=sa.Float)
STOCK_POSITIONS = _table(
    SHOP, "stock_positions", day=sa.Date, shop=sa.Text, sku=sa.Text, on_hand=sa.Integer, on_order=sa.Integer,
    lead_time=sa.Integer, pack_size=sa.Integer, minimum_order=sa.Integer,
)  # fmt: skip
DEMAND = _table(TRUTH, "truth", day=sa.Date, shop=sa.Text, sku=sa.Text, demand=sa.Integer, expected=sa.Float)
for _column in (
    TRANSACTIONS.c.recorded_at,
    TRANSACTIONS.c.sold_at,
    STOCK_LEVELS.c.day,
    STOCK_POSITIONS.c.day,
    DEMAND.c.day,
):
    sa.Index(f"{_column.table.name}_{_column.name}", _column)


@dataclass(frozen=True)
class Nightly:
    """A table that grows: `column` dates its rows, which become known `lead` days before."""

    table: sa.Table
    column: str
    lead: int = 0


NIGHTLY = (
    Nightly(TRANSACTIONS, "recorded_at"),
    Nightly(STOCK_LEVELS, "day"),
    Nightly(STOCK_POSITIONS, "day"),
    Nightly(WEATHER, "day"),
    Nightly(ITEMS, "launched", LAUNCH_AHEAD),
    Nightly(PROMOTIONS, "start", AHEAD),
    Nightly(PRICES, "valid_from", AHEAD),
    Nightly(HOLIDAYS, "day", HOLIDAYS_AHEAD),
)


def create(settings: Settings) -> None:
    """Write the shop's tables, anew, with all its history up to the first cutoff. Raises SourceError."""
    demo, world = section(settings), World.make(section(settings))
    cutoff = date.fromisoformat(demo.first_cutoff).toordinal()
    rows = _rows(world, world.first, cutoff, since=None)
    with opened(shop_url(settings)) as connection:
        SHOP.drop_all(connection)
        SHOP.create_all(connection)
        insert(connection, SHOPS, world.shops)
        for nightly in NIGHTLY:
            insert(connection, nightly.table, rows[nightly.table.name])
    with opened(truth_url(settings)) as connection:
        TRUTH.drop_all(connection)
        TRUTH.create_all(connection)
        insert(connection, DEMAND, rows["truth"])


def advance(settings: Settings, day: date) -> None:
    """Write what becomes known in the night after `day`, replacing what that night had written. Raises SourceError."""
    if not exists(settings):
        raise SourceError("The demo retailer has no database yet. Make it first: python -m forecasting demo --conf ...")
    world, number = World.make(section(settings)), day.toordinal()
    rows = _rows(world, number, number, since=number)
    if day < date.fromisoformat(section(settings).first_cutoff):  # the history that was made has none of these
        rows["stock_positions"] = rows["stock_positions"].iloc[:0]
    with opened(shop_url(settings)) as connection:
        SHOP.create_all(connection)  # tables that a shop of an earlier version lacks
        for nightly in NIGHTLY:
            first = datetime.combine(day + timedelta(days=nightly.lead), datetime.min.time())
            _replace(connection, nightly.table, nightly.column, first, rows[nightly.table.name])
    with opened(truth_url(settings)) as connection:
        _replace(connection, DEMAND, "day", datetime.combine(day, datetime.min.time()), rows["truth"])


def exists(settings: Settings) -> bool:
    """Whether the shop's database is there, with sales in it. Raises SourceError where there is no [demo] section."""
    return _newest_day(settings) is not None


def next_cutoff(settings: Settings) -> date:
    """Newest day in the shop's database: the last one whose sales are known. Raises SourceError where there is none."""
    newest = _newest_day(settings)
    if newest is None:
        raise SourceError("The demo retailer has no database yet. Make it first: python -m forecasting demo --conf ...")
    return newest


def truth_url(settings: Settings) -> str:
    """Where the truth is kept: for SQLite a file beside the shop's (shop.db: shop_truth.db), else the same database."""
    url = sa.make_url(shop_url(settings))
    if url.get_backend_name() == "sqlite" and url.database:
        file = Path(url.database)
        url = url.set(database=str(file.with_name(f"{file.stem}_truth{file.suffix}")))
    return url.render_as_string(hide_password=False)


def _rows(world: World, start: int, end: int, since: int | None) -> dict[str, pd.DataFrame]:
    """By table: what becomes known in the nights from start to end (`since` None: or was known before)."""
    days = np.arange(start if since is None else start - LATE_DAYS, end + 1)
    history = live(world, days)
    lines = history.transactions
    lines = lines[lines["night"].between(start, end)].drop(columns="night")
    temperature = np.round(world.warmth(days)[0], 1)
    weather = pd.DataFrame({"day": np.repeat(dates_of(days), len(REGIONS)), "region": list(REGIONS) * len(days)})
    first = dates_of(np.array([start]))[0]
    rows = {"transactions": lines} | _planned(world, start, end, since)
    known_that_day = {
        "stock_levels": history.stock_levels, "weather": weather.assign(temperature=temperature.ravel()),
        "truth": history.truth, "stock_positions": _stock(world, end),
    }  # fmt: skip
    return rows | {name: frame[frame["day"] >= first] for name, frame in known_that_day.items()}


def _stock(world: World, day: int) -> pd.DataFrame:
    """Of the last day only: nobody asks what was on the shelves before."""
    rows = stock(world, day)
    names = {"shop": world.shops["shop"], "sku": world.items["sku"]}
    texts = {name: values.to_numpy(dtype=object)[rows[name]] for name, values in names.items()}
    return rows.assign(day=dates_of(np.full(len(rows), day)), **texts)


def _planned(world: World, start: int, end: int, since: int | None) -> dict[str, pd.DataFrame]:
    shops, skus = world.shops["shop"].to_numpy(dtype=object), world.items["sku"].to_numpy(dtype=object)
    begin = start if since is None else start + AHEAD
    promotions = world.promotions(begin, end + AHEAD)
    sold = world.delisted[promotions["item"]] > promotions["start"]
    sold &= world.launched[promotions["item"]] <= promotions["start"]
    promotions = promotions[sold]
    prices = world.price_changes(begin, end + AHEAD)
    launched = world.items["launched"].map(date.toordinal)
    new = launched.between(0 if since is None else start + LAUNCH_AHEAD, end + LAUNCH_AHEAD)
    days = list(named_days(start if since is None else start + HOLIDAYS_AHEAD, end + HOLIDAYS_AHEAD))
    return {
        "items": world.items[new],
        "promotions": pd.DataFrame({
            "sku": skus[promotions["item"]],
            "shop": [None if shop < 0 else shops[shop] for shop in promotions["shop"].tolist()],
            "start": dates_of(promotions["start"].to_numpy()),
            "end": dates_of(promotions["end"].to_numpy()),
            "discount": promotions["discount"].to_numpy(),
        }),
        "prices": pd.DataFrame({
            "sku": skus[prices["item"]],
            "shop": shops[prices["shop"]],
            "valid_from": dates_of(prices["valid_from"].to_numpy()),
            "price": prices["price"].to_numpy(),
        }),
        "holidays": pd.DataFrame(days, columns=["day", "name"]),
    }  # fmt: skip


def section(settings: Settings) -> DemoSettings:
    """[demo] of the configuration. Raises SourceError where there is none."""
    if settings.demo is None:
        raise SourceError("The configuration has no [demo] section: it describes a business of your own, not the demo.")
    return settings.demo


def shop_url(settings: Settings) -> str:
    """Where the shop's tables lie: the database that its sales are extracted from. Raises SourceError."""
    section(settings)
    source = settings.sources[settings.extract.sales.source]
    if not isinstance(source, SqlSource):
        raise SourceError(
            f"sources.{settings.extract.sales.source} is of kind {source.kind}; the demo writes a database."
        )
    return source.url


@contextmanager
def opened(address: str) -> Iterator[sa.Connection]:
    """One transaction; a SQLite file's folder is made."""
    url = sa.make_url(address)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise SourceError(f"The demo's database {url.render_as_string(hide_password=True)}: {cause}") from error
    finally:
        engine.dispose()


def _newest_day(settings: Settings) -> date | None:
    url = sa.make_url(shop_url(settings))
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return None
    with opened(shop_url(settings)) as connection:
        if not sa.inspect(connection).has_table(TRANSACTIONS.name):
            return None
        newest: datetime | None = connection.scalar(sa.select(sa.func.max(TRANSACTIONS.c.recorded_at)))
    return newest.date() if newest else None


def _replace(connection: sa.Connection, table: sa.Table, column: str, first: datetime, rows: pd.DataFrame) -> None:
    """The rows of one day, instead of those that are there."""
    moment: Mapping[bool, Any] = {True: first, False: first.date()}
    timed = isinstance(table.c[column].type, sa.DateTime)
    after = first + timedelta(days=1)
    before = table.c[column] < (after if timed else after.date())
    connection.execute(sa.delete(table).where(table.c[column] >= moment[timed], before))
    insert(connection, table, rows)


def insert(connection: sa.Connection, table: sa.Table, rows: pd.DataFrame) -> None:
    """Rows by the driver's own bulk call: SQLAlchemy's handling of each value would take most of the time."""
    statement = sa.insert(table).compile(connection, column_keys=list(table.columns.keys()))
    names = [column.name for column in table.columns]
    for start in range(0, len(rows), BATCH):
        part = rows.iloc[start : start + BATCH]
        records = list(zip(*(_values(part[column.name], column.type) for column in table.columns), strict=True))
        given: Any = records if statement.positional else [dict(zip(names, row, strict=True)) for row in records]
        connection.exec_driver_sql(str(statement), given)


def _values(values: pd.Series, kind: sa.types.TypeEngine[Any]) -> list[Any]:
    """Values that every driver takes; dates as ISO texts."""
    if not isinstance(kind, sa.DateTime | sa.Date):
        return values.astype(object).where(values.notna(), None).tolist()
    instants = values.to_numpy(dtype="datetime64[us]")
    if isinstance(kind, sa.Date):
        days: list[Any] = np.datetime_as_string(instants, unit="D").tolist()
        return days
    return [text.replace("T", " ") for text in np.datetime_as_string(instants, unit="us").tolist()]
