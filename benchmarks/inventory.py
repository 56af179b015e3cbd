"""`python -m benchmarks.inventory`: what our orders would have cost, beside those of usual policies.

Replays weeks of VN2 and nights of the demo retailer with the orders that the project proposes from the vintage of each
night and the stock that its own past orders have led to. The demo's demand is the true one, which stock-outs hide from
the sales. The first periods, in which the first orders are on their way, do not count.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks import results
from benchmarks.ours import leave_out, versions
from benchmarks.small import Small, vn2
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.planning.order_terms import terms_of
from forecasting.planning.orders import Terms, critical_ratio
from forecasting.planning.replay import Costs, Policy, Replay, Shelf, by_levels, replay
from forecasting.sources.demo import database
from forecasting.steps.forecast import forecast
from forecasting.steps.forecast.forecast import calibrations_of
from forecasting.steps.forecast.replenish import Vintage, abc_xyz, proposals, replenish
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.ingest.extract import extract
from forecasting.steps.run import Run
from forecasting.steps.train.train import due, train
from forecasting.storage.lake.lake import Lake
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import REPLENISHMENT

ROOT = Path(__file__).parents[1]
Array = NDArray[np.float64]
WEEKS, WARM = 30, 4  # weeks replayed; the first ones, in which the first orders are on their way, do not count
LEAD, COSTS = 2, Costs(holding=0.2, shortage=1.0)  # as in the contest
COVER = 4  # weeks of the contest's own benchmark
DEMO = ("demo.days=400", "panel.horizon=14", "train.every_days=28", 'train.models=["seasonal_mean","lightgbm"]')
DEMO_NIGHTS, DEMO_LEAD, DEMO_REVIEW = 43, 3, 2
TARGETS = (0.90, 0.95, 0.98)


def main(argv: Sequence[str] | None = None) -> int:
    """Both parts; one whose data is absent is left out, and says so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inventory", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("FORECASTING_DATA", "../shared/data"))
    parser.add_argument("--only", choices=("vn2", "demo"))
    parser.add_argument("--weeks", type=int, default=WEEKS, help="weeks of VN2 that are replayed")
    parser.add_argument("--nights", type=int, default=DEMO_NIGHTS, help="nights of the demo")
    parser.add_argument(
        "--keep", type=Path, help="folder for the stores, kept; nights that are in it are not made again"
    )
    arguments = parser.parse_args(argv)
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="bench-inventory-"))
    try:
        if arguments.only != "demo":
            if (arguments.data / "vn2" / "sales.parquet").is_file():
                results.save("inventory", "vn2", of_vn2(arguments.data, place / "vn2", arguments.weeks))
            else:
                print(f"VN2 is left out: there is no {arguments.data}/vn2/sales.parquet (--data, FORECASTING_DATA)")
        if arguments.only != "vn2":
            results.save("inventory", "demo", of_demo(place / "demo", arguments.nights))
    finally:
        if not arguments.keep:
            shutil.rmtree(place, ignore_errors=True)
    return 0


# ---------------------------------------------------------------- nights


def nights(settings: Settings, cutoffs: Sequence[date]) -> None:
    """Extract, train where due, forecast, publish, propose orders; what is there already stays."""
    there = set(Warehouse(settings.warehouse).distinct(REPLENISHMENT, ["cutoff"])["cutoff"].dt.date)
    for cutoff in cutoffs:
        run = Run(f"night-{cutoff}")
        if cutoff in there:
            continue
        extract(settings, cutoff, run)
        if due(settings, cutoff)[0]:
            train(settings, cutoff, run)
        for shard in forecast.plan(settings, cutoff):
            forecast.predict(settings, cutoff, shard, run)
        forecast.publish(settings, cutoff, run)
        replenish(settings, cutoff, run)


def proposed(settings: Settings, cutoffs: Sequence[date], names: Sequence[str]) -> Policy:
    """What the nights of these cutoffs order, given the stock that the replay has come to, all of it on hand.

    A series that a night does not have orders nothing.
    """
    lake, warehouse = Lake(settings.lake), Warehouse(settings.warehouse)

    def policy(period: int, position: Array) -> Array:
        panel = lake.read_panel(cutoffs[period])
        vintage = Vintage.of(warehouse, panel)
        where = pd.Index(names).get_indexer(pd.Index(panel.unique_ids))
        stock = np.where(where >= 0, position[where], 0.0)
        own = pd.DataFrame({"ds": pd.Timestamp(panel.cutoff), "on_hand": stock}, index=range(len(stock)))
        terms = terms_of(settings.planning, panel, abc_xyz(panel), own)
        table = proposals(settings.planning, panel, vintage, terms, calibrations_of(settings, vintage.version))
        found = np.zeros(len(names))
        found[where[where >= 0]] = table["order"].to_numpy()[where >= 0]
        return found

    return policy


