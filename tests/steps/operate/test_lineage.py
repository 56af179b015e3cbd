"""What steps read and write, by the names that OpenLineage has for it; without logins, and for every step there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.steps.operate import lineage
from forecasting.steps.operate.lineage import Data
from tests.support.shops import ROOT, small_shop

BUCKET, DATABASE = "s3://data", "postgres://db.shop:5432"


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A deployment whose stores are servers: none is asked here, where neither snapshot nor version are looked up."""
    changes = [
        "sources.shop.url=postgresql+psycopg://reader:hush@db.shop/erp",
        "sources.files={ kind = 'files', path = 's3://raw/2026/' }",
        "extract.events={ source = 'files', path = 'holidays/*.csv' }",
        "extract.prices.table=sales.prices",
        "lake.path=s3://data/lake",
        "warehouse.url=postgresql://writer:hush@db.shop/forecasts",
        "warehouse.schema=demand",
    ]
    return configuration.load(small_shop(tmp_path_factory.mktemp("away")), changes)


def row(step: str, **more: object) -> dict[str, object]:
    return {"step": step, "snapshot": None, "model_version": None} | more


def names(data: list[Data]) -> list[tuple[str, str]]:
    return [(one.namespace, one.name) for one in data]


def test_tables_and_files_have_the_names_that_openlineage_gives_them(away: Settings) -> None:
    read = list(lineage._sources(away))
    assert (DATABASE, "erp.public.transactions") in names(read)
    assert (DATABASE, "erp.sales.prices") in names(read)
    assert ("s3://raw", "2026/holidays/*.csv") in names(read)
    read, written = lineage.of(away, row("monitor", snapshot="sales@4"))
    tables = ("forecasts", "overridden", "overrides")
    assert names(read) == [*((DATABASE, f"forecasts.demand.{table}") for table in tables), (BUCKET, "lake/panels")]
    assert read[-1].version == "sales@4"
    tables = ("scores", "series_scores", "score_trends", "lost_demand", "override_scores")
    assert names(written) == [(DATABASE, f"forecasts.demand.{table}") for table in tables]
    assert list(written[0].table.columns)[:2] == ["cutoff", "scored_at"]
    told = f"{list(lineage._sources(away))} {read} {written}"
    assert "hush" not in told
    assert "reader" not in told


def test_what_is_here_is_named_by_its_whole_path(tmp_path: Path) -> None:
    settings = configuration.load(small_shop(tmp_path))
    read, written = lineage.of(settings, row("monitor", snapshot="sales@4"))
    assert names(read)[0] == (f"sqlite://{tmp_path}/warehouse.db", "forecasts")
    assert names(read)[-1] == ("file", f"{tmp_path}/lake/panels")
    assert names(written)[0] == (f"sqlite://{tmp_path}/warehouse.db", "scores")


def test_a_model_is_where_its_registry_is(tmp_path: Path) -> None:
    assert lineage._registry("http://planner:hush@mlflow.shop:5000") == "mlflow://mlflow.shop:5000"
    assert lineage._registry(f"sqlite:///{tmp_path}/mlflow.db") == f"sqlite://{tmp_path}/mlflow.db"


def test_no_step_is_forgotten() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "forecasting" / "steps").rglob("*.py"))
    steps = set(re.findall(r'with record\(settings, run, "(\w+)"', code))
    steps |= set(re.findall(r'_export\(settings, cutoff, run, tell, "(\w+)"', code))
    assert len(steps) > 8
    assert steps == set(lineage.WRITTEN)
