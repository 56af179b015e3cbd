"""What the DAGs share; Airflow is imported here and in `web` only."""
