"""A demand forecasting system that runs on Apache Airflow."""

__version__ = "0.2.0"
