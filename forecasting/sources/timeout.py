"""A database that hangs is given up: every connection has its time, after which it is cut off."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import Any

import sqlalchemy as sa


class Deadline:
    """Most seconds that a connection of an engine may last. `passed`: whether one was cut off."""

    def __init__(self, engine: sa.Engine, seconds: float) -> None:
        self.passed, self._seconds = False, seconds
        sa.event.listen(engine, "connect", self._start)
        sa.event.listen(engine, "close", self._stop)

    def _start(self, connection: Any, record: Any) -> None:
        timer = threading.Timer(self._seconds, self._cut, (connection,))
        timer.daemon = True
        timer.start()
        record.info["deadline"] = timer

    def _stop(self, _connection: Any, record: Any) -> None:
        timer = record.info.pop("deadline", None)
        if timer is not None:
            timer.cancel()

    def _cut(self, connection: Any) -> None:
        """From a thread of its own: the one that waits gets an error of its driver."""
        self.passed = True
        if hasattr(connection, "interrupt"):  # SQLite
            connection.interrupt()
        elif hasattr(connection, "fileno"):  # PostgreSQL, also one whose server no longer answers at all
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)
