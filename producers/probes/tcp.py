"""TCP connect: is somebody listening, and how far away; also the round-trip time to a peer.

The time of a TCP connect is one round trip: it needs no privilege, unlike ICMP, and passes where services pass.
"""

from __future__ import annotations

from mendline.producers.probes.attempt import Answer, Attempt, Names, connected, split_address


class TcpProbe:
    """Connects and hangs up."""

    metric = "mendline.tcp.connect.duration"

    def __init__(self, names: Names, address: str) -> None:
        """Connect to `address`, HOST:PORT. Raises ValueError."""
        self._names = names
        self._host, self._port = split_address(address)

    def attempt(self) -> Attempt:
        """Try once. Raises ProbeFailedError."""
        link = yield from connected(self._names, self._host, self._port)
        link.close()
        return Answer()
