"""# Train: is there a better model?

Trains when the newest training is `train.every_days` old, or when asked for here. All candidates are backtested on the
same cutoffs; the best, or a blend, becomes the challenger. It takes over only if it does better than the champion on
days that neither has seen (table `judgements`). Every training is a run in MLflow.

*Starts* when a new panel is there, or by hand: **Train now** trains at once. *Then* `forecast` goes on with the
champion, also where a training failed: last week's model is better than no forecast.
"""

from datetime import timedelta

from airflow.sdk import PartitionedAssetTimetable, TriggerRule, dag, task

from forecasting.airflow import orchestration as house


@dag(
    schedule=PartitionedAssetTimetable(assets=house.PANEL),
    doc_md=__doc__,
    params={"cutoff": house.cutoff_param()} | house.training_params(),
    **house.NIGHTLY,
)
def train():
    """The DAG."""

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def is_training_due(**context):
        """Whether this night trains."""
        with house.night(context) as (settings, cutoff, _):
            from forecasting.steps.train.train import due

            is_due, reason = due(settings, cutoff)
        return print(reason) or is_due

    @task(pool=house.POOL, execution_timeout=timedelta(hours=4))
    def train_and_judge(**context):
        """Backtest, choose, judge, fit, register, promote."""
        with house.night(context) as (settings, cutoff, run):
            from forecasting.steps.train.train import train as step

            return step(settings, cutoff, run)

    @task(outlets=[house.CHAMPION], trigger_rule=TriggerRule.ALL_DONE)
    def hand_over_champion(*, outlet_events, ti, **context):
        """Let the forecast go on with whatever champion there is now."""
        with house.night(context) as (_, cutoff, _run):
            house.announce(outlet_events, house.CHAMPION, cutoff, ti.xcom_pull(task_ids="train_and_judge") or {})

    @task(trigger_rule=TriggerRule.ONE_FAILED, retries=0)
    def report_failed_training():
        """Turns the run red where the training failed, although the forecast goes on."""
        raise RuntimeError("The training failed; see train_and_judge. The forecast goes on with the last champion.")

    task(outlets=[house.CHALLENGER])(house.ask_for_approval)(trained := train_and_judge())
    is_training_due() >> trained >> [hand_over_champion(), report_failed_training()]


train()
