"""The command line, as a person and a script use it: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.__main__ import COMMANDS, main
from tests.support.servers.outbound import guarded, outside

ROOT = Path(__file__).parents[2]
STEPS = ("extract", "train", "forecast", "monitor")
FIRST, SECOND = "2026-05-30", "2026-05-31"


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """Two shops with three items each, 150 days in a CSV file, and a configuration that keeps all stores beside it."""
    folder = tmp_path_factory.mktemp("shop")
    days = pd.date_range("2026-01-02", "2026-05-31")
    rng = np.random.default_rng(5)
    names = [(item, store) for item in ("MILK", "BREAD", "SALT") for store in ("N", "S")]
    frames = [
        pd.DataFrame({"item": item, "store": store, "ds": days, "y": rng.poisson(9 + 4 * (days.day_of_week > 4))})
        for item, store in names
    ]
    pd.concat(frames).to_csv(folder / "sales.csv", index=False)
    (folder / "shop.toml").write_text(
        f"""
[sources.files]
kind = "files"
path = "{folder}"

[extract.sales]
source = "files"
path = "sales.csv"

[panel]
horizon = 7

[train]
models = ["seasonal_naive", "seasonal_mean"]

[report]
path = "{folder}/report"

[lake]
path = "{folder}/lake"

[warehouse]
url = "sqlite:///{folder}/warehouse.db"

