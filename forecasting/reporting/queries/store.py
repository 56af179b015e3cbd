"""What page and report read from: the stores of a deployment, and what is worth keeping in memory of a vintage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.settings import Settings
from forecasting.core.errors import CutoffError
from forecasting.core.frequency import Frequency
from forecasting.panel.hierarchy import TOTAL
from forecasting.panel.panel import Panel
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECAST_LEVELS, FORECAST_SUMS, FORECASTS, SERIES_SCORES

KEPT = 4  # vintages whose catalogue and panel stay in memory
SCORED = ("demand_class", "volume_class", "wape", "bias", "value_added", "tracking_signal", "wape_trend")
T = TypeVar("T")


@dataclass(frozen=True)
class Vintage:
    """A published vintage: its cutoff, and the run that wrote it (another run may replace it)."""

    cutoff: date
    run_id: str
    model: str
    version: str
    snapshot: str

    @property
    def day(self) -> pd.Timestamp:
        """The cutoff as the tables have it."""
        return pd.Timestamp(self.cutoff)


@dataclass(frozen=True)
class Catalogue:
    """Every series of a vintage. frame: unique_id, attributes, classes, units over the horizon, price, scores.

    row: by unique_id its row in frame and panel. panel: None where the lake has lost it.
    """

    frame: pd.DataFrame
    attributes: tuple[str, ...]
    row: dict[str, int]
    panel: Panel | None


class Store:
    """The stores of one deployment, for reading. Raises StoreError where one of them refuses."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.warehouse = Warehouse(settings.warehouse)
        self.lake = Lake(settings.lake)
        self.frequency = Frequency.parse(settings.panel.frequency)
        self._kept: dict[Hashable, Any] = {}
        self._lock = threading.RLock()

    def vintage(self, cutoff: date | None = None) -> Vintage | None:
        """The newest vintage, or that of a cutoff; None where there is none."""
        found = [cutoff] if cutoff else self.warehouse.cutoffs(most=1)
        if not found:
            return None
        columns = ["run_id", "model", "model_version", "snapshot"]
        total = self.warehouse.read(FORECAST_LEVELS, columns, cutoff=pd.Timestamp(found[0]), level=TOTAL)
        return Vintage(found[0], *map(str, total.iloc[0])) if len(total) else None

    def ahead(self, vintage: Vintage) -> tuple[date, date]:
        """First and last day of the vintage's horizon."""
        count = self.settings.panel.horizon
        days = self.frequency.range(self.frequency.last_complete(vintage.cutoff), count + 1)
        return days[1].date(), self.frequency.end(days[count])

    def panel(self, cutoff: date) -> Panel | None:
        """The panel of a cutoff, its arrays mapped; None where it was removed."""

        def read() -> Panel | None:
            try:
                return self.lake.read_panel(cutoff)
            except CutoffError:
                return None

        return self.keep(("panel", cutoff), read)

    def catalogue(self, vintage: Vintage) -> Catalogue:
        """Every series of the vintage; made once for each."""
        return self.keep(("catalogue", vintage), lambda: self._catalogue(vintage))

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for this key; of each kind (first part of the key) the newest KEPT stay."""
        with self._lock:
            if key not in self._kept:
                made = make()
                kind = key[0] if isinstance(key, tuple) else key
                same = [old for old in self._kept if isinstance(old, tuple) and old[0] == kind]
                for old in same[: max(0, len(same) - KEPT + 1)]:
                    del self._kept[old]
                self._kept[key] = made
            return self._kept[key]  # type: ignore[no-any-return]

    def _catalogue(self, vintage: Vintage) -> Catalogue:
        panel = self.panel(vintage.cutoff)
        first = self.warehouse.read(FORECASTS, ["unique_id", "status"], cutoff=vintage.day, horizon=1)
        frame = first if panel is None else panel.series.copy()
        frame["unique_id"] = frame["unique_id"].astype(str)
        attributes = tuple(str(name) for name in frame.columns if name not in ("unique_id", "status"))
        for name in attributes:
            frame[name] = frame[name].astype(str)
        if panel is not None:
            frame["price"] = _prices(panel)
            frame["status"] = frame["unique_id"].map(_by_name(first, "status"))
        sums = self.warehouse.read(
            FORECAST_SUMS, ["name", "periods", "mean"], cutoff=vintage.day, level="series",
            periods=self.settings.panel.horizon,
        ).rename(columns={"name": "unique_id"})  # fmt: skip
        frame["units"] = frame["unique_id"].map(_by_name(sums, "mean")).astype(float)
        scores = self.warehouse.read(SERIES_SCORES, ["unique_id", *SCORED], scored_at=vintage.day)
        for name in SCORED:
            frame[name] = frame["unique_id"].map(_by_name(scores, name))
        row = {name: number for number, name in enumerate(frame["unique_id"])}
        return Catalogue(frame, attributes, row, panel)


def _by_name(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    return dict(zip(frame["unique_id"].astype(str), frame[column], strict=True))


def _prices(panel: Panel) -> NDArray[np.float64]:
    """(n_series,) the price at the cutoff; NaN where none is known."""
    prices = panel.known.get("price")
    if prices is None:
        return np.full(len(panel.y), np.nan)
    now = np.asarray(prices[:, len(panel.periods) - 1], dtype=np.float64)
    return np.broadcast_to(now, len(panel.y)).copy() if len(now) == 1 else now
