"""# Extract: tonight's sales

Reads what is new in the sources (and a window before it, for late corrections), screens every row (clean, or in
`quarantine` with the reason), keeps the clean sales as a new version of the lake, and builds the panel of the cutoff.
A night that is not worth forecasting from stops here; `quality` says why.

*Starts* by clock, or by hand: **Cutoff** is the last day whose sales are known. *Then* `train` goes on by itself.
"""

from datetime import timedelta

from airflow.sdk import dag, task

from forecasting.airflow.orchestration import NIGHTLY, PANEL, announce, catch_up, clock, cutoff_param, night


@dag(
    schedule=clock(),
    doc_md=__doc__,
    params={"cutoff": cutoff_param()},
    **NIGHTLY | catch_up(),
)
def extract():
    """The DAG."""

    @task(outlets=[PANEL], execution_timeout=timedelta(hours=2))
    def read_and_screen_sales(*, outlet_events, **context):
        """Sources to a snapshot and the panel of the cutoff."""
        with night(context, from_source=True) as (settings, cutoff, run):
            from forecasting.steps.ingest.extract import extract as step

            facts = step(settings, cutoff, run)
            announce(outlet_events, PANEL, cutoff, facts)
            return facts

    read_and_screen_sales()


extract()
