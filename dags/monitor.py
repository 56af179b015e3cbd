"""# Monitor: how good were we?

Scores past vintages against the sales that are known by now: table `scores`, by level, group and distance, beside
seasonal naive. Then looks whether the world has moved (`drift`), and judges the challengers that are watched beside the
champion (`judgements`). Then the
warning signs of the process itself are measured (`health`), people are told what needs them (`alerts`), and what the
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
        return house.do(context, "monitor", "monitor")

    @task
    def detect_drift(**context):
        """Inputs, demand and errors against what they were; new drift makes a training due."""
        return house.do(context, "drift", "detect")

    @task
    def watch_shadows(**context):
        """Challengers beside the champion; one that has proven better takes over, or a person is asked."""
        return house.do(context, "shadow", "watch")

    @task(trigger_rule="all_done")
    def tell_alerts(**context):
        """What needs a person: new, worse and mended alerts, told once."""
        return house.do(context, "alerts", "watch")

    @task
    def remove_what_is_old(**context):
        """Vintages, models, snapshots and panels that `[retention]` lets go."""
        return house.do(context, "retention", "clean")

    watched = watch_shadows()
    checked = task(trigger_rule="all_done")(house.check_health)()
    score_past_vintages() >> detect_drift() >> watched >> checked >> tell_alerts() >> remove_what_is_old()
    task(outlets=[house.CHALLENGER])(house.ask_for_approval)(watched)


monitor()
