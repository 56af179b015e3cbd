"""`.ci/audit`: what may be in the project, and what may not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def audit(*words: object) -> tuple[int, str]:
    command = [sys.executable, ROOT / ".ci" / "audit", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("part", ["licences", "secrets"])
def test_nothing_is_to_be_said_against_the_project(part):
    assert audit("--only", part) == (0, f"{part}: nothing to say against\n")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("-----BEGIN " + "RSA PRIVATE KEY-----", "private key"),
        ("aws = " + "AKIA" + "ABCDEFGHIJKLMNOP", "AWS key"),
        ("token: " + "ghp_" + "a1" * 18, "GitHub token"),
        ("url = postgresql://forecasting:" + "q9Zw7Lp2@db/warehouse", "password in a URL"),
        ("AIRFLOW__CORE__FERNET_KEY=" + "A" * 43 + "=", "fernet key"),
        ("eyJhbGciOiJIUzI1" + ".eyJzdWIiOiIxMjM0." + "SflKxwRJSMeKKF2", "JSON web token"),
    ],
)
def test_a_secret_is_found_and_not_shown(tmp_path, line, kind):
    (tmp_path / "log.txt").write_text(f"all is well\n{line}\n")
    code, said = audit("--only", "secrets", "--paths", tmp_path)
    assert (code, said) == (1, f"secrets: {tmp_path}/log.txt:2: {kind}\n")


@pytest.mark.parametrize(
    "line", ["://reader:***@db/shop", "://reader:${PASSWORD}@db", "://reader:...@db", "http://a:80/b@c"]
)
def test_what_only_looks_like_one_is_let_through(tmp_path, line):
    (tmp_path / "docs.md").write_text(line)
    assert audit("--only", "secrets", "--paths", tmp_path) == (0, "secrets: nothing to say against\n")


def test_the_bill_of_materials_names_every_locked_package_with_its_sums(tmp_path):
    code, said = audit("--only", "sbom", "--sbom", tmp_path / "sbom.json")
    assert code == 0, said
    content = json.loads((tmp_path / "sbom.json").read_text())
    assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.6")
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = [line.split()[0] for line in lock if "==" in line and not line.startswith(" ")]
    assert [f"{one['name']}=={one['version']}" for one in content["components"]] == pinned
    assert len({one["bom-ref"] for one in content["components"]}) == len(pinned)
    sums = sum(len(one["externalReferences"][0]["hashes"]) for one in content["components"])
    assert sums == sum(line.startswith("    --hash=") for line in lock)
    (airflow,) = [one for one in content["components"] if one["name"] == "apache-airflow"]
    assert airflow["licenses"] == [{"license": {"name": "Apache-2.0"}}]
