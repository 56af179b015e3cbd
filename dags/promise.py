"""# Promise: forecasts by the hour that people count on

Waits for the vintage of the night, without holding a worker. Where it is not there `health.lead_hours` after the
night's start, Airflow's deadline is missed: an alert says so, by every channel of `[alerts]`, and Airflow's home page
lists it.

*Starts* by the same clock as `extract`.
"""

from datetime import timedelta

from airflow.sdk import dag, task

from forecasting.airflow import deadline
from forecasting.airflow import orchestration as house


@dag(
    schedule=house.clock(),
    doc_md=__doc__,
    params={"cutoff": house.cutoff_param()},
    deadline=deadline.promise(),
    **house.NIGHTLY | {"max_active_runs": 16},  # a night that never comes must not hold up the next promise
)
def promise():
    """The DAG."""

    @task.sensor(mode="reschedule", poke_interval=60, timeout=timedelta(hours=20).total_seconds())
    def wait_for_forecasts(**context):
        """Until the vintage of this cutoff is published."""
        with house.night(context, from_source=True) as (settings, cutoff, _):
            return deadline.published(settings, cutoff)

    wait_for_forecasts()


promise()
