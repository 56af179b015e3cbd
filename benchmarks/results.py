"""What was measured, as JSON beside this file: a file a part, an entry a run. RESULTS.md is written from these."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

FOLDER = Path(__file__).parent / "results"


def load(part: str) -> dict[str, Any]:
    """All runs of a part, by key; empty where it never ran."""
    place = FOLDER / f"{part}.json"
    return json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}


def save(part: str, key: str, facts: dict[str, Any]) -> None:
    """Put one run in place of an earlier one of the same key, with when and where it ran."""
    runs = load(part) | {key: facts | {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "machine": machine()}}
    FOLDER.mkdir(exist_ok=True)
    half = FOLDER / f".{part}.json"
    half.write_text(json.dumps(dict(sorted(runs.items())), indent=1) + "\n", encoding="utf-8")
    half.replace(FOLDER / f"{part}.json")


def machine() -> str:
    """Cores, memory and interpreter."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, {platform.system()}"
