"""Room for what a step works in and does not keep."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from forecasting.core.errors import StoreError
from forecasting.panel.memory import Scratch

ABANDONED = 2 * 86_400  # seconds after which nobody works in a folder here any more: its process was killed


@contextmanager
def room(place: Path | None) -> Iterator[Scratch]:
    """A folder below `place` (None: in the machine's temporary folder) that goes away with all that it holds.

    What a killed process has left there goes too, after some days. Raises StoreError where the disk refuses.
    """
    try:
        if place:
            place.mkdir(parents=True, exist_ok=True)
            for left in place.iterdir():
                if time.time() - left.stat().st_mtime > ABANDONED:
                    shutil.rmtree(left, ignore_errors=True)
        with TemporaryDirectory(dir=place) as folder:
            yield Scratch(Path(folder))
    except OSError as error:
        where = place or "the temporary folder (TMPDIR)"
        raise StoreError(f"No room to build the panel in {where}: {error}. Free some, then run it again.") from error
