"""Start a real Airflow beside the embedded stores, run a night through it, show it, stop it: `make run`, `make ui`."""
