"""`tables`: every table of the system with its columns, units and meaning. docs/tables.md is this text."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from forecasting.cli.report import result
from forecasting.tables.lake import LAKE
from forecasting.tables.schema import Table
from forecasting.tables.views import VIEWS, View
from forecasting.tables.warehouse import WAREHOUSE

CONVENTIONS = (
    "`ds` is the first day of a period, `cutoff` the last day whose sales are known. Business days are dates, "
    "instants are UTC. Bias is forecast minus actual; WAPE is the sum of |y - f| over the sum of |y|."
)


def tables(arguments: Namespace) -> int:
    """Print the description as Markdown, or as JSON."""
    result(arguments, {"warehouse": [_facts(t) for t in WAREHOUSE], "lake": [_facts(t) for t in LAKE]}, markdown)
    return 0


def markdown() -> str:
    """The whole page."""
    parts = [
        "# Tables",
        "Generated from `forecasting/tables/warehouse.py` by `make docs`; change it there.",
        CONVENTIONS,
        "## Warehouse: what people and tools read",
        "Views:\n\n" + "\n".join(f"- `{view.name}`: {view.about} {_told(view)}".rstrip() for view in VIEWS),
        *(_section(one) for one in WAREHOUSE),
        "## Lake: the versioned inputs (Delta Lake)",
        *(_section(one) for one in LAKE),
        "### items, stores\n\nKeyed by `item` and `store`; every other column is an attribute of the business's own.",
    ]
    return "\n\n".join(parts)


def _told(view: View) -> str:
    """What it has that its table has not."""
    if view.only:
        return f"Columns: {', '.join(f'`{name}`' for name in view.only)}."
    more = [f"`{name}` ({column.about})" for name, column in view.more.items()]
    return f"The columns of `{view.table.name}`" + (f", {', '.join(more)}." if more else ".")


def _section(one: Table) -> str:
    rows = [
        f"| `{name}` | {column.kind} | {column.unit} | {column.about}{'; may be empty' if column.null else ''} |"
        for name, column in one.columns.items()
    ]
    key = ", ".join(f"`{name}`" for name in one.key)
    replaced = ", ".join(f"`{name}`" for name in one.partition)
    facts = f"Key: {key}." + (f" A run replaces its rows by {replaced}." if replaced else "")
    head = ["| column | kind | unit | meaning |", "|---|---|---|---|"]
    return "\n".join([f"### {one.name}", "", one.about, "", facts, "", *head, *rows])


def _facts(one: Table) -> dict[str, Any]:
    columns = {
        name: {"kind": column.kind, "unit": column.unit, "about": column.about, "null": column.null}
        for name, column in one.columns.items()
    }
    return {"name": one.name, "about": one.about, "key": one.key, "partition": one.partition, "columns": columns}
