"""How much of a night's horizon the tables known ahead cover, against what is usual: row `horizon_coverage` of QUALITY.

A table that is sparse by nature gives no alarm: what is asked is how probable so little is, by the gaps between its
active periods and by past windows of the same length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from forecasting.core.config.sections import Screen
from forecasting.panel.covariates import known_since
from forecasting.panel.panel import Panel
from forecasting.quality.row_screen import REPORT

RULE = "horizon_coverage"
NIGHTS = 7  # earlier nights from which on what they saw is what is usual
LEAST = 6  # windows of the past that do not overlap, for a comparison of shares
HALF = 0.5  # of what is usual: less is looked into
CHANCE = 0.002
TABLE = {"price": "prices", "promotion": "promotions", "event": "events"}
CHECK = {
    "price": "new prices for the coming periods",
    "promotion": "the plan of promotions for the coming periods",
    "event": "the calendar of the coming periods",
}


@dataclass(frozen=True)
class Coverage:
    """Of one covariate: covered cells of the horizon, of how many, their usual share, and why it is an alarm."""

    name: str
    covered: int
    cells: int
    usual: float
    alarm: bool

    @property
    def share(self) -> float:
        """Tonight's."""
        return self.covered / max(self.cells, 1)


def report(
    panel: Panel, before: Mapping[str, Sequence[int]], rules: Screen, signals: Sequence[str] = ()
) -> pd.DataFrame:
    """Rows of QUALITY: a row a table known ahead.

    before: by table, cells covered that earlier nights recorded. signals: names of those that are known ahead.
    """
    lines = []
    for name in panel.known:
        table = TABLE.get(name, f"signal_{name}")
        if rules.horizon_coverage == "off" or name not in (*TABLE, *signals):
            continue
        found = measure(panel, name, before.get(table, ()))
        lines.append(_line(found, table, rules))
    return pd.DataFrame(lines, columns=list(REPORT))


def measure(panel: Panel, name: str, before: Sequence[int] = ()) -> Coverage:
    """Cells of the horizon with a value of their own (not 0, or another one than before), tonight and usually."""
    values, periods = panel.known[name], len(panel.periods)
    counts = known_since.active(values, changes=name not in panel.zero)
    horizon = len(counts) - periods
    covered, cells = int(counts[periods:].sum()), len(values) * horizon
    windows = _windows(counts, periods, horizon)
    if len(before) >= NIGHTS:
        usual = float(np.median(before)) / max(cells, 1)
    else:
        usual = float(np.median(windows)) / max(cells, 1) if len(windows) else 0.0
    less = covered < HALF * usual * cells
    code = panel.frequency.code[0]
    if name == "event":
        alarm = covered == 0 and _last_year(counts, periods, horizon, panel.frequency.year) > 0 and usual > 0
    else:
        alarm = less and (known_since.lead(counts, periods, code) is not None or _improbable(covered, windows))
    return Coverage(name, covered, cells, usual, bool(alarm))


def _windows(counts: NDArray[np.int64], periods: int, horizon: int) -> NDArray[np.int64]:
    """Sums over windows of the horizon's length that do not overlap, back from the cutoff, from the first value on."""
    there = np.flatnonzero(counts[:periods])
    first = int(there[0]) if len(there) else periods
    many = (periods - first) // max(horizon, 1)
    ends = periods - horizon * np.arange(many)
    return np.array([counts[end - horizon : end].sum() for end in ends], dtype=np.int64)


def _improbable(covered: int, windows: NDArray[np.int64]) -> bool:
    """Whether so little is below the prediction interval of the past windows' logs (Student's t, one-sided)."""
    if len(windows) < LEAST or (windows == 0).any():
        return False
    logs = np.log(windows)
    spread = max(float(logs.std(ddof=1)), 0.2) * np.sqrt(1 + 1 / len(logs))
    score = (np.log(max(covered, 0.5)) - logs.mean()) / spread
    return bool(score < stats.t.ppf(CHANCE, len(logs) - 1))


def _last_year(counts: NDArray[np.int64], periods: int, horizon: int, year: int) -> int:
    """Cells covered in the same window of last year, where the panel is as old as that."""
    start = periods - year
    return int(counts[start : start + horizon].sum()) if start >= 0 else 0


def _line(found: Coverage, table: str, rules: Screen) -> dict[str, Any]:
    severity = {"stop": "stop", "warn": "warn", "off": "info"}[rules.horizon_coverage]
    message = f"{found.share:.2%} of series x periods of the horizon have a value of their own, usual are "
    message += f"{found.usual:.2%}"
    if found.alarm:
        check = CHECK.get(found.name, f"the coming values of the signal {found.name}")
        message += f": the forecasts do without. Check that the source has {check}; a training then learns without"
    return {
        "table": table, "rule": RULE, "severity": severity, "read": found.covered, "clean": found.covered,
        "quarantined": 0, "passed": not found.alarm, "message": message,
    }  # fmt: skip