def stored(conf: Path, place: Path, changes: Sequence[str]) -> Settings:
    """A configuration with its stores in a folder."""
    place.mkdir(parents=True, exist_ok=True)
    stores = [
        f"lake.path={place}/lake", f"warehouse.url=sqlite:///{place}/w.db",
        f"mlflow.tracking_uri=sqlite:///{place}/m.db", f"mlflow.artifacts={place}/artifacts",
    ]  # fmt: skip
    return configuration.load(conf, [*stores, *changes])


# ---------------------------------------------------------------- VN2


def of_vn2(data: Path, place: Path, weeks: int) -> dict[str, Any]:
    """Every policy on the newest weeks; stock-outs filled, and as they were recorded."""
    facts = vn2(data)
    starts = range(len(facts.periods) - weeks, len(facts.periods))
    cutoffs = [facts.day(start) for start in starts]
    names = facts.series["unique_id"].tolist()
    # The example as it is, with a training every week; rounded as in the contest's benchmark, for every policy.
    changes = (f"sources.vn2.path={data / 'vn2'}", "planning.rounding=nearest")
    settings = stored(ROOT / "conf" / "examples" / "vn2.toml", place, changes)
    nights(settings, cutoffs)
    ours = proposed(settings, cutoffs, names)
    found: dict[str, Any] = {"weeks": weeks - WARM, "series": len(names), **versions()}
    for how, demand in (("filled", filled(facts, starts[0])), ("recorded", np.nan_to_num(facts.y[:, starts[0] :]))):
        policies = {"ours": ours, **{name: _by(levels) for name, levels in usual(facts, starts).items()}}
        found[how] = {name: _told(_replayed(policy, np.round(demand)), COSTS) for name, policy in policies.items()}
        _print(f"VN2, stock-outs {how}", found[how])
    return found


def filled(facts: Small, first: int) -> Array:
    """Demand from a week on; a week out of stock by the mean of the weeks in stock within six weeks on either side.

    That looks ahead, but no policy is made from it.
    """
    y = facts.y[:, first:].copy()
    for series, week in zip(*np.nonzero(~np.isfinite(y)), strict=True):
        near = facts.y[series, max(0, first + week - 6) : first + week + 7]
        y[series, week] = np.nanmean(near) if np.isfinite(near).any() else 0.0
    return y


def usual(facts: Small, starts: Sequence[int]) -> dict[str, Array]:
    """Order-up-to levels (n_series, n_weeks) of the contest's benchmark, of other covers, and of newsvendors."""
    span = LEAD + 1
    ratio = critical_ratio(COSTS.holding, COSTS.shortage, span)
    found: dict[str, list[Array]] = {}
    for start in starts:
        ahead = seasonal_average(facts, start)
        for cover in (COVER, 3.5, 3.0):
            found.setdefault(f"seasonal average, {cover:g} weeks", []).append(_first(ahead, cover))
        spread = norm.ppf(ratio)
        error = _errors(facts, start, lambda at: _first(seasonal_average(facts, at), span))
        found.setdefault("newsvendor on seasonal average", []).append(
            np.maximum(_first(ahead, span) + spread * error, 0)
        )
        error = _errors(facts, start, lambda at: seasonal_naive(facts, at, span))
        naive = seasonal_naive(facts, start, span)
        found.setdefault("newsvendor on seasonal naive", []).append(np.maximum(naive + spread * error, 0))
    return {name: np.stack(levels, axis=1) for name, levels in found.items()}