[mlflow]
tracking_uri = "sqlite:///{folder}/mlflow.db"
artifacts = "{folder}/mlartifacts"
"""
    )
    return folder / "shop.toml"


def ask(capsys, *words: object) -> tuple[int, str, str]:
    """Run a command in this process: exit code, stdout, stderr."""
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# ---------------------------------------------------------------- one night and the next


@pytest.fixture(scope="module")
def connections(tmp_path_factory) -> Path:
    """Whom the two nights spoke to."""
    return tmp_path_factory.mktemp("guard") / "connections.log"


@pytest.fixture(scope="module")
def nights(shop, connections) -> list[dict]:
    """What `run --json` says of two nights in a row, each in a process of its own."""
    results, environment = [], os.environ | guarded(connections)
    environment.pop("MLFLOW_DISABLE_TELEMETRY", None)  # nobody has to ask for silence
    environment.pop("DO_NOT_TRACK", None)
    for cutoff in (FIRST, SECOND):
        command = [sys.executable, "-m", "forecasting", "run", "--conf", shop, "--cutoff", cutoff, "--json"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    return results


def test_a_night_publishes_every_series_and_day(nights):
    assert [night["cutoff"] for night in nights] == [FIRST, SECOND]
    for night in nights:
        assert night["forecast"]["rows"] == 6 * 7
        assert night["forecast"]["series"] == 6
        assert {"extract", "train", "forecast", "publish", "monitor"} <= set(night["seconds"])


def test_a_night_speaks_to_no_other_machine(nights, connections):
    assert outside(connections) == []


def test_the_first_night_trains_and_the_second_does_not_have_to(nights):
    first, second = nights
    assert first["train"]["trained"]
    assert first["champion"]["version"] == first["train"]["version"]
    assert 0 < first["accuracy"]["champion"] <= first["accuracy"]["seasonal_naive"] * 1.0001
    assert not second["train"]["trained"]
    assert "due at 7" in second["train"]["reason"]
    assert second["champion"] == first["champion"]


def test_the_second_night_scores_the_first(nights):
    assert nights[0]["monitor"]["vintages"] == 0
    assert nights[1]["monitor"]["vintages"] == 1


def test_show_prints_the_newest_forecasts_the_champion_and_the_runs(nights, shop, capsys):
    code, out, _ = ask(capsys, "show", "--conf", shop, "--series", "MILK_*", "--rows", 3)
    assert code == 0
    assert "forecasts_latest: 2 series" in out
    assert out.count("MILK_") == 3
    assert "BREAD" not in out
    assert f"version {nights[0]['champion']['version']}, trained at {FIRST}" in out
    assert nights[1]["run_id"] in out
    assert "open alerts: none" in out


def test_show_as_json(nights, shop, capsys):
    code, out, _ = ask(capsys, "show", "--conf", shop, "--rows", 100, "--json")
    content = json.loads(out)
    assert (code, content["series"], len(content["forecasts"])) == (0, 6, 42)
    assert {row["cutoff"] for row in content["forecasts"]} == {SECOND}
    assert content["forecasts"][0]["ds"] == "2026-06-01"
    # A night is a row a step; where no training was due, that is no row.
    assert [row["step"] for row in content["runs"] if row["run_id"] == nights[0]["run_id"]][::-1] == [
        *STEPS, "drift", "exceptions", "health", "alerts", "retention", "report",
    ]  # fmt: skip
    assert content["alerts"] == []


@pytest.mark.parametrize("step", ["forecast", "monitor", "train"])
def test_a_step_alone_takes_the_newest_snapshot(nights, shop, capsys, step):
    code, out, err = ask(capsys, step, "--conf", shop, "--json")
    assert code == 0
    assert json.loads(out)["cutoff"] == SECOND
    assert step in err


def test_what_native_code_prints_is_kept_out_of_the_result(capfd):
    import ctypes

    from forecasting.cli.report import Report

    with Report().step("train"):
        ctypes.CDLL(None).puts(b"[LightGBM] [Warning]")
        print("from Python")  # noqa: T201
    print("result")  # noqa: T201
    out, err = capfd.readouterr()
    assert out == "result\n"
    assert "[LightGBM] [Warning]" in err
    assert "from Python" in err


def test_results_go_to_stdout_and_progress_to_stderr(nights, shop, capsys):
    code, out, err = ask(capsys, "run", "--conf", shop, "--cutoff", SECOND)
    assert code == 0
    assert out.startswith(f"Night of {SECOND}")
    assert "seasonal naive" in out
    assert str(shop.parent / "lake") in out
    assert [line.split()[0] for line in err.splitlines() if line][-2:] == ["monitor", "report"]


def test_a_step_alone_for_people(nights, shop, capsys):
    code, out, _ = ask(capsys, "monitor", "--conf", shop)
    assert code == 0
    assert f"cutoff           {SECOND}" in out.splitlines()


def test_a_cutoff_before_all_sales_is_an_error_with_exit_code_1(shop, capsys):
    code, out, err = ask(capsys, "run", "--conf", shop, "--cutoff", "2020-01-01", "--json")
    assert code == 1
    assert json.loads(out)["message"] in err
    assert "Traceback" not in err


# ---------------------------------------------------------------- what is refused


def test_without_a_cutoff_it_says_why_it_will_not_guess(shop, capsys):
    code, out, err = ask(capsys, "run", "--conf", shop)
    assert (code, out) == (2, "")
    assert "--cutoff YYYY-MM-DD" in err
    assert "clock" in err


def test_a_step_without_a_snapshot_says_what_to_run(shop, tmp_path, capsys):
    code, _, err = ask(capsys, "forecast", "--conf", shop, "--set", f"lake.path={tmp_path}")
    assert code == 1
    assert "Run `extract` first" in err


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"tables", "doctor"}))
def test_a_broken_configuration_is_one_message_and_exit_code_2(shop, capsys, command):
    needed = {
        "rollback": ("--to", "1", "--reason", "worse"),
        "trace": ("--series", "A", "--ds", "2026-07-01"),
        "reproduce": ("--cutoff", "2026-06-30"),
        "backup": ("--to", "copy"),
        "restore": ("--from", "copy"),
    }.get(command, ())
    code, out, err = ask(capsys, command, "--conf", shop, "--set", "panel.horizn=3", *needed)
    assert (code, out) == (2, "")
    assert "panel.horizn: unknown key; did you mean horizon?" in err
    assert "Traceback" not in err


def test_an_error_is_json_where_json_was_asked_for(shop, capsys):
    code, out, _ = ask(capsys, "show", "--conf", shop.parent / "none.toml", "--json")
    told = json.loads(out)
    assert code == 2
    assert told["error"] == "SettingsError"
    assert "none.toml" in told["message"]


def test_debug_shows_the_traceback(shop):
    from forecasting.core.errors import SettingsError

    with pytest.raises(SettingsError):
        main(["show", "--conf", str(shop), "--set", "panel.horizn=3", "--debug"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "COMMAND"),
        (["forecst"], "invalid choice"),
        (["run", "--cutoff", "30.6.2026"], "write it as YYYY-MM-DD"),
        (["run", "--cutoff", "2026-02-30"], "write it as YYYY-MM-DD"),
        (["show", "--rows", "-1"], "not a whole number from 1"),
        (["show", "--rows", "0"], "not a whole number from 1"),
        (["run", "--confg", "x"], "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_demo_is_for_the_demo(shop, capsys):
    code, _, err = ask(capsys, "demo", "--conf", shop)
    assert code == 2
    assert "[demo]" in err


# ---------------------------------------------------------------- help, tables, doctor


def test_help_is_there_at_once():
    start = time.perf_counter()
    command = [sys.executable, "-m", "forecasting", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    # 0.1 s where nothing else runs; what this guards against, the heavy imports, takes 3 s and more.
    assert time.perf_counter() - start < 1.5
    assert all(re.search(rf"^    {name}\s", done.stdout, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "--conf FILE" in out
    assert "--set KEY=VALUE" in out


def test_tables_as_json_holds_every_column(capsys):
    from forecasting.tables.warehouse import WAREHOUSE

    code, out, _ = ask(capsys, "tables", "--json")
    told = {table["name"]: list(table["columns"]) for table in json.loads(out)["warehouse"]}
    assert code == 0
    assert told == {table.name: list(table.columns) for table in WAREHOUSE}


def checks(capsys, *words: object) -> tuple[int, dict[str, dict]]:
    code, out, _ = ask(capsys, "doctor", *words, "--json")
    told = json.loads(out)
    assert told["ok"] == (code == 0)
    return code, {check["name"]: check for check in told["checks"]}


def test_doctor_finds_nothing_wrong_with_a_sound_deployment(shop, capsys):
    code, told = checks(capsys, "--conf", shop)
    assert {name for name, check in told.items() if not check["ok"]} - {"memory", "disk", "versions"} == set()
    assert {"python", "lightgbm", "configuration", "schedule", "source sales", "lake", "mlflow"} <= set(told)
    assert code == int(not all(check["ok"] for check in told.values()))


@pytest.mark.parametrize(
    ("change", "check", "told"),
    [
        ("extract.sales.path=none.csv", "source sales", "none.csv"),
        ("extract.sales.columns={y='quantity'}", "source sales", "quantity"),
        ("extract.timezone=Europe/Berln", "schedule", "Europe/Berln"),
        ("extract.schedule=at night", "schedule", "not cron"),
        ("warehouse.url=postgresql+psycopg://nobody@127.0.0.1:1/none", "warehouse", "refused"),
        ("mlflow.tracking_uri=http://127.0.0.1:1", "mlflow", "refused"),
        ("panel.horizon=0", "configuration", "panel.horizon"),
    ],
)
def test_doctor_names_what_is_wrong_and_what_to_do(shop, capsys, change, check, told):
    code, found = checks(capsys, "--conf", shop, "--set", change)
    assert code == 1
    assert not found[check]["ok"]
    assert told in found[check]["found"]
    assert found[check]["to_do"]


def test_doctor_says_so_where_a_store_cannot_be_written(shop, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    code, found = checks(capsys, "--conf", shop, "--set", f"lake.path={tmp_path}/file/lake")
    assert code == 1
    assert not found["lake"]["ok"]


def test_doctor_leaves_nothing_behind(shop, tmp_path, capsys):
    checks(capsys, "--conf", shop, "--set", f"lake.path={tmp_path}/lake")
    assert [file for file in (tmp_path / "lake").rglob("*") if file.is_file()] == []


def test_doctor_for_people_says_what_to_do(shop, capsys):
    code, out, _ = ask(capsys, "doctor", "--conf", shop, "--set", "extract.timezone=Mars")
    assert code == 1
    assert "problem" in out
    assert "no time zone 'Mars'" in out


def test_doctor_compares_installed_versions_with_the_lock():
    from forecasting.cli.operate.doctor import _differences

    lock = 'numpy==1.0.0\npandas==9.9.9 ; python_full_version < "3.0"\nno-such-package==1.0\n'
    import importlib.metadata

    assert list(_differences(lock)) == [
        f"numpy {importlib.metadata.version('numpy')} instead of 1.0.0",
        "no-such-package is missing",
    ]
