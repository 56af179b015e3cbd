"""The client before a server that hangs up, as one does on a machine that is too busy."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from forecasting.launcher.client import Client
from forecasting.launcher.server import Airflow, LauncherError

hang_up: list[str] = []  # a request is answered when this is empty; else one is taken away and the line goes dead


class Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self._answer({"access_token": "t"})

    def do_GET(self) -> None:
        if hang_up:
            hang_up.pop()
            self.close_connection = True
            return
        self._answer({"dag_runs": [{"dag_run_id": "one", "queued_at": None}]})

    def _answer(self, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[Airflow]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield Airflow(f"http://127.0.0.1:{server.server_port}", "admin", "secret", tmp_path, process)
        process.kill()
    server.shutdown()
    server.server_close()


def test_what_only_reads_is_asked_again_and_in_the_end_it_is_said(airflow: Airflow) -> None:
    client = Client(airflow)
    hang_up.extend(["once", "twice"])
    assert client.runs("extract", None) == []  # the run was never queued
    assert hang_up == []
    hang_up.extend(["always"] * 10)
    try:
        with pytest.raises(LauncherError, match=r"Airflow did not answer GET dags/extract/dagRuns; its log is .*\.log"):
            client.runs("extract", None)
    finally:
        hang_up.clear()
