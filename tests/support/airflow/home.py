"""An Airflow home of the tests' own: the environment must stand before the first `import airflow`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HOME = Path(tempfile.mkdtemp(prefix="airflow-test-"))
BUNDLE = {
    "name": "dags",
    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
    "kwargs": {"path": str(ROOT / "dags")},
}
EVENTS = HOME / "lineage.jsonl"  # where OpenLineage's provider writes, if it is installed
os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([BUNDLE]),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of the tests alone, and as long as what signs with it wants it to be",
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "file", "log_file_path": str(EVENTS), "append": True}),
        "FORECASTING_POOL": "default_pool",
        "FORECASTING_RETRY_SECONDS": "0",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
)


@pytest.fixture(scope="session")
def airflow_database() -> Iterator[None]:
    from airflow.utils import db

    db.initdb()
    yield
    shutil.rmtree(HOME, ignore_errors=True)
