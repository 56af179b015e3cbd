"""How the rows of ready periods name their period: by one day in it, by its first and its last, or as parts of it.

`grain = "periods"` is one row a series and period. Two exports may name the same month by its first and by its last
day; both rows together are then one month delivered twice, while daily or weekly rows of a month are parts of it and
are summed. What the rows are follows from where in their periods they are dated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.frequency import DAYS, Frequency
from forecasting.quality.row_screen import REPORT, Mask, Reasons, Rows

NEAR = 3  # days from a month's begin or end that a business day may lie away from it
MOST = 0.95  # share of the rows in the two most frequent places in the period, from which they are names of it
SEVERAL = 0.5  # share of a series' periods with several rows, from which these are parts of the period
BEFORE = 8  # periods that the units of one in progress are compared with
FULL = 0.7  # share of their median, from which a period that has hardly begun is already whole
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """What the dates of ready periods are. name: start, end, other or parts; message: for QUALITY.

    summed: series (item, store) whose rows are parts of a period all the same. fails: what is wrong, for QUALITY.
    """

    frequency: Frequency
    name: str
    message: str
    summed: pd.MultiIndex | None = None
    fails: str = ""

    @classmethod
    def of(
        cls, rows: pd.DataFrame, frequency: Frequency, declared: str = "auto", history: pd.DataFrame | None = None
    ) -> Self:
        """Look at typed rows (item, store, ds, y; those without a day do not count).

        declared: extract.sales.label. history: the rows that were taken in before, where there are any.
        """
        rows = rows[rows["ds"].notna()]
        if declared == "parts" or rows.empty:
            return cls(frequency, "parts", _PARTS if declared == "parts" else "no row has a date")
        known = rows if history is None else pd.concat([rows, history.astype({"item": "str", "store": "str"})])
        place, share = _places(known["ds"], frequency)
        names = _named(place[:2])
        if declared != "auto":
            found = dict(zip(names, share, strict=False)).get(declared, 0.0)
            fails = "" if found >= SEVERAL else _mismatch(declared, rows["ds"], frequency)
            return cls(frequency, declared, f"periods are named by their {_WORD[declared]} day", None, fails)
        if share[:2].sum() < MOST:
            return cls(frequency, "parts", _PARTS)
        day = " or ".join(dict.fromkeys(_WORD.get(name, name) for name in names))
        message, summed = f"periods are named by their {day} day", None
        days = pd.DatetimeIndex(known["ds"].unique())
        if len(days) > frequency.starts(days).nunique():
            summed = _parts(known, frequency)
            message += f"; {len(summed):,} series have several rows a period, which are summed" if len(summed) else ""
        return cls(frequency, names[0], message, summed)

    def begun_after(self, days: pd.Series, day: pd.Timestamp) -> NDArray[np.bool_]:
        """Whether the period of each day begins after a day; False without a date."""
        starts = self.frequency.starts(pd.DatetimeIndex(days))
        return np.asarray(starts > day)

    def preferred(self, days: pd.Series) -> NDArray[np.bool_]:
        """Whether each day is where the label is declared or usual: such a row is kept of two for one period."""
        starts = self.frequency.starts(pd.DatetimeIndex(days))
        if self.name == "start":
            return np.asarray(pd.DatetimeIndex(days) == starts)
        if self.name == "end":
            return np.asarray(pd.DatetimeIndex(days) == _ends(starts, self.frequency))
        return np.zeros(len(days), dtype=bool)

    def repeated(self, typed: pd.DataFrame, among: Mask) -> tuple[Mask, Mask, Reasons]:
        """Rows of a series that name a period which another row names too, those of them with the same units, and why.

        The one with the usual label stays. among: rows that count. Of two with the same label the first one stays.
        """
        starts = self.frequency.starts(pd.DatetimeIndex(typed["ds"]))
        rows = np.flatnonzero(among)
        if self.summed is not None and len(self.summed):
            parts = pd.MultiIndex.from_frame(typed[["item", "store"]].iloc[rows].astype("str")).isin(self.summed)
            rows = rows[~parts]
        rows = rows[np.argsort(~self.preferred(typed["ds"].iloc[rows]), kind="stable")]
        keys = typed[["item", "store"]].iloc[rows].assign(start=starts[rows])
        cell = keys.groupby(list(keys), observed=True, sort=False).ngroup().to_numpy()
        found, kept = np.zeros(len(typed), dtype=bool), np.zeros(len(typed), dtype=np.intp)
        found[rows] = pd.Series(cell).duplicated().to_numpy()
        kept[rows] = rows[np.unique(cell, return_index=True)[1]][cell]

        def reasons(hit: Rows) -> list[str]:
            days, others = typed["ds"].iloc[hit], typed["ds"].iloc[kept[hit]]
            return [
                f"dated {day:%Y-%m-%d}: the period from {start:%Y-%m-%d} on is already there, dated {other:%Y-%m-%d}"
                for day, start, other in zip(days, starts[hit], others, strict=True)
            ]

        y = typed["y"].to_numpy()
        return found, found & (y == y[kept]), reasons

    def report(self, clean: pd.DataFrame, asked: pd.Timestamp) -> pd.DataFrame:
        """Row of QUALITY for: label. It warns of a week named by its last day that is taken for the next one's first.

        clean: the rows that passed. asked: last day that was read.
        """
        severity, message = "info", self.message
        if self.fails:
            severity, message = "stop", self.fails
        elif self.summed is not None and len(self.summed):
            severity, message = "warn", f'{self.message}; extract.sales.label = "parts" says that they are.'
        elif early := _too_early(clean, self.frequency, asked):
            severity, message = "warn", early
        line: dict[str, Any] = {
            "table": "sales", "rule": "label", "severity": severity, "read": len(clean), "clean": len(clean),
            "quarantined": 0, "passed": severity == "info", "message": message,
        }  # fmt: skip
        return pd.DataFrame([line], columns=list(REPORT))


_PARTS = "rows are parts of a period, which is their sum"
_WORD = {"start": "first", "end": "last"}


def _places(days: pd.Series, frequency: Frequency) -> tuple[Codes, NDArray[np.float64]]:
    """Places in the period, the most frequent first, and the share of the rows in each.

    0 the first day, -1 the last one, of months and quarters with the days next to them; else days after the first.
    """
    counts = days.value_counts()
    unique = pd.DatetimeIndex(counts.index)
    starts = frequency.starts(unique)
    after = np.asarray((unique - starts).days, dtype=np.int64)
    left = np.asarray((_ends(starts, frequency) - unique).days, dtype=np.int64)
    near = 0 if frequency.kind == "W" else NEAR
    place = np.where(after <= near, 0, np.where(left <= near, -1, after))
    found, code = np.unique(place, return_inverse=True)
    rows = np.bincount(code, weights=counts.to_numpy(dtype=np.float64))
    order = np.argsort(-rows, kind="stable")
    return found[order], rows[order] / rows.sum()


def _ends(starts: pd.DatetimeIndex, frequency: Frequency) -> pd.DatetimeIndex:
    """Last day of each period."""
    unique, code = np.unique(starts, return_inverse=True)
    last = [frequency.end(pd.Timestamp(start)) for start in unique]
    return pd.DatetimeIndex(np.asarray(last, dtype="datetime64[s]")[code])


def _named(places: Codes) -> list[str]:
    return [{0: "start", -1: "end"}.get(int(place), f"{int(place) + 1}.") for place in places]


def _parts(rows: pd.DataFrame, frequency: Frequency) -> pd.MultiIndex:
    """Series that have several rows in most of their periods, and not the same units twice: these are parts."""
    keys = {name: rows[name].astype("str") if name in rows else "" for name in ("item", "store")}
    known = pd.DataFrame(keys | {"ds": rows["ds"], "y": rows["y"]}, index=rows.index)
    known = known.drop_duplicates(["item", "store", "ds"])
    cell = known.groupby(["item", "store", frequency.starts(pd.DatetimeIndex(known["ds"]))], sort=False)["y"]
    several = (cell.nunique() > 1).groupby(level=[0, 1]).mean()
    found = several[several >= SEVERAL].index
    return found if isinstance(found, pd.MultiIndex) else pd.MultiIndex.from_tuples([], names=["item", "store"])


def _mismatch(declared: str, days: pd.Series, frequency: Frequency) -> str:
    """What is wrong where few rows are dated as `label` says."""
    newest = days.max()
    first = frequency.starts(pd.DatetimeIndex([newest]))[0]
    message = (
        f'extract.sales.label = "{declared}", but most rows are not dated so: {newest.date()} lies in the period from '
        f"{first.date()} to {frequency.end(first)} of panel.frequency = {frequency.code}."
    )
    if frequency.kind == "W":
        weekday = days.dt.day_of_week.mode().iloc[0]
        begins = DAYS[weekday if declared == "start" else (weekday + 1) % 7]
        message += f" Weeks that {'begin' if declared == 'start' else 'end'} on {DAYS[weekday]} are W-{begins} here."
    return message


def _too_early(clean: pd.DataFrame, frequency: Frequency, asked: pd.Timestamp) -> str:
    """A period that has hardly begun and is already as large as usual; empty where there is none."""
    units = clean.groupby(frequency.starts(pd.DatetimeIndex(clean["ds"])))["y"].sum().sort_index()
    current = frequency.starts(pd.DatetimeIndex([asked]))[0]
    last = frequency.end(current)
    gone = (asked - current).days + 1
    usual = units[units.index < current].iloc[-BEFORE:].median()
    whole = usual > 0 and current in units.index and units[current] >= FULL * usual
    if not whole or 2 * gone >= (pd.Timestamp(last) - current).days + 1:
        return ""
    message = (
        f"the period from {current.date()} to {last} is not over at {asked.date()}, and has already {units[current]:g} "
        f"units, {usual:g} are usual: its rows wait until it is."
    )
    if frequency.kind == "W":
        ends, begins = DAYS[current.weekday()], DAYS[(current.weekday() + 1) % 7]
        message += (
            f" If the rows name a week by its last day ({ends}, as W-{ends} of pandas does), panel.frequency is "
            f"W-{begins}: here a week is named by the day that it begins on."
        )
    return message
