"""# Monitor: how good were we?

Scores past vintages against the sales that are known by now: table `scores`, by level, group and distance, beside
seasonal naive. Looks whether the world has moved: table `drift`. Judges the challengers that are watched beside the
champion: table `judgements`. At last what the rules of `[retention]` let go is removed.

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
        return house.step(context, "monitor", "monitor")

    @task
    def detect_drift(**context):
        """Inputs, demand and errors against what they were; new drift makes a training due."""
        return house.step(context, "drift", "detect")

    @task
    def watch_shadows(**context):
        """Challengers beside the champion; one that has proven better takes over, or a person is asked."""
        return house.step(context, "shadow", "watch")

    @task
    def remove_what_is_old(**context):
        """Vintages, models, snapshots and panels that `[retention]` lets go."""
        return house.step(context, "retention", "clean")

    watched = watch_shadows()
    score_past_vintages() >> [detect_drift(), watched]
    watched >> remove_what_is_old()
    task(outlets=[house.CHALLENGER])(house.ask_for_approval)(watched)


monitor()
