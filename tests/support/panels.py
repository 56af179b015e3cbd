"""Small panels that tests share: made by hand or from a seed, never from files."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecasting.core.frequency import Frequency
from forecasting.panel.panel import Panel


def panel_of(rows: list[list[float]], start: str = "2026-01-05", frequency: str = "D", **changes: object) -> Panel:
    """A panel of these rows; series are called A, B, C, ... and lie in store S1 or S2 in turn."""
    y = np.array(rows, dtype=np.float32)
    code = Frequency.parse(frequency)
    names = [chr(ord("A") + number) for number in range(len(y))]
    series = pd.DataFrame(
        {"unique_id": names, "item": names, "store": [f"S{number % 2 + 1}" for number in range(len(y))]}
    )
    fields = {
        "y": y,
        "periods": code.range(pd.Timestamp(start), y.shape[1]),
        "series": series,
        "frequency": code,
        "snapshot": "sales@0",
        "levels": ("store",),
    }
    return Panel(**(fields | changes))  # type: ignore[arg-type]


def seasonal_panel(series: int = 8, periods: int = 140, horizon: int = 14, seed: int = 1) -> Panel:
    """Poisson demand with a week, price cuts that lift it, a closed day, a stock-out, a late and an unsold series."""
    random = np.random.default_rng(seed)
    week = np.array([1.0, 0.8, 0.8, 1.0, 1.3, 1.8, 1.4])
    level = np.linspace(2, 30, series)[:, None]
    promotion = (random.random((series, periods + horizon)) < 0.05).astype(np.float32)
    price = np.where(promotion > 0, 0.7, 1.0).astype(np.float32) * np.linspace(1, 5, series, dtype=np.float32)[:, None]
    expected = level * week[np.arange(periods) % 7] * (1 + promotion[:, :periods])
    y = random.poisson(expected).astype(np.float32)
    y[:, periods // 2] = np.nan
    y[1, periods // 3 : periods // 3 + 6] = np.nan
    y[2, : periods // 2] = np.nan
    y[-1] = np.nan
    event = np.zeros((1, periods + horizon), dtype=np.float32)
    event[0, ::30] = 1
    base = panel_of([[0.0]] * series)
    return Panel(
        y=y,
        periods=base.frequency.range(pd.Timestamp("2026-01-05"), periods),
        series=base.series,
        frequency=base.frequency,
        snapshot="sales@0",
        known={"price": price, "promotion": promotion, "event": event, "event_id": event * 2},
        past={"weather": random.normal(size=(1, periods)).astype(np.float32)},
        levels=("store",),
    )
