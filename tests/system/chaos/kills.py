"""SIGKILL at random moments of each step: nothing partial, and the night that runs again is as if nothing had been."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass

import pandas as pd

from forecasting.core.errors import StoreError
from tests.system.chaos.deployment import SECOND, STEPS, THIRD, Deployment, Tables, differences

TRIES = 8
THIRDS = 10  # kills at the end after which the night that follows is made too


@dataclass
class Kill:
    """One kill. at: seconds after the step's start; found: how far it had come; problems: none, if all is well."""

    number: int
    step: str
    warehouse: str
    at: float
    found: str
    problems: list[str]


def kills(shops: list[Deployment], count: int, seed: int) -> list[dict]:
    """`count` kills, the steps and warehouses in turn."""
    chance, done = random.Random(seed), []
    for number in range(count):
        shop, step = shops[number % len(shops)], STEPS[number // len(shops) % len(STEPS)]
        kill = _kill(shop, step, chance)
        kill.number = number
        kill.problems += again(shop, third=count >= THIRDS and number >= count - THIRDS)
        done.append(asdict(kill))
        told = "; ".join(kill.problems) or "whole after the re-run"
        print(f"kill {number + 1:3}/{count}  {shop.kind:<10} {step:<8} at {kill.at:.3f} s  {kill.found:<30} {told}")
    return done


def _kill(shop: Deployment, step: str, chance: random.Random) -> Kill:
    """Kill the step within its duration; where it was faster, try again with another moment."""
    for _ in range(TRIES):
        shop.restore(step)
        at = chance.triangular(0, shop.seconds[step], shop.seconds[step])  # a step writes towards its end
        child = shop.start(step, *(() if step == "publish" else ("--cutoff", SECOND)))
        time.sleep(at)
        if child.ended():
            shop.seconds[step] = at  # the machine was slower when it was measured
            continue
        child.kill()
        child.wait()
        found, problems = between(shop, step)
        return Kill(0, step, shop.kind, round(at, 3), found, problems)
    raise AssertionError(f"{step} ended before it could be killed, {TRIES} times")


def between(shop: Deployment, step: str) -> tuple[str, list[str]]:
    """How far the step had come, table by table: each is as before it or as after it, never in between."""
    problems = []
    try:
        shop.readable()
        tables = shop.tables()
    except (AssertionError, StoreError) as error:
        return "", [f"not readable: {error}"]
    changed = []
    for name, frame in tables.items():
        before, after = shop.before[step][name], shop.after[step][name]
        if before.equals(after):
            same = frame.equals(before)
        else:
            same = frame.equals(before) or frame.equals(after)
            changed += [name] * frame.equals(after)
        if not same:
            problems.append(f"partial: {name} has {len(frame):,} rows, {len(before):,} before, {len(after):,} after")
    problems += _vintage(tables)
    return ", ".join(changed) or "nothing written yet", problems


def _vintage(tables: Tables) -> list[str]:
    """Series, levels and sums of the new cutoff are published together or not at all."""
    there = {
        name: int((tables[name]["cutoff"] == pd.Timestamp(SECOND)).sum())
        for name in ("forecasts", "forecast_levels", "forecast_sums")
    }
    return [] if all(there.values()) or not any(there.values()) else [f"partial publish: {there}"]


def again(shop: Deployment, third: bool = False) -> list[str]:
    """The night once more, to its end, compared with one that nobody disturbed; and, if asked for, the one after it."""
    shop.night()
    problems = differences(shop.tables(), shop.whole)
    facts = shop.facts()
    problems += [
        f"{key}: {facts[key]}, {value} expected" for key, value in shop.facts_whole.items() if facts[key] != value
    ]
    if third:
        shop.night(THIRD)
        problems += [f"next night: {one}" for one in differences(shop.tables(), shop.third)]
    return problems
