"""What a test needs from the machine and is not there: skipped on a person's, a failure in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(message: str) -> NoReturn:
    """Skip the test, or let it fail where FORECASTING_CI is set. message: what is missing and how to get it."""
    if os.environ.get("FORECASTING_CI"):
        pytest.fail(message)
    pytest.skip(message)
