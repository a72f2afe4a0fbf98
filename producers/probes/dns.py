"""DNS: does the system's resolver find an address for a name."""

from __future__ import annotations

from mendline.producers.probes.attempt import Answer, Attempt, Names, ProbeFailedError


class DnsProbe:
    """Looks a name up, past Mendline's own memory of addresses."""

    metric = "dns.lookup.duration"

    def __init__(self, names: Names, host: str) -> None:
        """Look `host` up."""
        self._names = names
        self._host = host

    def attempt(self) -> Attempt:
        """Try once. Raises ProbeFailedError."""
        if not (yield from self._names.look_up(self._host, 0)):
            msg = f"{self._host} has no address"
            raise ProbeFailedError(msg)
        return Answer()
