"""What Python processes connect to: everything that is not this machine itself."""

from __future__ import annotations

import re
import socket
from pathlib import Path

GUARD = Path(__file__).parent / "guard"
# A Unix socket's address is a path (or none), an Internet one a pair; asking for a name is speaking to a name server.
HERE = re.compile(
    r"""(\(\s*)?(b?'(127\.[\d.]+|localhost|0\.0\.0\.0|::1?|/[^']*|\\x00[^']*|)'|None)(,.*)?$""".strip(), re.DOTALL
)


def guarded(log: Path) -> dict[str, str]:
    """Environment of a process whose connections are to be written down."""
    return {"PYTHONPATH": str(GUARD), "CONNECTIONS_LOG": str(log)}


def outside(log: Path) -> list[str]:
    """The lines of the log that name another machine. Raises AssertionError where the guard was not loaded at all."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    assert any(line.startswith("listening") for line in lines), "no process has loaded the guard"
    spoken = [line for line in lines if not line.startswith("listening")]
    own = repr(socket.gethostname())
    return [line for line in spoken if not HERE.match(line.split(" ", 1)[1]) and line.split(" ", 1)[1] != own]
