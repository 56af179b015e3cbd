"""The panel of a cutoff once more, from the tables of its snapshot, and the places in it of what was published."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.core.config.settings import Settings
from forecasting.core.errors import CutoffError, SettingsError, some
from forecasting.panel.build import build_panel
from forecasting.panel.panel import Panel
from forecasting.storage.lake.lake import Lake


def rebuilt(settings: Settings, cutoff: date, snapshot: str) -> Panel:
    """Built anew from the tables of the snapshot, not the panel that was kept."""
    lake = Lake(settings.lake)
    names = ("sales", *lake.find(snapshot).versions)
    return build_panel({name: lake.read(snapshot, name) for name in names}, settings, cutoff, snapshot)


def kept_or_rebuilt(settings: Settings, cutoff: date, snapshot: str) -> tuple[Panel, bool]:
    """The panel as it is kept in the lake, else built anew; and whether it was kept."""
    try:
        return Lake(settings.lake).read_panel(cutoff, snapshot), True
    except CutoffError:
        return rebuilt(settings, cutoff, snapshot), False


def rows_of(panel: Panel, unique_ids: Iterable[str]) -> NDArray[np.intp]:
    """Row of the panel of each series. Raises SettingsError where it lacks one: it was built by other settings."""
    names = pd.Index(unique_ids)
    rows = pd.Index(panel.unique_ids).get_indexer(names)
    if (rows < 0).any():
        raise SettingsError(
            f"The panel of these settings lacks series that were published: {some(names[rows < 0].unique())}. "
            "Use the settings of then ([panel], [extract])."
        )
    return rows
