"""# Forecast: what will be wanted

Forecasts every series with the champion and publishes the vintage of the cutoff, whole or not at all: in the table
`forecasts`, the newest in `forecasts_latest`. Every series is there, with a status and, if it is not `ok`, the reason.

*Starts* when `train` hands over the champion, or by hand: **Series** forecasts only these again (names, or patterns
with `*`), the rest of the vintage stays. *Then* `monitor` goes on, while orders are proposed from the stock of the
night (`replenishment`, where there is a section `[planning]`). Both are written as files (`[export]`).
"""

from datetime import timedelta

from airflow.sdk import PartitionedAssetTimetable, dag, task

from forecasting.airflow import orchestration as house


@dag(
    schedule=PartitionedAssetTimetable(assets=house.CHAMPION),
    doc_md=__doc__,
    params={"cutoff": house.cutoff_param()} | house.forecast_params(),
    **house.NIGHTLY,
)
def forecast():
    """The DAG."""

    @task
    def plan_shards(**context):
        """Parts of the panel, each forecast by a task of its own."""
        with house.night(context) as (settings, cutoff, _):
            from forecasting.steps.forecast.forecast import plan

            return plan(settings, cutoff)

    @task(map_index_template="{{ task.op_kwargs['shard']['shard'] }}", execution_timeout=timedelta(hours=1))
    def forecast_series(shard, **context):
        """One shard with the champion, into the staging area."""
        with house.night(context) as (settings, cutoff, run):
            from forecasting.steps.forecast.forecast import predict

            return predict(settings, cutoff, shard, run)

    @task(outlets=[house.FORECASTS])
    def publish_vintage(_done, *, outlet_events, **context):
        """All shards into the warehouse in one transaction."""
        with house.night(context) as (settings, cutoff, run):
            from forecasting.steps.forecast.forecast import publish

            facts = publish(settings, cutoff, run)
            house.announce(outlet_events, house.FORECASTS, cutoff, facts)
            return facts

    published = publish_vintage(forecast_series.expand(shard=plan_shards()))
    published >> house.step("export_forecasts", "operate.export:forecasts")
    orders = house.step("propose_orders", "forecast.replenish:replenish")
    published >> orders >> house.step("export_orders", "operate.export:orders")


forecast()
