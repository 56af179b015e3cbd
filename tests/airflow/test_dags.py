"""The DAG files as a person and as Airflow read them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from forecasting.core import errors
from tests.support.shops import small_shop

# Airflow and its web framework warn about their own use of other libraries, also while a task runs.
pytestmark = pytest.mark.filterwarnings("ignore")

DAGS = ("extract", "train", "approve", "forecast", "monitor", "promise", "rollback")
FOLDER = Path(__file__).parents[2] / "dags"
HEAVY = ("pandas", "numpy", "lightgbm", "statsmodels", "mlflow", "sqlalchemy", "deltalake")


def test_every_file_is_a_dag_and_imports(dagbag) -> None:
    assert dagbag.import_errors == {}
    assert set(dagbag.dags) == set(DAGS)
    assert {file.stem for file in FOLDER.glob("*.py")} == set(DAGS)


@pytest.mark.parametrize("name", DAGS)
def test_every_dag_says_what_it_does_and_ends_some_day(dagbag, name: str) -> None:
    dag = dagbag.dags[name]
    assert dag.doc_md.startswith(f"# {name.capitalize()}: ")
    assert "demand" in dag.tags
    assert dag.max_active_runs == (
        16 if name in ("approve", "promise") else 1
    )  # one that waits must not hold up the next
    assert ("cutoff" in dag.params) is (name != "rollback")  # which is always of the newest vintage
    for task in dag.tasks:
        assert task.execution_timeout is not None
        assert task.retries == 2 or task.task_id == "report_failed_training"


@pytest.mark.parametrize("name", DAGS)
def test_dag_files_stay_thin(name: str) -> None:
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) <= 60


def test_parsing_the_dags_loads_nothing_heavy() -> None:
    """Every task parses its file anew: a heavy import would cost seconds each time."""
    code = (
        "import sys, runpy, pathlib\n"
        f"for file in pathlib.Path({str(FOLDER)!r}).glob('*.py'):\n"
        "    runpy.run_path(str(file))\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules) - before))"
    )
    before = "import sys, airflow.sdk\nbefore = set(sys.modules)\n"
    command = [sys.executable, "-c", before + code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER.parent, timeout=120, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (errors.SettingsError, True), (errors.PlanningError, True), (errors.PublishError, True),
        (errors.StoreError, False), (errors.SourceError, False),
    ],
)  # fmt: skip
def test_what_another_try_cannot_mend_fails_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], final: bool
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from forecasting.airflow import orchestration

    monkeypatch.setenv("FORECASTING_CONF", str(small_shop(tmp_path)))
    context = {"params": {"cutoff": "2026-06-30"}, "dag_run": SimpleNamespace(dag_id="forecast", run_id="one")}
    with (
        pytest.raises(AirflowFailException if final else error, match="a lead time is no number"),
        orchestration.night(context),
    ):
        raise error("a lead time is no number")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("extract", {"cutoff": "yesterday"}),
        ("forecast", {"horizon": 0}),
        ("forecast", {"series": ["a'b"]}),
        ("train", {"models": ["LightGBM"]}),
        ("train", {"force": "please"}),
        ("rollback", {"version": "the last one", "reason": "it was better"}),
        ("rollback", {"version": "1", "reason": ""}),
    ],
)
def test_a_form_that_makes_no_sense_is_refused(dagbag, airflow_database, name: str, params: dict) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dagbag.dags[name].test(run_conf=params)
