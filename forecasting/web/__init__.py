"""The planner's page inside Airflow's own UI: `/forecasts/`, its data below `/forecasts/api/`."""
