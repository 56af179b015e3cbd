"""`python -m benchmarks coverage`: do the quantiles hold, on made-up shops whose demand is known?

Every shop is forecast by the seasonal mean through the product's own plan of folds, `Calibrations.fit` and its
quantiles; what comes after the cutoff is drawn from the same truth. Cells count by kind of demand, size of the shop and
frequency, for single periods and for sums over the first 7, 14 and 28 periods. Demand is discrete, so that a quantile q
at level p is right where P(y < q) <= p <= P(y <= q): `error` is by how much the shares seen miss that, and for the band
p05 to p95 by how much the share within it (bounds excluded to included) misses 0.90.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import results
from benchmarks.tables import number, table
from forecasting.core.frequency import Frequency
from forecasting.evaluation.backtest import backtest, plan
from forecasting.models.baselines import SeasonalMean
from forecasting.models.intervals.levels import Calibrations
from forecasting.panel.panel import Panel
from forecasting.planning.demand_sums import distribution

Numbers = NDArray[np.float64]
KINDS = ("poisson", "negative binomial", "intermittent", "weekday", "seasonal", "steady")
SIZES = (1, 5, 40, 150, 600)
PERIODS = {"D": (200, 28), "W-MON": (190, 28), "M": (72, 14)}  # history, horizon
SPANS = (7, 14, 28)
CASES = 1000  # of every kind and span: a share of 0.95 is then known to within 0.007 (one standard error)
AT = (0.05, 0.5, 0.95)
LIMITS = (0.03, 0.06)  # in cells of 1,000 cases or more, and in any


@dataclass(frozen=True)
class Shop:
    """A panel that ends at the cutoff, what comes after it (n_series, horizon), and the kind of each series."""

    panel: Panel
    actual: Numbers
    kinds: NDArray[np.object_]


def shop(size: int, code: str, seed: int) -> Shop:
    """A shop of so many series of all kinds in turn; one alone has the kind of its seed."""
    random = np.random.default_rng(zlib.crc32(f"{size} {code} {seed}".encode()))
    past, horizon = PERIODS[code]
    kinds = np.array([KINDS[(seed + row) % len(KINDS)] for row in range(size)], dtype=object)
    y = np.stack([_demand(kind, code, past + horizon, random) for kind in kinds])
    frequency = Frequency.parse(code)
    names = [f"{kind[:3]}{row:04d}" for row, kind in enumerate(kinds)]
    panel = Panel(
        y=y[:, :past].astype(np.float32),
        periods=frequency.range(pd.Timestamp("2024-01-01"), past),
        series=pd.DataFrame({"unique_id": names}),
        frequency=frequency,
        snapshot="coverage",
    )
    return Shop(panel, y[:, past:], kinds)


def _demand(kind: str, code: str, periods: int, random: np.random.Generator) -> Numbers:
    place = np.arange(periods)
    level = float(np.exp(random.uniform(0.0, 3.5)))
    if kind == "poisson":
        return random.poisson(level, periods).astype(float)
    if kind == "negative binomial":
        shape = random.uniform(0.7, 3)
        return random.negative_binomial(shape, shape / (shape + level), periods).astype(float)
    if kind == "intermittent":
        sizes = random.integers(1, random.integers(2, 12), periods)
        return np.where(random.random(periods) < random.uniform(0.05, 0.35), sizes, 0).astype(float)
    if kind == "weekday":
        shut = place % 7 >= 5 if code == "D" else np.zeros(periods, dtype=bool)
        return np.where(shut, 0, random.poisson(2 + level, periods)).astype(float)
    if kind == "seasonal":
        season = {"D": 7, "W": 52, "M": 12}[code[0]]
        wave = 1 + 0.6 * np.sin(2 * np.pi * (place / season + random.random()))
        return random.poisson(5 * level * wave).astype(float)
    return random.integers(18, 23, periods).astype(float)


def forecast(one: Shop) -> tuple[Calibrations, NDArray[np.float32]]:
    """The calibration that a training would make with the seasonal mean alone, and its forecast."""
    horizon = one.actual.shape[1]
    chosen = plan(one.panel, horizon, 3, None, "auto")
    made = backtest(one.panel, SeasonalMean(), chosen)
    folds = [
        (one.panel.first(fold), one.panel.y[:, fold : fold + horizon], mean)
        for fold, mean in zip(chosen.folds, made.means, strict=True)
    ]
    return Calibrations.fit(folds), SeasonalMean().predict(one.panel, horizon).mean


def cases(one: Shop) -> Iterator[pd.DataFrame]:
    """Columns kind, span and, by level, below and at_most (0 or 1); band_in and band_out likewise."""
    calibrations, mean = forecast(one)
    found = calibrations.days["series"].quantiles(one.panel, mean, at=AT)
    yield _cases(one.kinds, "one", one.actual, found)
    for span in SPANS:
        if span <= mean.shape[1]:
            q = distribution(calibrations, one.panel, mean, span, AT)
            yield _cases(one.kinds, str(span), one.actual[:, :span].sum(axis=1)[:, None], q[:, None])


def _cases(kinds: NDArray[np.object_], span: str, y: Numbers, q: Numbers) -> pd.DataFrame:
    y, slack = y[..., None], 1e-4 * (1 + y[..., None])
    below, most = y < q - slack, y <= q + slack
    columns: dict[str, Any] = {"kind": np.repeat(kinds, y.shape[1]), "span": span}
    for place, level in enumerate(AT):
        columns |= {f"below {level}": below[..., place].ravel(), f"most {level}": most[..., place].ravel()}
    columns["inside"] = (most[..., 2] & ~below[..., 0]).ravel()
    columns["within"] = (below[..., 2] & ~most[..., 0]).ravel()
    columns["width"] = ((q[..., 2] - q[..., 0]) / np.maximum(q[..., 1], 1)).ravel()
    return pd.DataFrame(columns)


def measured(size: int, code: str, shops: int, first: int = 0) -> pd.DataFrame:
    """A row a kind and span: cases, what was seen at p95 and in the band, and by how much either misses."""
    parts = [part for seed in range(first, first + shops) for part in cases(shop(size, code, seed))]
    rows = pd.concat(parts, ignore_index=True)
    found = rows.groupby(["kind", "span"]).mean(numeric_only=False)
    counts = rows.groupby(["kind", "span"]).size()
    error = {level: _missed(found[f"below {level}"], found[f"most {level}"], level) for level in AT}
    return pd.DataFrame(
        {
            "size": size, "frequency": code, "cases": counts, "most_p95": found["most 0.95"],
            "below_p95": found["below 0.95"], "inside": found["inside"], "within": found["within"],
            "error_p05": error[0.05], "error_p95": error[0.95],
            "error_band": _missed(found["within"], found["inside"], 0.9), "width": found["width"],
        }
    ).reset_index()  # fmt: skip


def _missed(low: pd.Series, high: pd.Series, level: float) -> pd.Series:
    return np.maximum(np.maximum(low - level, level - high), 0.0)


def everything(sizes: Sequence[int] = SIZES, codes: Sequence[str] = tuple(PERIODS)) -> pd.DataFrame:
    """All sizes and frequencies, with as many shops as give each kind CASES sums of one length."""
    parts = []
    for code in codes:
        for size in sizes:
            shops = -(-CASES * len(KINDS) // size)
            parts.append(measured(size, code, shops))
            worst = parts[-1][["error_p95", "error_band"]].max()
            print(f"{code} {size}: worst p95 {worst.iloc[0]:.3f}, band {worst.iloc[1]:.3f}", flush=True)
    return pd.concat(parts, ignore_index=True)


def summary(rows: pd.DataFrame) -> str:
    """The worst error of every size and frequency, of large cells and of any, as a table."""
    rows = rows.assign(error=rows[["error_p95", "error_band"]].max(axis=1))
    lines = []
    for (code, size), part in rows.groupby(["frequency", "size"], sort=False):
        large = part[part["cases"] >= 1000]
        worst = part.loc[part["error"].idxmax()]
        lines.append(
            [code, f"{size}", number(large["error"].max(), 3), number(part["error"].max(), 3),
             f"{worst['kind']}, {worst['span']}"]
        )  # fmt: skip
    return table(["frequency", "series", "1,000 cases or more", "any", "where"], lines)


def part(data: Path, cutoffs: tuple[date, ...], only: list[str], work: Path) -> None:  # noqa: ARG001 (as all parts)
    """Measure, print and keep; `--only 40 D` takes some sizes and frequencies."""
    sizes = [size for size in SIZES if str(size) in only] or list(SIZES)
    codes = [code for code in PERIODS if code in only] or list(PERIODS)
    rows = everything(sizes, codes)
    print(summary(rows))
    work.mkdir(parents=True, exist_ok=True)
    rows.to_csv(work / "coverage.csv", index=False)
    if not only:
        results.save("coverage", "simulated", {"cells": rows.round(4).to_dict("records")})
