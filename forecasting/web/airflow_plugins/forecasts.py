"""For Airflow's plugin folder, where this project was installed without its entry point `airflow.plugins`."""

from forecasting.web.plugin import ForecastsPlugin

__all__ = ["ForecastsPlugin"]
