"""Scripts that run in the peers' environment, a process each, and what they have in common.

A script writes forecast.parquet (unique_id, ds, a column a forecast) and facts.json into the folder that it is given.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd


def arguments(about: str | None, configs: Iterable[str]) -> argparse.ArgumentParser:
    """The arguments that every script takes."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--config", choices=list(configs), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the forecast and the facts")
    return parser


def hand_over(out: Path, forecast: pd.DataFrame, facts: dict[str, Any], packages: Sequence[str]) -> None:
    """Write what the driver reads."""
    forecast["unique_id"] = forecast["unique_id"].astype(str)
    forecast.to_parquet(out / "forecast.parquet", index=False)
    known = {"series": int(forecast["unique_id"].nunique()), "versions": {name: version(name) for name in packages}}
    (out / "facts.json").write_text(json.dumps(known | facts, indent=1), encoding="utf-8")
