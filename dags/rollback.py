"""# Rollback: back to an earlier model

Makes an earlier version the champion again, withdraws the newer ones, and issues the newest vintage again from it. The
vintage that it replaces stays in `forecasts_withdrawn`, who did it and why in `promotions`. No new challenger is
trained for `train.every_days`.

*By hand*: **Version** and **Reason**. *Then* `forecast` goes on by itself.
"""

from airflow.sdk import dag, task

from forecasting.airflow import orchestration as house


@dag(
    schedule=None,
    doc_md=__doc__,
    params=house.rollback_params(),
    **house.NIGHTLY | {"tags": ["demand", "person"]},
)
def rollback():
    """The DAG."""

    @task(outlets=[house.CHAMPION])
    def move_champion_back(*, outlet_events, **context):
        """The registry first; the forecasts follow from it."""
        with house.night(context) as (settings, _, run):
            from forecasting.steps.operate.rollback import newest_vintage
            from forecasting.steps.operate.rollback import rollback as step

            params, by = context["params"], context["dag_run"].triggering_user_name or "somebody"
            cutoff = newest_vintage(settings)
            facts = step(settings, cutoff, str(params["version"]), params["reason"], by, run)
            house.announce(outlet_events, house.CHAMPION, cutoff, facts)
            return facts

    move_champion_back()


rollback()
