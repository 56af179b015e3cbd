"""The containers of docker-compose.yml from one command each; needs Docker with Compose and nothing but Python.

python3 docker/stack.py up                 .env where there is none, build, start, wait until all is well
python3 docker/stack.py down               stop; the volumes keep their data
python3 docker/stack.py backup [FOLDER]    all databases and buckets, while everything runs
python3 docker/stack.py restore FOLDER     into an empty stack; --overwrite: in place of what is there
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent.parent
DATABASES = ("warehouse", "mlflow", "airflow", "shop")
BUCKETS = "buckets.tar"
CONTENT = "backup.json"
NEW = """\
# Written by `make up`, with secrets that are nobody else's: keep it to yourself, and a copy of it in a safe place.
# Without the demo: COMPOSE_PROFILES= and FORECASTING_SCHEDULE=on; your own business: FORECASTING_CONF=/app/conf/my.toml
COMPOSE_PROJECT_NAME=forecasting
COMPOSE_PROFILES=demo
FORECASTING_SCHEDULE=off
"""


def main() -> int:
    """0: done. 1: not, and why is said."""
    parser = argparse.ArgumentParser(prog="docker/stack.py", description="The containers of docker-compose.yml.")
    parser.add_argument("action", choices=["up", "down", "backup", "restore"])
    parser.add_argument(
        "folder", nargs="?", type=Path, help="of a backup; default for a new one: backups/ and the time"
    )
    parser.add_argument("--env", type=Path, default=ROOT / ".env", help="file with the secrets (default .env)")
    parser.add_argument("--overwrite", action="store_true", help="restore in place of what the stack holds")
    chosen = parser.parse_args()
    if shutil.which("docker") is None or run(["docker", "compose", "version"], quiet=True).returncode:
        fail("Docker with Compose 2.20 or later is needed, and cannot be found. See docs/deployment.md.")
    if run(["docker", "info"], quiet=True).returncode:
        fail("Docker's daemon does not answer: start it, or see that you may use it (docker info).")
    stack = Stack(chosen.env)
    if chosen.action == "up":
        return stack.up()
    if not chosen.env.is_file():
        fail(f"There is no {chosen.env}: no stack was started from here with make up.")
    if chosen.action == "down":
        return stack.compose("--profile", "*", "down", "--remove-orphans")
    if chosen.action == "backup":
        return stack.backup(chosen.folder or ROOT / "backups" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}")
    if chosen.folder is None:
        fail("Say which backup: make restore FROM=backups/20260701T040000")
    return stack.restore(chosen.folder, chosen.overwrite)


class Stack:
    """One project of Compose, whose secrets stand in a file."""

    def __init__(self, env: Path) -> None:
        self._env = env

    def compose(self, *words: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None) -> int:
        """`docker compose` with these words; its exit code."""
        command = ["docker", "compose", "--project-directory", str(ROOT), "--env-file", str(self._env), *words]
        return subprocess.run(command, stdin=stdin or subprocess.DEVNULL, stdout=stdout, check=False).returncode

    def must(self, *words: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None) -> None:
        """The same, and the end where it fails."""
        if code := self.compose(*words, stdin=stdin, stdout=stdout):
            fail(f"docker compose {' '.join(words[:3])} ... ended with {code}; its messages are above.")

    def up(self) -> int:
        """Build, start, wait until every health check is content, say where everything is."""
        write_secrets(self._env)
        os.environ.setdefault("FORECASTING_COMMIT", commit())
        self.must("build", "--quiet")
        self.must("up", "--detach", "--wait", "--remove-orphans")
        known = values(self._env) | dict(os.environ)
        print(f"Airflow  http://127.0.0.1:{known.get('AIRFLOW_PORT', '8080')}   login planner (or admin)")
        print(f"MLflow   http://127.0.0.1:{known.get('MLFLOW_PORT', '5000')}")
        print(f"Passwords: AIRFLOW_PLANNER_PASSWORD and AIRFLOW_ADMIN_PASSWORD in {self._env}")
        print("The first night: trigger the DAG `extract`. Stop with: make down")
        return 0

    def backup(self, folder: Path) -> int:
        """Databases first, buckets last: what a table names was in its bucket before, and is copied after."""
        if folder.exists():
            fail(f"{folder} is there already; a backup is never written over another one.")
        part = folder.with_name(f"{folder.name}.part")
        os.umask(0o077)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name in DATABASES:
            with (part / f"{name}.dump").open("wb") as file:
                words = ("pg_dump", "--username=postgres", "--format=custom", name)
                self.must("exec", "-T", "postgres", *words, stdout=file)
        with (part / BUCKETS).open("wb") as file:
            words = ("run", "--rm", "-T", "--no-deps", "buckets", "python", "docker/buckets.py", "save")
            self.must(*words, stdout=file)
        sums = {file.name: sha256(file) for file in sorted(part.iterdir())}
        about = {"kind": "stack", "at": datetime.now(UTC).isoformat(), "code": commit(), "sha256": sums}
        (part / CONTENT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        part.rename(folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{folder}: {len(DATABASES)} databases and the buckets, {size / 1e6:.1f} MB. Keep {self._env.name} too.")
        return 0

    def restore(self, folder: Path, overwrite: bool) -> int:
        """All databases and buckets as they were; the services come back when all of it is there."""
        checked(folder)
        self.must("build", "--quiet")
        self.must("up", "--detach", "--wait", "postgres", "s3")
        if (
            not overwrite
            and self._psql("warehouse", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") != "0"
        ):
            fail(
                "The stack holds output tables already. To put the backup in their place: make restore ... OVERWRITE=1"
            )
        keep = {"postgres", "s3", "redis"}
        listed = subprocess.run(
            ["docker", "compose", "--project-directory", str(ROOT), "--env-file", str(self._env), "ps", "--services"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        if running := sorted(set(listed.stdout.split()) - keep):
            self.must("stop", *running)
        self.must("run", "--rm", "-T", "--no-deps", "databases")
        for name in DATABASES:
            self._psql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            self._psql("postgres", f"CREATE DATABASE {name} OWNER {name}")
            words = ("pg_restore", "--username=postgres", "--no-owner", "--no-acl", f"--role={name}", "--exit-on-error")
            with (folder / f"{name}.dump").open("rb") as file:
                self.must("exec", "-T", "postgres", *words, f"--dbname={name}", stdin=file)
        self.must("run", "--rm", "-T", "--no-deps", "databases")  # who may do what
        with (folder / BUCKETS).open("rb") as file:
            self.must("run", "--rm", "-T", "--no-deps", "buckets", "python", "docker/buckets.py", "load", stdin=file)
        return self.up()

    def _psql(self, database: str, statement: str) -> str:
        words = ["exec", "-T", "postgres", "psql", "--username=postgres", "--no-psqlrc", "-Atqc", statement, database]
        command = ["docker", "compose", "--project-directory", str(ROOT), "--env-file", str(self._env), *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            if "does not exist" in done.stderr and database in DATABASES:
                return "0"
            fail(f"PostgreSQL refused `{statement}`: {done.stderr.strip()}")
        return done.stdout.strip()


def write_secrets(env: Path) -> None:
    """A file of secrets where there is none; what a new release needs beside an old one's is added to it."""
    wanted = re.findall(r"^([A-Z0-9_]+)=$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    if not env.exists():
        env.touch(mode=0o600)
        env.write_text(NEW, encoding="utf-8")
        print(f"Secrets were made: {env}")
    known = values(env)
    missing = [name for name in wanted if name not in known and name not in os.environ]
    written = env.read_text(encoding="utf-8")
    with env.open("a", encoding="utf-8") as file:
        if missing and written and not written.endswith("\n"):
            file.write("\n")
        for name in missing:
            file.write(f"{name}={secret(name)}\n")
    if empty := [name for name in wanted if name in known and not known[name] and not os.environ.get(name)]:
        fail(f"{env} has no value for {', '.join(empty)}. Fill it in, or remove the line: then make up writes one.")


def secret(name: str) -> str:
    """A fresh one: letters and digits, which need no quoting in an address; Fernet has a form of its own."""
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    # Never a number by its looks: values that the configuration takes from the environment may be TOML.
    return f"k{secrets.token_hex(10 if re.fullmatch('S3_[A-Z]+_KEY', name) else 24)}"


def values(env: Path) -> dict[str, str]:
    """Names and values of the file."""
    lines = env.read_text(encoding="utf-8").splitlines() if env.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def checked(folder: Path) -> None:
    """End here unless the folder is a whole backup of a stack."""
    try:
        about = json.loads((folder / CONTENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        fail(f"{folder} is no backup: it has no {CONTENT} that can be read.")
    if about.get("kind") != "stack":
        fail(f"{folder} is a backup of the stores of one machine: python -m forecasting restore --from {folder}")
    wrong = [
        name for name, wanted in about["sha256"].items()
        if not (folder / name).is_file() or sha256(folder / name) != wanted
    ]  # fmt: skip
    if wrong:
        fail(f"{folder} is damaged: {', '.join(wrong)} is not what was saved. Take another backup.")


def sha256(file: Path) -> str:
    """Of its content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def commit() -> str:
    """What git calls the code here; nothing where there is no git."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+dirty", "--abbrev=12"]
    try:
        return run(words, quiet=True).stdout.strip()
    except OSError:
        return ""


def run(words: list[str], quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """A command, whose output is kept where it is not to be seen."""
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=quiet, text=True, check=False)


def fail(message: str) -> NoReturn:
    """Say why, and end."""
    print(f"stack: {message}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
