"""Plots as geometry: paths, ticks and labels in units of an SVG, which a template draws and a style sheet colours.

Periods stand at equal distances; an empty value is a gap in its line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from babel.dates import format_date

from forecasting.panel.hierarchy import TOTAL
from forecasting.reporting.messages.languages import Words

LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 28  # margins that hold the labels
TICKS = 8  # labels below a plot, at most
NICE = (1, 2, 2.5, 5, 10)  # steps of the scale, times a power of ten
Values = Sequence[float | None]


@dataclass(frozen=True)
class Shape:
    """A path. kind: what it shows, which is its class in the style sheet."""

    kind: str
    path: str


@dataclass(frozen=True)
class Tick:
    """A label of an axis, and where it stands along it."""

    at: float
    text: str


@dataclass(frozen=True)
class Plot:
    """Everything of one plot. title, about: what a screen reader says instead. cutoff: where the forecast begins."""

    width: int
    height: int
    title: str
    about: str
    shapes: tuple[Shape, ...]
    below: tuple[Tick, ...]
    beside: tuple[Tick, ...]
    cutoff: float | None = None

    @property
    def kinds(self) -> set[str]:
        """Kinds that there are: what a legend has to name."""
        return {shape.kind for shape in self.shapes}

    @property
    def inner(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of what lies within the axes."""
        return LEFT, TOP, self.width - RIGHT, self.height - BOTTOM


class _Axes:
    """From place in the sequence and value to the units of the plot."""

    def __init__(self, size: tuple[int, int], count: int, values: Iterable[float | None]) -> None:
        known = [one for one in values if one is not None]
        self.width, self.height = size
        self.step = _step(max([*known, 0.0]) - min([*known, 0.0]))
        self.low = math.floor(min([*known, 0.0]) / self.step) * self.step
        self.high = max(math.ceil(max([*known, 0.0]) / self.step) * self.step, self.low + self.step)
        self.across = (self.width - LEFT - RIGHT) / max(1, count - 1)

    def x(self, place: float) -> float:
        return LEFT + place * self.across

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (self.height - TOP - BOTTOM)

    def line(self, values: Values) -> str:
        """A path through the values; one that stands alone is a dot."""
        parts = []
        for first, last in _runs([one is not None for one in values]):
            points = [f"{self.x(at):.1f} {self.y(values[at] or 0.0):.1f}" for at in range(first, last)]
            parts.append("M" + "L".join(points) + ("h0" if len(points) == 1 else ""))
        return "".join(parts)

    def band(self, low: Values, high: Values) -> str:
        """The ground between two lines."""
        parts = []
        for first, last in _runs([a is not None and b is not None for a, b in zip(low, high, strict=True)]):
            there = [f"{self.x(at):.1f} {self.y(high[at] or 0.0):.1f}" for at in range(first, last)]
            back = [f"{self.x(at):.1f} {self.y(low[at] or 0.0):.1f}" for at in reversed(range(first, last))]
            parts.append("M" + "L".join([*there, *back]) + "Z")
        return "".join(parts)

    def columns(self, places: Iterable[int]) -> str:
        """The whole height, a period wide, at each of the places."""
        top, bottom, half = TOP, self.height - BOTTOM, self.across / 2
        return "".join(f"M{self.x(at) - half:.1f} {top}h{2 * half:.1f}V{bottom}h{-2 * half:.1f}Z" for at in places)

    def scale(self, write: Any) -> tuple[Tick, ...]:
        """Ticks of the values."""
        count = round((self.high - self.low) / self.step)
        return tuple(
            Tick(round(self.y(self.low + n * self.step), 1), write(self.low + n * self.step)) for n in range(count + 1)
        )

    def days(self, days: Sequence[date], t: Words) -> tuple[Tick, ...]:
        """Ticks of the periods: where months begin, or every so many periods where those are few."""
        pattern = "d MMM" if (days[-1] - days[0]).days <= 400 else "MMM yyyy"
        places = [at for at in range(1, len(days)) if days[at].month != days[at - 1].month]
        if len(places) < 3:
            places = list(range(0, len(days), max(1, math.ceil(len(days) / TICKS))))
        places = places[:: math.ceil(len(places) / TICKS) or 1]
        return tuple(Tick(round(self.x(at), 1), format_date(days[at], pattern, locale=t.locale)) for at in places)


