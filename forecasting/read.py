"""`from forecasting import read` in a notebook: the public address of `forecasting.reporting.notebook`."""

from forecasting.reporting.notebook import *  # noqa: F403
