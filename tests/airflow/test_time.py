"""When nights start and which day they are about: zones, the change of the clocks, and nights that did not run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from tests.support.shops import ROOT, small_shop

# Airflow and its web framework warn about their own use of other libraries, also while a task runs.
pytestmark = pytest.mark.filterwarnings("ignore")
BERLIN = ZoneInfo("Europe/Berlin")


class Nights:
    """Airflow's own timetable of the DAG `extract`, as the scheduler has it, under one configuration."""

    def __init__(self, settings: Settings) -> None:
        from airflow.dag_processing.dagbag import DagBag
        from airflow.serialization.serialized_objects import DagSerialization

        self.settings = settings
        self.dag = DagBag(str(ROOT / "dags")).dags["extract"]
        self._timetable = DagSerialization.from_dict(DagSerialization.to_dict(self.dag)).timetable

    def after(self, last: datetime | None, since: datetime | None = None) -> tuple[datetime, date]:
        """Start of the next night after the last one that ran, and its cutoff."""
        from airflow.models.dagrun import DagRun
        from airflow.sdk.timezone import convert_to_utc
        from airflow.timetables.base import DataInterval, TimeRestriction

        from forecasting.airflow.orchestration import cutoff_of

        utc = convert_to_utc
        info = self._timetable.next_dagrun_info(
            last_automated_data_interval=DataInterval.exact(utc(last)) if last else None,
            restriction=TimeRestriction(utc(since or self.dag.start_date), None, self.dag.catchup),
        )
        run = DagRun(dag_id="extract", run_id="night", logical_date=info.logical_date, run_after=info.run_after)
        return info.run_after, cutoff_of({"params": {}, "dag_run": run}, self.settings, from_source=True)


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_database: None) -> Callable[..., Nights]:
    def of(**extract: str) -> Nights:
        conf = small_shop(tmp_path, **{f"extract__{name}": value for name, value in extract.items()})
        monkeypatch.setenv("FORECASTING_CONF", str(conf))
        return Nights(configuration.load(conf))

    return of


@pytest.mark.parametrize("schedule", ["0 3 * * *", "30 2 * * *", "15 0 * * *", "45 23 * * *"])
@pytest.mark.parametrize("spring_or_autumn", [date(2026, 3, 29), date(2026, 10, 25)])
def test_no_day_is_left_out_or_named_wrongly_when_the_clocks_change(nights, schedule, spring_or_autumn) -> None:
    """02:30 is not there in spring and there twice in autumn; the cutoff is the day before in Berlin all the same."""
    since = datetime.combine(spring_or_autumn - timedelta(days=3), datetime.min.time(), BERLIN)
    from_day = since.date().isoformat()
    every = nights(schedule=schedule, timezone="Europe/Berlin", catchup="in_order", catchup_from=from_day)
    starts, cutoffs, last = [], [], None
    while last is None or last < since + timedelta(days=6):
        last, cutoff = every.after(last)
        starts.append(last.astimezone(BERLIN))
        cutoffs.append(cutoff)
    assert [start.date() - timedelta(days=1) for start in starts] == cutoffs
    assert cutoffs[0] == since.date() - timedelta(days=1)
    assert {(after - before).days for before, after in pairwise(dict.fromkeys(cutoffs))} == {1}


def test_the_environment_sets_the_schedule_too(nights, monkeypatch) -> None:
    monkeypatch.setenv("FORECASTING__EXTRACT__CATCHUP", "in_order")
    monkeypatch.setenv("FORECASTING__EXTRACT__CATCHUP_FROM", "2026-07-02")
    monkeypatch.setenv("FORECASTING__EXTRACT__SCHEDULE", "0 5 * * *")
    assert nights().after(None) == (datetime(2026, 7, 2, 5, tzinfo=UTC), date(2026, 7, 1))


def test_a_zone_far_from_utc_has_its_own_days(nights) -> None:
    """03:00 in Auckland is the afternoon of the day before in UTC."""
    there = nights(timezone="Pacific/Auckland", catchup="in_order", catchup_from="2026-07-02")
    start, cutoff = there.after(None)
    assert (start, cutoff) == (datetime(2026, 7, 1, 15, tzinfo=UTC), date(2026, 7, 1))


def test_after_an_outage_it_goes_straight_to_the_newest_night(nights) -> None:
    newest = nights()
    last = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0) - timedelta(days=9)
    start, cutoff = newest.after(last)
    assert timedelta(0) <= datetime.now(UTC) - start < timedelta(days=1)
    assert cutoff == start.date() - timedelta(days=1)


def test_after_an_outage_it_makes_up_for_each_night_in_order_where_that_is_asked_for(nights) -> None:
    ordered = nights(catchup="in_order", catchup_from="2026-07-02")
    assert ordered.dag.max_active_runs == 1
    start, cutoff = ordered.after(None)
    assert (start, cutoff) == (datetime(2026, 7, 2, 3, tzinfo=UTC), date(2026, 7, 1))
    last = datetime(2026, 7, 10, 3, tzinfo=UTC)  # and then nothing ran for days
    missed = []
    for _ in range(4):
        last, cutoff = ordered.after(last)
        missed.append(cutoff.isoformat())
    assert missed == ["2026-07-10", "2026-07-11", "2026-07-12", "2026-07-13"]
