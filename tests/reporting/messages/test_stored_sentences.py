"""Sentences of the night in Portuguese: every one that the code can write has its translation, with its numbers."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.core.config.sections import SalesTable, Screen
from forecasting.evaluation import health
from forecasting.models.groups import insane
from forecasting.planning.order_terms import why
from forecasting.quality.screening import Known, screen_sales
from forecasting.reporting.messages.languages import Words
from forecasting.reporting.messages.stored_sentences import SLOT, pattern, templates

PACKAGE = Path(__file__).parents[3] / "forecasting"
KNOWN = json.loads((PACKAGE / "reporting" / "messages" / "locale" / "told.pt.json").read_text())
LABELS = json.loads((PACKAGE / "reporting" / "messages" / "locale" / "pt.json").read_text())
# Where sentences that the page tells are made; of some modules only these functions (the rest speaks to operators).
MAKERS: dict[str, tuple[str, ...]] = {
    "quality/gates.py": (),
    "quality/screening.py": (),
    "quality/row_screen.py": ("line",),
    "evaluation/drift/demand.py": (),
    "evaluation/drift/inputs.py": (),
    "evaluation/health.py": (),
    "evaluation/promotion.py": ("judge", "_segments", "_bias", "_coverage"),
    "models/arima/model.py": ("_groups", "_fit", "_guarded"),
    "models/blend.py": ("predict", "_combine", "_end", "_nothing"),
    "models/cold_start.py": (),
    "models/groups.py": ("insane",),
    "models/smoothing/base.py": ("predict",),
    "steps/monitor/alerts.py": ("late", "_quality", "_refused", "_drifted", "_inaccurate", "_unwell"),
    "steps/monitor/exceptions.py": (),
    "steps/forecast/forecast.py": ("predict",),
    "steps/train/judgement.py": (),
    "planning/order_terms.py": ("why", "_sentence"),
    "steps/train/promotion.py": ("decide",),
    "steps/train/champion.py": (),
}
SILENT = {"tell", "info", "error", "exception", "warning", "Field", "log"}
t = Words("pt").told


def spoken(tree: ast.AST) -> Iterator[ast.JoinedStr | ast.Constant]:
    """Texts below a node, but for docstrings, errors, and what is said to the log."""
    for node in ast.iter_child_nodes(tree):
        called = node.func if isinstance(node, ast.Call) else None
        name = getattr(called, "attr", getattr(called, "id", ""))
        message = isinstance(node, (ast.Assign, ast.AugAssign)) and "outcome" in ast.unparse(node).split("=")[0]
        if isinstance(node, ast.Raise) or name in SILENT or message:
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield node
        else:
            yield from spoken(node)


def pieces(text: ast.JoinedStr | ast.Constant) -> list[str]:
    """What is written between the slots of a text."""
    if isinstance(text, ast.Constant):
        return re.split(r"{[^}]*}", text.value)
    return [
        piece
        for part in text.values
        if isinstance(part, ast.Constant)
        for piece in re.split(r"{{?[^}]*}}?", part.value)
    ]


def sentences() -> Iterator[tuple[str, list[str]]]:
    """(where, pieces) of every text of MAKERS that is prose: words with a blank between or beside them."""
    for name, functions in MAKERS.items():
        tree = ast.parse((PACKAGE / name).read_text())
        bodies = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name in functions]
        assert {one.name for one in bodies} == set(functions), name
        for body in bodies or [tree]:
            for text in spoken(body):
                found = pieces(text)
                if re.search(r"[a-z] | [a-z]", "".join(found)) and re.search(r"[a-z]{2}", "".join(found)):
                    yield f"{name}:{text.lineno}", found


def test_every_sentence_that_the_code_can_write_has_its_translation():
    plain = [SLOT.sub("\0", template) for template in KNOWN]
    found = list(sentences())
    assert len(found) > 80
    untold = [one for one in found if not any(re.search(regular(one[1]), text) for text in plain)]
    assert not [one for one in untold if english(t("x".join(one[1]))) or t("x".join(one[1])) == "x".join(one[1])]


def regular(parts: list[str]) -> str:
    """What a template must have: these parts, one after the other."""
    whole = "\0".join(parts).strip()
    return ".*?".join(map(re.escape, whole.split("\0")))


def test_translations_keep_the_slots_of_their_template():
    for english, translated in KNOWN.items():
        numbers = [int(slot[1]) for slot in SLOT.finditer(english)]
        assert numbers == list(range(len(numbers))), english
        assert sorted(numbers) == sorted(int(one) for one in re.findall(r"{(\d+)}", translated)), english
        assert re.compile(pattern(english))


def test_names_of_rules_signs_alerts_and_drift_are_translated():
    wanted = set()
    for name, calls in {
        "quality/gates.py": {"_line": ("rule", 0)}, "quality/screening.py": {"drop": ("rule", 0)},
        "evaluation/health.py": {"Sign": ("sign", 0)}, "evaluation/drift/inputs.py": {"measure": ("drift", 0)},
        "evaluation/drift/demand.py": {"measure": ("drift", 0), "Finding": ("drift", 0)},
        "steps/monitor/alerts.py": {"Finding": ("alert", 0)},
    }.items():  # fmt: skip
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if isinstance(node, ast.Call):
                kind, place = calls.get(getattr(node.func, "attr", getattr(node.func, "id", "")), ("", 0))
                if kind and len(node.args) > place and isinstance(node.args[place], ast.Constant):
                    wanted.add(f"{kind} {node.args[place].value}")
    assert len(wanted) > 40
    assert wanted - LABELS.keys() == set()


# ---------------------------------------------------------------- what is really written


def test_orders_are_told():
    row = {
        "status": "ok", "lead_time": 3, "review": 2, "demand_mean": 1234.5, "demand_quantile": 1500.0,
        "service_level": 0.95, "on_hand": 45.0, "on_order": np.nan, "lost": 0.0, "order": 24.0, "order_up_to": 1500.0,
        "pack_size": 12.0, "minimum_order": 24.0,
    }  # fmt: skip
    rows = [
        row, row | {"order": 0.0, "on_order": 6.0}, row | {"status": "unknown"}, row | {"status": "discontinued"},
        row | {"status": "horizon"}, row | {"lost": 3.2}, row | {"pack_size": 1.0}, row | {"minimum_order": 0.0},
        row | {"pack_size": 1.0, "minimum_order": 0.0},
    ]  # fmt: skip
    for touched in (False, True):
        for sentence in why(pd.DataFrame(rows), np.full(len(rows), touched)):
            assert not english(t(sentence)), t(sentence)
    assert t(why(pd.DataFrame([row]), np.array([False]))[0]) == (
        "A demanda no prazo de entrega mais a revisão (3 + 2 períodos) é de 1.234,5, e não passa de 1.500 em 95,0% dos "
        "casos; 45 em estoque, o que está em pedido não é conhecido: com 24 chega-se a 1.500, em embalagens de 12, no "
        "mínimo 24."
    )


def english(text: str) -> list[str]:
    """English words that are left."""
    return re.findall(r"\b(?:the|of|and|is|are|in packs|not|with|before|on|to|than|was|for|from|no more)\b", text)


def test_signs_are_told():
    day, moment = date(2026, 7, 1), datetime(2026, 7, 1, 4, tzinfo=UTC)
    runs = pd.DataFrame(
        {
            "step": ["train"],
            "outcome": ["failed"],
            "started_at": [moment],
            "cutoff": [pd.Timestamp(day)],
            "attempt": [2],
        }
    )
    quality = pd.DataFrame({"table": ["sales"], "read": [1000], "quarantined": [12]})
    signs = [
        health.missed({day: moment}, [date(2026, 6, 30), date(2026, 7, 2)]), health.missed({}, []),
        health.late({day: moment}, {day: datetime(2026, 7, 1, 9, 30, tzinfo=UTC)}, moment),
        health.champion_age(day, date(2026, 6, 1), "3"), health.champion_age(day, None, ""),
        health.retries(runs, datetime(2026, 6, 1, tzinfo=UTC)), health.quarantined(quality),
        health.fallback({"fallback": 3, "ok": 1000}, day), health.fallback({}, day),
        health.waiting({"4": date(2026, 6, 28), "5": date(2026, 6, 29)}, day), health.waiting({}, day),
        health.failed_steps(runs, datetime(2026, 6, 1, tzinfo=UTC)),
        *health.failed_runs(health.AirflowFacts({"train": 2, "extract": 0}, {"train": 9}), 1.0),
    ]  # fmt: skip
    for sign in signs:
        assert not english(t(sign.message)), (sign.message, t(sign.message))
    assert t(signs[2].message) == "1 de 1 noites atrasadas: 1 de jul. de 2026 por 5,5 horas"
    assert t(signs[9].message) == "à espera de uma pessoa: versão 4 há 3 dias, versão 5 há 2 dias"


def test_reasons_of_quarantine_are_told():
    raw = pd.DataFrame(
        {
            "item": ["A", "", "A", "B"],
            "ds": ["2026-06-30", "2026-06-30", "2026-09-01", "never"],
            "y": ["x", "1", "2", "3"],
        }
    )
    table = SalesTable(source="s", path="p", grain="periods")
    found = screen_sales(raw, table, Screen(), Known(date(2026, 6, 30), frozenset("A")))
    assert len(found.quarantined) == 4
    for reason in found.quarantined["reason"]:
        assert t(reason) != reason
        assert not english(t(reason))


def test_reasons_of_a_fallback_and_of_a_verdict_are_told():
    wrong = insane(np.full(7, 1e6), np.ones(50), 7)
    assert t(f"ARIMA (0,1,1) {wrong}; seasonal mean instead").startswith("ARIMA (0,1,1) previu 1.000.000, mais de ")
    verdict = (
        "wrmsse 0.5123, champion 0.6000: +14.6% (-1.2% to +20.1%) on 7 periods from 2026-07-01 that neither had seen; "
        "failed: beyond chance (all), no segment worse (lumpy)"
    )
    assert t(verdict) == (
        "wrmsse 0,5123, campeã 0,6: +14,6% (-1,2% a +20,1%) em 7 períodos desde 1 de jul. de 2026 que nenhuma tinha "
        "visto; não cumpridas: além do acaso (tudo), nenhum segmento pior (irregular)"
    )
    assert t("approved by ana: agreed with purchasing") == "aprovada por ana: agreed with purchasing"


def test_subjects_of_alerts():
    pt, en = Words("pt"), Words("en")
    assert pt.subject("quality", "sales: silent_store") == "vendas: loja sem vendas"
    assert en.subject("quality", "sales: silent_store") == "sales: silent store"
    assert pt.subject("drift", "covariate: price of store S01") == "variável: price of store S01"
    assert pt.subject("health", "fallback_share") == "parcela com modelo de reserva"
    assert pt.subject("night", "train") == "train"


@pytest.mark.parametrize("text", ["Monday was far too high", "", "something new {0}", "MILK-001_S01"])
def test_what_people_wrote_stays_as_it_is(text):
    assert t(text) == text
    assert Words("en").told("1,234.5 units, 1.0 for the same") == "1,234.5 units, 1.0 for the same"


@given(st.text(max_size=60))
def test_any_text_is_told_without_an_error(text):
    assert isinstance(t(text), str)
    assert not templates("en")
