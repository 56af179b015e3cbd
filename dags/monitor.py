"""# Monitor: how good were we?

Scores past vintages against the sales that are known by now: table `scores`, by level, group and distance, beside
seasonal naive. Then judges the challengers that are watched beside the champion: table `judgements`. At last what the
rules of `[retention]` let go is removed.

*Starts* when a vintage is published, or by hand.
"""

from airflow.sdk import PartitionedAssetTimetable, dag, task

from forecasting import orchestration as house


@dag(
    schedule=PartitionedAssetTimetable(assets=house.FORECASTS),
    doc_md=__doc__,
    params={"cutoff": house.cutoff_param()},
    **house.NIGHTLY,
)
def monitor():
    """The DAG."""

    @task
    def score_past_vintages(**context):
        """Forecasts of past nights against what was sold since."""
        with house.night(context) as (settings, cutoff, run):
            from forecasting.steps.monitor import monitor as step

            return step(settings, cutoff, run)

    @task
    def watch_shadows(**context):
        """Challengers beside the champion; one that has proven better takes over, or a person is asked."""
        with house.night(context) as (settings, cutoff, run):
            from forecasting.steps.shadow import watch

            return watch(settings, cutoff, run)

    @task
    def remove_what_is_old(**context):
        """Vintages, models, snapshots and panels that `[retention]` lets go."""
        with house.night(context) as (settings, cutoff, run):
            from forecasting.steps.retention import clean

            return clean(settings, cutoff, run)

    watched = watch_shadows()
    score_past_vintages() >> watched >> remove_what_is_old()
    task(outlets=[house.CHALLENGER])(house.ask_for_approval)(watched)


monitor()
