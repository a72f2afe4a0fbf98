"""A service that answers with a page out of its cache, as it stands there: what is wrong in it makes the service ill.

GET /health answers `ok PID`, or what is wrong with the page. Arguments: the port and the folder of the cache; `--flush`
after them empties it, and says of how many pages.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PAGE = "<h1>All is well</h1>"


def health(cache: Path) -> tuple[int, str]:
    """Return an HTTP status and what to say, by the page in the cache, which is made if it is not there."""
    page = cache / "index.html"
    if not page.exists():
        page.write_text(PAGE)
    if page.read_text() == PAGE:
        return 200, f"ok {os.getpid()}"
    return 500, f"the page is broken: {page.read_text()}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Answer it."""
        status, text = health(Path(sys.argv[2]))
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Server(HTTPServer):
    """The service."""

    request_queue_size = 1024

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that gave up."""


def flush(cache: Path) -> None:
    """Empty the cache."""
    pages = list(cache.iterdir())
    for page in pages:
        page.unlink()
    print(f"{len(pages)} pages flushed")


if __name__ == "__main__":
    if "--flush" in sys.argv:
        flush(Path(sys.argv[2]))
    else:
        Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
