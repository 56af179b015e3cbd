"""Tables that people write by the planner's page; warehouse.py lists them with all others."""

from __future__ import annotations

from forecasting.tables.schema import Column, Table, text

EXCEPTION_STATES = Table(
    "exception_states",
    "Who has taken an exception, and whether it is done: a row a night and series, by the planner's page.",
    {
        "cutoff": Column("date", "last day whose sales are known"),
        "unique_id": text("name of the series"),
        "state": text("open, taken or done; done holds for this night"),
        "owner": text("who has taken it; empty: nobody"),
        "note": text("what the person wrote; may be empty"),
        "at": Column("instant", "when, UTC"),
    },
    key=("cutoff", "unique_id"),
    partition=("cutoff", "unique_id"),
)

PLANNER = (EXCEPTION_STATES,)
