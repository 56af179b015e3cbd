"""The documentation is true: links lead somewhere, and what it names is there."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from forecasting.__main__ import COMMANDS, parser
from forecasting.core.config.settings import Settings
from forecasting.tables.views import VIEWS
from forecasting.tables.warehouse import WAREHOUSE
from tests.support.documents import ROOT, Page, pages

PAGES = pages()
TOP = {file.name for file in ROOT.iterdir()}
KINDS = (".py", ".toml", ".md", ".csv", ".json", ".db", ".yml", ".html")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def below(model: Any) -> Iterator[Any]:
    """What a type of a setting holds: itself, or the parts of a union, list or dictionary."""
    if typing.get_origin(model) is None:
        yield model
    for part in typing.get_args(model):
        yield from below(part)


def known(keys: list[str], model: Any = Settings) -> bool:
    """Whether there is such a setting: keys from section to setting; a name of the user's own stands for any."""
    if not keys:
        return True
    sections = [one for one in below(model) if isinstance(one, type) and issubclass(one, BaseModel)]
    for section in sections:
        by_name = {field.alias or name: field for name, field in section.model_fields.items()}
        if keys[0] in by_name and known(keys[1:], by_name[keys[0]].annotation):
            return True
    free = typing.get_origin(model) is dict or any(typing.get_origin(one) is dict for one in typing.get_args(model))
    return free and known(keys[1:], typing.get_args(model)[-1])


def leaves(content: Any, keys: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Keys of every value of a TOML document."""
    for name, value in content.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*keys, name))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for one in value:
                yield from leaves(one, (*keys, name))
        else:
            yield [*keys, name]


# ---------------------------------------------------------------- what pages name


@each_page
def test_every_link_leads_somewhere(page: Page):
    broken = []
    for link in page.links():
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        if not target.exists() or (anchor and anchor not in Page(target).anchors()):
            broken.append(link)
    assert not broken


def test_every_page_can_be_reached_from_the_readme():
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        file = todo.pop()
        reached.add(file)
        links = [(file.parent / link.partition("#")[0]).resolve() for link in Page(file).links() if ":" not in link]
        todo += [one for one in set(links) if one.suffix == ".md" and one not in reached]
    missing = [page.name for page in PAGES if page.path not in reached and page.path.parent.name != "decisions"]
    assert not missing


@each_page
def test_every_file_named_is_there(page: Page):
    missing = []
    for span in page.spans():
        top = span.split("/")[0]
        if (
            re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", span)
            and span.endswith((*KINDS, "/"))
            and top not in ("var", "backups")
        ):
            there = [ROOT / span, ROOT / "forecasting" / span]
            if (top in TOP or (ROOT / "forecasting" / top).exists()) and not any(one.exists() for one in there):
                missing.append(span)
    assert not missing


@each_page
def test_every_command_named_is_there(page: Page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    wrong = []
    for line in page.commands():
        if (found := re.match(r"make ([a-z][a-z-]*)\b", line)) and found[1] not in targets:
            wrong.append(line)
        found = re.match(r"(?:\S+ )*python -m forecasting (\w[\w-]*)(.*)", line)
        if found and (
            found[1] not in COMMANDS
            or set(re.findall(r"(?<=\s)--[a-z-]+", found[2].partition("|")[0])) - options(found[1])
        ):
            wrong.append(line)
    assert not wrong


def options(command: str) -> set[str]:
    """Options of a command."""
    commands = next(action for action in parser()._actions if action.dest == "command")
    return {name for action in commands.choices[command]._actions for name in action.option_strings}


@each_page
def test_every_setting_named_is_there(page: Page):
    wrong = []
    for span in page.spans():
        if (found := re.fullmatch(r"\[{1,2}([a-z_]+(?:\.\w+)*)\]{1,2}", span)) and not known(found[1].split(".")):
            wrong.append(span)
        keys = span.partition(" = ")[0].split(".")
        named = (
            len(keys) > 1 and keys[0] in Settings.model_fields and re.fullmatch(r"[a-z_.]+", span.partition(" = ")[0])
        )
        if named and not span.endswith(KINDS) and not known(keys) and not column(keys) and not task(keys):
            wrong.append(span)
    for block in page.blocks("toml"):
        wrong += [
            f"line {block.line}: {'.'.join(keys)}" for keys in leaves(tomllib.loads(block.text)) if not known(keys)
        ]
    assert not wrong


def column(keys: list[str]) -> bool:
    """table.column of an output table."""
    tables = {one.name: one.columns for one in WAREHOUSE}
    return len(keys) == 2 and keys[1] in tables.get(keys[0], {})


def task(keys: list[str]) -> bool:
    """dag.task: tasks are functions of the DAG's file."""
    file = ROOT / "dags" / f"{keys[0]}.py"
    return len(keys) == 2 and file.exists() and f"def {keys[1]}(" in file.read_text()


@each_page
def test_every_table_asked_for_is_there(page: Page):
    names = {one.name for one in (*WAREHOUSE, *VIEWS)}
    asked = [name for block in page.blocks("sql") for name in re.findall(r"\b(?:from|join)\s+(\w+)", block.text)]
    dotted = [span.split(".") for span in page.spans() if re.fullmatch(r"\w+\.\w+", span)]
    wrong = [".".join(one) for one in dotted if one[0] in {t.name for t in WAREHOUSE} and not column(one)]
    assert not [name for name in asked if name not in names] + [
        one for one in wrong if one.split(".")[0] not in Settings.model_fields and not one.endswith(KINDS)
    ]
