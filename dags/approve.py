"""# Approve: may this challenger take over?

A challenger has won by the rules (`[train.judge]`), and `train.approval = "person"`: the comparison is shown here, and
only this run waits for the answer. *Approve* makes it the champion and issues the newest vintage again; *Reject*, or no
answer in time, keeps the champion. Who answered, and the note, stand in `promotions`.

*Starts* when `train` or `monitor` hands over a challenger, or by hand while one waits.
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import PartitionedAssetTimetable, dag, task

from forecasting.airflow import orchestration as house


class Approval(ApprovalOperator):
    """Both answers go on to be written down."""

    def skip(self, *_, **__):
        """Nothing is skipped on *Reject*."""


@dag(
    schedule=PartitionedAssetTimetable(assets=house.CHALLENGER),
    doc_md=__doc__,
    params={"cutoff": house.cutoff_param()},
    **house.NIGHTLY | {"max_active_runs": 16, "tags": ["demand", "person"]},
)
def approve():
    """The DAG."""

    @task
    def show_comparison(**context):
        """What is asked, and the figures behind it."""
        with house.night(context) as (settings, cutoff, _):
            return house.question_of(settings, cutoff)

    @task(outlets=[house.CHAMPION])
    def write_down_answer(*, outlet_events, ti, **context):
        """The decision, who took it and why; an approved challenger forecasts at once."""
        said = [ti.xcom_pull(task_ids=name) for name in ("show_comparison", "ask_planner")]
        with house.night(context) as (settings, cutoff, run):
            return house.answered(settings, cutoff, run, outlet_events, *said)

    ask = Approval(
        task_id="ask_planner",
        subject="{{ ti.xcom_pull(task_ids='show_comparison')['subject'] }}",
        body="{{ ti.xcom_pull(task_ids='show_comparison')['body'] }}",
        defaults="Reject",
        response_timeout=timedelta(hours=house.approval_hours()),
        assigned_users=house.approvers(),
        params={"note": house.note_param()},
    )
    show_comparison() >> ask >> write_down_answer()


approve()
