"""`show`: what is in the output tables, for people."""

from __future__ import annotations

from argparse import Namespace
from datetime import date
from typing import Any

from forecasting.cli.report import records, result, table
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.panel.series_names import matching
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import ALERTS, HEALTH, RUNS

SHOWN = ["cutoff", "unique_id", "ds", "mean", "p05", "p50", "p95", "model", "status"]
SHOWN_ALERTS = ["severity", "name", "subject", "opened", "nights", "message"]
SHOWN_SIGNS = ["sign", "value", "threshold", "unit", "trend", "message"]
SHOWN_RUNS = ["started_at", "run_id", "step", "cutoff", "seconds", "rows", "outcome"]


def show(arguments: Namespace) -> int:
    """Print the newest forecasts, the champion, what needs a person, breached warning signs, and the last runs."""
    settings = configuration.load(arguments.conf, arguments.changes)
    warehouse = Warehouse(settings.warehouse)
    series = _matching(warehouse, arguments.series)
    head = warehouse.latest(unique_id=series[: arguments.rows]).head(arguments.rows)
    runs = warehouse.read(RUNS).sort_values("started_at", ascending=False).head(arguments.rows)
    signs = warehouse.latest(of=HEALTH, breached=True)
    facts = summary(settings, None)
    alerts = warehouse.read(ALERTS, closed=None).sort_values("opened", ascending=False)
    content = {"series": len(series), "forecasts": records(head), "alerts": records(alerts), "runs": records(runs)}
    content |= {"breached": records(signs), **facts}

    def text() -> str:
        parts = [
            table(head[SHOWN], f"forecasts_latest: {len(series):,} series"),
            f"champion: {_champion_line(facts)}",
            table(alerts[SHOWN_ALERTS], "open alerts") if len(alerts) else "open alerts: none",
            *([table(signs[SHOWN_SIGNS], "warning signs")] if len(signs) else []),
            table(runs[SHOWN_RUNS], "runs"),
            "\n".join(f"{name:<10} {place}" for name, place in facts["places"].items()),
        ]
        return "\n\n".join(parts)

    result(arguments, content, text)
    return 0


def summary(settings: Settings, cutoff: date | None) -> dict[str, Any]:
    """The champion at a cutoff (None: now), its backtest accuracy beside seasonal naive, and where the tables are."""
    from forecasting.storage.registry.registry import Registry

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
        **({"report": settings.report.path} if settings.report.enabled and settings.report.path else {}),
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


def _matching(warehouse: Warehouse, pattern: str | None) -> list[str]:
    """Names of the newest vintage's series that fit the pattern; all without one."""
    names = warehouse.latest(["unique_id"], horizon=1)["unique_id"].astype(str).unique()
    return list(names if pattern is None else names[matching(names, (pattern,))])
