"""The stack of docker-compose.yml, started as `make up` does: nights on Celery workers, kills, backup and restore.

The tests build on each other, in this order. Not part of `make test`: `make compose-test`.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.shops import ROOT
from tests.system.compose.stack import IMAGE, Planner, Stack, need_docker

NIGHTS = ["2026-06-30", "2026-07-01"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    need_docker()
    made = Stack(tmp_path_factory.mktemp("compose"))
    made.remove()
    try:
        made.make("up")
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def planner(stack: Stack) -> Planner:
    return Planner(stack)


@pytest.fixture(scope="module")
def expected(stack: Stack) -> dict[str, list[str]]:
    """The same nights on a single machine."""
    return stack.single_machine(NIGHTS)


def grep(words: list[str], secrets: dict[str, str]) -> int:
    """Lines of a command's output that hold a secret; the command and grep must both have worked."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as source:
        patterns = [word for value in secrets.values() for word in ("-e", value)]
        found = subprocess.run(
            ["grep", "-a", "-c", "-F", *patterns], stdin=source.stdout, capture_output=True, text=True, check=False
        )
    assert source.returncode == 0, words
    assert found.returncode in (0, 1), found.stderr
    return int(found.stdout)


def test_it_does_not_start_without_each_of_its_secrets(stack: Stack):
    assert stack.compose("config", "--quiet").returncode == 0
    lines = stack.env.read_text().splitlines()
    names = re.findall(r"^([A-Z0-9_]+)=$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(names) == set(stack.secrets())
    for name in names:
        less = stack.folder / "less.env"
        less.write_text("\n".join(line for line in lines if not line.startswith(f"{name}=")))
        command = ["docker", "compose", "--project-directory", str(ROOT), "--env-file", str(less), "config", "--quiet"]
        refused = subprocess.run(command, env=stack.environ, capture_output=True, text=True, check=False)
        assert refused.returncode != 0, name
        assert f"required variable {name} is missing" in refused.stderr


def test_the_secrets_are_for_their_owner_alone(stack: Stack):
    assert stack.env.stat().st_mode & 0o777 == 0o600
    assert len(set(stack.secrets().values())) == len(stack.secrets())


def test_no_container_runs_as_root_or_may_become_it(stack: Stack):
    ids = stack.containers("-a")
    assert len(ids) >= 14
    for one in json.loads(subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True).stdout):
        host, name = one["HostConfig"], one["Name"]
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", one["Config"]["User"]), name
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert not host["Privileged"], name
        assert host["Memory"] > 0, name
        assert all(port["HostIp"] == "127.0.0.1" for ports in host["PortBindings"].values() for port in ports), name
    for one in stack.containers():
        shown = subprocess.run(["docker", "top", one, "-eo", "pid,uid"], capture_output=True, text=True, check=True)
        users = {line.split()[1] for line in shown.stdout.splitlines()[1:]}
        assert users
        assert "0" not in users


def test_roles_and_keys_open_their_own_store_and_no_other(stack: Stack):
    for user in ("airflow", "mlflow", "warehouse", "shop"):
        assert stack.psql("SELECT 1", user, user).stdout.strip() == "1"
        for other in {"airflow", "mlflow", "warehouse", "shop", "postgres"} - {user}:
            assert "permission denied for database" in stack.psql("SELECT 1", user, other).stderr
    assert stack.psql("SELECT count(*) FROM pg_roles WHERE rolsuper").stdout.strip() == "1"
    code = (
        "import os, s3fs; o = 'FORECASTING__LAKE__OPTIONS__AWS_'\n"
        "at = dict(endpoint_url=os.environ[o + 'ENDPOINT_URL'])\n"
        "key, secret = os.environ[o + 'ACCESS_KEY_ID'], os.environ[o + 'SECRET_ACCESS_KEY']\n"
        "mine = s3fs.S3FileSystem(key=key, secret=secret, **at)\n"
        "mine.pipe_file('lake/probe', b'1'); mine.rm('lake/probe')\n"
        "for place, store in (('mlflow', mine), ('lake', s3fs.S3FileSystem(key='x', secret='y', **at))):\n"
        "    try: store.pipe_file(place + '/probe', b'1'); print('let in')\n"
        "    except PermissionError: print('refused')\n"
    )
    assert stack.compose("exec", "-T", "worker", "python", "-c", code).stdout.split() == ["refused", "refused"]
    known = stack.compose("exec", "-T", "worker", "env").stdout
    for name in (
        "AIRFLOW_DB_PASSWORD",
        "AIRFLOW_JWT_SECRET",
        "AIRFLOW_FERNET_KEY",
        "S3_ADMIN_SECRET",
        "BI_DB_PASSWORD",
    ):
        assert stack.secrets()[name] not in known


