"""The file of secrets that `make up` writes and adds to; no container is needed for that."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.shops import ROOT

NAMES = re.findall(r"^([A-Z0-9_]+)=$", (ROOT / ".env.example").read_text(), re.MULTILINE)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("stack", ROOT / "docker" / "stack.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_new_file_has_every_secret_and_is_its_owner_s(stack: ModuleType, tmp_path: Path) -> None:
    env = tmp_path / ".env"
    stack.write_secrets(env)
    found = stack.values(env)
    assert set(NAMES) < set(found)
    assert all(found.values())
    assert env.stat().st_mode & 0o777 == 0o600
    before = env.read_text()
    stack.write_secrets(env)
    assert env.read_text() == before


@pytest.mark.parametrize("end", ["", "\n"])
def test_what_is_missing_gets_lines_of_its_own(stack: ModuleType, tmp_path: Path, end: str) -> None:
    env = tmp_path / ".env"
    env.write_text(f"# mine\n{NAMES[0]}=mine{end}")
    stack.write_secrets(env)
    found = stack.values(env)
    assert set(found) == set(NAMES)
    assert found[NAMES[0]] == "mine"
    assert env.read_text().count("\n") == 1 + len(NAMES)


def test_an_empty_value_is_said_and_nothing_is_put_in_its_place(stack: ModuleType, tmp_path: Path, capsys) -> None:
    env = tmp_path / ".env"
    env.write_text(f"{NAMES[0]}=\n")
    with pytest.raises(SystemExit):
        stack.write_secrets(env)
    assert f"has no value for {NAMES[0]}" in capsys.readouterr().err
    assert stack.values(env)[NAMES[0]] == ""
