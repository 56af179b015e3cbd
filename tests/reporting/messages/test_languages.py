"""Languages: all that the templates say is translated; numbers and dates by locale."""

from __future__ import annotations

import ast
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from jinja2 import Undefined

from forecasting.reporting.messages.languages import NONE, Words, language

PACKAGE = Path(__file__).parents[3] / "forecasting"


def said() -> set[str]:
    text = "\n".join(file.read_text() for file in PACKAGE.rglob("templates/*.html"))
    found = set(re.findall(r"\bt\('([^']+)'", text))
    for file in (PACKAGE / "reporting" / "html").glob("*.py"):
        found |= {one[1] for one in re.findall(r"""\bt\(\s*(["'])([^"']+)\1""", file.read_text())}
    return found | views()


def views() -> set[str]:
    """Names of the page's views, read without Airflow, which the page imports."""
    for node in ast.parse((PACKAGE / "web" / "pages.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VIEWS":
            return {name for _, name in ast.literal_eval(node.value)}
    raise AssertionError("web/pages.py has no VIEWS")


def test_every_text_has_its_translation_with_the_same_values():
    messages = json.loads((PACKAGE / "reporting" / "messages" / "locale" / "pt.json").read_text())
    names = json.loads((PACKAGE / "reporting" / "messages" / "locale" / "en.json").read_text())
    assert len(said()) > 150
    assert said() - messages.keys() == set()
    assert names.keys() - messages.keys() == set()
    for text, translated in messages.items():
        assert sorted(re.findall(r"{(\w+)}", text)) == sorted(re.findall(r"{(\w+)}", translated)), text


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "found"),
    [(None, None, None, "en"), ("pt", "en", "en", "pt"), (None, "pt", "en", "pt"), (None, None, "pt-BR,en;q=0.8", "pt"),
     (None, None, "de, pt;q=0.5, en;q=0.4", "pt"), ("xx", None, "fr", "en"), (None, None, ";q=x,,=,pt;q=zero", "en"),
     ("../en", "'", "pt", "pt")],
)  # fmt: skip
def test_the_reader_s_language(asked, kept, accepted, found):
    assert language(asked, kept, accepted) == found


def test_what_a_template_does_not_have_is_a_dash():
    words = Words("en")
    assert [form(Undefined()) for form in (words.share, words.number, words.units)] == [NONE] * 3
    assert Words("pt").told(f"first champion: wrmsse {NONE}, seasonal naive 0.5") == (
        f"primeira campeã: wrmsse {NONE}, ingênua sazonal 0,5"
    )


def test_numbers_shares_and_days_by_locale():
    en, pt = Words("en"), Words("pt")
    assert (en.number(1234.5, 1), pt.number(1234.5, 1)) == ("1,234.5", "1.234,5")
    assert (en.share(0.1234, 1, sign=True), pt.share(-0.1234, 1, sign=True)) == ("+12.3%", "-12,3%")
    assert (en.share(-0.0001, sign=True), en.share(None), en.number(float("nan"))) == ("0%", NONE, NONE)
    assert [en.units(value) for value in (0.123, 12.34, 1234.5)] == ["0.12", "12.3", "1,234"]
    assert (en.day(date(2026, 7, 1)), pt.day("2026-07-01")) == ("1 Jul 2026", "1 de jul. de 2026")
    assert en.instant(datetime(2026, 7, 1, 4, 5, tzinfo=UTC)) == "1 Jul, 04:05 UTC"
