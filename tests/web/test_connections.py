"""Connections that say nothing, and too many of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mendline.web import connections
from mendline.web.connections import Connection, most_connections
from tests.cli.support import until
from tests.responders.support import fault
from tests.web.support import Site

pytestmark = pytest.mark.slow

MOST = 5


@pytest.fixture
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve a page to few connections, with little patience."""
    monkeypatch.setattr(connections, "LOOK_S", 0.2)
    with Site(tmp_path) as served:
        monkeypatch.setattr(Connection, "most", MOST)
        yield served


def connect(site: Site, said: bytes = b"") -> socket.socket:
    """Open a connection and say something."""
    opened = socket.create_connection(("127.0.0.1", site.port), timeout=30)
    opened.sendall(said)
    return opened


def one_more_is_cut(site: Site) -> bool:
    """Say whether somebody new is cut off."""
    with connect(site) as link:
        return is_cut(link)


def is_cut(link: socket.socket) -> bool:
    """Wait for what comes, and say whether that is the end."""
    try:
        return link.recv(1000) == b""
    except ConnectionError:
        return True


def test_one_too_many_is_cut_off(narrow: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those that are there go on; when they have left, others get in."""
    monkeypatch.setattr(connections, "LOOK_S", 1000)
    with ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(connect(narrow))
        until("one too many", lambda: one_more_is_cut(narrow))
    until("there is room", lambda: answers(narrow))


def answers(site: Site) -> bool:
    """Say whether somebody new is answered."""
    try:
        return site.get("/api/overview").status == 200
    except (ConnectionError, OSError):
        return False


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        b"POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_who_says_nothing_more_is_cut_off(narrow: Site, said: bytes) -> None:
    """Before a request, within its head, or within its body."""
    with connect(narrow, said) as link:
        until("it is cut", lambda: is_cut(link))


def test_a_page_that_listens_is_left_alone(narrow: Site) -> None:
    """Its stream has begun: that little comes is as it should be."""
    head = f"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {narrow.token}\r\n\r\n"
    with connect(narrow, head.encode()) as stream:
        assert b"200" in stream.recv(1000)
        for _ in range(3):  # others come and go, for longer than the patience is with who says nothing
            until("it is cut", lambda: one_more_is_cut(narrow))
        narrow.append("journal", fault())
        heard = b""
        while b"event: record" not in heard:
            heard += stream.recv(1000)
            assert heard


def test_descriptors_are_left_for_the_rest() -> None:
    """Half of what the process may have, at most."""
    assert 0 < most_connections() <= 1000
