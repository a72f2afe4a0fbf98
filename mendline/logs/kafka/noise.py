"""The client's log: remembered, because causes of failures are nowhere else, and passed on seldom.

kafka-python tells only its logger why it cannot connect, and writes two lines a second while a broker is away.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

NETWORK = "kafka.net"
"""What tells of connections is logged under this name or one below it."""
EVERY_S = 60.0
"""The same complaint is passed on at most this often."""

_logger = logging.getLogger("mendline.logs.kafka.client")


class Ear(logging.Handler):
    """Hears what the client says at WARNING and above; keeps the latest and passes on one line per kind a minute."""

    def __init__(self) -> None:
        """Begin having heard nothing."""
        super().__init__(logging.WARNING)
        self._heard: deque[tuple[float, str, str]] = deque(maxlen=200)
        self._passed: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record; pass it on if its kind was not passed on lately."""
        now = time.monotonic()
        message = record.getMessage()
        self._heard.append((now, record.threadName or "", message))
        # What the loop of the client tells is about its own slowness.
        network = record.name.startswith(NETWORK) and record.name != "kafka.net.selector"
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
