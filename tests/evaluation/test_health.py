"""Every warning sign on a case that can be reckoned in the head."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from forecasting.evaluation import health
from forecasting.evaluation.health import AirflowFacts

NIGHT = date(2026, 7, 2)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def runs(*rows: tuple) -> pd.DataFrame:
    """(step, day of July, start as day.hour, minutes, outcome, model version, snapshot, attempt)"""
    made = []
    for number, (step, day, start, minutes, *rest) in enumerate(rows):
        outcome, version, snapshot, attempt = (*rest, *["done", "1", f"s{day}", 1][len(rest) :])
        moment = pd.Timestamp("2026-07-01", tz="UTC") + pd.Timedelta(days=start[0] - 1, hours=start[1])
        made.append(
            {
                "run_id": f"run {number}", "step": step, "cutoff": pd.Timestamp(2026, 7, day), "outcome": outcome,
                "vintage": date(2026, 7, day), "started_at": moment, "ended": moment + pd.Timedelta(minutes=minutes),
                "model_version": version, "snapshot": snapshot, "attempt": attempt,
            }
        )  # fmt: skip
    return pd.DataFrame(made).astype({"attempt": "Int64"})


def decided(*rows: tuple) -> pd.DataFrame:
    """(version, decision, day of July, hour)"""
    return pd.DataFrame(
        [
            {
                "version": version, "decision": decision, "cutoff": pd.Timestamp(2026, 7, day),
                "decided_at": pd.Timestamp(2026, 7, day, hour, tz="UTC"),
            }
            for version, decision, day, hour in rows
        ],
        columns=["version", "decision", "cutoff", "decided_at"],
    )  # fmt: skip


def test_lead_time_is_from_the_first_good_reading_to_the_first_publication() -> None:
    found = health.lead_time(
        runs(
            ("extract", 2, (3, 2), 10, "failed"),
            ("extract", 2, (3, 3), 10),
            ("extract", 2, (3, 9), 10),
            ("forecast", 2, (3, 5), 30),
            ("forecast", 2, (3, 12), 30),
            ("forecast", 1, (3, 1), 30),
        ),
        NIGHT,
    )
    assert found.value == 2.5
    assert found.message == "2.5 hours from reading the sales of 2026-07-02 to its forecasts"
    assert health.lead_time(runs(("extract", 2, (3, 3), 10)), NIGHT).value is None


def test_nights_missed_lie_between_the_first_and_the_newest_vintage() -> None:
    due = {date(2026, 7, day): LONG_AGO for day in range(1, 8)}
    found = health.missed(due, [date(2026, 7, day) for day in (2, 3, 5)])
    assert (found.value, found.message) == (1, "no vintage of 2026-07-04")
    assert health.missed(due, []).value == 0


def test_nights_late_are_those_published_after_the_promise() -> None:
    due = {date(2026, 7, day): datetime(2026, 7, day + 1, 6, tzinfo=UTC) for day in (1, 2, 3)}
    out = {
        day: moment + timedelta(minutes=minutes)
        for (day, moment), minutes in zip(due.items(), (0, 90, -5), strict=True)
    }
    found = health.late(due, out, LONG_AGO)
    assert (found.value, found.message) == (1, "1 of 3 nights late: 2026-07-02 by 1.5 hours")
    # Made up on the 10th, when the system was first started: nobody had been promised anything before.
    started = datetime(2026, 7, 10, tzinfo=UTC)
    assert health.late(due, dict.fromkeys(due, started), started).value == 0


def test_age_of_the_champion() -> None:
    found = health.champion_age(NIGHT, date(2026, 6, 1), "4")
    assert (found.value, found.message) == (31, "champion 4 is 31 days old")
    assert health.champion_age(NIGHT, None, "").value is None


def test_time_to_decision_is_that_of_the_slowest_challenger_and_a_person_s_answer_counts() -> None:
    created = {version: datetime(2026, 7, 1, 3, tzinfo=UTC) for version in ("1", "2", "3", "4")}
    rows = decided(
        ("1", "promoted", 1, 4),
        ("2", "waiting", 1, 4),
        ("2", "promoted", 2, 9),  # 30 hours
        ("3", "kept", 1, 5),
        ("3", "promoted", 9, 5),  # watched as a shadow; it was decided on long before
        ("4", "waiting", 1, 5),
    )
    found = health.decisions(rows, created, date(2026, 6, 30))
    assert found.value == 30
    assert found.message == "3 challengers decided on, at most 30.0 hours after training (version 2)"
    assert health.decisions(rows, created, date(2026, 7, 20)).value is None


def test_rework_counts_what_was_done_twice_for_no_new_reason() -> None:
    history = runs(
        ("extract", 1, (2, 3), 1),
        ("forecast", 1, (2, 4), 1),
        ("extract", 2, (3, 3), 1),
        ("forecast", 2, (3, 4), 1),
        ("forecast", 2, (3, 5), 1, "done", "1", "s2"),  # again
        ("forecast", 2, (3, 6), 1, "done", "2", "s2"),  # by another model
        ("extract", 2, (3, 7), 1),  # again
        ("forecast", 2, (3, 8), 1, "done", "2", "late rows"),  # from other sales
        ("forecast", 3, (4, 4), 1, "failed"),
        ("forecast", 4, (5, 4), 1),
        ("forecast", 3, (5, 9), 1),  # made up, the 4th was out
    )
    back = decided(("1", "rolled_back", 3, 6), ("2", "withdrawn", 3, 6))
    found = health.rework(history, back, LONG_AGO)
    assert found.value == 4
    assert found.message == "1 readings again, 1 forecasts again, 1 nights made up, 1 rollbacks"
    assert health.rework(history, back, datetime(2026, 7, 4, tzinfo=UTC)).value == 1  # since then
    assert health.rework(history[:4], back[:0], LONG_AGO).message == "nothing was done twice"


def test_retries_and_failed_steps_of_the_last_days() -> None:
    history = runs(
        ("extract", 1, (2, 3), 1, "failed"),
        ("train", 2, (3, 3), 1, "failed", None, None, 3),
        ("forecast", 2, (3, 4), 1, "done", "1", "s", 2),
        ("monitor", 2, (3, 5), 1),
    )
    after = datetime(2026, 7, 3, tzinfo=UTC)
    assert (health.retries(history, after).value, health.failed_steps(history, after).value) == (3, 1)
    assert health.failed_steps(history, after).message == "train of 2026-07-02"
    assert health.retries(history, after).message == "train, forecast started again"


def test_share_quarantined_is_over_all_tables() -> None:
    quality = pd.DataFrame({"table": ["sales", "prices"], "read": [90, 10], "quarantined": [1, 4]})
    found = health.quarantined(quality)
    assert (found.value, found.message) == (0.05, "5 of 100 rows quarantined, most in prices")
    assert health.quarantined(pd.DataFrame()).value is None


def test_share_of_series_on_a_fallback() -> None:
    found = health.fallback({"ok": 7, "fallback": 2, "discontinued": 1}, NIGHT)
    assert (found.value, found.message) == (0.2, "2 of 10 series on a fallback")
    assert health.fallback({}, NIGHT).value is None


def test_who_waits_for_a_person() -> None:
    found = health.waiting({"7": date(2026, 6, 30)}, NIGHT)
    assert (found.value, found.message) == (1, "waiting for a person: version 7 for 2 days")
    assert health.waiting({}, NIGHT).value == 0


def test_failed_dag_runs_are_those_since_a_week_ago() -> None:
    facts = AirflowFacts({"extract": 4, "train": 1}, {"extract": 100})
    ever, lately = health.failed_runs(facts, before=3)
    assert (ever.value, lately.value) == (5, 2)
    assert ever.message == "failed: 4 of extract, 1 of train; 100 succeeded"
    assert health.failed_runs(facts, None)[1].value is None
    assert health.failed_runs(facts, 9)[1].value == 0  # Airflow was cleaned since


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({0: 4.0, 27: 2.0, 28: 1.0, 55: 2.0, 56: 99.0}, 1.5),  # days back: (4 + 2) / 2 - (1 + 2) / 2
        ({0: 4.0, 1: 4.0, 30: 1.0}, None),
        ({}, None),
    ],
)
def test_trend_is_four_weeks_against_the_four_before(values: dict[int, float], expected: float | None) -> None:
    assert health.trend({NIGHT - timedelta(days=back): value for back, value in values.items()}, NIGHT) == expected