def test_a_worker_that_is_killed_in_mid_training_costs_only_time(stack: Stack, planner: Planner):
    since = planner.trigger()
    tasks = planner.until(since, "a training", lambda found: state(found, "train.train_and_judge") == "running")
    time.sleep(5)
    held = tasks["train.train_and_judge"]["hostname"]
    assert state(planner.tasks(since), "train.train_and_judge") == "running"
    (worker,) = [one for one in stack.containers() if one.startswith(held)]
    subprocess.run(["docker", "kill", worker], check=True, capture_output=True)
    subprocess.run(["docker", "start", worker], check=True, capture_output=True)
    done = planner.until_done(since)
    assert done["train.train_and_judge"]["try_number"] > 1
    assert done["extract.read_and_screen_sales"]["try_number"] == 1


def test_postgresql_that_is_killed_in_mid_publish_costs_only_time(stack: Stack, planner: Planner):
    """The publish is held, by a lock, when the forecasts are written and their sums are not; then the server dies."""
    before = stack.psql("SELECT count(*) FROM forecasts").stdout
    hold = "BEGIN; LOCK TABLE forecast_sums IN SHARE MODE; SELECT pg_sleep(3600)"
    since = planner.trigger()
    planner.until(since, "a forecast", lambda found: state(found, "forecast.forecast_series") == "success")
    words = ("exec", "-T", "postgres", "psql", "-U", "postgres", "-d", "warehouse", "-Xqc", hold)
    command = ["docker", "compose", "--project-directory", str(ROOT), "--env-file", str(stack.env), *words]
    with subprocess.Popen(
        command, env=stack.environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ):
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'warehouse' AND wait_event_type = 'Lock'"
        deadline = time.monotonic() + 300
        while stack.psql(waiting).stdout.strip() == "0":
            assert time.monotonic() < deadline, planner.tasks(since)
        assert stack.psql("SELECT count(*) FROM forecasts").stdout == before  # nobody sees half of it
        stack.compose("kill", "--signal", "KILL", "postgres")
        stack.compose("start", "postgres")
    done = planner.until_done(since)
    assert done["forecast.publish_vintage"]["try_number"] > 1


def test_the_tables_are_those_of_a_single_machine(stack: Stack, expected: dict[str, list[str]]):
    found = stack.tables()
    assert len(expected["forecasts"]) > 100
    assert expected["promotions"]
    assert {name for name in expected if found[name] != expected[name]} == set()


def test_reports_read_the_tables_and_nothing_else(stack: Stack):
    assert int(stack.psql("SELECT count(*) FROM forecasts_latest", "bi").stdout) > 0
    write = "SET transaction_read_only = off; "  # the role's default would refuse it for another reason
    for statement in ("DELETE FROM forecasts", "CREATE TABLE mine (i int)", "TRUNCATE scores"):
        assert "permission denied" in stack.psql(write + statement, "bi").stderr, statement
    assert "permission denied for database" in stack.psql("SELECT 1", "bi", "airflow").stderr


def test_a_backup_is_restored_into_an_empty_stack(stack: Stack, planner: Planner):
    before, folder = stack.tables(), stack.folder / "saved"
    stack.make("backup", str(folder))
    stack.remove()
    assert stack.containers("-a") == []
    stack.make("restore", str(folder))
    assert stack.tables() == before
    again = ("python", "-m", "forecasting", "reproduce", "--json", "--cutoff", NIGHTS[-1])
    assert json.loads(stack.compose("exec", "-T", "worker", *again).stdout)["equal"]  # from lake and registry
    runs = planner.ask("GET", "dags/forecast/dagRuns")["dag_runs"]
    assert len(runs) >= len(NIGHTS)
    assert {run["state"] for run in runs} == {"success"}


def test_no_secret_is_in_images_logs_or_the_repository(stack: Stack):
    secrets = stack.secrets()
    assert grep(["cat", str(stack.env)], secrets) == len(secrets)
    assert grep(["docker", "history", "--no-trunc", IMAGE], secrets) == 0
    assert grep(["docker", "inspect", IMAGE], secrets) == 0
    assert grep(["docker", "save", IMAGE], secrets) == 0
    for one in stack.containers("-a"):
        assert grep(["docker", "logs", one], secrets) == 0, one
    worker = next(iter(stack.compose("ps", "-q", "worker").stdout.split()))
    assert grep(["docker", "cp", f"{worker}:/app/logs", "-"], secrets) == 0
    assert grep(["git", "-C", str(ROOT), "grep", "-I", ""], secrets) == 0


def state(tasks: dict[str, dict], name: str) -> str | None:
    return tasks.get(name, {}).get("state")
