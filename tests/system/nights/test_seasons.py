"""Whole trainings with the default candidates, at the start of seasons that come once a year."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.__main__ import main
from tests.support.seasonal import CHRISTMAS, EASTER, seasonal

CONF = """
name = "seasons"

[sources.files]
kind = "files"
path = "{folder}"

[extract.sales]
source = "files"
path = "sales.csv"
columns = {{ item = "item", ds = "day", y = "units" }}

[screen]
freshness_days = 100

[panel]
frequency = "{frequency}"
horizon = {horizon}
unique_id = "{{item}}"

[lake]
path = "{folder}/lake"

[warehouse]
url = "sqlite:///{folder}/warehouse.db"

[mlflow]
tracking_uri = "sqlite:///{folder}/mlflow.db"
artifacts = "{folder}/mlartifacts"

[report]
path = "{folder}/report"
"""


def champion(folder: Path, cutoff: str, frequency: str, horizon: int, seed: int) -> pd.DataFrame:
    """kind, item, expected and sold units over the horizon, from a night of its own."""
    panel, actual = seasonal(cutoff, horizon, seed, frequency=frequency)
    long = pd.DataFrame(panel.y, index=panel.unique_ids, columns=panel.periods).stack().reset_index()
    long.columns = ["item", "day", "units"]
    long.assign(day=long["day"].dt.date).to_csv(folder / "sales.csv", index=False)
    conf = folder / "conf.toml"
    conf.write_text(CONF.format(folder=folder, frequency=frequency, horizon=horizon))
    assert main(["run", "--conf", str(conf), "--cutoff", cutoff]) == 0
    with sqlite3.connect(folder / "warehouse.db") as base:
        found = dict(base.execute("SELECT unique_id, SUM(mean) FROM forecasts_latest GROUP BY unique_id"))
    names = panel.unique_ids
    expected = [found[name] for name in names]
    kinds = [str(name).split("-")[0] for name in names]
    return pd.DataFrame({"kind": kinds, "expected": expected, "sold": np.nansum(actual, axis=1)})


@pytest.mark.parametrize(
    ("cutoff", "kind", "frequency", "horizon", "seed"),
    [
        ("2025-11-14", CHRISTMAS, "D", 28, 1),
        ("2025-11-20", CHRISTMAS, "D", 28, 2),
        ("2026-02-20", EASTER, "D", 28, 1),
        ("2026-02-25", EASTER, "D", 28, 3),
        ("2025-11-16", CHRISTMAS, "W-MON", 6, 1),
        ("2026-02-22", EASTER, "W-MON", 6, 2),
        ("2025-10-31", CHRISTMAS, "M", 2, 1),
    ],
)
def test_at_the_start_of_a_season_the_champion_forecasts_what_is_sold(
    tmp_path: Path, cutoff: str, kind: str, frequency: str, horizon: int, seed: int
) -> None:
    rows = champion(tmp_path, cutoff, frequency, horizon, seed)
    mine, others = rows[rows["kind"] == kind], rows[rows["kind"] == "always"]
    ratio = mine["expected"] / mine["sold"]
    assert 0.8 <= mine["expected"].sum() / mine["sold"].sum() <= 1.25, ratio.tolist()
    assert ratio.between(0.8, 1.25).mean() > 0.5, ratio.tolist()
    assert 0.9 <= others["expected"].sum() / others["sold"].sum() <= 1.1
