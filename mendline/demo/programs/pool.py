"""A service with a pool of workers, as many as its file says: overloaded while more work waits than they can take.

GET /work?s=0.2 takes a worker for so long; /health answers `ok PID`, or that it is overloaded; /reload reads the file
anew. Arguments: the port and the file; `--reload` after them asks the running one to do that.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def workers_in(file: str) -> int:
    """Return the number that the file gives. Raises ValueError, StopIteration."""
    with open(file) as lines:  # noqa: PTH123 - as short as it gets
        return next(int(line.partition("=")[2].partition(";")[0]) for line in lines if line.startswith("workers"))


class Pool:
    """So many may work at the same time; the others wait."""

    def __init__(self, workers: int) -> None:
        """Begin with nobody at work."""
        self.workers = workers
        self.waiting = 0
        self._busy = 0
        self._changed = threading.Condition()

    def resize(self, workers: int) -> None:
        """Let so many work from now on."""
        with self._changed:
            self.workers = workers
            self._changed.notify_all()

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        """Wait for a worker, and have it while the block lasts."""
        with self._changed:
            self.waiting += 1
            self._changed.wait_for(lambda: self._busy < self.workers)
            self.waiting -= 1
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def health(self) -> tuple[int, str]:
        """Return an HTTP status and what to say."""
        if self.waiting > self.workers:
            return 503, f"overloaded: {self.waiting} wait for {self.workers} workers"
        return 200, f"ok {os.getpid()}"


class Server(ThreadingHTTPServer):
    """The service."""

    request_queue_size = 1024

    def __init__(self, port: int, file: str) -> None:
        """Listen, with as many workers as the file says."""
        self.file = file
        self.pool = Pool(workers_in(file))
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that gave up."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        """Answer it."""
        path, _, query = self.path.partition("?s=")
        if path == "/work":
            with self.server.pool.worker():
                time.sleep(float(query or 0))
            self._answer(200, "done")
        elif path == "/reload":
            self.server.pool.resize(workers_in(self.server.file))
            self._answer(200, f"{self.server.pool.workers} workers")
        else:
            self._answer(*self.server.pool.health())

    def _answer(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def reload(port: int) -> None:
    """Ask the running service to read its file anew. Raises OSError."""
    asking = HTTPConnection("127.0.0.1", port, timeout=5)
    asking.request("GET", "/reload")
    print(asking.getresponse().read().decode().strip())


if __name__ == "__main__":
    if "--reload" in sys.argv:
        reload(int(sys.argv[1]))
    else:
        Server(int(sys.argv[1]), sys.argv[2]).serve_forever()
