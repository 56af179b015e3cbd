"""Nights: which steps made a vintage and what came after it, and the warning signs of the process."""

from __future__ import annotations

import pandas as pd

from forecasting.reporting.queries.store import Store, Vintage
from forecasting.tables.warehouse import HEALTH, RUNS


def steps(store: Store, vintage: Vintage) -> pd.DataFrame:
    """Newest row of RUNS of every step of the vintage's night, in their order; those that only tell of it left out."""
    rows = store.warehouse.read(RUNS, cutoff=vintage.day).sort_values("started_at", kind="stable")
    rows = rows[~rows["step"].isin(["report", "send_report"])]
    return rows.drop_duplicates("step", keep="last", ignore_index=True)


def signs(store: Store, vintage: Vintage) -> pd.DataFrame:
    """Rows of HEALTH of the vintage, breached ones first."""
    found = store.warehouse.read(HEALTH, cutoff=vintage.day)
    return found.sort_values(["breached", "sign"], ascending=[False, True], ignore_index=True)
