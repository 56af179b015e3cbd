"""Malformed source rows through the real extract: read = clean + quarantined, each row by a rule, from every source."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from forecasting.core.config import settings as configuration
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import QUALITY, QUARANTINE
from tests.support.servers.postgres import Server
from tests.system.chaos.deployment import fork

CUTOFF, DAYS = date(2026, 6, 30), 60
COLUMNS = ("line", "item", "store", "ds", "y", "price")
NASTY = {
    "item": [
        None, "", "  ", "MILK ", "milk", "NOSUCH", "' OR 1=1 --", "<script>alert(1)</script>", "\u202eMILK", "\ufeffA",
        "\uff21", "A\u0301", "\U0001f95b", "A,B", 'A"B', "A\nB", "A;B", "x" * 5000, "NaN", "null", "0x1F", "../../etc",
        "%s%n",
    ],
    "store": [None, "", " ", "S99", "s1", "S1;S2", "'; DROP TABLE sales; --", "\t", "S1\r\nS2", "None", "-"],
    "ds": [
        None, "", "2026-02-30", "2026-13-01", "0000-00-00", "9999-12-31", "0001-01-01", "30.06.2026", "06/30/2026",
        "20260630", "yesterday", "2026-06-3", "2026-06-30T25:00:00", "1782777600", "-1", "NaT", "2026-06-30 10:00:00",
        "2026-06-30T10:00:00+14:00", "2062-06-30", "1899-12-30", "2026\u201006\u201030",
    ],
    "y": [
        None, "", "NaN", "inf", "-inf", "1e400", "-1e9", "1,5", "1.5.1", "three", "--1", "0x10", "1_000", "\u0663",
        "1e6", "10000001", "-3", "0", "  7 ", "true", "9" * 400,
    ],
    "price": ["NaN", "inf", "-1", "1e12", "free", "\u20ac2.50", "", None, "2,50", "1e-400"],
    "line": [None, "", "1", "1", "\x01", "L" * 300],
}  # fmt: skip


def rows(folder: Path, server: Server | None, count: int, seed: int) -> list[dict]:
    """`count` malformed rows among good ones, through each kind of source."""
    made = _made(count, seed)
    found = []
    for name, write in _SOURCES.items():
        if name == "postgresql" and server is None:
            continue
        place = folder / f"fuzz-{name}"
        place.mkdir()
        source = write(made, place, server)
        found.append(
            {"name": f"{len(made):,} rows, {count:,} of them malformed, from {name}"} | _extracted(place, source, made)
        )
    return found


def _made(count: int, seed: int) -> list[list]:
    """Good lines of every item, store and day, and malformed ones among them, in an order of chance."""
    chance = random.Random(seed)
    days = [(CUTOFF - timedelta(days=back)).isoformat() for back in range(DAYS)]
    good = [["MILK", store, day, "3", "1.20"] for store in ("S1", "S2") for day in days]
    good += [["BREAD", "S1", day, "2", "2.50"] for day in days]
    bad = []
    for _ in range(count):
        row = [chance.choice(("MILK", "BREAD")), chance.choice(("S1", "S2")), chance.choice(days), "2", "1.99"]
        for column in chance.sample(range(5), chance.choice((1, 1, 1, 2, 3))):
            row[column] = chance.choice(NASTY[COLUMNS[column + 1]])
        bad.append(row)
    everything = [[str(1000 + number), *row] for number, row in enumerate(good + bad)]
    for row in everything[len(good) :]:
        if chance.random() < 0.05:  # another line's id, none, or a strange one
            row[0] = chance.choice([*NASTY["line"], str(1000 + chance.randrange(len(everything)))])
    chance.shuffle(everything)
    return everything


def _extracted(place: Path, source: str, made: list[list]) -> dict:
    """Run extract over them, and add up."""
    conf = place / "conf.toml"
    conf.write_text(
        f"{source}\n[screen]\nmax_quarantined = 1.0\nfuture_days = 1\n[panel]\nhorizon = 7\nlevels = ['store']\n"
        f"[lake]\npath = '{place}/lake'\n[warehouse]\nurl = 'sqlite:///{place}/warehouse.db'\n"
        f"[mlflow]\ntracking_uri = 'sqlite:///{place}/mlflow.db'\nartifacts = '{place}/artifacts'\n"
    )
    from forecasting.__main__ import main

    child = fork(lambda: main(["extract", "--conf", str(conf), "--cutoff", CUTOFF.isoformat()]), place / "log")
    if child.wait() != 0:
        return {"found": "", "problems": [f"extract ended with {child.code}: {child.said()[-500:]}"]}
    warehouse = Warehouse(configuration.load(conf).warehouse)
    quality, quarantine = warehouse.read(QUALITY, table="sales"), warehouse.read(QUARANTINE, table="sales")
    total = quality[quality["rule"] == "all"].iloc[0]
    by_rule = quarantine["rule"].value_counts().to_dict()
    stated = quality[quality["severity"] == "quarantine"].set_index("rule")["quarantined"]
    checks = {
        f"{total['read']:,} rows read of {len(made):,}": total["read"] == len(made),
        "read is not clean + quarantined": total["read"] == total["clean"] + total["quarantined"],
        "quarantine does not hold what quality counts": len(quarantine) == total["quarantined"],
        "a row without rule or reason": (quarantine[["rule", "reason"]].fillna("") != "").all(axis=None),
        "a row is there twice": quarantine["row"].is_unique,
        "rules do not add up": by_rule == {rule: count for rule, count in stated.items() if count},
    }
    problems = [text for text, holds in checks.items() if not holds]
    rules = ", ".join(f"{count:,} {rule}" for rule, count in sorted(by_rule.items()))
    counts = f"{total['read']:,} read = {total['clean']:,} clean + {total['quarantined']:,} quarantined ({rules})"
    return {"found": counts, "problems": problems}


def _tables(kind: str, address: str, what: str) -> str:
    places = {
        name: f"[extract.{name}]\nsource = 'shop'\n{what.format(name=name)}\n" for name in ("sales", "items", "stores")
    }
    places["sales"] += "grain = 'transactions'\ncolumns = { line = 'line', price = 'price', store = 'store' }\n"
    return f"[sources.shop]\nkind = '{kind}'\n{address}\n" + "".join(places.values())


def _sql(made: list[list], place: Path, server: Server | None, url: str | None = None) -> str:
    url = url or f"sqlite:///{place}/shop.db"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    kind = "" if url.startswith("sqlite") else " TEXT"
    columns = [f"{name} TEXT" if name == "ds" else name + kind for name in COLUMNS]
    marks = ", ".join(f":{name}" for name in COLUMNS)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE sales ({', '.join(columns)})")
        connection.exec_driver_sql("CREATE TABLE items (item TEXT)")
        connection.exec_driver_sql("CREATE TABLE stores (store TEXT)")
        connection.execute(
            sa.text(f"INSERT INTO sales VALUES ({marks})"),
            [dict(zip(COLUMNS, row, strict=True)) for row in _typed(made, kind)],
        )
        connection.exec_driver_sql("INSERT INTO items VALUES ('MILK'), ('BREAD')")
        connection.exec_driver_sql("INSERT INTO stores VALUES ('S1'), ('S2')")
    return _tables("sql", f"url = '{url}'", "table = '{name}'")


def _typed(made: list[list], kind: str) -> list[list]:
    """SQLite's columns take any type: every third row has real numbers, and some bytes."""
    if kind:
        return made
    typed = []
    for number, row in enumerate(made):
        mixed = list(row)
        if number % 3 == 0:
            for column in (4, 5):
                try:
                    mixed[column] = float(row[column])
                except (TypeError, ValueError):
                    mixed[column] = b"\xff\x00bytes" if number % 2 else row[column]
        typed.append(mixed)
    return typed


