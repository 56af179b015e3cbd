"""Addresses with their passwords from Airflow's connections, or the secrets backend that stands behind them.

`url = "airflow-connection://forecast_db"` in a configuration names the connection; tasks, and nothing else, replace it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forecasting.core.errors import SettingsError

if TYPE_CHECKING:
    from forecasting.core.config.settings import Settings

SCHEME = "airflow-connection://"
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql",
           "mssql": "mssql+pymssql"}  # fmt: skip


def load(path: Path, changes: Sequence[str] = ()) -> Settings:
    """The settings of a task: as `settings.load`, with the connections that they name. Raises SettingsError."""
    from forecasting.core.config import settings as configuration

    settings = configuration.load(path, changes)
    sources = {
        name: one.model_copy(update={"url": _address(one.url, f"sources.{name}.url")}) if one.kind == "sql" else one
        for name, one in settings.sources.items()
    }
    url = _address(settings.warehouse.url, "warehouse.url")
    warehouse = settings.warehouse.model_copy(update={"url": url})
    return settings.model_copy(update={"sources": sources, "warehouse": warehouse})


def _address(url: str, key: str) -> str:
    """A SQLAlchemy URL; one that names a connection becomes that one's. Its extras become the URL's (sslmode, ...)."""
    if not url.startswith(SCHEME):
        return url
    import sqlalchemy as sa
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    name = url.removeprefix(SCHEME)
    try:
        found = Connection.get(name)
    except AirflowNotFoundException:
        raise SettingsError(
            f"{key} names the Airflow connection {name!r}, which is not there. Make it in Airflow (Connections), "
            f"in its secrets backend, or as AIRFLOW_CONN_{name.upper()} in the environment."
        ) from None
    options = {option: str(value) for option, value in found.extra_dejson.items() if option != "driver"}
    driver = found.extra_dejson.get("driver") or DRIVERS.get(found.conn_type, found.conn_type)
    if driver.startswith("sqlite"):  # a file has no server: Airflow's own form asks for it as host
        file = "/".join(part for part in (found.host, found.schema) if part)
        address = sa.URL.create(driver, database=file, query=options)
    else:
        address = sa.URL.create(driver, found.login, found.password, found.host, found.port, found.schema, options)
    return address.render_as_string(hide_password=False)
