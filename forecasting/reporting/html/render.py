"""The report as a file, and its gist as the text of an e-mail."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from forecasting.core.frequency import Frequency
from forecasting.reporting.html import svg_plots
from forecasting.reporting.html.facts import Drawn, Facts
from forecasting.reporting.messages.languages import Words
from forecasting.reporting.theme.environment import environment, style

PACKAGE = "forecasting.reporting.html"
LARGE, SMALL, LOW = (1040, 300), (500, 210), (500, 220)  # sizes of plots
FIRST = 5  # exceptions that the gist names


@cache
def _environment() -> Environment:
    return environment(PACKAGE)


def render(facts: Facts, language: str) -> str:
    """One HTML file without any reference to another: style and plots are in it, and it runs no script."""
    t = Words(language)
    own = files(PACKAGE).joinpath("static", "report.css").read_text(encoding="utf-8")
    given = {
        "t": t, "f": facts, "style": Markup(style() + own),  # noqa: S704  # our own files
        "total": facts.total and _demand(facts.total, facts, LARGE, 1, t),
        "drawn": [(one, _demand(one, facts, SMALL, 2, t)) for one in facts.drawn],
        "trend": _trend(facts.accuracy, t),
    }  # fmt: skip
    return _environment().get_template("report.html").render(**given) + "\n"


def _demand(drawn: Drawn, facts: Facts, size: tuple[int, int], part: int, t: Words) -> svg_plots.Plot:
    return svg_plots.demand(drawn.chart, Frequency(facts.frequency).plotted // part, size, t)


def _trend(accuracy: dict[str, Any], t: Words) -> svg_plots.Plot | None:
    """WAPE over the vintages, and that of seasonal naive from the same cutoffs."""
    time = accuracy["time"]
    if len(time) < 2:
        return None
    wape = [_number(one) for one in time["wape"]]
    added = [_number(one) for one in time["value_added"]] if "value_added" in time else [None] * len(wape)
    naive = [
        one / (1 - more) if one is not None and more is not None and more < 1 else None
        for one, more in zip(wape, added, strict=True)
    ]
    days = [one.date() for one in time["cutoff"]]
    names = {"naive": t("WAPE of seasonal naive"), "wape": "WAPE", "title": t("WAPE over time")}
    return svg_plots.shares({"naive": naive, "wape": wape}, days, LOW, t, names)


def _number(value: Any) -> float | None:
    return float(value) if value == value else None  # noqa: PLR0124  # NaN


def title(facts: Facts, language: str) -> str:
    """Subject of the e-mail."""
    t = Words(language)
    return f"[{facts.name}] {_verdict(facts, t)} ({t.day(facts.vintage.cutoff)})"


def gist(facts: Facts, language: str) -> str:
    """What the night has brought, in a few lines of plain text."""
    t, state = Words(language), facts.state
    lines = [
        _verdict(facts, t),
        t("Sales until {day}, forecast until {end}.", day=t.day(facts.vintage.cutoff), end=t.day(state["end"])),
        *_figures(facts, t),
        "",
        t("{n} series need a person.", n=len(facts.exceptions)) if facts.exceptions else t("No series needs a person."),
    ]
    lines += [
        f"- {row['unique_id']}: {t.label('reason', row['reason'])}, {t.told(row['message'])}"
        for row in facts.exceptions[:FIRST]
    ]
    lines += ["", t("All of it, with plots, is in the attached file; it opens in any browser.")]
    return "\n".join(" ".join(line.split()) for line in lines) + "\n"


def _verdict(facts: Facts, t: Words) -> str:
    """The headline, without HTML."""
    shared: Any = _environment().get_template("shared.html").module
    said: Markup = shared.verdict(t, facts.state["cards"])
    return str(said.unescape()).strip()


def _figures(facts: Facts, t: Words) -> Iterator[str]:
    """Total, its change, accuracy, alerts and orders, as far as there are any."""
    cards = {card.about: card.facts for card in facts.state["cards"]}
    if facts.sum:
        units = t.units(facts.sum["mean"])
        yield f"{t('Forecast')}: {t('{n} units over {periods} periods', n=units, periods=facts.sum['periods'])}"
    for row in facts.changes.total.to_dict("records"):
        share, day = t.share(row["share"], 1, sign=True), t.day(facts.changes.before)
        yield f"{t('Change')}: {t('{share} against the forecast of {day}, for the same periods', share=share, day=day)}"
    if cards["accuracy"]["nights"]:
        wape, bias, added = (cards["accuracy"].get(name) for name in ("wape", "bias", "value_added"))
        told = t("bias {share}", share=t.share(bias, 1, sign=True))
        added = t("value added over naive {share}", share=t.share(added, sign=True))
        yield f"{t('Accuracy')}: WAPE {t.share(wape, 1)}, {told}, {added}"
    yield f"{t('Alerts')}: {t('{n} open', n=cards['alerts']['open'])}"
    if facts.orders:
        orders, units = t.number(facts.orders["orders"]), t.number(facts.orders["units"])
        yield f"{t('Orders')}: {t('{n} orders, {units} units', n=orders, units=units)}"
