"""`show`: what is in the output tables, for people."""

from __future__ import annotations

from argparse import Namespace
from datetime import date
from typing import Any

import pandas as pd

from forecasting import settings as configuration
from forecasting.cli.report import records, result, table
from forecasting.data.tables import RUNS
from forecasting.settings import Settings
from forecasting.stores.warehouse import Warehouse

SHOWN = ["cutoff", "unique_id", "ds", "mean", "p05", "p50", "p95", "model", "status"]


def show(arguments: Namespace) -> int:
    """Print the newest forecasts, the champion and the last runs."""
    settings = configuration.load(arguments.conf, arguments.changes)
    warehouse = Warehouse(settings.warehouse)
    warehouse.create()
    forecasts = _filter(warehouse.latest(), arguments.series)
    runs = warehouse.read(RUNS).sort_values("started_at", ascending=False)
    facts = summary(settings, None)
    head, newest = forecasts.head(arguments.rows), runs.head(arguments.rows)
    content = {"forecasts": records(head), "rows": len(forecasts), "runs": records(newest), **facts}

    def text() -> str:
        columns = [name for name in SHOWN if name in head]
        steps = newest[["started_at", "run_id", "step", "cutoff", "seconds", "rows", "outcome"]]
        return "\n\n".join(
            [
                table(head[columns], f"forecasts_latest: {len(forecasts):,} rows"),
                f"champion: {_champion_line(facts)}",
                table(steps, "runs"),
                "\n".join(f"{name:<10} {place}" for name, place in facts["places"].items()),
            ]
        )

    result(arguments, content, text)
    return 0


def summary(settings: Settings, cutoff: date | None) -> dict[str, Any]:
    """The champion at a cutoff (None: now), its backtest accuracy beside seasonal naive, and where the tables are."""
    from forecasting.stores.registry import Registry

    champion = Registry(settings.mlflow).champion(cutoff)
    facts: dict[str, Any] = {"champion": None, "places": places(settings)}
    if champion is None:
        return facts
    facts["champion"] = {"name": champion.name, "version": champion.version, "cutoff": champion.cutoff.isoformat()}
    metric = settings.train.metric
    tested, baseline = champion.metrics.get(f"backtest_{metric}"), champion.metrics.get(f"baseline_{metric}")
    if tested is not None and baseline is not None:
        facts["accuracy"] = {"metric": metric, "champion": tested, "seasonal_naive": baseline}
    return facts


def places(settings: Settings) -> dict[str, str]:
    """Where the stores are; a password in a URL is not shown."""
    from sqlalchemy.engine import make_url

    return {
        "warehouse": make_url(settings.warehouse.url).render_as_string(hide_password=True),
        "lake": settings.lake.path,
        "mlflow": settings.mlflow.tracking_uri.split("@")[-1],
    }


def _champion_line(facts: dict[str, Any]) -> str:
    champion, accuracy = facts["champion"], facts.get("accuracy")
    if champion is None:
        return "none yet"
    line = f"{champion['name']}, version {champion['version']}, trained at {champion['cutoff']}"
    if accuracy:
        line += f"; backtest {accuracy['metric']} {accuracy['champion']:.3f}, "
        line += f"seasonal naive {accuracy['seasonal_naive']:.3f}"
    return line


def _filter(forecasts: pd.DataFrame, pattern: str | None) -> pd.DataFrame:
    import fnmatch

    if pattern is None:
        return forecasts
    names = forecasts["unique_id"].astype(str)
    wanted = {name for name in names.unique() if fnmatch.fnmatchcase(name, pattern)}
    return forecasts[names.isin(wanted)]