def _step(span: float) -> float:
    """Distance of four to six ticks over a span, as people write scales."""
    if span < 1e-9:  # nothing that could be seen
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(power * nice for nice in NICE if power * nice >= span / 5 * (1 - 1e-9))


def _runs(known: Sequence[bool]) -> list[tuple[int, int]]:
    """From where to where (not included) there are values without a gap."""
    edges = [at for at in range(len(known) + 1) if (at < len(known) and known[at]) != (at > 0 and known[at - 1])]
    return list(zip(edges[::2], edges[1::2], strict=True))


def demand(chart: Mapping[str, Any], shown: int, size: tuple[int, int], t: Words) -> Plot:
    """A forecast of one series or total with the newest `shown` periods before it. chart: see `queries.series.chart`.

    With the band of nine in ten cases and of half of them, the vintage before, overrides, and what was out of stock.
    """
    ahead = next((at for at, one in enumerate(chart["mean"]) if one is not None), len(chart["ds"]))
    start = max(0, ahead - shown)
    days = [date.fromisoformat(day[:10]) for day in chart["ds"][start:]]
    part = {name: chart[name][start:] for name in ("y", "mean", "p05", "p25", "p75", "p95")}
    past: Values = next(iter(chart["past"].values()), [])[start:]
    plan = chart["plan"][start:]
    axes = _Axes(size, len(days), [*part["y"], *part["mean"], *part["p95"], *part["p05"], *past, *plan])
    shapes = [
        Shape("out", axes.columns(at - start for at in chart["out"] if at >= start)),
        Shape("wide", axes.band(part["p05"], part["p95"])),
        Shape("half", axes.band(part["p25"], part["p75"])),
        Shape("past", axes.line(past)),
        Shape("actual", axes.line(part["y"])),
        Shape("mean", axes.line(part["mean"])),
        Shape("plan", axes.line(plan)),
    ]
    digits = 0 if axes.step.is_integer() else 2
    return Plot(
        *size,
        title=f"{t('History and forecast')}: {t('everything') if chart['level'] == TOTAL else chart['name']}",
        about=_told(days, part, t),
        shapes=tuple(shape for shape in shapes if shape.path),
        below=axes.days(days, t),
        beside=axes.scale(lambda value: t.number(value, digits)),
        cutoff=round(axes.x(ahead - start - 0.5), 1) if ahead < len(chart["ds"]) else None,
    )


def _told(days: Sequence[date], part: Mapping[str, Values], t: Words) -> str:
    """The plot in a sentence."""
    sold = [one for one in part["y"] if one is not None]
    ahead = [one for one in part["mean"] if one is not None]
    return t(
        "Units a period from {first} to {last}: {sold} sold on average before, {ahead} forecast on average.",
        first=t.day(days[0]), last=t.day(days[-1]), sold=t.units(_mean(sold)), ahead=t.units(_mean(ahead)),
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def shares(
    lines: Mapping[str, Values], days: Sequence[date], size: tuple[int, int], t: Words, names: Mapping[str, str]
) -> Plot:
    """Shares over the vintages, a line each. names: of the lines, and of the whole as `title`."""
    axes = _Axes(size, len(days), [one for values in lines.values() for one in values])
    newest = {kind: next((one for one in reversed(values) if one is not None), None) for kind, values in lines.items()}
    return Plot(
        *size,
        title=names["title"],
        about=", ".join(f"{names[kind]}: {t.share(value, 1)}" for kind, value in newest.items()),
        shapes=tuple(Shape(kind, axes.line(values)) for kind, values in lines.items() if any(_known(values))),
        below=axes.days(days, t),
        beside=axes.scale(lambda value: t.share(value, 0 if math.isclose(axes.step * 100 % 1, 0, abs_tol=1e-9) else 1)),
    )


def _known(values: Values) -> list[bool]:
    return [one is not None for one in values]
