"""Rules about a night's sales as a whole: whether they are worth forecasting from.

A gate stops the night (severity stop) or is only reported (warn). Each gives one row of QUALITY.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from forecasting.data.frequency import Frequency
from forecasting.data.quality import REPORT, Known, Screened
from forecasting.errors import some
from forecasting.settings import SalesTable, Screen

WEEKS = 8  # same weekdays that a day is compared with, where the night has read so many
USUAL = 0.75  # share of days on which a store sells, from which on silence is news


def gates(screened: Screened, table: SalesTable, frequency: str, rules: Screen, known: Known) -> pd.DataFrame:
    """Rows of QUALITY for: empty, max_quarantined, freshness, row_count, silent_store, gap."""
    clean, read = screened.clean, len(screened.clean) + len(screened.quarantined)
    found = [_empty(screened, read), _share(screened, rules, read)]
    daily = table.grain == "transactions" or frequency == "D"
    if len(clean):
        found.append(_freshness(clean, Frequency.parse("D" if daily else frequency), rules, known))
    if len(clean) and daily:
        counts = clean.groupby(["store", "ds"], observed=True).size().reset_index(name="rows")
        found += [_row_count(counts, rules, known), _silent_stores(counts, rules, known), _gap(counts, rules)]
    # A gate sets no row aside, so all that was read counts as clean in its line.
    lines = [{"table": "sales", "read": read, "clean": read, "quarantined": 0, **line} for line in found]
    return pd.DataFrame(lines, columns=list(REPORT))


def _line(rule: str, severity: str, passed: bool, message: str) -> dict[str, Any]:
    return {"rule": rule, "severity": severity, "passed": passed, "message": message}


def _empty(screened: Screened, read: int) -> dict[str, Any]:
    if len(screened.clean):
        return _line("empty", "stop", True, "")
    reasons = screened.quarantined["rule"].value_counts()
    why = ", ".join(f"{count:,} {rule}" for rule, count in reasons.items())
    message = f"no usable sales row: {read:,} were read" + (f", all in quarantine ({why})" if read else "")
    return _line("empty", "stop", False, f"{message}. Check that the source delivered, and its column mapping.")


def _share(screened: Screened, rules: Screen, read: int) -> dict[str, Any]:
    share = len(screened.quarantined) / read if read else 0.0
    top = screened.quarantined["rule"].value_counts().head(1)
    examples = screened.quarantined["reason"].drop_duplicates().head(3)
    message = f"{share:.1%} of {read:,} rows are in quarantine, allowed are {rules.max_quarantined:.0%}"
    if len(top):
        message += f"; most for {top.index[0]!r} ({int(top.iloc[0]):,}), such as: {some(examples)}"
    return _line("max_quarantined", "stop", share <= rules.max_quarantined, message)


def _freshness(clean: pd.DataFrame, frequency: Frequency, rules: Screen, known: Known) -> dict[str, Any]:
    newest = frequency.end(frequency.starts(pd.DatetimeIndex([clean["ds"].max()]))[0])
    due = frequency.end(frequency.last_complete(known.cutoff))
    age = (due - newest).days
    message = f"newest sale {newest}, {max(age, 0)} days before {due}; allowed are {rules.freshness_days}"
    return _line("freshness", "stop", age <= rules.freshness_days, message)


def _row_count(counts: pd.DataFrame, rules: Screen, known: Known) -> dict[str, Any]:
    """Rows of the newest day against the mean of the same weekday in the weeks before that were read."""
    by_day = counts.groupby("ds")["rows"].sum()
    newest = pd.Timestamp(known.cutoff)
    before = [by_day.get(newest - pd.Timedelta(weeks=week), 0) for week in range(1, WEEKS + 1)]
    usual = [count for count in before if count > 0]
    if len(usual) < 2:
        return _line("row_count", "stop", True, "too few earlier weeks were read to compare with")
    rows, mean = int(by_day.get(newest, 0)), sum(usual) / len(usual)
    # A day that is closed on purpose has no rows at all; freshness watches over those.
    passed = rows == 0 or rows >= rules.min_rows_ratio * mean
    message = f"{rows:,} rows on {newest.date()}, {mean:,.0f} on the same weekdays before; "
    return _line("row_count", "stop", passed, message + f"allowed from a share of {rules.min_rows_ratio:g}")


def _silent_stores(counts: pd.DataFrame, rules: Screen, known: Known) -> dict[str, Any]:
    """Stores that usually sell and sold nothing on the newest day, while others did."""
    severity = {"stop": "stop", "warn": "warn", "off": "info"}[rules.silent_store]
    newest = pd.Timestamp(known.cutoff)
    recent = counts[(counts["ds"] > newest - pd.Timedelta(weeks=WEEKS)) & (counts["rows"] > 0)]
    before = recent[recent["ds"] < newest]
    days = before["ds"].nunique()
    usual = before.groupby("store", observed=True)["ds"].nunique()
    open_today = set(recent.loc[recent["ds"] == newest, "store"])
    silent = sorted(str(store) for store in usual[usual >= USUAL * days].index if store not in open_today)
    if not open_today or days < 3:
        return _line("silent_store", severity, True, "no other store to compare with")
    message = f"sold nothing on {known.cutoff}: {some(silent)}" if silent else ""
    return _line("silent_store", severity, not silent, message)


def _gap(counts: pd.DataFrame, rules: Screen) -> dict[str, Any]:
    days = pd.DatetimeIndex(counts["ds"].unique()).sort_values()
    gaps = list(_gaps(days, rules.gap_days))
    return _line("gap", "warn", not gaps, f"no sale anywhere: {some(gaps)}" if gaps else "")


def _gaps(days: pd.DatetimeIndex, least: int) -> Iterator[str]:
    missing = (days[1:] - days[:-1]).days - 1
    for before, count in zip(days[:-1], missing, strict=True):
        if count >= least:
            yield f"{count} days after {before.date()}"
