"""The client's log: remembered, because causes of failures are nowhere else, and passed on seldom.

kafka-python tells only its logger why it cannot connect, and writes two lines a second while a broker is away.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

NETWORK = "kafka.net"
"""What tells of connections is logged under this name or one below it."""
EVERY_S = 60.0
"""The same complaint is passed on at most this often."""

_NOT_THE_NETWORK = ("kafka.net.selector", "kafka.net.sasl")

_logger = logging.getLogger("mendline.logs.kafka.client")


class Ear(logging.Handler):
    """Hears what the client says at WARNING and above; keeps the latest and passes on one line per kind a minute."""

    def __init__(self) -> None:
        """Begin having heard nothing."""
        super().__init__(logging.WARNING)
        self._heard: deque[tuple[float, str, str]] = deque(maxlen=200)
        self._passed: dict[str, float] = {}
        self._only_kept: list[set[str]] = []

    @contextmanager
    def only_keeping(self, threads: set[str]) -> Iterator[None]:
        """Pass on nothing that these threads say in the block: its caller tells the outcome, with the cause."""
        self._only_kept.append(threads)
        try:
            yield
        finally:
            self._only_kept.remove(threads)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record; pass it on if its kind was not passed on lately."""
        now = time.monotonic()
        message = record.getMessage()
        thread = record.threadName or ""
        self._heard.append((now, thread, message))
        if any(thread in threads for threads in list(self._only_kept)):
            return
        # The client's loop tells of its own slowness, and its logins that the password goes in the clear.
        network = record.name.startswith(NETWORK) and not record.name.startswith(_NOT_THE_NETWORK)
        kind = "network" if network else f"{record.name} {str(record.msg)[:60]}"
        if now - self._passed.get(kind, -EVERY_S) < EVERY_S:
            return
        self._passed = {k: at for k, at in self._passed.items() if now - at < EVERY_S} | {kind: now}
        if network:
            _logger.warning("a Kafka broker is away or slow, trying again: %s", message)
        else:
            _logger.info("%s", message)

    def since(self, moment: float, threads: set[str]) -> list[str]:
        """Return what was said after `moment` (monotonic) on these threads, oldest first."""
        return [message for at, thread, message in list(self._heard) if at >= moment and thread in threads]


_ear = Ear()
_lock = threading.Lock()


def listen() -> Ear:
    """Put the ear on the client's logger, once; leave a logger alone that the application has set up itself."""
    with _lock:
        library = logging.getLogger("kafka")
        if _ear not in library.handlers:
            library.propagate = any(not isinstance(one, logging.NullHandler) for one in library.handlers)
            library.addHandler(_ear)
    return _ear
