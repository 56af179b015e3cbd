"""One process at a time: a lock that goes with its holder, however that one ends."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import StoreError
from forecasting.storage.warehouse import database


def lock_key(name: str) -> int:
    """The number that PostgreSQL's advisory locks have instead of a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


@contextlib.contextmanager
def alone(settings: WarehouseSettings, name: str) -> Iterator[None]:
    """Wait until nobody else of this deployment holds the name, and hold it: in PostgreSQL, or by a file beside SQLite.

    Raises StoreError where the database or its folder refuses.
    """
    url = database.address(settings.url)
    if url.get_backend_name() == "sqlite":
        place = Path(f"{url.database}.{hashlib.sha256(name.encode()).hexdigest()[:8]}.lock")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            file = place.open("wb")
        except OSError as error:
            raise StoreError(f"The lock {place} cannot be taken: {error}. Is the place writable?") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    engine = database.engine(url).execution_options(isolation_level="AUTOCOMMIT")  # hours in a transaction hurt others
    try:
        connection = engine.connect()
        connection.execute(sa.select(sa.func.pg_advisory_lock(lock_key(f"{settings.namespace} {name}"))))
    except sa.exc.SQLAlchemyError as error:
        shown = url.render_as_string(hide_password=True)
        raise StoreError(f"The warehouse {shown} gives no lock: {type(error).__name__}. Is the server up?") from None
    try:
        yield
    finally:
        with contextlib.suppress(sa.exc.SQLAlchemyError):  # the server has gone, and the lock with it
            connection.close()
