"""Markdown tables of RESULTS.md."""

from __future__ import annotations


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    head = [cell.replace("|", "\\|") for cell in head]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def number(value: float | None, digits: int = 3) -> str:
    """Fixed digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
