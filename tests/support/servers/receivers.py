"""Servers that alerts are told to: one that takes e-mails by SMTP, one that takes calls of webhooks."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Smtp(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs to hand one message over."""

    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                self._say("354 go on")
                self.server.received.append(message_from_bytes(self._content(), policy=policy.default))
                self._say("250 taken")
            elif word == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _content(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append((self.path, content))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: it would go to the test's output."""


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[socketserver.BaseServer]:
    server.received = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def mailbox() -> Iterator[tuple[int, list[EmailMessage]]]:
    """Port of an SMTP server on this machine, and the messages that it has taken."""
    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp)) as server:
        yield server.server_address[1], server.received


@contextmanager
def webhook(answer: int = 200) -> Iterator[tuple[str, list[tuple[str, dict]], ThreadingHTTPServer]]:
    """Address of an HTTP server on this machine, what it was called with, and itself (`answer` may be changed)."""
    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), _Hook)) as server:
        server.answer = answer
        yield f"http://127.0.0.1:{server.server_address[1]}/hook/s3cret", server.received, server
