"""A demand forecasting system that runs on Apache Airflow."""

__version__ = "0.1.0"
