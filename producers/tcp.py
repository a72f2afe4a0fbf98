"""How many TCP connections are in each state.

From /proc/net/tcp: psutil would look into every process besides (9 ms a round).
"""

from __future__ import annotations

import re
from collections import Counter
from time import thread_time

from mendline.producers.base import NOTHING, Collected
from mendline.producers.files import keep
from mendline.producers.metrics import each

_STATES = {
    b"01": "established",
    b"02": "syn_sent",
    b"03": "syn_received",
    b"04": "fin_wait_1",
    b"05": "fin_wait_2",
    b"06": "time_wait",
    b"07": "close",
    b"08": "close_wait",
    b"09": "last_ack",
    b"0A": "listen",
    b"0B": "closing",
}
_LINE = re.compile(rb"^ *\d+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) ", re.MULTILINE)
_SERIES = tuple(each("system.network.connection.count", "network__connection__state", _STATES.values()))
_MOST_OF_A_CORE = 0.0005


class Tcp:
    """Connections per state, IPv4 and IPv6 together; nothing where there is no /proc/net/tcp.

    The kernel walks its whole table of connections (4 ms on a host with 24 GB), so a count that took t seconds of CPU
    is kept for t / 0.0005: never more than half a thousandth of a core.
    """

    name = "tcp"

    def __init__(self, proc: str = "/proc") -> None:
        """Read below `proc`."""
        self._files = [file for name in ("tcp", "tcp6") if (file := keep(f"{proc}/net/{name}"))]
        self._next_ms = 0
        self._last = NOTHING

    def collect(self, now_ms: int) -> Collected:
        """Measure now, or return the last count while it is too early for the next."""
        if self._files and now_ms >= self._next_ms:
            began = thread_time()
            counts: Counter[bytes] = Counter()
            for file in self._files:
                counts.update(_LINE.findall(file.read()))
            self._last = Collected(_SERIES, [float(counts[state]) for state in _STATES])
            self._next_ms = now_ms + int((thread_time() - began) / _MOST_OF_A_CORE * 1000)
        return self._last
