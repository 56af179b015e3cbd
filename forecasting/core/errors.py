"""Every error that this system raises on purpose.

ForecastingError
├── SettingsError          a configuration file, key or value is wrong
├── SourceError            a source cannot be read, or does not hold what was declared
├── DataQualityError       the night's data is not worth forecasting from (a stopping rule was broken)
├── CutoffError            a cutoff that no snapshot, panel or model covers
├── TableError             a frame does not fit the table that it is written to
├── StoreError             lake, warehouse or registry cannot do what was asked
│   └── ArtifactError      a model folder is missing, truncated, altered or holds what we refuse to load
├── ModelError             a model cannot be fitted or asked for a forecast
├── PlanningError          a change or a plan that a planner asked for cannot be carried out
├── MachineError           no memory or no room on a disk, where no store has said so
└── PublishError           a vintage is not complete: a series without a row, a row without a status

A message says what is wrong, where, what was found, what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


class ForecastingError(Exception):
    """Base of all errors raised on purpose; the CLI prints it without a traceback."""


class SettingsError(ForecastingError):
    """A configuration file, key or value is wrong."""


class SourceError(ForecastingError):
    """A source cannot be read, or does not hold what was declared."""


class DataQualityError(ForecastingError):
    """The night's data is not worth forecasting from: a stopping rule was broken."""


class CutoffError(ForecastingError):
    """A cutoff that no snapshot, panel or model covers."""


class TableError(ForecastingError):
    """A frame does not fit the table that it is written to."""


class StoreError(ForecastingError):
    """Lake, warehouse or registry cannot do what was asked."""


class ArtifactError(StoreError):
    """A model folder is missing, truncated, altered, or holds what we refuse to load."""


class ModelError(ForecastingError):
    """A model cannot be fitted or asked for a forecast."""


class PlanningError(ForecastingError):
    """A change or a plan that a planner asked for cannot be carried out."""


class MachineError(ForecastingError):
    """No memory, or no room on a disk, where no store has said so."""


class PublishError(ForecastingError):
    """A vintage is not complete: a series without a row, or a row without a status."""


def some(values: Iterable[object], most: int = 5) -> str:
    """Name at most `most` values: "a, b, c and 1,204 more"."""
    listed = list(values)
    text = ", ".join(str(value) for value in listed[:most])
    more = len(listed) - most
    return f"{text} and {more:,} more" if more > 0 else text
