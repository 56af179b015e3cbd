"""# Monitor: how good were we?

Scores past vintages against the sales that are known by now, beside seasonal naive (`scores`, `series_scores`). Then
looks whether the world has moved (`drift`), lists and explains the series to look at first (`exceptions`,
`explanations`), and judges the challengers that are watched beside the champion (`judgements`). Then warning signs of
the process itself are measured (`health`), people are told what needs them (`alerts`), all of it is written as files
(`[export]`) and as the night's report (`[report]`), and what the rules of `[retention]` let go is removed.

*Starts* when a vintage is published, or by hand.
"""

from airflow.sdk import PartitionedAssetTimetable, dag, task

from forecasting.airflow import orchestration as house


@dag(
    schedule=PartitionedAssetTimetable(assets=house.FORECASTS),
    doc_md=__doc__,
    params={"cutoff": house.cutoff_param()},
    **house.NIGHTLY,
)
def monitor():
    """The DAG."""
    scored = house.step("score_past_vintages", "monitor.monitor:monitor")
    drifted = house.step("detect_drift", "monitor.drift:detect")
    listed = house.step("list_exceptions", "monitor.exceptions:find")
    watched = house.step("watch_shadows", "train.shadow:watch")
    checked = task(trigger_rule="all_done")(house.check_health)()
    told = house.step("tell_alerts", "monitor.alerts:watch", trigger_rule="all_done")
    scored >> drifted >> listed >> watched >> checked >> told
    told >> [
        house.step("export_scores", "operate.export:scores"),
        house.step("write_report", "monitor.report:write"),
        house.step("remove_what_is_old", "operate.retention:clean"),
    ]
    task(outlets=[house.CHALLENGER])(house.ask_for_approval)(watched)


monitor()