def seasonal_average(facts: Small, start: int) -> Array:
    """(n_series, 9) weeks ahead: mean of the last 13 weeks in stock without the season, times the season.

    The contest's benchmark: factors of the 53 calendar weeks from the mean of all series.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # weeks and series that were never seen
        y, days = facts.y[:, :start], facts.periods[:start]
        week = days.isocalendar().week.to_numpy(dtype=int)
        mean = pd.Series(np.nanmean(y, axis=0))
        factor = (mean.groupby(week).mean() / mean.mean()).reindex(range(1, 54)).fillna(1).to_numpy()
        base = np.nan_to_num(np.nanmean((y / factor[week - 1])[:, -13:], axis=1))
    ahead = pd.date_range(days[-1], periods=10, freq=facts.alias)[1:].isocalendar().week.to_numpy(dtype=int)
    return base[:, None] * factor[ahead - 1]


def seasonal_naive(facts: Small, start: int, span: int) -> Array:
    """(n_series,) units of the same weeks a year before."""
    return np.nan_to_num(facts.y[:, start - 52 : start - 52 + span]).sum(axis=1)


def _first(ahead: Array, weeks: float) -> Array:
    whole = int(weeks)
    return ahead[:, :whole].sum(axis=1) + (weeks - whole) * ahead[:, whole]


def _errors(facts: Small, start: int, predict: Any) -> Array:
    """(n_series,) root mean square of past errors over the span: of 8 origins, two weeks apart."""
    span, squares = LEAD + 1, []
    for at in range(start - span, start - span - 16, -2):
        actual = np.nan_to_num(facts.y[:, at : at + span]).sum(axis=1)
        squares.append((predict(at) - actual) ** 2)
    return np.sqrt(np.mean(squares, axis=0))


def _by(levels: Array) -> Policy:
    one = np.ones(len(levels))
    terms = Terms(np.full(len(one), LEAD), np.ones(len(one), dtype=np.int64), one, one, 0 * one)
    return by_levels(levels, levels, terms, "nearest")


def _replayed(policy: Policy, demand: Array) -> Replay:
    return replay(demand, policy, Shelf.empty(len(demand), LEAD))


def _told(one: Replay, costs: Costs) -> dict[str, float]:
    return {
        "cost": round(one.cost(costs, WARM), 1), "fill_rate": round(one.fill_rate(WARM), 4),
        "stock": round(one.stock(WARM), 1), "service": round(one.cycle_service(1, WARM), 4),
    }  # fmt: skip


def _print(title: str, rows: dict[str, dict[str, float]]) -> None:
    print(title)
    base = rows[f"seasonal average, {COVER} weeks"]["cost"]
    for name, row in rows.items():
        print(
            f"  {name:32} cost {row['cost']:9,.0f} ({row['cost'] / base - 1:+.1%}) fill {row['fill_rate']:.1%}", end=""
        )
        print(f" stock {row['stock']:7,.0f} cycles {row['service']:.1%}")


# ---------------------------------------------------------------- the demo


def of_demo(place: Path, count: int) -> dict[str, Any]:
    """Realised cycle service beside its target, at several targets, with the demand that there truly was."""
    place.mkdir(parents=True, exist_ok=True)
    text = (ROOT / "conf" / "demo.toml").read_text(encoding="utf-8").replace("var/", f"{place}/")
    # Without the stock table no item has terms of its own, and a replay needs none of the stock on hand.
    (place / "conf.toml").write_text(leave_out(text, ["extract.inventory"]), encoding="utf-8")
    settings = configuration.load(place / "conf.toml", DEMO)
    cutoffs = []
    for _ in range(count):
        cutoffs.append(tonight(settings))
        nights(settings, cutoffs[-1:])
    return _served(settings, cutoffs)


def _served(settings: Settings, cutoffs: Sequence[date]) -> dict[str, Any]:
    """Of each target: the share of order cycles without a stock-out, in units (fill rate), and the stock that it took.

    Series that wanted nothing in all these days are left out: they are no longer, or not yet, on sale.
    """
    names = sorted(set(Warehouse(settings.warehouse).read(REPLENISHMENT, ["unique_id"])["unique_id"]))
    demand = demand_of(settings, names, [day + timedelta(days=1) for day in cutoffs[:-1]])
    live = demand.sum(axis=1) > 0
    found: dict[str, Any] = {"nights": len(cutoffs), "series": int(live.sum()), **versions()}
    for target in TARGETS:
        # What is not there is lost in a replay.
        changed = {"service_level": target, "classes": {}, "unmet": "lost", "rounding": "nearest"}
        asked = settings.model_copy(update={"planning": settings.planning.model_copy(update=changed)})
        shelf = Shelf.empty(len(names), DEMO_LEAD)
        done = replay(demand, proposed(asked, cutoffs, names), shelf, DEMO_REVIEW)
        first = -(-DEMO_LEAD // DEMO_REVIEW) * DEMO_REVIEW + DEMO_LEAD  # first arrival of an order given by then
        told = {"service": _cycles(done, live, first), "fill_rate": done.fill_rate(first), "stock": done.stock(first)}
        found[f"{target:.2f}"] = {name: round(value, 4) for name, value in told.items()}
        print(f"demo, target {target:.1%}: {found[f'{target:.2f}']}", flush=True)
    return found


def _cycles(done: Replay, live: NDArray[np.bool_], first: int) -> float:
    lost, count = done.lost[live, first:], (done.lost.shape[1] - first) // DEMO_REVIEW
    cycles = lost[:, : count * DEMO_REVIEW].reshape(len(lost), count, DEMO_REVIEW).sum(axis=2)
    return float((cycles <= 0).mean())


def demand_of(settings: Settings, names: Sequence[str], days: Sequence[date]) -> Array:
    """(n_series, n_days) units wanted, from the demo's own record of the truth."""
    with database.opened(database.truth_url(settings)) as connection:
        rows = pd.read_sql(database.DEMAND.select(), connection)
    rows = rows.assign(unique_id=rows["sku"] + "_" + rows["shop"], day=pd.to_datetime(rows["day"]))
    wide = rows.pivot(index="unique_id", columns="day", values="demand").reindex(list(names))
    return wide.reindex(columns=[pd.Timestamp(day) for day in days]).fillna(0).to_numpy(dtype=np.float64)


if __name__ == "__main__":
    raise SystemExit(main())
