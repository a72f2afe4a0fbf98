"""Those who are told: a webhook and a mail server on loopback, which keep what they hear in files of a folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, TCPServer, ThreadingTCPServer

HOOK, LETTERS = "hook.jsonl", "letters"
ENDS = b".\r\n"


class Webhook(ThreadingHTTPServer):
    """Takes JSON by POST, and writes a line of it for each."""

    def __init__(self, port: int, folder: Path) -> None:
        """Listen."""
        self.file = folder / HOOK
        super().__init__(("127.0.0.1", port), _Post)


class _Post(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.file.open("a") as file:
            file.write(json.dumps(body) + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class MailServer(ThreadingTCPServer):
    """Speaks as much SMTP as it takes to get a letter, and appends it to a file."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, folder: Path) -> None:
        """Listen."""
        self.file = folder / LETTERS
        super().__init__(("127.0.0.1", port), _Conversation)


class _Conversation(StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say(220, "ready")
        for line in self.rfile:
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self._take_letter()
            elif verb == b"QUIT":
                return self._say(221, "bye")
            else:
                self._say(250, "so be it")
        return None

    def _take_letter(self) -> None:
        self._say(354, "go on")
        letter = b"".join(iter(self.rfile.readline, ENDS))
        with self.server.file.open("ab") as file:
            file.write(letter)
        self._say(250, "taken")

    def _say(self, status: int, text: str) -> None:
        self.wfile.write(f"{status} {text}\r\n".encode())


@contextmanager
def receiving(hook: int, smtp: int, folder: Path) -> Iterator[None]:
    """Listen on the two ports while the block lasts; what comes stands in files of `folder`."""
    with ExitStack() as stack:
        for server in (stack.enter_context(Webhook(hook, folder)), stack.enter_context(MailServer(smtp, folder))):
            stack.enter_context(_served(server))
        yield


@contextmanager
def _served(server: TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def posted(folder: Path) -> list[dict[str, object]]:
    """Return what the webhook was told."""
    file = folder / HOOK
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def letters(folder: Path) -> str:
    """Return all letters, one after the other."""
    file = folder / LETTERS
    return file.read_text(errors="replace") if file.exists() else ""
