"""When nights start, and what is done about those that did not: read from the configuration while a DAG is parsed."""

from __future__ import annotations

import os
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import CronTriggerTimetable

from forecasting.core.config import settings
from forecasting.core.errors import SettingsError

CONF = "FORECASTING_CONF"
SCHEDULE = "FORECASTING_SCHEDULE"


def conf_path() -> Path:
    """The configuration file of this deployment: FORECASTING_CONF, or the demo's."""
    return Path(os.environ.get(CONF, "conf/demo.toml"))


def section(name: str) -> dict[str, Any]:
    """A section of file and environment, not validated: for what a DAG file must know while it is parsed."""
    try:
        content = settings.read(conf_path(), os.environ).get(name, {})
    except (OSError, SettingsError):
        return {}  # the tasks say what is wrong with the file; a DAG that cannot be parsed could not
    return content if isinstance(content, dict) else {}


def zone() -> str:
    """Time zone of the schedule and of business days."""
    return str(section("extract").get("timezone", "UTC"))


def clock() -> CronTriggerTimetable | None:
    """When the night starts; none where FORECASTING_SCHEDULE is off and nights are started by hand."""
    if os.environ.get(SCHEDULE, "on").lower() == "off":
        return None
    return CronTriggerTimetable(str(section("extract").get("schedule", "0 3 * * *")), timezone=zone())


def catch_up() -> dict[str, Any]:
    """What `extract` does about nights that did not run: nothing but the newest one, or each since `catchup_from`."""
    if section("extract").get("catchup") != "in_order":
        return {}
    try:
        first = date.fromisoformat(str(section("extract").get("catchup_from")))
        return {"catchup": True, "start_date": datetime.combine(first, time(), ZoneInfo(zone()))}
    except (ValueError, OSError):  # no date, no such zone: the tasks say so
        return {}
