"""Adding up pushed down to the database by a view (docs/scale.md): the same days, broken lines apart."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.core.config.settings import Settings
from forecasting.steps.ingest.extract import extract
from forecasting.steps.run import Run
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import QUARANTINE

CUTOFF = date(2026, 6, 28)
TEXT = Path(__file__).parents[3] / "docs" / "scale.md"
SOUND: list[tuple[Any, ...]] = [
    (item, store, f"{CUTOFF - timedelta(days=day)} 1{line}:30:00", 1 + line + (day + len(item)) % 3, 1.5)
    for day in range(28)
    for store in ("north", "south")
    for item in ("milk", "bread")
    for line in range(5)
] + [("milk", "north", f"{CUTOFF} 12:00:00", -2, 1.5), ("bread", "south", f"{CUTOFF} 12:00:00", -99, None)]
NOON = f"{CUTOFF} 12:00:00"
BROKEN: list[tuple[Any, ...]] = [
    (None, "north", NOON, 1, 1.5), ("", "north", NOON, 1, 1.5), ("milk", None, NOON, 2, 1.5),
    ("milk", "north", None, 3, 1.5), ("milk", "north", NOON, None, 1.5), ("milk", "north", NOON, 2_000_000, 1.5),
    ("milk", "north", NOON, 2_000_000, 1.5), ("milk", "north", NOON, 4, -1.0),
]  # fmt: skip
UNTYPED: list[tuple[Any, ...]] = [
    ("milk", "north", NOON, "three", 1.5), ("milk", "north", "06/28/2026", 3, 1.5), ("milk", "north", NOON, 3, "cheap"),
    ("milk", "north", "2026-02-30 12:00:00", 3, 1.5),
]  # fmt: skip


def statement(dialect: str) -> str:
    """The view as the document gives it for that database."""
    return TEXT.read_text(encoding="utf-8").split(f"```sql\n-- {dialect}\n")[1].split("```")[0]


def settings(url: str, place: Path, view: bool) -> Settings:
    sales = {"table": "sales_by_day", "grain": "periods"} if view else {"table": "lines", "grain": "transactions"}
    return Settings.model_validate(
        {
            "sources": {"shop": {"kind": "sql", "url": url}},
            "extract": {"sales": {"source": "shop"} | sales},
            "screen": {"max_quarantined": 1},
            "panel": {"horizon": 7},
            "lake": {"path": str(place / "lake")},
            "warehouse": {"url": f"sqlite:///{place / 'warehouse.db'}"},
        }
    )


def night(chosen: Settings, place: Path) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """What extract told, the sales of its snapshot, and the quarantine."""
    place.mkdir()
    told = extract(chosen, CUTOFF, Run("night"))
    sales = Lake(chosen.lake).read(told["snapshot"], "sales").astype({"item": "str", "store": "str"})
    aside = Warehouse(chosen.warehouse).read(QUARANTINE)
    by = ["item", "store", "ds"]
    return told, sales[[*by, "y"]].sort_values(by, ignore_index=True), aside


@pytest.mark.parametrize("dialect", ["SQLite", "PostgreSQL"])
def test_the_view_gives_the_same_snapshot_and_hands_on_each_broken_line(
    dialect: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    postgres = dialect == "PostgreSQL"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'shop.db'}"
    broken = BROKEN if postgres else BROKEN + UNTYPED
    columns = "item TEXT, store TEXT, ds TIMESTAMP, y NUMERIC(12, 3), price NUMERIC(12, 2)"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    names = ("item", "store", "ds", "y", "price")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE lines ({columns})")
        rows = [dict(zip(names, row, strict=True)) for row in (*SOUND, *broken)]
        connection.execute(sa.text("INSERT INTO lines VALUES (:item, :store, :ds, :y, :price)"), rows)
        connection.exec_driver_sql(statement(dialect).replace("%", "%%") if postgres else statement(dialect))
    try:
        lines, sales, aside = night(settings(url, tmp_path / "a", view=False), tmp_path / "a")
        days, pushed, pushed_aside = night(settings(url, tmp_path / "b", view=True), tmp_path / "b")
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP VIEW sales_by_day")
            connection.exec_driver_sql("DROP TABLE lines")
    # The day with broken lines is unknown; the view has added up its sound ones (docs/decisions/0011).
    unknown = sales["y"].isna()
    assert sales.loc[unknown, ["item", "store"]].values.tolist() == [["milk", "north"]]
    pd.testing.assert_frame_equal(pushed[~unknown], sales[~unknown])
    assert pushed.loc[unknown, "y"].tolist() == [18]
    assert sales["y"].min() == 0  # more came back than was sold that day
    assert lines["quarantined"] == days["quarantined"] == len(broken)
    assert lines["read"] == len(SOUND) + len(broken)
    assert days["read"] == days["clean"] + days["quarantined"] == len(sales) + len(broken)
    of_sales = [one[one["table"] == "sales"].sort_values(["rule", "reason"]) for one in (aside, pushed_aside)]
    for column in ("rule", "reason"):
        assert of_sales[0][column].tolist() == of_sales[1][column].tolist()
