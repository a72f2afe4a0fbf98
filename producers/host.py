"""The collectors of the host, by the names that `host.collect` uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mendline.producers.base import Collector
from mendline.producers.cpu import Cpu
from mendline.producers.descriptors import Descriptors
from mendline.producers.disk import Disk
from mendline.producers.filesystem import Filesystem
from mendline.producers.load import Load
from mendline.producers.memory import Memory
from mendline.producers.network import Network
from mendline.producers.pressure import Pressure
from mendline.producers.sensors import Sensors
from mendline.producers.tcp import Tcp
from mendline.schemas.settings import HostSettings

COLLECTORS: Mapping[str, Callable[[HostSettings], Collector]] = {
    "cpu": lambda _: Cpu(),
    "load": lambda _: Load(),
    "memory": lambda _: Memory(),
    "disk": lambda _: Disk(),
    "filesystem": lambda host: Filesystem(host.deadline / 1000),
    "network": lambda _: Network(),
    "tcp": lambda _: Tcp(),
    "descriptors": lambda _: Descriptors(),
    "pressure": lambda _: Pressure(),
    "sensors": lambda _: Sensors(),
}


def host_collectors(settings: HostSettings) -> list[Collector]:
    """Return the collectors that the settings ask for."""
    return [COLLECTORS[name](settings) for name in settings.collect]
