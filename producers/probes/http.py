"""HTTP and HTTPS: status, body, latency, and how long the certificate is still good.

A GET of HTTP/1.1 on a connection of its own; redirects are answers and not followed. The body is read to its end, or
up to 64 KiB, and may have to match. Certificates are verified against the system's authorities, or a file given.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from mendline.producers.probes.attempt import READ, WRITE, Answer, Attempt, Names, ProbeFailedError, Wait, connected

if TYPE_CHECKING:
    import ssl

    from mendline.schemas.settings import ProbeSettings

MOST_BYTES = 65_536
SHED = frozenset({429, 503})
"""With these a server says that it has too much to do, or is not ready: RFC 6585 section 4, RFC 9110 section 15.6.4."""
_DAY_S = 86_400
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]*))?\r\n")
_LENGTH = re.compile(rb"^content-length: *(\d+) *\r?$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:.*\bchunked\b", re.IGNORECASE | re.MULTILINE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)[^\r\n]*\r\n")


class Response(NamedTuple):
    """What came back: the status, its words, and the body as far as it was read."""

    status: int
    words: str
    body: bytes


class HttpProbe:
    """Asks for a URL and judges the answer."""

    metric = "http.client.request.duration"

    def __init__(self, names: Names, settings: ProbeSettings) -> None:
        """Ask for `settings.http`. Raises ValueError for what is no http or https URL, OSError for a bad CA file."""
        url = urlsplit(settings.http or "")
        if url.scheme not in {"http", "https"} or not url.hostname:
            msg = f"{settings.http!r} is no URL to probe: expected http://HOST… or https://HOST…"
            raise ValueError(msg)
        self._names = names
        self._host = url.hostname
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = _tls_context(settings.ca_file) if url.scheme == "https" else None
        self._low, self._high = settings.status
        self._body = re.compile(settings.body.encode()) if settings.body else None
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        lines = (f"GET {path} HTTP/1.1", f"Host: {url.netloc.rpartition('@')[2]}", "User-Agent: mendline")
        self._request = "\r\n".join((*lines, "Accept: */*", "Connection: close", "", "")).encode()

    def attempt(self) -> Attempt:
        """Try once. Raises ProbeFailedError."""
        link: socket.socket = yield from connected(self._names, self._host, self._port)
        days = None
        try:
            if self._tls:
                # The new socket takes the old one's descriptor over: it is the one to be closed, whatever happens.
                link = secure = self._tls.wrap_socket(link, server_hostname=self._host, do_handshake_on_connect=False)
                days = yield from _agreed(secure)
            yield from _send(link, self._request)
            self._judge((yield from _receive(link)))
        except (ConnectionError, BrokenPipeError) as error:
            msg = f"the connection broke: {(error.strerror or str(error)).lower()}"
            raise ProbeFailedError(msg, "unanswered") from error
        finally:
            link.close()
        return Answer(days)

    def _judge(self, response: Response) -> None:
        if not self._low <= response.status <= self._high:
            msg = f"status {response.status} {response.words}".rstrip()
            raise ProbeFailedError(msg, "shed" if response.status in SHED else "wrong")
        if self._body and not self._body.search(response.body):
            start = response.body[:80].decode(errors="replace")
            msg = f"the body does not match {self._body.pattern.decode()!r}: {start!r}"
            raise ProbeFailedError(msg)


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    import ssl

    return ssl.create_default_context(cafile=ca_file)


def _agreed(link: ssl.SSLSocket) -> Generator[Wait, None, float | None]:
    """Agree on TLS, and return for how many days the server's certificate is still good."""
    import ssl

    try:
        while True:
            try:
                link.do_handshake()
                break
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                yield Wait(*_wanted(link, error, READ), "agreeing on TLS")
    except ssl.SSLCertVerificationError as error:
        msg = f"the certificate is not accepted: {error.verify_message}"
        raise ProbeFailedError(msg) from error
    except (ssl.SSLError, ConnectionError) as error:
        msg = f"no TLS connection: {error.strerror or error}"
        raise ProbeFailedError(msg) from error
    ends = (link.getpeercert() or {}).get("notAfter")
    return (ssl.cert_time_to_seconds(str(ends)) - time.time()) / _DAY_S if ends else None


def _wanted(link: socket.socket, error: OSError, otherwise: int) -> tuple[int, int]:
    """Return what to wait for: a TLS connection may have to read to write, and the other way round."""
    wants = {"SSLWantReadError": READ, "SSLWantWriteError": WRITE}
    return link.fileno(), wants.get(type(error).__name__, otherwise)


def _again(error: OSError) -> bool:
    return isinstance(error, BlockingIOError) or type(error).__name__ in {"SSLWantReadError", "SSLWantWriteError"}


def _send(link: socket.socket, request: bytes) -> Iterator[Wait]:
    while request:
        try:
            request = request[link.send(request) :]
        except OSError as error:
            if not _again(error):
                raise
            yield Wait(*_wanted(link, error, WRITE), "sending the request")


def _receive(link: socket.socket) -> Generator[Wait, None, Response]:
    data = b""
    while len(data) < MOST_BYTES:
        try:
            part = link.recv(MOST_BYTES)
        except OSError as error:
            if not _again(error):
                raise
            yield Wait(*_wanted(link, error, READ), "reading the answer" if data else "waiting for the answer")
            continue
        data += part
        if response := parse(data, ended=not part):
            return response
    return parse(data, ended=True) or _broken(data)


def parse(data: bytes, *, ended: bool) -> Response | None:
    """Return the response that `data` holds, None while more must come.

    Raises ProbeFailedError when it is no HTTP or when the connection `ended` before the response was whole.
    """
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return _broken(data) if ended else None
    line = _STATUS_LINE.match(head + b"\r\n")
    if not line:
        return _broken(data)
    if _CHUNKED.search(head):
        text, whole = _unchunked(body)
    else:
        length = _LENGTH.search(head)
        text, whole = body, ended if length is None else len(body) >= int(length[1])
    if whole or line[1] in {b"204", b"304"} or (ended and len(data) >= MOST_BYTES):
        return Response(int(line[1]), (line[2] or b"").decode(errors="replace"), text)
    return _broken(data) if ended else None


def _unchunked(body: bytes) -> tuple[bytes, bool]:
    """Return the text in the chunks, and whether the last chunk is there."""
    parts: list[bytes] = []
    at = 0
    while found := _CHUNK.match(body, at):
        size = int(found[1], 16)
        if not size:
            return b"".join(parts), True
        parts.append(body[found.end() : found.end() + size])
        at = found.end() + size + 2
    return b"".join(parts), False


def _broken(data: bytes) -> Response:
    if not data:
        msg = "the connection was closed without an answer"
        raise ProbeFailedError(msg, "unanswered")
    msg = f"the answer is no whole HTTP response: {data[:40].decode(errors='replace')!r}"
    raise ProbeFailedError(msg)
