"""The limits of the house (docs/decisions, CONTRIBUTING.md), counted."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from forecasting.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "forecasting").rglob("*.py"))
DAGS = sorted((ROOT / "dags").glob("*.py"))
HEAVY = ("airflow", "deltalake", "lightgbm", "matplotlib", "mlflow", "pandas", "scipy", "statsmodels", "sqlalchemy")


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def tracked(*patterns: str) -> list[Path]:
    """Files that git knows; where there is no git, all that lie here."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return [file for pattern in patterns for file in ROOT.glob(pattern)]
    return [ROOT / path for path in listed.split("\0") if path and (ROOT / path).is_file()]


# ---------------------------------------------------------------- size


@pytest.mark.parametrize("file", PACKAGE, ids=name)
def test_a_file_has_its_say_in_300_lines(file):
    # The tables of the system are one list on purpose, and so are the settings.
    limit = {"forecasting/core/config/sections.py": 520, "forecasting/tables/warehouse.py": 420}.get(name(file), 300)
    assert lines(file) <= limit


@pytest.mark.parametrize("file", DAGS, ids=name)
def test_a_dag_file_stays_under_60_lines(file):
    assert lines(file) < 60


def test_a_function_has_its_say_in_50_lines():
    sizes = {
        f"{name(file)}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for file in (*PACKAGE, *DAGS)
        for function in functions(file)
    }
    assert {where: size for where, size in sizes.items() if size > 50} == {}
    assert sorted(sizes.values())[len(sizes) // 2] < 15


# ---------------------------------------------------------------- layout


def test_a_folder_holds_at_most_12_files():
    folders: dict[str, int] = {}
    for file in (*PACKAGE, *(ROOT / "tests").rglob("*.py")):
        if file.name not in ("__init__.py", "conftest.py"):
            folders[name(file.parent)] = folders.get(name(file.parent), 0) + 1
    assert {folder: count for folder, count in folders.items() if count > 12} == {}


def test_there_are_at_most_8_floors():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = [one["layers"] for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    assert [len(one) for one in layers] == [8]
    assert not [floor for floor in layers[0] if ":" in floor], "modules of one floor do not import each other"


def test_the_layers_of_contributing_are_those_of_pyproject():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = project["tool"]["importlinter"]["contracts"][0]["layers"]
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\d (.*)$", re.findall(r"```text\n(8 .*?)```", text, re.DOTALL)[0], re.MULTILINE)
    assert [line.split() for line in shown] == [floor.replace("|", " ").split() for floor in floors]


def imports(file: Path, known: set[str]) -> set[str]:
    """Those of the known modules that a file imports, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= modules & known or {node.module or ""}
    return found & known


def test_no_files_import_each_other_in_a_circle():
    names = {".".join(one.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): one for one in PACKAGE}
    waiting = {module: imports(file, {*names}) - {module} for module, file in names.items()}
    while free := {module for module, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {module: needs for module, needs in waiting.items() if module not in free}
    assert sorted(waiting) == []


# ---------------------------------------------------------------- what is not written


def test_nothing_names_a_machine_s_own_folders_or_hosts():
    found = []
    # /tmp and /root are somebody's machine; in a container's own file system they are not.
    pattern = re.compile(r"""(?<![\w.])/(work|root|home/\w+|Users/\w+|tmp)/\w|://[\w.-]*(artifactory|nexus)[\w.-]*""")
    for file in tracked("forecasting", "dags", "conf", "tests", "docs", ".ci", "Makefile", "*.toml", "*.md"):
        if file.suffix in {".py", ".toml", ".md", ".yml", ".txt", ""} and file != Path(__file__):
            text = file.read_text(encoding="utf-8", errors="replace")
            found += [f"{name(file)}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []


def test_nothing_reads_or_writes_a_format_that_runs_code():
    banned = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    for file in (*PACKAGE, *DAGS):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not banned & {one.split(".")[0] for one in names}, name(file)
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), name(file)
                assert node.value.value is False, name(file)


def test_no_step_asks_what_today_is():
    # Instants of the record of a run are the one use of a clock below the command line.
    allowed = {"forecasting/steps/run.py"}
    layers = ("steps", "evaluation", "planning", "models", "features", "quality", "panel", "tables", "sources")
    asked = re.compile(r"\b(date\.today|datetime\.now|datetime\.today|utcnow|Timestamp\.now|Timestamp\.today)\b")
    found = [
        f"{name(file)}: {match[0]}"
        for file in PACKAGE
        if file.parts[len(ROOT.parts) + 1] in layers and name(file) not in allowed
        for match in asked.finditer(file.read_text(encoding="utf-8"))
    ]
    assert found == []


# ---------------------------------------------------------------- what stays light


def loaded(code: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after the code."""
    script = f"{code}\nimport sys\nprint(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_command_line_loads_nothing_heavy():
    assert loaded("import forecasting.__main__ as m\nm.parser()").isdisjoint(HEAVY)


@pytest.mark.parametrize("package", ["forecasting.models", "forecasting.sources", "forecasting.storage"])
def test_importing_a_package_does_not_load_its_libraries(package):
    assert loaded(f"import {package}").isdisjoint({"lightgbm", "statsmodels", "mlflow", "matplotlib", "deltalake"})


# ---------------------------------------------------------------- files beside the code


def test_docs_tables_is_what_the_code_says():
    from forecasting.cli.tables import markdown

    written = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert written == markdown() + "\n", "docs/tables.md is not up to date: run `make docs`"


def test_every_command_is_explained_and_found():
    for command in COMMANDS.values():
        module, function = command.target.split(":")
        tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert command.about


def test_every_make_target_has_its_help():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    assert set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)) == phony


def test_every_package_of_the_lock_is_pinned_and_every_dependency_is_in_it():
    import tomllib

    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    heads = [number for number, line in enumerate(lock) if not line.startswith("    --hash=sha256:")]
    assert [lock[n] for n in heads if not re.match(r"^[a-z0-9][a-z0-9._-]*==[^ ]+( ; .+)? \\$", lock[n])] == []
    assert [lock[n] for n in heads if not lock[n + 1].startswith("    --hash=")] == []  # `--require-hashes`
    pinned = {lock[n].split("==")[0] for n in heads}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["dev"] + extras["cluster"]
    assert {re.split(r"[\[<>=~]", one)[0] for one in wanted} <= pinned


def test_the_image_s_packages_are_those_of_the_lock_without_the_tools_of_development():
    lock, image = (
        (ROOT / name).read_text(encoding="utf-8").splitlines()
        for name in ("requirements.lock", "docker/requirements.lock")
    )
    assert set(image) < set(lock)
    assert not {"mypy", "pytest", "ruff"} & {line.split("==")[0] for line in image}


def test_decisions_are_listed():
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8")))
    assert listed == {file.name for file in folder.glob("0*.md")}


# ---------------------------------------------------------------- containers


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def test_compose_has_no_default_passwords(compose):
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    secrets = re.findall(r"\$\{([A-Z_]*(?:PASSWORD|SECRET|KEY)[A-Z_]*)([^}]*)\}", text)
    assert secrets
    assert [name for name, rest in secrets if not rest.startswith(":?")] == []
    for service in compose["services"].values():
        for key, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|FERNET", key) and not key.endswith("_FILE"):
                assert str(value).startswith("${"), key


def test_compose_services_depend_on_services_that_exist(compose):
    services = compose["services"]
    for service in services.values():
        for needed, how in (service.get("depends_on") or {}).items():
            assert needed in services
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], needed
    named = {v.split(":")[0] for s in services.values() for v in s.get("volumes", []) if v[0] not in "./$"}
    assert named == set(compose["volumes"])
