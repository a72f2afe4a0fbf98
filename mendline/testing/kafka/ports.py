"""Ports on loopback for brokers."""

from __future__ import annotations

import itertools
import random
import socket

from mendline.testing.kafka.errors import PortTakenError

# Below the range from which the system takes ports for outgoing connections: a broker that is killed must find its
# port free when it comes back, and a client that keeps knocking at a closed port of that range may connect to itself.
_FIRST, _LAST = 20_000, 30_000


def free_ports(count: int) -> list[int]:
    """Return so many ports that nobody listens on, drawn at random so that two test runs rarely meet.

    Raises PortTakenError when there are not so many.
    """
    shuffled = random.sample(range(_FIRST, _LAST), _LAST - _FIRST)
    ports = list(itertools.islice(filter(is_free, shuffled), count))
    if len(ports) < count:
        raise PortTakenError(f"no {count} ports are free on localhost between {_FIRST} and {_LAST}")
    return ports


def is_free(port: int) -> bool:
    """Tell whether a broker could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def require_free(port: int) -> None:
    """Raise PortTakenError if something listens there."""
    if not is_free(port):
        raise PortTakenError(f"port {port} on localhost is taken: stop what listens there, or choose another port")
