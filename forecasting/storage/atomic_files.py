"""Files of a night in a folder or a bucket: whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fsspec

from forecasting.core.errors import StoreError


def write_whole(path: str, content: bytes, options: Mapping[str, Any], key: str) -> None:
    """Beside its place first, where that is a folder of this machine, so that nobody reads half a file.

    path: local, or any fsspec address; key: the setting that it comes from. Raises StoreError naming both.
    """
    try:
        system, plain = fsspec.core.url_to_fs(path, **options)
        system.makedirs(plain.rpartition("/")[0], exist_ok=True)
        local = "file" in system.protocol
        target = f"{plain}.part" if local else plain  # an object of a bucket appears whole
        with system.open(target, "wb") as file:
            file.write(content)
        if local:
            system.mv(target, plain)
    except (OSError, ValueError, ImportError) as error:
        raise StoreError(
            f"{path} cannot be written: {type(error).__name__}: {error}. Is {key} right, and the place writable?"
        ) from error
