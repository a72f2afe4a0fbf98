"""What network interfaces carry and lose. By psutil: 50 µs a round."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from mendline.producers.base import Collected, Layout
from mendline.producers.metrics import each
from mendline.schemas.series import Series

_DIRECTIONS = ("receive", "transmit")
_METRICS = (
    "system.network.io",
    "system.network.packet.count",
    "system.network.errors",
    "system.network.packet.dropped",
)
_IGNORED = ("veth",)
"""One end of a container's cable: they come and go with containers, and the bridge counts what they carry."""


class Network:
    """Bytes, packets, errors and drops per interface and direction."""

    name = "network"

    def __init__(self) -> None:
        """Begin."""
        self._layout = Layout(_series)

    def collect(self, now_ms: int) -> Collected:
        """Measure now."""
        counters = psutil.net_io_counters(pernic=True, nowrap=False)
        names = tuple(sorted(name for name in counters if not name.startswith(_IGNORED)))
        values: list[float] = []
        for name in names:
            of = counters[name]
            values += [of.bytes_recv, of.bytes_sent, of.packets_recv, of.packets_sent]
            values += [of.errin, of.errout, of.dropin, of.dropout]
        return Collected(self._layout.of(names), values)


def _series(names: tuple[str, ...]) -> Iterable[Series]:
    for name in names:
        for metric in _METRICS:
            yield from each(metric, "network__io__direction", _DIRECTIONS, network__interface__name=name)
