"""What every request has to pass, whatever it asks for: its Host header, its size; and what every answer carries."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mendline.schemas.settings import LOOPBACK

if TYPE_CHECKING:
    from mendline.schemas.settings import WebSettings

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 64 * 1024
TELL_EVERY_S = 60.0
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]


def names_of(web: WebSettings) -> frozenset[str]:
    """Return the names by which the page may be asked for."""
    own = (web.listen or "").rpartition(":")[0]
    public = urlsplit(web.url or "").hostname or ""
    return frozenset(one.lower() for one in (*LOOPBACK, own, public, *web.hosts) if one)


class Shield:
    """Wraps an application; what it refuses never reaches that."""

    def __init__(self, app: App, names: frozenset[str]) -> None:
        """Answer under these `names` only: under another name it is a page of somebody else that asks."""
        self._app = app
        self._names = names
        self._told_at = -TELL_EVERY_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        guarded = _adding_headers(send, b"no-store" if scope["path"].startswith("/api/") else b"no-cache")
        if _name(headers.get(b"host", b"")) not in self._names:
            self._tell(headers.get(b"host", b""))
            await _refuse(guarded, 421, b"this name is not served here: web.hosts of the settings lists names")
        elif not _is_small(headers.get(b"content-length", b"0")):
            await _refuse(guarded, 413, b"the body is too large")
        else:
            await self._app(scope, _bounded(receive), guarded)

    def _tell(self, host: bytes) -> None:
        if monotonic() - self._told_at >= TELL_EVERY_S:
            self._told_at = monotonic()
            logger.warning("the page was asked for by a name that is not its own, %r: refused", host[:80])


def _name(host: bytes) -> str:
    """Return the name of a Host header, without its port.

    >>> _name(b"localhost:8329"), _name(b"[::1]:8329"), _name(b"Example.com")
    ('localhost', '[::1]', 'example.com')
    """
    text = host.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    return name if colon and port.isdigit() else text


def _is_small(length: bytes) -> bool:
    return length.isdigit() and int(length[:12]) <= MOST_BYTES


def _bounded(receive: Receive) -> Receive:
    """Let no more than `MOST_BYTES` of a body through that does not say how long it is."""
    got = 0

    async def bounded() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        return message if got <= MOST_BYTES else {"type": "http.disconnect"}

    return bounded


def _adding_headers(send: Send, caching: bytes) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = message.get("headers", [])
            names = {name for name, _ in own}
            general = [one for one in (*HEADERS, (b"cache-control", caching)) if one[0] not in names]
            message["headers"] = [*own, *general]
        await send(message)

    return adding


async def _refuse(send: Send, status: int, text: bytes) -> None:
    body = b'{"detail": "' + text + b'"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
