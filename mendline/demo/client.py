"""A client of the broken service: asks for its health all the time, and knows the moment of each answer.

A question is put every few milliseconds whether or not earlier ones still wait, and given up soon: so a service that
hangs does not delay what the client knows, and an answer that comes is heard of within that interval.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

logger = logging.getLogger(__name__)

EVERY_S = 0.005
PATIENCE = 10
QUESTION = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Answer(NamedTuple):
    """A healthy answer: when its question was put and when it came (monotonic seconds), and who gave it."""

    asked: float
    heard: float
    pid: int


@dataclass(eq=False)
class _Try:
    link: socket.socket
    asked: float
    heard: bytes = b""


class Client:
    """Asks 127.0.0.1:`port` from `start` to `close`, on a thread of its own."""

    def __init__(self, port: int, every_s: float = EVERY_S) -> None:
        """Ask nothing yet; later, every `every_s` seconds, waiting ten times as long for an answer."""
        self.port = port
        self._every_s = every_s
        self._address = ("127.0.0.1", port)
        self._selector = selectors.DefaultSelector()
        self._tries: deque[_Try] = deque()
        self._expected: list[tuple[Callable[[Answer], bool], Future[Answer]]] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="client", daemon=True)
        self.pids: list[int] = []

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._closing.set()
        self._thread.join()
        while self._tries:
            self._end(self._tries[0])
        self._selector.close()

    def expect(self, wanted: Callable[[Answer], bool]) -> Future[Answer]:
        """Return a future of the first answer from now on for which `wanted` is true; it is called on the thread."""
        future: Future[Answer] = Future()
        with self._lock:
            self._expected.append((wanted, future))
        return future

    def _serve(self) -> None:
        due = time.monotonic()
        while not self._closing.is_set():
            for key, _ in self._selector.select(max(due - time.monotonic(), 0)):
                self._step(key.data)
            now = time.monotonic()
            while self._tries and now - self._tries[0].asked > PATIENCE * self._every_s:
                self._end(self._tries[0])
            if now >= due:
                self._ask(now)
                due = max(due + self._every_s, now)

    def _ask(self, now: float) -> None:
        link = socket.socket()
        link.setblocking(False)  # noqa: FBT003 - the method's own way
        one = _Try(link, now)
        self._tries.append(one)
        link.connect_ex(self._address)
        self._selector.register(link, selectors.EVENT_WRITE, one)

    def _step(self, one: _Try) -> None:
        if one.link.fileno() < 0:
            return  # given up while this batch of events was worked through
        try:
            if self._selector.get_key(one.link).events == selectors.EVENT_WRITE:
                one.link.sendall(QUESTION)
                self._selector.modify(one.link, selectors.EVENT_READ, one)
                return
            part = one.link.recv(4096)
        except OSError:
            self._end(one)  # refused, reset: nobody is there
            return
        one.heard += part
        if not part:
            self._end(one)
            self._take(one)

    def _end(self, one: _Try) -> None:
        with contextlib.suppress(ValueError):
            self._tries.remove(one)
        self._selector.unregister(one.link)
        one.link.close()

    def _take(self, one: _Try) -> None:
        head, _, body = one.heard.partition(b"\r\n\r\n")
        words = body.split()
        if b" 200 " not in head.partition(b"\r\n")[0] or len(words) != 2 or words[0] != b"ok":  # noqa: PLR2004 - ok PID
            return
        answer = Answer(one.asked, time.monotonic(), int(words[1]))
        if not self.pids or self.pids[-1] != answer.pid:
            self.pids.append(answer.pid)
        with self._lock:
            met = [entry for entry in self._expected if entry[0](answer)]
            self._expected = [entry for entry in self._expected if entry not in met]
        for _, future in met:
            future.set_result(answer)


def request(port: int, path: str) -> None:
    """Get `path` from the service and wait for its answer, at most a second. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=1.0) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        if b" 202 " not in link.recv(4096):
            msg = f"the service did not take {os.fsdecode(path)}"
            raise OSError(msg)
