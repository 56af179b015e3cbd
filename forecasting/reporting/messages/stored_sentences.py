"""Sentences that a night has written into tables, told in another language.

They are English there, with numbers and dates inside. `locale/told.*.json` has a template for each, as
"{0:n} of {1:n} series on a fallback", with its translation. A slot is a number (`n`), a day (`d`), a word (`w`) or,
without a letter, any text: a sentence, a list or a name, which is told in turn. What fits no template stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?%?"
DASH = "\N{EN DASH}"  # in place of a number that is not defined
DAY = r"\d{4}-\d\d-\d\d"
KINDS = {"n": rf"(?:{NUMBER}|[-+]?(?:nan|inf)%?|{DASH})", "d": DAY, "w": r"[^\s;:,()]+", "": r".+?"}
SLOT = re.compile(r"{(\d+)(?::(\w))?}")
Rewrite = Callable[[str], str]


class Template(NamedTuple):
    """pattern: a named group a slot; word: the longest piece between slots; translated: with slots by number."""

    pattern: re.Pattern[str]
    word: str
    translated: str


@cache
def templates(language: str) -> Sequence[Template]:
    """Those of a language, the ones that say most themselves first; English needs none."""
    file = files("forecasting.reporting.messages").joinpath("locale", f"told.{language}.json")
    if not file.is_file():
        return ()
    known: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    rising = sorted(known, key=lambda text: -len(SLOT.sub("", text)))
    return tuple(Template(re.compile(pattern(text), re.DOTALL), longest(text), known[text]) for text in rising)


def pattern(template: str) -> str:
    """The regular expression of a template."""
    made, at = "", 0
    for slot in SLOT.finditer(template):
        made += re.escape(template[at : slot.start()]) + f"(?P<s{slot[1]}>{KINDS[slot[2] or '']})"
        at = slot.end()
    return made + re.escape(template[at:])


def longest(template: str) -> str:
    """The longest piece between slots: a text without it cannot fit."""
    return max(SLOT.sub("\0", template).split("\0"), key=len)


def tell(text: str, language: str, number: Rewrite, day: Rewrite) -> str:
    """The text in this language where a template fits, or one fits each part of a list; else as it is.

    number, day: write what stands in a slot as a reader of the language writes it.
    """

    def whole(text: str) -> str | None:
        for one in templates(language):
            found = one.pattern.fullmatch(text) if one.word in text else None
            if found:
                slots = found.groupdict()
                return one.translated.format(*(part(slots[f"s{place}"]) for place in range(len(slots))))
        return None

    def part(text: str) -> str:
        if re.fullmatch(NUMBER, text):
            return number(text)
        if re.fullmatch(DAY, text):
            return day(text)
        if (told := whole(text)) is not None:
            return told
        return ", ".join(map(part, text.split(", "))) if ", " in text else text

    if (told := whole(text)) is not None:
        return told
    parts = [whole(one) for one in text.split(", ")]
    return ", ".join(one for one in parts if one) if all(parts) else text
