"""Small shops of odd kinds, as files with a configuration: one series, none that sells, no prices, one period.

Days, weeks and months; every shop has sales of three nights, the first of them `nights(...)[0]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.core.frequency import Frequency
from tests.support.shops import _empty_registry

LAST = {"D": "2026-06-27", "W-MON": "2026-06-22", "M": "2026-05-01"}  # newest period of the first night; a Saturday
LENGTH = {"D": 150, "W-MON": 115, "M": 40}
HORIZON = {"D": 7, "W-MON": 5, "M": 4}
NIGHTS = 3


@dataclass(frozen=True)
class Odd:
    """One shop. units, price: (n_series, n_periods), NaN = no row; the periods end with the third night."""

    units: np.ndarray
    price: np.ndarray | None = None
    horizon: int | None = None


def _random(frequency: str, series: int = 6, length: int | None = None, seed: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    count = (length or LENGTH[frequency]) + NIGHTS - 1
    return 1 + random.poisson(np.linspace(2, 12, series)[:, None], size=(series, count)).astype(float)


def _began(units: np.ndarray, known: int) -> np.ndarray:
    units = units.copy()
    units[:, : units.shape[1] - known - NIGHTS + 1] = np.nan
    return units


def _repeated(frequency: str) -> np.ndarray:
    season = {"D": 7, "W-MON": 52, "M": 12}[frequency]
    count = LENGTH[frequency] + NIGHTS - 1
    pattern = np.random.default_rng(1).integers(1, 9, size=(4, season)).astype(float)
    return pattern[:, np.arange(count) % season]


def _ended(frequency: str, before: int) -> np.ndarray:
    units = _random(frequency)
    units[:, -before:] = 0
    return units


def _silent(frequency: str) -> np.ndarray:
    """Nothing sold in the longest window that weights look at, before the newest fold; a shop that reopens."""
    units, horizon = _random(frequency), HORIZON[frequency]
    end = LENGTH[frequency] - horizon
    units[:, max(0, end - {"D": 28, "W-MON": 52, "M": 24}[frequency]) : end] = 0
    return units


def _weekdays(frequency: str) -> np.ndarray:
    """Days: closed on Saturday and Sunday; weeks and months: closed in every third one. Without rows."""
    units = _random(frequency)
    days = Frequency.parse(frequency).range(pd.Timestamp(LAST[frequency]), NIGHTS)[-1]
    periods = Frequency.parse(frequency).range(days, -units.shape[1] + 1).append(pd.DatetimeIndex([days]))
    units[:, periods.day_of_week > 4 if frequency == "D" else np.arange(len(periods)) % 3 == 0] = np.nan
    return units


def _without_sundays(frequency: str) -> np.ndarray:
    """The first period to be scored, that of the second night, has no row; with weeks and months a 0."""
    units = _random(frequency)
    step = {"D": 7, "W-MON": 13, "M": 12}[frequency]
    units[:, units.shape[1] - 2 :: -step] = np.nan if frequency == "D" else 0
    return units


def _prices(frequency: str, value: float) -> np.ndarray:
    return np.full(_random(frequency).shape, value)


def _newest_price(frequency: str) -> np.ndarray:
    price = np.full(_random(frequency).shape, np.nan)
    price[:, -NIGHTS:] = 2.5
    return price


ODD: dict[str, Callable[[str], Odd]] = {
    "one series": lambda f: Odd(_random(f, 1)),
    "all new": lambda f: Odd(_began(_random(f), 2)),
    "all dead": lambda f: Odd(_ended(f, 100 if f == "D" else 30)),
    "all zero": lambda f: Odd(np.zeros_like(_random(f))),
    "constant": lambda f: Odd(np.full_like(_random(f), 5.0)),
    "no price": lambda f: Odd(_random(f)),
    "price 0": lambda f: Odd(_random(f), _prices(f, 0.0)),
    "newest price": lambda f: Odd(_random(f), _newest_price(f)),
    "perfect naive": lambda f: Odd(_repeated(f)),
    "nothing sold at a fold": lambda f: Odd(_silent(f)),
    "20 periods": lambda f: Odd(_random(f, length=20), horizon=28 if f == "D" else 13),
    "13 periods, one series": lambda f: Odd(_random(f, 1, length=13), horizon=13),
    "one period": lambda f: Odd(_random(f, length=1)),
    "one period, one series": lambda f: Odd(_random(f, 1, length=1), horizon=28),
    "weekday only": lambda f: Odd(_weekdays(f)),
    "Sunday first scored": lambda f: Odd(_without_sundays(f)),
}


def nights(frequency: str) -> list[date]:
    """Cutoffs of the three nights."""
    code = Frequency.parse(frequency)
    return [code.end(start) for start in code.range(pd.Timestamp(LAST[frequency]), NIGHTS)]


def write(folder: Path, frequency: str, odd: Odd, models: tuple[str, ...], **train: object) -> Path:
    """Write sales, prices and conf.toml; returns the configuration's path."""
    (folder / "mlflow.db").write_bytes(_empty_registry())
    code = Frequency.parse(frequency)
    newest = code.range(pd.Timestamp(LAST[frequency]), NIGHTS)[-1]
    count = odd.units.shape[1]
    periods = code.range(newest, -(count - 1)).append(pd.DatetimeIndex([newest])) if count > 1 else [newest]
    for name, values in (("sales", odd.units), ("prices", odd.price)):
        if values is not None:
            column = "y" if name == "sales" else "price"
            frames = [
                pd.DataFrame({"item": f"I{k // 2}", "store": "NS"[k % 2], "ds": periods, column: row})
                for k, row in enumerate(values)
            ]
            pd.concat(frames).dropna().to_csv(folder / f"{name}.csv", index=False)
    (folder / "conf.toml").write_text(_conf(folder, frequency, odd, models, train))
    return folder / "conf.toml"


def _conf(folder: Path, frequency: str, odd: Odd, models: tuple[str, ...], train: dict[str, object]) -> str:
    priced = '[extract.prices]\nsource = "files"\npath = "prices.csv"\n' if odd.price is not None else ""
    more = "\n".join(f"{name} = {str(value).lower()}" for name, value in train.items())
    return f"""
[sources.files]
kind = "files"
path = "{folder}"

[extract.sales]
source = "files"
path = "sales.csv"

{priced}
[screen]
freshness_days = 1000
min_rows_ratio = 0
future_days = 1000

[panel]
frequency = "{frequency}"
horizon = {odd.horizon or HORIZON[frequency]}
levels = ["store"]

[train]
models = {list(models)}
every_days = 1
{more}

[train.lightgbm]
rows = 2000
trees = 5
bags = 1

[train.arima]
max_series = 4

[planning]
lead_time = 2

[report]
path = "{folder}/report"

[lake]
path = "{folder}/lake"

[warehouse]
url = "sqlite:///{folder}/warehouse.db"

[mlflow]
tracking_uri = "sqlite:///{folder}/mlflow.db"
artifacts = "{folder}/mlartifacts"
"""
