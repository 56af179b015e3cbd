"""Rules about a night's sales as a whole: whether they are worth forecasting from.

A gate stops the night (severity stop) or is only reported (warn). Each gives one row of QUALITY.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.sections import SalesTable, Screen
from forecasting.core.errors import some
from forecasting.core.frequency import Frequency
from forecasting.panel.panel import Panel
from forecasting.quality.row_screen import REPORT, Screened
from forecasting.quality.screening import Known

WEEKS = 8  # same weekdays that a day is compared with (or periods before a period), where the night has read so many
YEAR = 364  # days since its last sale for which a store that has closed is reported
BY_CHANCE = 0.001  # probability of a pause of sales above which rows of zeros are taken for what they say
USUAL = 0.75  # share of them on which a store sold, from which on silence is news
# Rules that set aside what the configuration says to set aside, and copies of what is there already.
DECLARED = ("return", "not_a_product", "delivered_again")


def gates(screened: Screened, table: SalesTable, frequency: str, rules: Screen, known: Known) -> pd.DataFrame:
    """Rows of QUALITY for: empty, max_quarantined, freshness, row_count, silent_store, gap."""
    read = len(screened.clean) + len(screened.quarantined)
    found = [_empty(screened, read), _share(screened, rules, read)]
    if len(screened.clean):
        grain = Frequency.parse("D" if table.grain == "transactions" or frequency == "H" else frequency)
        activity = _Activity.of(screened.clean, grain, known.cutoff)
        found += [
            _freshness(activity, rules), _row_count(activity, rules), _silent_stores(activity, rules),
            _gap(activity, rules),
        ]  # fmt: skip
    # A gate sets no row aside, so all that was read counts as clean in its line.
    lines = [{"table": "sales", "read": read, "clean": read, "quarantined": 0, **line} for line in found]
    return pd.DataFrame(lines, columns=list(REPORT))


def shrunk(read: int, known: int, since: date, before: date, rules: Screen) -> pd.DataFrame:
    """Row of QUALITY for: shrunk. Days that are read again are corrected, and do not lose much of what they had.

    read, known: days of series from `since` to `before`, tonight and when they were read before.
    """
    passed = known == 0 or read >= rules.min_known_ratio * known
    message = f"{read:,} days of series from {since} to {before}, {known:,} when they were read before; allowed from a "
    message += f"share of {rules.min_known_ratio:g}" + ("" if passed else ". Did the source deliver all of its rows?")
    line = _line("shrunk", "stop", passed, message)
    return pd.DataFrame(
        [{"table": "sales", "read": read, "clean": read, "quarantined": 0, **line}], columns=list(REPORT)
    )


def closed_for_good(panel: Panel, read: int) -> pd.DataFrame:
    """Row of QUALITY for: closed. Stores of which every series has ended within a year; series, where stores are one.

    read: sales rows of the night.
    """
    last = panel.ended_now()
    recent = np.where(last >= len(panel.periods) - YEAR, last, -1)
    names = panel.series["store"] if panel.series["store"].nunique() > 1 else panel.series["unique_id"]
    by_name = (
        pd.DataFrame({"ended": last >= 0, "last": recent})
        .groupby(names.to_numpy())
        .agg({"ended": "all", "last": "max"})
    )
    found = by_name[by_name["ended"] & (by_name["last"] >= 0)]
    closed = [f"{name} (last sale {panel.periods[last].date()})" for name, last in found["last"].items()]
    message = (
        f"closed for longer than panel.closed_periods, so nothing is forecast for it: {some(closed)}" if closed else ""
    )
    line = _line("closed", "warn", not closed, message)
    return pd.DataFrame(
        [{"table": "sales", "read": read, "clean": read, "quarantined": 0, **line}], columns=list(REPORT)
    )


@dataclass(frozen=True)
class _Activity:
    """Rows, and rows with something sold, by store and period: (n_stores, n_periods) each.

    periods: those with any row, by first day. newest: the last one that is over at the cutoff.
    """

    stores: pd.Index
    periods: pd.DatetimeIndex
    rows: NDArray[np.intp]
    sold: NDArray[np.intp]
    frequency: Frequency
    newest: pd.Timestamp

    @classmethod
    def of(cls, clean: pd.DataFrame, frequency: Frequency, cutoff: date) -> Self:
        """Count the clean rows."""
        store, stores = pd.factorize(clean["store"])
        day, days = pd.factorize(clean["ds"])
        starts, period = np.unique(frequency.starts(pd.DatetimeIndex(days)), return_inverse=True)
        shape = (len(stores), len(starts))
        cell = store * shape[1] + period[day]
        rows = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
        sold = np.bincount(cell[clean["y"].to_numpy() > 0], minlength=rows.size).reshape(shape)
        last = frequency.last_complete(cutoff)
        return cls(pd.Index(stores), pd.DatetimeIndex(starts), rows, sold, frequency, last)

    def at(self, counts: NDArray[np.intp], periods: pd.DatetimeIndex) -> NDArray[np.intp]:
        """(n_stores, n) counts in these periods, 0 where there is no row."""
        place = self.periods.get_indexer(periods)
        return np.where(place >= 0, counts[:, np.maximum(place, 0)], 0)

    @property
    def selling(self) -> pd.DatetimeIndex:
        """Periods in which anything was sold anywhere."""
        selling: pd.DatetimeIndex = self.periods[self.sold.sum(axis=0) > 0]
        return selling

    @property
    def now(self) -> pd.DatetimeIndex:
        """The newest period."""
        return pd.DatetimeIndex([self.newest])

    @property
    def before(self) -> pd.DatetimeIndex:
        """What it is compared with: the same weekdays, or the periods before it, with any row."""
        daily = self.frequency.code == "D"
        back = self.frequency.range(self.newest, -WEEKS * (7 if daily else 1))
        return (back[::7] if daily else back).intersection(self.periods)


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
    """Share of the rows that nobody expected in quarantine."""
    faulty = screened.quarantined[~screened.quarantined["rule"].isin(DECLARED)]
    share = (len(faulty) - screened.copies) / read if read else 0.0
    top = faulty["rule"].value_counts().head(1)
    message = f"{share:.1%} of {read:,} rows are in quarantine, allowed are {rules.max_quarantined:.0%}"
    if len(top):
        examples = faulty.loc[faulty["rule"] == top.index[0], "reason"].drop_duplicates().head(3)
        message += f"; most for {top.index[0]!r} ({int(top.iloc[0]):,}), such as: {some(examples)}"
    return _line("max_quarantined", "stop", share <= rules.max_quarantined, message)


def _freshness(activity: _Activity, rules: Screen) -> dict[str, Any]:
    newest = activity.frequency.end((activity.selling if len(activity.selling) else activity.periods)[-1])
    due = activity.frequency.end(activity.newest)
    age = max((due - newest).days, 0)
    message = f"newest sale {newest}, {age} days before {due}; allowed are {rules.freshness_days}"
    return _line("freshness", "stop", age <= rules.freshness_days or _quiet(activity, rules, due), message)


def _quiet(activity: _Activity, rules: Screen, due: date) -> bool:
    """Whether rows of nothing sold go on until now, for no longer than sales this rare may well pause."""
    delivered = activity.frequency.end(activity.periods[-1])
    selling, count = len(activity.selling), len(activity.periods)
    if not selling or (due - delivered).days > rules.freshness_days:
        return False
    pause = int((activity.periods > activity.selling[-1]).sum())
    return _by_chance(selling / (count - pause), pause)


def _by_chance(share: float, pause: int) -> bool:
    """Whether sales in such a share of periods pause for so many of them now and then."""
    return bool((1 - share) ** pause >= BY_CHANCE)


def _row_count(activity: _Activity, rules: Screen) -> dict[str, Any]:
    """Rows of the newest day against the mean of the same weekday in the weeks before that were read."""
    before = activity.before
    if len(before) < 2:
        return _line("row_count", "stop", True, "too few earlier weeks were read to compare with")
    rows, mean = activity.at(activity.rows, activity.now).sum(), activity.at(activity.rows, before).sum(axis=0).mean()
    # A day that is closed on purpose has no rows at all; freshness watches over those.
    passed = bool(rows == 0 or rows >= rules.min_rows_ratio * mean)
    name = "same weekdays" if activity.frequency.code == "D" else "periods"
    message = f"{rows:,.0f} rows on {activity.newest.date()}, {mean:,.0f} on the {name} before; "
    return _line("row_count", "stop", passed, message + f"allowed from a share of {rules.min_rows_ratio:g}")


def _silent_stores(activity: _Activity, rules: Screen) -> dict[str, Any]:
    """Stores that usually sell on such a day and sold nothing on the newest one, while others did."""
    severity = {"stop": "stop", "warn": "warn", "off": "info"}[rules.silent_store]
    sells = activity.at(activity.sold, activity.now)[:, 0] > 0
    if not sells.any() or len(activity.before) < 2:
        return _line("silent_store", severity, True, "no other store or earlier week to compare with")
    usual = (activity.at(activity.sold, activity.before) > 0).mean(axis=1) >= USUAL
    silent = sorted(str(store) for store in activity.stores[usual & ~sells])
    message = f"sold nothing on {activity.newest.date()}: {some(silent)}" if silent else ""
    return _line("silent_store", severity, not silent, message)


def _gap(activity: _Activity, rules: Screen) -> dict[str, Any]:
    gaps = list(_gaps(activity, rules.gap_days))
    return _line("gap", "warn", not gaps, f"no sale anywhere: {some(gaps)}" if gaps else "")


def _gaps(activity: _Activity, least: int) -> Iterator[str]:
    """Stretches of at least so many days between periods with a sale, but for zeros that come by chance."""
    share = len(activity.selling) / max(len(activity.periods), 1)
    for before, after in pairwise(activity.selling):
        end = activity.frequency.end(before)
        count = (after.date() - end).days - 1
        rows = int(((activity.periods > before) & (activity.periods < after)).sum())
        delivered = rows >= len(activity.frequency.range(before, activity.frequency.count(before, after))) - 2
        if count >= least and not (delivered and _by_chance(share, rows)):
            yield f"{count} days after {end}"
