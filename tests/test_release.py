"""What `.ci/release` refuses, and that the workflows run what a person runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import forecasting

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHANGELOG = """# Changelog

## Unreleased

- Later.

## 1.2.0 - 2026-11-24

### Added

- This.

## 1.1.0 - 2026-10-01

- Old.
"""


def call(folder: Path, mode: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`.ci/release` of a folder, in the environment of a person."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GIT_"))}
    command = [str(folder / ".ci" / "release"), mode]
    return subprocess.run(command, check=False, env=mine | environment, capture_output=True, text=True, timeout=60)


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of version 1.2.0 whose release is ready, as far as can be seen before it is built."""
    for name in (".ci", "forecasting", "benchmarks/released/1.2.0", "dist"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "release", tmp_path / ".ci")
    (tmp_path / "forecasting" / "__init__.py").write_text('"""It."""\n\n__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "All")
    return tmp_path


def test_the_changelog_has_words_for_this_version() -> None:
    done = call(ROOT, "--notes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("#")
    assert f"## {forecasting.__version__} - " not in done.stdout


def test_the_notes_are_the_section_of_the_version(project: Path) -> None:
    assert call(project, "--notes").stdout.strip() == "### Added\n\n- This."
    git(project, "tag", "v1.2.0")
    assert call(project, "--notes").returncode == 0


def test_a_tag_of_another_version_is_refused(project: Path) -> None:
    pushed = call(project, "--notes", GITHUB_REF_TYPE="tag", GITHUB_REF_NAME="v1.3.0")
    git(project, "tag", "v1.3.0")
    for done in (pushed, call(project, "--check"), call(project, "--publish")):
        assert done.returncode == 1
        assert "the tag is 'v1.3.0', but forecasting/__init__.py says 1.2.0" in done.stderr


def test_a_version_that_nothing_is_said_of_is_refused(project: Path) -> None:
    (project / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- This.\n\n## 1.2.0 - 2026-11-24\n")
    done = call(project, "--check")
    assert done.returncode == 1
    assert "CHANGELOG.md says nothing under '## 1.2.0 - DATE'" in done.stderr


def test_a_version_that_kept_no_model_is_refused(project: Path) -> None:
    (project / "benchmarks" / "released" / "1.2.0").rmdir()
    done = call(project, "--check")
    assert done.returncode == 1
    assert "python -m benchmarks.model_check --release" in done.stderr


def test_nothing_is_published_without_a_tag_nor_files_that_were_changed(project: Path) -> None:
    done = call(project, "--publish")
    assert done.returncode == 1
    assert "there is no tag on this commit" in done.stderr
    git(project, "tag", "v1.2.0")
    (project / "dist" / "SHA256SUMS").write_text(f"{'0' * 64}  forecasting.whl\n")
    (project / "dist" / "forecasting.whl").write_text("altered")
    done = call(project, "--publish")
    assert done.returncode == 1
    assert "dist/ is not what --check left" in done.stderr


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda one: one.stem)
def test_a_workflow_runs_what_a_person_runs(file: Path) -> None:
    """Only make targets and scripts of .ci, so that what it does can be tried without it."""
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"name", "permissions", "jobs"} <= workflow.keys()
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands
    for command in commands:
        program, *words = command.split()
        assert (program == "make" and words[0] in targets) or os.access(ROOT / program, os.X_OK), command
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert set(job.get("needs", "").split()) <= workflow["jobs"].keys()
