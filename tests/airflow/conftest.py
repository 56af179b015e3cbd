"""The DAGs, in an Airflow of the tests' own."""

from __future__ import annotations

import pytest

from tests.support.airflow.home import EVENTS, ROOT, airflow_database

__all__ = ["EVENTS", "ROOT", "airflow_database"]


@pytest.fixture(scope="session")
def dagbag():
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(ROOT / "dags"))
