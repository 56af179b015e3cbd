"""Plans as nights saw them: which rows of prices, promotions, events and signals are new tonight, which are gone.

Only days that the night before could see are compared, from the first that may be corrected to the end of its horizon,
so that a night costs what lies in a horizon and not what lies in a table.
"""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.frequency import Frequency
from forecasting.panel.covariates import known_since
from forecasting.storage.lake.lake import Lake

COMPARED = ("prices", "promotions", "events", "signals")


class Plans:
    """Tonight's rows beside those of the night before. `before`: its cutoff, None on the first night."""

    def __init__(self, settings: Settings, lake: Lake, before: date | None) -> None:
        self._lake, self._before, self._found = lake, before, dict[str, pd.DataFrame]()
        self._ahead = {one.name for one in settings.extract.signals if one.known == "ahead"}
        if before is not None:
            frequency = Frequency.parse(settings.panel.frequency)
            last, horizon = frequency.last_complete(before), settings.panel.horizon
            self._first = before + timedelta(days=1 - settings.extract.correction_days)
            self._last = frequency.end(frequency.range(last, horizon + 1)[-1])
            # Models look that much further ahead for a named day.
            self._last_event = frequency.end(frequency.range(last, horizon + frequency.before_event + 1)[-1])

    def add(self, name: str, rows: pd.DataFrame) -> None:
        """Keep the rows of one table that the night before could see. A source's own `known_since` needs no record."""
        if self._before is not None and name in COMPARED and known_since.KNOWN_SINCE not in rows:
            self._found[name] = self._window(name, rows)

    def recorded(self, cutoff: date) -> pd.DataFrame:
        """The table `vintages` of this night; without columns where there is nothing to record."""
        if self._before is None:
            return pd.DataFrame()
        snapshot = self._lake.snapshot(self._before)
        there = {name: rows for name, rows in self._found.items() if name in snapshot.versions}
        known = self._lake.read(snapshot.id, known_since.RECORD) if known_since.RECORD in snapshot.versions else None
        seen = [
            self._window(name, self._lake.window(snapshot.id, name, self._first, self._end(name))) for name in there
        ]  # fmt: skip
        if not seen:
            return pd.DataFrame() if known is None else known
        record = pd.DataFrame() if known is None else _plain(known)
        return known_since.compare(record, pd.concat(seen), pd.concat(list(there.values())), cutoff)

    def _end(self, name: str) -> date:
        return self._last_event if name == "events" else self._last

    def _window(self, name: str, rows: pd.DataFrame) -> pd.DataFrame:
        inside = (rows["ds"] >= pd.Timestamp(self._first)) & (rows["ds"] <= pd.Timestamp(self._end(name)))
        found = known_since.comparable(name, rows[inside])
        return found[found["table"].isin(self._ahead)] if name == "signals" else found


def _plain(recorded: pd.DataFrame) -> pd.DataFrame:
    texts = dict.fromkeys(("table", "item", "store", "group"), "str")
    return recorded.astype(texts)
