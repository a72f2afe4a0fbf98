"""A socket that answers as Docker's does, for what no real engine does when it is asked to: hang, break, forget."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

UNKNOWN = (404, {"message": "No such container: web"})
HANGS = 0
"""As a status: no answer, until the server is closed."""

Answer = tuple[int, object]


def inspection(status: str = "running", pid: int = 4242, health: str = "", **state: object) -> dict[str, Any]:
    """Return what the engine tells of a container by `inspect`, as far as it is read."""
    about = {"Status": status, "Pid": pid, "ExitCode": 0, "OOMKilled": False, "Error": ""}
    checked = {"Health": {"Status": health, "Log": [{"Output": f"it is {health}\n"}]}} if health else {}
    policy = {"RestartPolicy": {"Name": state.pop("healer", "no"), "MaximumRetryCount": 0}}
    return {"State": about | checked | state, "HostConfig": policy, "Config": {"StopSignal": "SIGQUIT"}}


def events(*words: str) -> str:
    """Return events as the engine writes them, one a line: `start`, `die`, or `kill SIGNAL`."""
    lines = []
    for word in words:
        action, _, number = word.partition(" ")
        lines.append(json.dumps({"Action": action, "Actor": {"Attributes": {"signal": number} if number else {}}}))
    return "\n".join(lines)


class FakeDocker(ThreadingMixIn, UnixStreamServer):
    """Answers each `METHOD /path` with a status and a body; an answer that is a list is given one by one.

    `asked` has the calls with their queries. What it was not told is unknown to it, as to the real one.
    """

    daemon_threads = True

    def __init__(self, path: Path, answers: Mapping[str, Answer | list[Answer]]) -> None:
        super().__init__(str(path), _Handler)
        self.url = f"unix://{path}"
        self.answers = {call: list(given) if isinstance(given, list) else given for call, given in answers.items()}
        self.asked: list[str] = []
        self.closing = threading.Event()

    def answer(self, call: str) -> tuple[int, object]:
        """Return status and body for a call."""
        self.asked.append(call)
        given = self.answers.get(call.partition("?")[0], UNKNOWN)
        if isinstance(given, list):
            return given.pop(0) if len(given) > 1 else given[0]
        return given


class _Handler(BaseHTTPRequestHandler):
    server: FakeDocker

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        status, body = self.server.answer(f"{self.command} {self.path}")
        if status == HANGS:
            self.server.closing.wait()
            return
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if text:
            self.wfile.write(text)


@contextmanager
def fake_docker(path: Path, answers: Mapping[str, Any]) -> Iterator[FakeDocker]:
    """Listen at `path` until the block ends."""
    with FakeDocker(path, answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
