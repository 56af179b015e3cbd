"""The guard itself: it hears what processes and their children connect to."""

import subprocess
import sys
from pathlib import Path

from tests.support.servers.outbound import guarded, outside

SPEAK = """
import socket, subprocess, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
    one.connect(("127.0.0.1", 9))
    other.connect(("192.0.2.1", 9))
if len(sys.argv) == 1:
    subprocess.run([sys.executable, sys.argv[0], "child"], check=True)
try:
    socket.getaddrinfo("telemetry.invalid", 443)
except OSError:
    pass
"""


def test_other_machines_are_heard_and_this_one_is_not(tmp_path: Path) -> None:
    script, log = tmp_path / "speak.py", tmp_path / "connections.log"
    script.write_text(SPEAK)
    subprocess.run([sys.executable, script], env=guarded(log), check=True)
    twice = [f"socket.{what}" for what in ("connect ('192.0.2.1', 9)", "getaddrinfo 'telemetry.invalid'")] * 2
    assert sorted(outside(log)) == sorted(twice)
