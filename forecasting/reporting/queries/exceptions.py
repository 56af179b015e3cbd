"""The exceptions of a vintage: which series need a person, why, who has taken them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from forecasting.core.errors import StoreError
from forecasting.reporting.queries.store import Store, Vintage
from forecasting.tables.planner_page import EXCEPTION_STATES
from forecasting.tables.warehouse import EXCEPTIONS

STATES = ("open", "taken", "done")


def exceptions(store: Store, vintage: Vintage, unique_id: str | None = None) -> pd.DataFrame:
    """Rows of EXCEPTIONS by rank, with the series' attributes and classes, `money` at stake, state, owner, note.

    unique_id: of this series alone.
    """
    only = {} if unique_id is None else {"unique_id": unique_id}
    found = store.warehouse.read(EXCEPTIONS, cutoff=vintage.day, **only).sort_values("rank")
    catalogue = store.catalogue(vintage)
    known = catalogue.frame.reindex([catalogue.row.get(name, -1) for name in found["unique_id"]]).set_index(found.index)
    for name in (*catalogue.attributes, "demand_class", "volume_class", "units"):
        found[name] = known[name]
    price = known["price"] if "price" in known else pd.Series(dtype=float)
    found["money"] = found["stake"] * price.astype(float)
    states = store.warehouse.read(EXCEPTION_STATES, unique_id=list(found["unique_id"])).sort_values("at")
    newest = {row["unique_id"]: row for row in states.to_dict("records")}
    said = [_said(newest.get(name), vintage) for name in found["unique_id"]]
    for place, name in enumerate(("state", "owner", "note")):
        found[name] = pd.Series([one[place] for one in said], index=found.index, dtype="str")
    return found.reset_index(drop=True)


def _said(row: Mapping[Any, Any] | None, vintage: Vintage) -> tuple[str, str, str]:
    """State, owner and note. Done holds for its own night: what is in doubt again is open again, with its owner."""
    if row is None:
        return "open", "", ""
    if row["cutoff"] == vintage.day:
        return str(row["state"]), str(row["owner"]), str(row["note"])
    return "taken" if row["state"] == "taken" else "open", str(row["owner"]), ""


def ranked(frame: pd.DataFrame, chosen: Mapping[str, str]) -> dict[str, Any]:
    """Exceptions that are chosen (by reason, state, owner), in order of units or money; choices; money: prices known.

    Those that are done come last.
    """
    names = ("reason", "state", "owner")
    choices = {name: sorted(set(frame[name]) - {""}) for name in names}
    money = bool(frame["money"].notna().any())
    for name in names:
        frame = frame[frame[name] == chosen[name]] if chosen[name] else frame
    if chosen["by"] == "money" and money:
        frame = frame.sort_values("money", ascending=False, kind="stable")
    frame = frame.sort_values("state", key=lambda state: state == "done", kind="stable")
    return {"exceptions": frame.to_dict("records"), "choices": choices, "money": money}


def mark(store: Store, vintage: Vintage, unique_id: str, said: Mapping[str, str], at: datetime) -> None:
    """Write down who has taken an exception, or that it is done. said: state, owner, note.

    Raises StoreError where the series is no exception of this vintage, or the state is none of STATES.
    """
    if said["state"] not in STATES:
        raise StoreError(f"An exception cannot be {said['state']!r}; it is one of {', '.join(STATES)}.")
    if not len(store.warehouse.read(EXCEPTIONS, ["unique_id"], cutoff=vintage.day, unique_id=unique_id)):
        raise StoreError(f"{unique_id!r} is no exception of the vintage of {vintage.cutoff}.")
    row = {"cutoff": vintage.day, "unique_id": unique_id, **said, "at": at}
    store.warehouse.replace(EXCEPTION_STATES, pd.DataFrame([row]), cutoff=vintage.day, unique_id=unique_id)
