"""Languages: what page and report say, and numbers and dates as a reader of that language writes them.

A message's key is its English text; `locale/*.json` have the others, and names for values of ours (`reason jump`).
What the night itself has written (orders, exceptions, signs, alerts, decisions) is English in the tables and told by
`stored_sentences.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd
from babel import Locale, negotiate_locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent
from babel.support import Format
from jinja2 import Undefined

from forecasting.reporting.messages.stored_sentences import tell

LANGUAGES: Mapping[str, str] = {"en": "English", "pt": "Português"}
NONE = "\N{EN DASH}"
COOKIE = "forecasts_lang"
_LOCALES = {"en": "en_GB", "pt": "pt_BR"}


@cache
def _messages(language: str) -> dict[str, str]:
    text = files("forecasting.reporting.messages").joinpath("locale", f"{language}.json").read_text(encoding="utf-8")
    messages: dict[str, str] = json.loads(text)
    return messages


def language(asked: str | None, kept: str | None, accepted: str | None) -> str:
    """Of `?lang=`, the cookie and the header Accept-Language, the first that we speak; else English."""
    for choice in (asked, kept):
        if choice in LANGUAGES:
            return str(choice)
    wanted = []
    for part in (accepted or "").split(","):
        name, _, weight = part.strip().partition(";q=")
        if _weight(weight) > 0:
            wanted.append((-_weight(weight), name.replace("-", "_")))
    return negotiate_locale([name for _, name in sorted(wanted, key=lambda one: one[0])], [*LANGUAGES]) or "en"


def _weight(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0


class Words:
    """One language: `t("a text of {who}", who=...)`, and numbers, shares and days in its way of writing."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.locale = Locale.parse(_LOCALES[language])
        self.tag = _LOCALES[language].replace("_", "-")
        self._messages = _messages(language)

    def __call__(self, text: str, **values: Any) -> str:
        """The text in this language, with its values filled in."""
        found = self._messages.get(text, text)
        return found.format(**values) if values else found

    def label(self, kind: str, value: Any) -> str:
        """The name of a value of ours (a reason, a state, an attribute); one that we do not know is shown as it is."""
        return self._messages.get(f"{kind} {value}") or str(value).replace("_", " ")

    def number(self, value: float | None, digits: int = 0, sign: bool = False) -> str:
        """A number with so many decimals at most; a dash where there is none."""
        if _absent(value):
            return NONE
        pattern, value = "#,##0" + ("." + "#" * digits if digits else ""), _rounded(value, digits)
        return format_decimal(value, format=f"+{pattern};-{pattern}" if sign and value else pattern, locale=self.locale)

    def units(self, value: float | None, sign: bool = False) -> str:
        """Units of demand: whole ones where they are many, two decimals where they are few."""
        if _absent(value):
            return NONE
        size = abs(float(value or 0))
        return self.number(value, 0 if size >= 100 else 1 if size >= 10 else 2, sign)

    def share(self, value: float | None, digits: int = 0, sign: bool = False) -> str:
        """A share as a percentage; a dash where there is none."""
        if _absent(value):
            return NONE
        pattern, value = "#,##0" + ("." + "0" * digits if digits else "") + "%", _rounded(value, digits + 2)
        return format_percent(value, format=f"+{pattern};-{pattern}" if sign and value else pattern, locale=self.locale)

    def day(self, value: date | datetime | str | None, style: str = "medium") -> str:
        """A day: 1 Jul 2026."""
        if value is None or str(value) in ("", "NaT"):
            return NONE
        day = date.fromisoformat(str(value)[:10])
        return format_date(day, format=style, locale=self.locale)

    def weekday(self, value: date | str) -> str:
        """Mon 6 Jul; an hour of it with its time: Mon 6 Jul 14:00."""
        text = Format(self.locale).date(date.fromisoformat(str(value)[:10]), "EEE d MMM")
        clock = str(value)[11:16]
        return f"{text} {clock}" if clock not in ("", "00:00") else text

    def instant(self, value: datetime | None) -> str:
        """A moment of UTC."""
        if value is None or str(value) == "NaT":
            return NONE
        return f"{format_datetime(value, 'd MMM, HH:mm', locale=self.locale)} UTC"

    def told(self, message: object) -> str:
        """A sentence that the night has written (English) in this language, where we know it."""
        return tell(message if isinstance(message, str) else "", self.language, self._number_again, self.day)

    def subject(self, name: str, subject: str) -> str:
        """What an alert is about: a rule of a table, a sign, a kind of drift of something, a step, a figure."""
        if name == "health":
            return self.label("sign", subject)
        kinds = {"quality": ("table", "rule"), "drift": ("drift", "")}.get(name)
        if kinds is None:
            return self.told(subject)
        first, _, second = subject.partition(": ")
        return f"{self.label(kinds[0], first)}: {self.label(kinds[1], second) if kinds[1] else second}"

    def _number_again(self, written: str) -> str:
        """A number as English has it (1,234.5 or +12.3%), in this language and with its decimals."""
        if written == NONE:
            return NONE
        value, share, sign = float(written.strip("%").replace(",", "")), written[-1] == "%", written[0] in "+-"
        digits = len(written.strip("%").partition(".")[2]) if "e" not in written else 0
        return self.share(value / 100, digits, sign) if share else self.number(value, digits, sign)


def _absent(value: Any) -> bool:
    """Whether there is no number to show: none, not a number, or a key that a table or template does not have."""
    return value is None or value is pd.NaT or isinstance(value, Undefined) or not math.isfinite(value)


def _rounded(value: Any, digits: int) -> float:
    """As it will be written, so that nothing becomes -0."""
    return round(float(value), digits) + 0.0
