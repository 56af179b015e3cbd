"""The log of a command: lines for people, or one JSON object a line for machines that collect them."""

from __future__ import annotations

import logging
import os
import sys

from structlog import contextvars, processors, stdlib
from structlog.typing import Processor

LOG = "FORECASTING_LOG"  # text or json


def as_json() -> bool:
    """Whether `FORECASTING_LOG=json`."""
    return os.environ.get(LOG, "text").lower() == "json"


def to_json() -> None:
    """Every line of the log as a JSON object on stderr, with run, step, cutoff and snapshot where they are known."""
    shared: list[Processor] = [
        contextvars.merge_contextvars,
        stdlib.add_log_level,
        stdlib.add_logger_name,
        stdlib.ExtraAdder(["seconds"]),
        processors.TimeStamper("iso", utc=True),
        processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[stdlib.ProcessorFormatter.remove_processors_meta, processors.JSONRenderer()],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"  # a bar is no line of a log


def error(name: str, message: str) -> None:
    """An error that ends the command, as a line of the log."""
    to_json()
    logging.getLogger("forecasting").error("%s: %s", name, message)
