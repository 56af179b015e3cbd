"""What a night has brought, read from the tables that it wrote."""

from __future__ import annotations

from datetime import date

from rich.console import Console

from forecasting.cli.report import table
from forecasting.cli.show import SHOWN, summary
from forecasting.core.config.settings import Settings
from forecasting.steps.run import night_of
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import RUNS

HEAD = 5
TOLD = ("extract", "train", "forecast", "monitor")


def tell(settings: Settings, cutoff: date, console: Console) -> None:
    """Head of the forecasts, the champion with its accuracy, seconds a step, and where everything is."""
    warehouse = Warehouse(settings.warehouse)
    names = warehouse.latest(["unique_id"], horizon=1)["unique_id"].astype(str).unique()
    head = warehouse.latest(unique_id=str(names[0])).head(HEAD)
    _print(console, "")
    _print(console, table(head[SHOWN], f"forecasts_latest: {len(names):,} series, the first of them"))
    facts = summary(settings, cutoff)
    champion, accuracy = facts["champion"], facts.get("accuracy")
    if champion:
        line = f"{champion['name']}, version {champion['version']}, trained at {champion['cutoff']}"
        _print(console, f"\nchampion   {line}")
    if accuracy:
        better = 1 - accuracy["champion"] / accuracy["seasonal_naive"]
        line = f"accuracy   backtest {accuracy['metric']} {accuracy['champion']:.3f}, seasonal naive "
        _print(console, f"{line}{accuracy['seasonal_naive']:.3f}: {better:.0%} better")
    runs = warehouse.read(RUNS, cutoff=night_of(settings, cutoff).day, step=TOLD)
    newest = runs.sort_values("started_at").drop_duplicates("step", keep="last")
    seconds = ", ".join(f"{row.step} {row.seconds:.1f}" for row in newest.itertuples())
    _print(console, f"seconds    {seconds}")
    for name, place in facts["places"].items():
        _print(console, f"{name:<10} {place}")
    _print(console, "look       select * from forecasts_latest where unique_id = '" + str(names[0]) + "'")


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
