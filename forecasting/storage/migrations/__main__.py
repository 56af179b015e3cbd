"""Write the next revision: the tables and columns that the code has and the newest revision has not.

    python -m forecasting.storage.migrations planning

What else has changed (a column that goes, another type or key) is written by hand.
"""

from __future__ import annotations

import re
import sys
import tempfile
import textwrap
from collections.abc import Iterator

import sqlalchemy as sa

from forecasting.core.config.sections import WarehouseSettings
from forecasting.storage.migrations import FOLDER, HEAD, revisions
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.schema import Column, Table
from forecasting.tables.warehouse import WAREHOUSE

PAGE = '''"""{about}."""

from forecasting.storage.migrations.operations import {names}

revision, down_revision = "{revision}", "{before}"

{tables}

def upgrade() -> None:
    """Create what is new."""
{up}

def downgrade() -> None:
    """Take it away again, with what it holds."""
{down}
'''


def page(about: str, there: dict[str, set[str]]) -> str:
    """The revision's file, from the columns of each table of the newest one."""
    new = [table for table in WAREHOUSE if table.name not in there]
    up, down, names = [], [], set()
    for table in WAREHOUSE:
        lacking = {name: one for name, one in table.columns.items() if name not in there.get(table.name, table.columns)}
        if lacking:
            up.append(f'add("{table.name}", "{_columns(lacking)}")')
            down.append(f'remove("{table.name}", {", ".join(repr(name) for name in lacking)})'.replace("'", '"'))
            names |= {"add", "remove"}
    if new:
        up.insert(0, "for name, (key, columns) in TABLES.items():\n        create(name, key, columns)")
        down.append("for name in TABLES:\n        drop(name)")
        names |= {"create", "drop"}
    return PAGE.format(
        about=about.capitalize().replace("_", " "), names=", ".join(sorted(names)), before=HEAD,
        revision=f"{int(HEAD) + 1:04d}", tables="\n".join(_tables(new)),
        up="\n".join(f"    {line}" for line in up), down="\n".join(f"    {line}" for line in down),
    )  # fmt: skip


def _tables(new: list[Table]) -> Iterator[str]:
    if new:
        yield "TABLES = {"
        for table in new:
            columns = "\n        ".join(textwrap.wrap(_columns(dict(table.columns)), 104))
            yield f'    "{table.name}": (\n        "{" ".join(table.key)}",\n        """{columns}""",\n    ),'
        yield "}\n"


def _columns(columns: dict[str, Column]) -> str:
    return ", ".join(f"{name} {one.kind}{'?' if one.null else ''}" for name, one in columns.items())


def main(name: str) -> str:
    """Make the newest revision in a file of its own, and write what the code has beyond it."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        sys.exit("A name in lower case, with _ for a blank: python -m forecasting.storage.migrations more_scores")
    with tempfile.TemporaryDirectory() as folder:
        settings = WarehouseSettings(url=f"sqlite:///{folder}/newest.db")
        engine = sa.create_engine(settings.url)
        with engine.begin() as connection:
            revisions(connection, Warehouse(settings).metadata)
            inspector = sa.inspect(connection)
            there = {
                one: {column["name"] for column in inspector.get_columns(one)} for one in inspector.get_table_names()
            }
        engine.dispose()
    file = FOLDER / f"v{int(HEAD) + 1:04d}_{name}.py"
    file.write_text(page(name, there), encoding="utf-8")
    return str(file)


if __name__ == "__main__":
    print(main(*sys.argv[1:2] or [""]))  # noqa: T201