def _postgresql(made: list[list], place: Path, server: Server | None) -> str:
    assert server is not None
    server.execute('DROP DATABASE IF EXISTS "fuzz"', 'CREATE DATABASE "fuzz"')
    return _sql(made, place, server, server.database("fuzz"))


def _csv(made: list[list], place: Path, server: Server | None) -> str:
    for name, header, lines in _files(made):
        with (place / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(lines)
    return _tables("files", f"path = '{place}'", "path = '{name}.csv'")


def _parquet(made: list[list], place: Path, server: Server | None) -> str:
    for name, header, lines in _files(made):
        frame = pd.DataFrame(lines, columns=list(header), dtype=object)
        schema = pa.schema([(column, pa.string()) for column in header])
        pq.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), place / f"{name}.parquet")
    return _tables("files", f"path = '{place}'", "path = '{name}.parquet'")


def _files(made: list[list]) -> list[tuple[str, tuple[str, ...], list[list]]]:
    return [
        ("sales", COLUMNS, made),
        ("items", ("item",), [["MILK"], ["BREAD"]]),
        ("stores", ("store",), [["S1"], ["S2"]]),
    ]


_SOURCES: dict[str, Callable[[list[list], Path, Server | None], str]] = {
    "sqlite": _sql, "postgresql": _postgresql, "csv": _csv, "parquet": _parquet,
}  # fmt: skip
