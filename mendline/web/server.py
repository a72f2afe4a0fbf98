"""Serves the page on a thread of its own; a `Runner`."""

from __future__ import annotations

import importlib.util
import logging
import socket
import ssl
import threading
from typing import TYPE_CHECKING

from mendline.logs.clock import Clock, wall_clock
from mendline.schemas.settings import LOOPBACK, PAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import uvicorn

    from mendline.logs.base import Log
    from mendline.runtime.together import Runner
    from mendline.schemas.settings import Settings, WebSettings
    from mendline.web.access import Access
    from mendline.web.connections import Connection

logger = logging.getLogger(__name__)

NEEDED = ("fastapi", "uvicorn")
END_S = 2


class NoWebError(Exception):
    """Raised when what serves the page is not installed."""

    def __init__(self) -> None:
        """Say how to install it."""
        super().__init__("the page needs an extra: pip install 'mendline[web]'")


class PageServer:
    """Answers from `page` on a port that it has from the start."""

    name = "page"

    def __init__(self, settings: Settings, log: Log, clock: Clock = wall_clock) -> None:
        """Take the port; `clock` (ms) is what ages are told by. Raises NoWebError, TokenFileError and OSError."""
        if not is_installed():
            raise NoWebError
        from mendline.web.page import Page

        self.page = Page(settings, log, clock)
        self._web = settings.web
        check_certificate(settings.web)
        self._socket = _listening(settings.web.listen or PAGE)
        self._server: uvicorn.Server | None = None

    @property
    def runners(self) -> Sequence[Runner]:
        """The server, and what keeps its answers true."""
        return self, *self.page.runners

    @property
    def address(self) -> str:
        """The page's URL, without a token."""
        return address_of(self._web, self._socket.getsockname()[1])

    @property
    def link(self) -> str:
        """The page's URL with this host's token."""
        return link_of(self.address, self.page.access)

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set."""
        import uvicorn

        from mendline.web.app import make_app

        config = uvicorn.Config(
            make_app(self.page),
            loop="asyncio",
            http=_bounded(),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who connects is who connects: whom a proxy may vouch for, proxy.py decides
            timeout_graceful_shutdown=END_S,
            ssl_certfile=self._web.certificate,
            ssl_keyfile=self._web.key,
        )
        self._server = server = uvicorn.Server(config)
        if stop.is_set():
            server.should_exit = True
        try:
            server.run(sockets=[self._socket])
        finally:
            self.close()

    def close(self) -> None:
        """Give up the port. Only needed when it is never served."""
        self._socket.close()

    def wake(self) -> None:
        """Make the server look whether it is to end: this is only called when it is."""
        self.page.hub.close()
        if server := self._server:
            server.should_exit = True


def _bounded() -> type[Connection]:
    from mendline.web.connections import Connection, most_connections

    Connection.most = most_connections()
    return Connection


def address_of(web: WebSettings, port: int | None = None) -> str:
    """Return the page's URL, without a token; `port` is the one that it really has."""
    host, _, written = (web.listen or PAGE).rpartition(":")
    name = web.hosts[0] if web.hosts and host not in LOOPBACK else host
    return f"{'https' if web.certificate else 'http'}://{name}:{port or written}/"


def link_of(address: str, access: Access) -> str:
    """Return the page's URL with this host's token, behind the # that browsers keep to themselves."""
    return f"{address}#token={access.own_token}"


def _listening(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        family, kind, *_, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(address)
            found.listen()
        except OSError:
            found.close()
            raise
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        msg = f"web.listen: {listen} cannot be listened on: {why}; give it another port, or null for no page"
        raise OSError(msg) from error
    return found


def is_installed() -> bool:
    """Say whether there is what serves the page."""
    return all(map(importlib.util.find_spec, NEEDED))


def check_certificate(web: WebSettings) -> None:
    """Raise OSError for a certificate or key that cannot be used."""
    if web.certificate and web.key:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(web.certificate, web.key)
        except OSError as error:
            msg = f"web.certificate, web.key: {web.certificate} and {web.key} cannot be used: {error}"
            raise OSError(msg) from error
