"""One try of a probe, written as a generator, and the steps that all kinds share."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from time import monotonic
from typing import NamedTuple

from mendline.schemas.records import Failure

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

MOST_LOOK_UPS = 4
ADDRESSES_KEPT_S = 30.0


class ProbeFailedError(Exception):
    """Raised by a try that got no answer, or the wrong one; the message says why, `failure` how far it came."""

    def __init__(self, why: str, failure: Failure = "wrong") -> None:
        """Keep why."""
        super().__init__(why)
        self.failure: Failure = failure


class Wait(NamedTuple):
    """What a try waits for: a file (READ, WRITE or both), in a phase of its work that a message can name.

    `failure` is how far it came, should it wait for too long.
    """

    file: int
    events: int
    phase: str
    failure: Failure = "unanswered"


class Answer(NamedTuple):
    """A good answer. `certificate_days`: until the server's certificate expires."""

    certificate_days: float | None = None


Attempt = Generator[Wait, None, Answer]
MakeAttempt = Callable[[], Attempt]


class Address(NamedTuple):
    """Where to connect to."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


class Names:
    """Addresses of host names, looked up on threads of their own and kept for a while. Used by one thread."""

    def __init__(self) -> None:
        """Begin without any."""
        self._kept: dict[tuple[str, int], tuple[float, Sequence[Address]]] = {}
        self._asking: Counter[str] = Counter()

    def addresses(self, host: str, port: int) -> Generator[Wait, None, Sequence[Address]]:
        """Return the addresses of `host`, looked up at most every 30 s. Raises ProbeFailedError."""
        kept = self._kept.get((host, port))
        if kept and monotonic() < kept[0]:
            return kept[1]
        found = literal(host, port) or (yield from self.look_up(host, port))
        self._kept[host, port] = (monotonic() + ADDRESSES_KEPT_S, found)
        return found

    def forget(self, host: str, port: int) -> None:
        """Look the name up again at the next chance: nobody answered at its addresses."""
        self._kept.pop((host, port), None)

    def look_up(self, host: str, port: int) -> Generator[Wait, None, Sequence[Address]]:
        """Return the addresses of `host` as the system's resolver says now. Raises ProbeFailedError."""
        if self._asking[host] >= MOST_LOOK_UPS:
            msg = f"{MOST_LOOK_UPS} earlier look-ups of {host} are still without an answer"
            raise ProbeFailedError(msg, "unresolved")
        self._asking[host] += 1
        asked = _LookUp(host, port, lambda: self._asking.subtract([host]))
        try:
            yield Wait(asked.done, READ, "looking the name up", "unresolved")
        finally:
            os.close(asked.done)
        return asked.found()


class _LookUp:
    """One call of `getaddrinfo`, which cannot be interrupted, on a thread of its own."""

    def __init__(self, host: str, port: int, then: Callable[[], None]) -> None:
        self.done, self._write = os.pipe()
        self._host, self._port, self._then = host, port, then
        self._result: Sequence[Address] | OSError = OSError("not looked up")
        threading.Thread(target=self._run, name=f"look up {host}", daemon=True).start()

    def found(self) -> Sequence[Address]:
        """Return the addresses, or raise ProbeFailedError."""
        if isinstance(self._result, OSError):
            msg = f"{self._host} cannot be resolved: {self._result.strerror or self._result}"
            raise ProbeFailedError(msg, "unresolved")
        return self._result

    def _run(self) -> None:
        try:
            infos = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._result = [Address(family, address) for family, _, _, _, address in infos]
        except OSError as error:
            self._result = error
        except UnicodeError as error:  # a label that is too long or empty
            self._result = OSError(str(error))
        self._then()
        os.close(self._write)  # the other end becomes readable


def literal(host: str, port: int) -> Sequence[Address]:
    """Return the address that `host` spells out, nothing if it is a name."""
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return ()
    return [Address(infos[0][0], infos[0][4])]


def connected(names: Names, host: str, port: int) -> Generator[Wait, None, socket.socket]:
    """Return a socket that is connected to the first address of `host` that answers.

    Raises ProbeFailedError naming the last address that did not.
    """
    found = yield from names.addresses(host, port)
    why, failure = "", _failure(0)
    for address in found:
        link = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            link.settimeout(0)
            yield from _connect(link, address)
        except OSError as error:
            link.close()
            why, failure = f"{host}:{port}: {(error.strerror or str(error)).lower()}", _failure(error.errno)
        except BaseException:  # the try is being given up
            link.close()
            raise
        else:
            return link
    names.forget(host, port)
    raise ProbeFailedError(why, failure)


def _failure(number: int | None) -> Failure:
    """Return how far a connection came that failed with this error: who refuses is there, and so is the way to it."""
    if number == errno.ECONNREFUSED:
        return "refused"
    return "unconnected" if number == errno.ETIMEDOUT else "unrouted"


def _connect(link: socket.socket, address: Address) -> Iterator[Wait]:
    code = link.connect_ex(address.sockaddr)
    if code == errno.EINPROGRESS:
        yield Wait(link.fileno(), WRITE, "connecting", "unconnected")
        code = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, where an IPv6 address stands in brackets.

    Raises ValueError.

    >>> split_address("[::1]:80")
    ('::1', 80)
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        msg = f"{text!r} is no address: expected HOST:PORT"
        raise ValueError(msg)
    return host.strip("[]"), int(port)
