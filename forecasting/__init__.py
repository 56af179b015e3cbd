"""A demand forecasting system that runs on Apache Airflow."""

from forecasting.core import old_names

__version__ = "0.2.0"

old_names.install()
