"""What Airflow finds by the entry point `airflow.plugins`; light, because every process of Airflow imports it."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX = "/forecasts"
ICON = "icon.svg"


class ForecastsPlugin(AirflowPlugin):
    """The page, and its entry in the left-hand navigation; only the api-server builds the application behind it."""

    name = "forecasts"

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """One application, mounted in Airflow's own server."""
        from forecasting.web.app import create_app, deployed

        return [{"app": create_app(deployed), "url_prefix": PREFIX, "name": "Forecasts"}]

    @cached_property
    def external_views(self) -> list[Any]:  # type: ignore[override]
        """Where the navigation leads: below the path that Airflow itself is served under."""
        below = urlsplit(conf.get("api", "base_url", fallback="/") or "/").path.rstrip("/")
        place = f"{below}{PREFIX}/"
        return [
            {
                "name": "Forecasts",
                "href": place,
                "destination": "nav",
                "url_route": "forecasts",
                "icon": f"{place}static/{ICON}",
                "icon_dark_mode": f"{place}static/icon-dark.svg",
            }
        ]
